//! Data that is not what was written.
//!
//! Owns the one question: a damaged directory is refused with the word `damaged` and the file, or what it
//! answers is what it answered before, word for word, or `damaged`. Never something else.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::fuzz::Seeded;
use crate::shop::{Shop, order};

/// The databases; each has a log beside it after a kill.
const DATABASES: [&str; 5] = [
    "journal.db",
    "services/order.db",
    "services/payment.db",
    "services/inventory.db",
    "services/shipping.db",
];

const SALES: usize = 12;

/// A directory with some sales in it, and everything that was ever answered about them.
struct Original {
    directory: tempfile::TempDir,
    posts: Vec<(String, String, u16, String)>,
    gets: Vec<(String, String)>,
}

#[derive(Clone, Copy)]
enum End {
    Stopped,
    Killed,
}

impl Original {
    fn make(end: End) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let shop = Shop::open_in(&directory.path().join("data"), &[]);
        let (mut posts, mut gets) = (Vec::new(), Vec::new());
        let see = |path: String| (path.clone(), shop.see(&path).text());
        for number in 0..SALES {
            let key = format!("key-{number}");
            let body = match number % 5 {
                0 => order("nothing", "1", "1"),
                1 => order("product_1", "1", "20000"),
                _ => order("product_1", "1", &format!("{number}.25")),
            };
            let answer = shop.post_with(&[("idempotency-key", &key)], &body);
            gets.push(see(format!("/sagas/{}", answer.member("saga_id"))));
            gets.push(see(format!("/orders/{}", answer.member("order_id"))));
            posts.push((key, body, answer.status, answer.text()));
        }
        for path in ["/inventory", "/shop/ledger", "/shop/orders"] {
            gets.push(see(path.to_owned()));
        }
        match end {
            End::Stopped => assert_eq!(shop.stop().0.code, Some(0)),
            End::Killed => drop(shop.kill()),
        }
        Self { directory, posts, gets }
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.directory.path().join("data").join(file)).unwrap()
    }

    /// Copies the directory, damages one file, and looks what comes of it.
    fn with(&self, file: &str, damage: impl FnOnce(&Path)) -> Found {
        let copy = tempfile::tempdir().unwrap();
        copy_directory(&self.directory.path().join("data"), copy.path());
        damage(&copy.path().join(file));
        self.look(copy.path(), file)
    }

    fn with_bytes(&self, file: &str, bytes: &[u8]) -> Found {
        self.with(file, |path| fs::write(path, bytes).unwrap())
    }

    fn look(&self, data: &Path, file: &str) -> Found {
        let shop = match Shop::try_open_in(data, &[]) {
            Ok(shop) => shop,
            Err(ended) => {
                let name = Path::new(file).file_name().unwrap().to_str().unwrap().trim_end_matches("-wal");
                let words = ["damaged", name, "directory"];
                let is_clear = words.iter().all(|word| ended.stderr.contains(word));
                if ended.code != Some(1) || !is_clear || ended.stderr.contains("panicked") {
                    return Found::Different(format!("it is refused without {words:?}: {ended:?}"));
                }
                return Found::Refused;
            }
        };
        let mut found = Found::Same;
        let mut wire = shop.wire();
        let mut compare = |what: &str, answer: crate::wire::Answer, expected: (u16, &str)| {
            let text = answer.text();
            if (answer.status, text.as_str()) == expected {
            } else if answer.status >= 500 && text.contains("damaged") {
                if !matches!(found, Found::Different(_)) {
                    found = Found::PartlyDamaged;
                }
            } else {
                found = Found::Different(format!("{what} was {expected:?}, and is {} {text}", answer.status));
            }
        };
        for (key, body, status, text) in &self.posts {
            let headers = [("idempotency-key", key.as_str())];
            let answer = wire.call("POST", "/orders", &headers, Some(body.as_bytes())).unwrap();
            compare(key, answer, (*status, text));
        }
        for (path, text) in &self.gets {
            compare(path, wire.call("GET", path, &[], None).unwrap(), (200, text));
        }
        if shop.stderr().contains("panicked") {
            found = Found::Different(shop.stderr());
        }
        found
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It did not start, and said why.
    Refused,
    /// It answers as before.
    Same,
    /// It answers as before, or that what is asked for is damaged.
    PartlyDamaged,
    /// It tells something else, or is refused without a clear word.
    Different(String),
}

impl Found {
    fn is_honest(&self) -> bool {
        !matches!(self, Found::Different(_))
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A few offsets of each file, the same in each run.
fn offsets(file: &str, length: usize, count: usize) -> Vec<usize> {
    let seed = file.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut seeded = Seeded(seed);
    (0..count).map(|_| seeded.below(length)).collect()
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << (at % 8);
    bytes
}

fn blanked(bytes: &[u8], range: Range<usize>) -> Vec<u8> {
    let mut blank = bytes.to_vec();
    blank[range].fill(0);
    // Half of an empty table's page is zeros already: to blank that is no damage, and a start that notices
    // none is right.
    assert_ne!(blank, bytes, "it is damaged");
    blank
}

/// The frames of SQLite's log: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.
fn frames(log: &[u8]) -> Vec<Range<usize>> {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let size = FRAME_HEADER + u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    (HEADER..=log.len() - size).step_by(size).map(|begin| begin..begin + size).collect()
}

/// The number of the frame that follows the last commit but one.
fn last_transaction(log: &[u8], frames: &[Range<usize>]) -> usize {
    let ends_one = |frame: &Range<usize>| log[frame.start + 4..frame.start + 8] != [0; 4];
    let ends: Vec<_> = (0..frames.len()).filter(|number| ends_one(&frames[*number])).collect();
    assert!(ends.len() >= 3, "a layout and some work");
    ends[ends.len() - 2] + 1
}

#[test]
fn an_untouched_directory_answers_as_before() {
    for end in [End::Stopped, End::Killed] {
        assert_eq!(Original::make(end).with("journal.db", |_| {}), Found::Same);
    }
}

#[test]
fn a_database_that_is_gone_or_replaced_or_cut_off_is_refused() {
    let original = Original::make(End::Stopped);
    for file in DATABASES {
        let bytes = original.bytes(file);
        assert_eq!(
            original.with(file, |path| fs::remove_file(path).unwrap()),
            Found::Refused,
            "{file} removed"
        );
        for length in [0, 100, bytes.len() / 2, bytes.len() - 4096] {
            let found = original.with_bytes(file, &bytes[..length]);
            assert_eq!(found, Found::Refused, "{file} cut to {length}");
        }
        let rubbish: Vec<u8> = bytes.iter().map(|byte| byte.wrapping_mul(31).wrapping_add(7)).collect();
        assert_eq!(original.with_bytes(file, &rubbish), Found::Refused, "{file} rubbish");
        assert_eq!(original.with_bytes(file, &vec![0; bytes.len()]), Found::Refused, "{file} zeros");
    }
}

#[test]
fn two_databases_in_each_others_place_are_refused() {
    let original = Original::make(End::Stopped);
    let found = original.with("services/order.db", |path| {
        fs::copy(path.with_file_name("payment.db"), path).unwrap();
    });
    assert_eq!(found, Found::Refused);
}

#[test]
fn a_blank_page_never_changes_an_answer() {
    let original = Original::make(End::Stopped);
    for file in DATABASES {
        let bytes = original.bytes(file);
        let size = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
        for page in [0, bytes.len() / size / 2] {
            let blank = blanked(&bytes, page * size..(page + 1) * size);
            assert!(original.with_bytes(file, &blank).is_honest(), "{file} page {page}");
        }
    }
}

#[test]
fn a_log_that_is_broken_before_its_last_transaction_is_refused() {
    let original = Original::make(End::Killed);
    for file in DATABASES.map(|file| format!("{file}-wal")) {
        let bytes = original.bytes(&file);
        let frames = frames(&bytes);
        let last_transaction = last_transaction(&bytes, &frames);
        for (number, frame) in frames.iter().cloned().enumerate() {
            let found = original.with_bytes(&file, &blanked(&bytes, frame));
            if number < last_transaction {
                assert_eq!(found, Found::Refused, "{file} frame {number}");
            } else {
                // The kill may have met a round of the journal that was about to be flushed.
                assert!(found.is_honest(), "{file} frame {number}: {found:?}");
            }
        }
        for at in offsets(&file, frames[last_transaction].start, 5) {
            let found = original.with_bytes(&file, &flipped(&bytes, at));
            assert_eq!(found, Found::Refused, "{file} byte {at}");
        }
    }
}

/// Everything at once and a lot of it.
#[test]
fn sweep_no_damage_ever_changes_an_answer() {
    let mut different = Vec::new();
    for (end, name) in [(End::Stopped, "stopped"), (End::Killed, "killed")] {
        let original = Original::make(end);
        let logs = DATABASES.map(|file| format!("{file}-wal"));
        let files = DATABASES.into_iter().chain(logs.iter().map(String::as_str));
        let files = files.chain(["journal.end", "journal.log-000001", "journal.log-000002"]);
        for file in files.filter(|file| original.directory.path().join("data").join(file).exists()) {
            let bytes = original.bytes(file);
            let mut note = |found: Found, what: String| {
                if let Found::Different(how) = found {
                    different.push(format!("{name}: {file} {what}: {how:.300}"));
                }
            };
            note(original.with(file, |path| fs::remove_file(path).unwrap()), "removed".to_owned());
            for length in
                [0, 1, 31, 32, 100, bytes.len() / 2, bytes.len().saturating_sub(4096), bytes.len() - 1]
            {
                let length = length.min(bytes.len() - 1);
                note(original.with_bytes(file, &bytes[..length]), format!("cut to {length}"));
            }
            for at in offsets(file, bytes.len(), 100) {
                note(original.with_bytes(file, &flipped(&bytes, at)), format!("byte {at} flipped"));
            }
        }
    }
    assert!(different.is_empty(), "{} answers changed:\n{}", different.len(), different.join("\n"));
}
