//! Start, stop and the command line.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::books;
use crate::load::{Acknowledged, until};
use crate::shop::{Ended, ORDER, Shop, demo, run};

/// The grace for sagas under way, and a little.
const STOP_TIME_MAX: Duration = Duration::from_secs(12);

const PLENTY: [&str; 2] = ["--stock", "product_1=10000000"];

/// A start that was refused as it should be: code 1, nothing on stdout, all of these words on stderr, no
/// panic.
fn assert_refused(ended: &Ended, words: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

fn refusal(data: &std::path::Path, arguments: &[&str]) -> Ended {
    match Shop::try_open_in(data, arguments) {
        Ok(_) => panic!("it started in {}", data.display()),
        Err(ended) => ended,
    }
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_touched() {
    let shop = Shop::open();
    let elsewhere = tempfile::tempdir().unwrap();
    let data = elsewhere.path().join("new");
    let port = shop.address().port().to_string();
    let ended = run(&["demo", "--port", &port, "--data", data.to_str().unwrap()], &[]);
    assert_refused(&ended, &[&format!("port {port} is in use"), "choose another"]);
    assert!(!data.exists());
}

#[test]
fn a_directory_in_use_is_named_and_its_user_goes_on() {
    let shop = Shop::open();
    let ended = refusal(shop.data(), &[]);
    assert_refused(&ended, &["another amends", shop.data().to_str().unwrap(), "stop it first"]);
    assert_eq!(shop.post(ORDER).status, 201);
}

#[test]
fn a_path_that_cannot_be_a_directory_is_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert_refused(&refusal(&file, &[]), &[file.to_str().unwrap(), "not a directory", "--data"]);
    let below = file.join("below");
    assert_refused(&refusal(&below, &[]), &[below.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    #[cfg(target_os = "linux")]
    assert_refused(&refusal("/proc/amends".as_ref(), &[]), &["/proc/amends"]);
}

#[test]
fn a_directory_of_somebody_elses_database_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("journal.db"), "not a database, but somebody's text".repeat(1000)).unwrap();
    let before = fs::read(place.path().join("journal.db")).unwrap();
    assert_refused(&refusal(place.path(), &[]), &["journal.db", "damaged"]);
    assert_eq!(fs::read(place.path().join("journal.db")).unwrap(), before);
}

#[test]
fn a_command_line_that_makes_no_sense_is_code_2_and_help_is_code_0() {
    for arguments in [
        &["demo", "--nonsense"] as &[&str],
        &["demo", "extra"],
        &["demo", "--port", "70000"],
        &["demo", "--port", "x"],
        &["demo", "--data", ""],
        &["demo", "--stock", ""],
        &["demo", "--stock", "product_1"],
        &["demo", "--stock", "product_1=-1"],
        &["demo", "--stock", "product_1=1.5"],
        &["demo", "--stock", "product_1=1,product_1=2"],
        &["nonsense"],
        &[],
    ] {
        let ended = run(arguments, &[]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?} {ended:?}");
        assert!(ended.stderr.contains("--help"), "{arguments:?} {ended:?}");
    }
    assert_eq!(run(&["demo"], &[("AMENDS_PORT", "x")]).code, Some(2));
    for arguments in [&["--help"] as &[&str], &["demo", "--help"], &["--version"], &["help"]] {
        let ended = run(arguments, &[]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(!ended.stdout.is_empty());
    }
}

#[test]
fn a_log_that_cannot_be_understood_stops_the_start() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let ended = run(
        &["demo", "--port", "0", "--data", data.to_str().unwrap()],
        &[("AMENDS_LOG", "amends=loud=twice")],
    );
    assert_refused(&ended, &["AMENDS_LOG", "amends=loud=twice", "info"]);
    assert!(!data.exists());
}

#[test]
fn the_stock_counts_at_the_first_start_only() {
    let shop = Shop::open_with(&["--stock", "a=3,b=0"]);
    let products = shop.see("/inventory").json();
    let (ended, place) = shop.stop();
    assert_eq!(ended.code, Some(0));
    let shop = Shop::open_in(&place.data, &["--stock", "a=7,c=1"]);
    assert_eq!(shop.see("/inventory").json(), products);
    drop(shop);
    let shop = place.open();
    assert_eq!(shop.see("/inventory").json(), products);
}

#[test]
fn a_fresh_directory_is_small() {
    fn size(path: &std::path::Path) -> u64 {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
        entries
            .map(
                |e| {
                    if e.file_type().unwrap().is_dir() {
                        size(&e.path())
                    } else {
                        e.metadata().unwrap().len()
                    }
                },
            )
            .sum()
    }
    let shop = Shop::open();
    assert!(size(shop.data()) < 5 << 20);
}

#[test]
fn asked_to_stop_when_idle_it_ends_at_once_with_code_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let shop = Shop::open();
        assert_eq!(shop.post(ORDER).status, 201);
        // A client that keeps its connection is not waited for.
        let mut kept = shop.wire();
        assert_eq!(kept.call("GET", "/health", &[], None).unwrap().status, 200);
        let (ended, place) = shop.end(signal);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        assert!(ended.took < Duration::from_secs(2), "{ended:?}");
        assert!(kept.is_ended());
        assert!(!place.data.join("journal.db-wal").exists(), "a clean stop leaves no log");
    }
}

#[test]
fn asked_to_stop_under_load_it_ends_in_time_and_forgets_nothing() {
    let acknowledged = Acknowledged::default();
    let mut shop = Shop::open_with(&PLENTY);
    for round in 0..2 {
        acknowledged.while_placing(&shop, &format!("r{round}"), 16, |answered| {
            until(answered, 200);
            shop.signal(Signal::TERM);
        });
        let (ended, place) = shop.ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.took < STOP_TIME_MAX, "{ended:?}");
        shop = place.open();
        acknowledged.check(&shop);
    }
    books::check(&shop);
}

#[test]
fn killed_under_load_it_forgets_nothing() {
    let acknowledged = Acknowledged::default();
    let mut shop = Shop::open_with(&PLENTY);
    for round in 0..4 {
        acknowledged.while_placing(&shop, &format!("r{round}"), 16, |answered| {
            until(answered, 100 + 37 * round);
            shop.signal(Signal::KILL);
        });
        shop = shop.ended().1.open();
        acknowledged.check(&shop);
    }
    books::check(&shop);
}

#[test]
fn half_sent_requests_do_not_hold_up_the_stop() {
    let shop = Shop::open();
    let mut wires: Vec<_> = (0..60).map(|_| shop.wire()).collect();
    for (number, wire) in wires.iter_mut().enumerate() {
        let part: &[u8] = match number % 3 {
            0 => b"",
            1 => b"POST /orders HTTP/1.1\r\nho",
            _ => b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{",
        };
        wire.send(part).unwrap();
    }
    assert_eq!(shop.see("/health").status, 200);
    let (ended, _place) = shop.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.took < STOP_TIME_MAX, "{ended:?}");
}

#[test]
fn nobody_reading_its_output_is_no_reason_to_stop() {
    let mut shop = Shop::open();
    shop.stop_listening();
    assert_eq!(shop.post(ORDER).status, 201);
    assert_eq!(shop.stop().0.code, Some(0));
}

/// A pipe whose reading end is closed.
fn broken_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn an_error_that_nobody_reads_keeps_its_exit_code() {
    let shop = Shop::open();
    let mut command = demo(shop.data());
    let status = command.args(["--port", "0"]).stdout(broken_pipe()).stderr(broken_pipe()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
#[cfg(target_os = "linux")]
fn a_log_that_nobody_reads_changes_no_answer() {
    let shop = Shop::open();
    let placed = shop.post(ORDER);
    // The next start takes up what was under way, and logs that: were that to panic, the saga would stay
    // where it is.
    assert_eq!(shop.post_with(&[("prefer", "respond-async")], ORDER).status, 202);
    let place = shop.kill();
    // What is damaged is answered and logged.
    let line = format!("UPDATE payments SET status = 'odd' WHERE order_id = '{}'", placed.member("order_id"));
    let database = rusqlite::Connection::open(place.data.join("services/payment.db")).unwrap();
    assert_eq!(database.execute(&line, []).unwrap(), 1);
    database.close().unwrap();
    let mut command = std::process::Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_amends");
    let script = format!("exec '{binary}' demo --port 0 --data '{}' 2>/dev/full", place.data.display());
    command.args(["-c", &script]).stdin(Stdio::null());
    let shop = Shop::start(command, &place.data).unwrap();
    let answer = shop.see(&format!("/orders/{}", placed.member("order_id")));
    assert_eq!((answer.status, answer.code().as_str()), (500, "data_damaged"), "{}", answer.text());
    let answer = shop.see("/shop/ledger");
    assert_eq!((answer.status, answer.code().as_str()), (500, "data_damaged"), "{}", answer.text());
    assert_eq!(shop.post(ORDER).status, 201);
    assert_eq!(shop.stop().0.code, Some(0));
}
