//! `amends bench` from outside: the real binary on a real directory.
//!
//! Owns what a caller relies on: one document on standard output, exit codes, nothing left behind. Promises
//! nothing about the numbers, which are the machine's.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn bench(data: &Path, flags: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amends"));
    command.arg("bench").args(flags.split_whitespace()).arg("--data").arg(data);
    command
}

fn run(flags: &str) -> Output {
    let parent = tempfile::tempdir().unwrap();
    let output = bench(parent.path(), flags).output().unwrap();
    assert_is_empty(parent.path());
    output
}

fn document(flags: &str) -> Value {
    let output = run(flags);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains('\r'), "progress is for terminals: {stderr:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn assert_is_empty(directory: &Path) {
    let left: Vec<_> = std::fs::read_dir(directory).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn one_run_puts_sagas_beside_the_disk() {
    let found = document("--clients 1,4 --seconds 1 --only disk,ok,undo --output json");
    assert_eq!(
        keys(&found),
        ["disk", "history", "http", "machine", "memory", "recovery", "sagas", "settings", "shop"]
    );
    assert_eq!(found["recovery"], serde_json::json!([]));
    let durability = found["machine"]["durability"].as_str().unwrap();
    assert!(durability.contains("fdatasync") && durability.contains("synchronous=FULL"), "{durability}");
    let disk = found["disk"].as_array().unwrap();
    assert_eq!(disk.iter().map(|row| row["clients"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 4]);
    let sagas = found["sagas"].as_array().unwrap();
    let told = |row: &Value| format!("{} {}", row["workload"].as_str().unwrap(), row["clients"]);
    assert_eq!(sagas.iter().map(told).collect::<Vec<_>>(), ["ok 1", "ok 4", "undo 1", "undo 4"]);
    for row in sagas {
        let number = |key: &str| row[key].as_f64().unwrap();
        let disk = found["disk"].as_array().unwrap().iter().find(|disk| disk["clients"] == row["clients"]);
        let appends = if row["workload"] == "ok" { 5.0 } else { 6.0 };
        let share = number("per_second") * appends / disk.unwrap()["appends_per_second"].as_f64().unwrap();
        assert!((number("share_of_disk") - share).abs() < 0.001, "{row} {share}");
        assert!(number("cpu_s_per_1000") > 0.0 && number("p50_us") <= number("p99_us"), "{row}");
        assert!(number("cpus_used") > 0.0, "{row}");
        let cores: Vec<f64> =
            row["cores"].as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).collect();
        assert!(cores.iter().all(|share| (0.0..=1.0).contains(share)), "{row}");
        assert!(cores.iter().sum::<f64>() > 0.0, "this very process was busy: {row}");
        assert!(number("log_flushes_per_second") > 0.0, "{row}");
        let each = number("appends_per_flush");
        // A new file of the log is flushed without an append.
        assert!((0.9..=number("clients")).contains(&each), "one append at most of each client: {row}");
        assert!((100.0..10_000.0).contains(&number("bytes_per_saga")), "{row}");
    }
}

#[test]
fn what_a_killed_process_left_is_carried_to_its_end() {
    let found = document("recovery --in-flight 1,2000 --output json");
    let rows = found["recovery"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["in_flight"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2_000]);
    for row in rows {
        assert!(row["first_ms"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["first_ms"].as_f64().unwrap() <= row["all_ms"].as_f64().unwrap(), "{row}");
    }
}

#[test]
fn sagas_that_wait_leave_memory_and_live_ones_do_not() {
    let found = document("memory --live 3000 --waiting 25000 --output json");
    let rows = found["memory"].as_array().unwrap();
    let states: Vec<_> =
        rows.iter().map(|row| (row["state"].as_str().unwrap(), row["sagas"].as_u64().unwrap())).collect();
    // More wait than the engine holds in memory at once.
    assert_eq!(states, [("idle", 0), ("live", 3_000), ("waiting", 25_000)]);
    for row in rows {
        assert!(row["resident_bytes"].as_u64().unwrap() > 1 << 20, "{row}");
        let has_sagas = row["sagas"].as_u64().unwrap() > 0;
        assert_eq!(row["bytes_per_saga"].is_number(), has_sagas, "{row}");
    }
}

#[test]
fn several_runs_end_in_one_row_with_medians_and_their_spread() {
    let found = document("--clients 2 --seconds 1 --repeat 2 --only disk,ok --output json");
    assert_eq!(
        found["settings"],
        serde_json::json!({"warm_up_s": 1.0, "measured_s": 1.0, "runs": 2, "arrivals": null})
    );
    for (part, figure) in [("sagas", "per_second"), ("disk", "appends_per_second"), ("sagas", "p50_us")] {
        let rows = found[part].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{part}");
        assert_eq!(rows[0]["runs"], 2, "{part}");
        let number = |which: &str| rows[0][format!("{figure}{which}")].as_f64().unwrap();
        assert!(number("_min") <= number("") && number("") <= number("_max"), "{figure}: {}", rows[0]);
    }
}

#[test]
fn an_open_loop_has_a_row_for_each_rate() {
    let found = document("ok --rate 50,200 --clients 8 --seconds 1 --output json");
    assert!(found["settings"]["arrivals"].as_str().unwrap().contains("Poisson"), "{}", found["settings"]);
    let sagas = found["sagas"].as_array().unwrap();
    let rates: Vec<f64> = sagas.iter().map(|row| row["rate"].as_f64().unwrap()).collect();
    assert_eq!(rates, [50.0, 200.0]);
    for row in sagas {
        let number = |key: &str| row[key].as_f64().unwrap();
        assert_eq!(number("clients"), 8.0);
        assert!(row["kept_up"].is_boolean(), "{row}");
        // By chance not quite as many, and the same chance each time.
        let share = number("arrived_per_second") / number("rate");
        assert!((0.5..1.5).contains(&share), "{row}");
        let latencies = ["p50_us", "p99_us", "p999_us", "max_us"].map(number);
        assert!(latencies.is_sorted() && number("per_second") > 0.0, "{row}");
    }
}

#[test]
fn a_run_compares_with_an_earlier_one_and_two_earlier_ones_with_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("kept.json");
    let earlier = document("ok --clients 2 --seconds 1 --output json");
    assert_eq!(earlier.get("compared"), None);
    std::fs::write(&kept, earlier.to_string()).unwrap();
    let kept = kept.to_str().unwrap();

    let found = document(&format!("ok --clients 2,3 --seconds 1 --output json --compare {kept}"));
    let figures = |found: &Value| {
        let told =
            |row: &Value| (row["clients"].as_u64().unwrap(), row["figure"].as_str().unwrap().to_owned());
        found["compared"].as_array().unwrap().iter().map(told).collect::<Vec<_>>()
    };
    let expected = ["per_second", "p50_us", "p99_us", "cpu_s_per_1000"].map(|key| (2, key.to_owned()));
    assert_eq!(figures(&found), expected, "the row of three clients is new");
    assert_eq!(found["compared"][0]["before"], earlier["sagas"][0]["per_second"]);
    assert_eq!(found["compared"][0]["after"], found["sagas"][0]["per_second"]);

    let output = Command::new(env!("CARGO_BIN_EXE_amends"))
        .args(["bench", "--output", "json", "--compare", kept, "--with", kept])
        .output()
        .unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
    let same: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(keys(&same), ["compared"]);
    assert_eq!(figures(&same), expected);
    assert!(
        same["compared"].as_array().unwrap().iter().all(|row| row["verdict"] == "within_noise"),
        "{same}"
    );
}

#[test]
fn a_file_that_is_no_report_is_refused_before_anything_is_measured() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("kept.txt");
    std::fs::write(&kept, "fast").unwrap();
    for path in [kept.to_str().unwrap(), "/no/such/file"] {
        let output = run(&format!("ok --compare {path}"));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(stderr.contains(path) && stderr.contains("--output json"), "{stderr}");
        assert!(!stderr.contains("measuring"), "{stderr}");
    }
}

#[test]
fn orders_over_http_stand_beside_a_handler_that_does_nothing() {
    let found = document("shop --clients 1,8 --seconds 1 --output json");
    let rows = found["shop"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["clients"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 8]);
    for row in rows {
        let number = |key: &str| row[key].as_f64().unwrap();
        let share = number("per_second") / number("floor_per_second");
        assert!((number("share_of_floor") - share).abs() < 0.001 && share < 1.0, "{row}");
        assert!(["p50_us", "p99_us", "p999_us", "max_us"].map(number).is_sorted(), "{row}");
        assert!(number("floor_p50_us") <= number("floor_p99_us"), "{row}");
        assert!(number("server_cpu_s_per_1000") > number("floor_server_cpu_s_per_1000"), "{row}");
        assert!(number("client_cpu_s_per_1000") > 0.0, "{row}");
        assert!(number("floor_client_cpu_s_per_1000") > 0.0, "{row}");
    }
    // Alone, an order waits for each of its records and each of its calls.
    let flushes = |key: &str| rows[0][key].as_f64().unwrap();
    assert!((5.9..6.5).contains(&flushes("journal_flushes_per_order")), "{}", rows[0]);
    assert!((4.9..5.1).contains(&flushes("service_flushes_per_order")), "{}", rows[0]);
}

#[test]
fn more_clients_than_the_server_takes_are_exit_code_two() {
    let output = run("shop --clients 9000 --seconds 1");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
    assert!(stderr.contains("8192") && stderr.contains("--clients"), "{stderr}");
}

#[test]
fn without_a_disk_to_compare_with_there_is_no_share() {
    let found = document("ok --clients 2 --seconds 1 --output json");
    for unknown in ["share_of_disk", "rate", "arrived_per_second", "kept_up"] {
        assert_eq!(found["sagas"][0][unknown], Value::Null, "{unknown}");
    }
    assert_eq!(found["disk"], serde_json::json!([]));
}

#[test]
fn a_directory_that_cannot_be_used_is_named_with_exit_code_two() {
    for directory in ["/proc/self", "/no/such/directory"] {
        let output = bench(Path::new(directory), "ok --seconds 1").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(stderr.contains(directory) && stderr.contains("--data"), "{stderr}");
    }
}

#[test]
fn bad_flags_are_exit_code_two() {
    for flags in [
        "--clients 0",
        "--seconds 0",
        "--repeat 0",
        "--rate 0",
        "--only htpp",
        "--in-flight 0",
        "--output xml",
    ] {
        assert_eq!(run(flags).status.code(), Some(2), "{flags}");
    }
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    for (flags, signal) in [
        ("ok --seconds 600 --clients 8", Signal::INT),
        ("disk --seconds 600 --clients 8", Signal::TERM),
        ("shop --seconds 600 --clients 8", Signal::INT),
        ("recovery --in-flight 1000000", Signal::INT),
    ] {
        let parent = tempfile::tempdir().unwrap();
        let mut child = bench(parent.path(), flags).stderr(Stdio::piped()).spawn().unwrap();
        let line = BufReader::new(child.stderr.take().unwrap()).lines().next().unwrap().unwrap();
        assert!(line.contains("measuring in"), "{line}");
        kill_process(pid(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{flags}");
        assert_is_empty(parent.path());
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}
