//! The identity of a transaction.
//!
//! Owns the id's two forms: 128 bits inside, the canonical UUID text (RFC 9562, lower case, hyphens) outside.
//! Promises one text per id: no other spelling parses, so an id found in a log is the id in the store.
//! Does not draw random numbers: [`TransactionId::from_parts`] takes them.

use std::fmt;
use std::str::FromStr;

/// The id of one transaction, of whatever mode: a UUID. Ours are version 7 (time-ordered); a caller may give
/// any other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(u128);

/// The text is not a UUID in its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUID such as 0193e0a5-7b2c-7d11-8f00-0242ac120002, in lower case")]
pub struct ParseTransactionIdError;

impl TransactionId {
    /// Builds a UUID version 7 (RFC 9562, section 5.7) from a Unix time in milliseconds and random bits.
    #[must_use]
    pub const fn from_parts(unix_milliseconds: u64, random: u128) -> Self {
        const VERSION: u128 = 0x7 << 76;
        const VARIANT: u128 = 0b10 << 62;
        const RAND_A: u128 = 0xFFF << 64;
        const RAND_B: u128 = (1 << 62) - 1;
        let time = (unix_milliseconds as u128 & 0xFFFF_FFFF_FFFF) << 80;
        Self(time | VERSION | (random & RAND_A) | VARIANT | (random & RAND_B))
    }

    /// The id as stored: big-endian, so that byte order is the order of the ids.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads an id as stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// The id of what a transaction starts in a step: always the same one for the same step, run and number.
    #[must_use]
    pub(crate) const fn derived(self, step: u16, occurrence: u64, number: u32) -> Self {
        let place = (step as u64) << 48 | number as u64;
        let high = crate::retry::splitmix64(self.0 as u64 ^ place);
        let low = crate::retry::splitmix64(high ^ (self.0 >> 64) as u64 ^ occurrence);
        Self::from_parts((self.0 >> 80) as u64, (high as u128) << 64 | low as u128)
    }

    /// Its bits, mixed: evenly spread whatever kind of UUID it is.
    pub(crate) const fn mixed(self) -> u64 {
        crate::retry::splitmix64(self.0 as u64 ^ (self.0 >> 64) as u64)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in self.to_bytes().into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 0xF)];
            at += 2;
        }
        f.write_str(std::str::from_utf8(&text).expect("hexadecimal digits are ASCII"))
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TransactionId {
    type Err = ParseTransactionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 36 {
            return Err(ParseTransactionIdError);
        }
        let mut value: u128 = 0;
        for (index, byte) in text.bytes().enumerate() {
            let digit = match (index, byte) {
                (8 | 13 | 18 | 23, b'-') => continue,
                (8 | 13 | 18 | 23, _) => return Err(ParseTransactionIdError),
                (_, b'0'..=b'9') => byte - b'0',
                (_, b'a'..=b'f') => byte - b'a' + 10,
                (_, _) => return Err(ParseTransactionIdError),
            };
            value = value << 4 | u128::from(digit);
        }
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_text_reads_back_as_the_same_id(bits: u128) {
            let id = TransactionId(bits);
            prop_assert_eq!(id.to_string().parse::<TransactionId>(), Ok(id));
            prop_assert_eq!(TransactionId::from_bytes(id.to_bytes()), id);
        }

        #[test]
        fn ids_made_later_sort_later(a in 0u64..1 << 48, b in 0u64..1 << 48, r: u128, s: u128) {
            prop_assume!(a < b);
            prop_assert!(TransactionId::from_parts(a, r) < TransactionId::from_parts(b, s));
        }
    }

    #[test]
    fn our_ids_are_uuid_version_seven() {
        let text = TransactionId::from_parts(0x0193_e0a5_7b2c, u128::MAX).to_string();
        assert_eq!(text, "0193e0a5-7b2c-7fff-bfff-ffffffffffff");
    }

    #[test]
    fn one_id_has_one_spelling() {
        for text in [
            "",
            "x",
            "0193E0A5-7B2C-7FFF-BFFF-FFFFFFFFFFFF",
            "0193e0a57b2c7fffbfffffffffffffff",
            "{0193e0a5-7b2c-7fff-bfff-fffffffffff}",
            "0193e0a5-7b2c-7fff-bfff-fffffffffffé",
            "0193e0a5+7b2c-7fff-bfff-ffffffffffff",
        ] {
            assert_eq!(text.parse::<TransactionId>(), Err(ParseTransactionIdError), "{text}");
        }
    }
}
