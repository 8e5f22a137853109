//! `amends demo` on a disk that is full.
//!
//! Owns the mounting of small file systems, each in a mount namespace that goes with this program. Promises
//! that where nothing can be mounted its tests are said to be ignored, with the reason, instead of passed;
//! that is why it does without the usual harness. Start reading at `TESTS`.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

#[path = "demo/books.rs"]
mod books;
#[path = "demo/load.rs"]
mod load;
#[expect(dead_code, reason = "most of it is for the tests of `demo`")]
#[path = "demo/shop.rs"]
mod shop;
#[expect(dead_code, reason = "most of it is for the tests of `demo`")]
#[path = "demo/wire.rs"]
mod wire;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use load::{Acknowledged, until};
use shop::{ORDER, Shop};
use tempfile::TempDir;

const TESTS: &[(&str, fn())] = &[
    ("below_the_reserve_no_order_is_taken_and_those_under_way_end", below_the_reserve),
    ("without_a_free_byte_nothing_is_lost_and_service_resumes_by_itself", without_a_free_byte),
    ("a_start_on_a_full_disk_shows_everything_and_takes_no_order", start_on_a_full_disk),
    ("a_first_start_on_a_full_disk_says_so", first_start_on_a_full_disk),
];

/// Set for the copy of this program that may mount.
const INSIDE: &str = "AMENDS_TEST_MAY_MOUNT";

/// Size of the disk: some times the reserve that `amends demo` keeps free.
const DISK_MIB: u64 = 64;

/// Less than the reserve, yet enough for what is under way, and for what is started before the lack is
/// noticed.
const LEFT_FOR_THOSE_UNDER_WAY: u64 = 12 << 20;

fn main() -> ExitCode {
    if std::env::var_os(INSIDE).is_some() {
        return run_all();
    }
    let program = std::env::current_exe().unwrap();
    match may_mount() {
        Ok(()) => {
            let arguments: Vec<_> = std::env::args_os().skip(1).collect();
            let status = namespace().arg(program).args(arguments).env(INSIDE, "1").status().unwrap();
            if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("not run: no file system can be mounted here: {why}");
            for (name, _) in chosen() {
                println!("test {name} ... ignored, no file system can be mounted here");
            }
            println!("\ntest result: ok. 0 passed; 0 failed; {} ignored\n", chosen().count());
            ExitCode::SUCCESS
        }
    }
}

/// Runs what follows with mounts of its own.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

fn may_mount() -> Result<(), String> {
    let place = tempfile::tempdir().unwrap();
    let tried = namespace().args(["mount", "-t", "tmpfs", "tmpfs"]).arg(place.path()).output();
    let output = tried.map_err(|error| error.to_string())?;
    let told = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(told()) }
}

/// The tests whose names hold one of the arguments, as with the usual harness.
fn chosen() -> impl Iterator<Item = &'static (&'static str, fn())> {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    TESTS
        .iter()
        .filter(move |(name, _)| filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str())))
}

fn run_all() -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    println!("\nrunning {} tests", chosen().count());
    for (name, test) in chosen() {
        let is_ok = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if is_ok { "ok" } else { "FAILED" });
        *(if is_ok { &mut passed } else { &mut failed }) += 1;
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored\n");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A small disk, and the file that fills it.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Self {
        let place = tempfile::tempdir().unwrap();
        let size = format!("size={DISK_MIB}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place.path()).status();
        assert!(mounted.unwrap().success());
        Self(place)
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn shop(&self) -> Shop {
        Shop::open_in(&self.data(), &["--stock", "product_1=10000000"])
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    /// Writes until no more than so many bytes are left.
    fn fill(&self, left: u64) {
        let mut filler = File::create(self.filler()).unwrap();
        for block in [64 << 10, 4 << 10, 512] {
            let block = vec![b'x'; block];
            while free(self.0.path()) > left {
                match filler.write(&block) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The namespace takes it along in any case.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

fn free(path: &Path) -> u64 {
    let found = rustix::fs::statvfs(path).unwrap();
    found.f_bavail * found.f_frsize
}

fn assert_turned_away(shop: &Shop) {
    // How much is free is looked at a few times a second.
    let answer = std::iter::repeat_with(|| shop.post(ORDER)).find(|answer| answer.status != 201).unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (503, "disk_low"), "{}", answer.text());
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{answer:?}");
}

fn assert_all_can_be_seen(shop: &Shop) {
    for path in ["/", "/health", "/inventory", "/shop/ledger", "/shop/orders"] {
        assert_eq!(shop.see(path).status, 200, "{path}");
    }
}

fn below_the_reserve() {
    let disk = Disk::mount();
    let shop = disk.shop();
    let acknowledged = Acknowledged::default();
    acknowledged.while_placing(&shop, "a", 16, |answered| {
        until(answered, 200);
        disk.fill(LEFT_FOR_THOSE_UNDER_WAY);
        assert_turned_away(&shop);
        assert_all_can_be_seen(&shop);
    });
    // All clients have their answer, and nothing is left under way, although the disk is still low.
    books::check(&shop);
    acknowledged.check(&shop);
    assert_turned_away(&shop);
    disk.empty();
    acknowledged.while_placing(&shop, "b", 4, |answered| until(answered, 20));
    books::check(&shop);
    assert_eq!(shop.stop().0.code, Some(0));
}

fn without_a_free_byte() {
    let disk = Disk::mount();
    let shop = disk.shop();
    let acknowledged = Acknowledged::default();
    acknowledged.while_placing(&shop, "a", 16, |answered| {
        until(answered, 200);
        disk.fill(0);
        assert_turned_away(&shop);
        assert_all_can_be_seen(&shop);
        let before = answered.load(std::sync::atomic::Ordering::Relaxed);
        disk.empty();
        until(answered, before + 100);
    });
    acknowledged.check(&shop);
    books::check(&shop);
}

fn start_on_a_full_disk() {
    let disk = Disk::mount();
    let shop = disk.shop();
    let acknowledged = Acknowledged::default();
    acknowledged.while_placing(&shop, "a", 16, |answered| {
        until(answered, 200);
        disk.fill(0);
        shop.signal(rustix::process::Signal::KILL);
    });
    drop(shop.ended());
    for _ in 0..2 {
        let shop = disk.shop();
        assert_turned_away(&shop);
        assert_all_can_be_seen(&shop);
        acknowledged.check(&shop);
        assert_eq!(shop.stop().0.code, Some(0));
    }
    disk.empty();
    let shop = disk.shop();
    acknowledged.check(&shop);
    assert_eq!(shop.post(ORDER).status, 201);
    books::check(&shop);
}

fn first_start_on_a_full_disk() {
    let disk = Disk::mount();
    disk.fill(0);
    let Err(ended) = Shop::try_open_in(&disk.data(), &[]) else { panic!("it started") };
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for words in ["space", disk.data().to_str().unwrap()] {
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
    assert!(!ended.stderr.contains("panicked") && !ended.stderr.contains("damaged"), "{ended:?}");
    disk.empty();
    assert_eq!(disk.shop().post(ORDER).status, 201);
}
