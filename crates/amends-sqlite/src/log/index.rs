//! The log's index in shared memory: the last commit that was flushed.
//!
//! Owns the reading of the index's header. Promises to answer only what SQLite wrote whole: two equal copies that match
//! their checksum. Does not follow the hash tables behind it.

use std::io::{self, ErrorKind, Read};

/// What must be in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The salts of the log that the index is about, as they lie in the log's header.
    pub(crate) salts: [u8; 8],
    /// How many frames of it were flushed.
    pub(crate) frames: u32,
}

const HEADER: usize = 48;
const VERSION: u32 = 3_007_000;

/// What the log must hold; `None` if the index knows of nothing that is not in the database.
pub(crate) fn read(index: &mut impl Read) -> io::Result<Option<Wanted>> {
    let mut bytes = [0; 2 * HEADER + 4];
    match index.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let (header, copy) = (&bytes[..HEADER], &bytes[HEADER..2 * HEADER]);
    // In the byte order of the machine: the index never leaves it.
    let is_begun = header[12] == 1;
    let is_whole = header == copy && checksum(&header[..40]) == [word(header, 40), word(header, 44)];
    if !is_begun || !is_whole || word(header, 0) != VERSION {
        return Ok(None);
    }
    let (flushed, in_database) = (word(header, 16), word(&bytes, 2 * HEADER));
    let salts = header[32..40].try_into().expect("eight bytes were cut out");
    Ok((in_database < flushed).then_some(Wanted { salts, frames: flushed }))
}

fn checksum(bytes: &[u8]) -> [u32; 2] {
    bytes.chunks_exact(8).fold([0, 0], |[a, b], pair| {
        let a = a.wrapping_add(word(pair, 0)).wrapping_add(b);
        [a, b.wrapping_add(word(pair, 4)).wrapping_add(a)]
    })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes an index speak of the log with this first salt.
    pub(crate) fn mark(index: &mut [u8], first_salt: u32) {
        index[32..36].copy_from_slice(&first_salt.to_be_bytes());
        let [a, b] = checksum(&index[..40]);
        index[40..44].copy_from_slice(&a.to_ne_bytes());
        index[44..48].copy_from_slice(&b.to_ne_bytes());
        index.copy_within(..HEADER, HEADER);
    }

    #[test]
    fn an_index_that_is_not_whole_says_nothing() {
        let mut index = vec![0; 200];
        index[..4].copy_from_slice(&VERSION.to_ne_bytes());
        index[12] = 1;
        index[16..20].copy_from_slice(&7_u32.to_ne_bytes());
        mark(&mut index, 3);
        let wanted = read(&mut &*index).unwrap().unwrap();
        assert_eq!(wanted.frames, 7);
        for at in 0..2 * HEADER {
            let mut broken = index.clone();
            broken[at] ^= 1;
            assert_eq!(read(&mut &*broken).unwrap(), None, "byte {at}");
        }
    }
}
