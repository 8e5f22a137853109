//! What was measured.
//!
//! Owns the document that programs read: its keys are a promise. Promises that parts which were not measured are empty
//! lists, never zeros. Each part has a file with its row, how that is drawn and what of it is compared; what rows of loads
//! share is in `load.rs`. How the parts make one page is up to `table.rs`.

pub(super) mod disk;
mod figure;
mod flushes;
pub(super) mod history;
mod latency;
mod load;
pub(super) mod memory;
mod processors;
pub(super) mod recovery;
pub(super) mod sagas;
#[cfg(test)]
pub(super) mod sample;
pub(super) mod shop;

use serde::Serialize;

use super::compare::{ComparedPart, Comparison};
use super::load::{ARRIVALS_IN_WORDS, Load, Window};
use super::machine::Machine;
use super::printed::Printed;
use super::table;

use disk::DiskRow;
use history::HistoryRow;
use memory::MemoryRow;
use recovery::RecoveryRow;
use sagas::SagaRow;
use shop::ShopRow;

/// The whole document.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) settings: Settings,
    pub(super) disk: Vec<DiskRow>,
    pub(super) sagas: Vec<SagaRow>,
    pub(super) shop: Vec<ShopRow>,
    pub(super) recovery: Vec<RecoveryRow>,
    pub(super) memory: Vec<MemoryRow>,
    pub(super) history: Vec<HistoryRow>,
    /// With an earlier report, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compared: Option<Comparison>,
}

/// What is compared with another report, part by part.
pub(super) const COMPARED: [&ComparedPart; 6] = [
    &sagas::COMPARED,
    &disk::COMPARED,
    &shop::COMPARED,
    &recovery::COMPARED,
    &memory::COMPARED,
    &history::COMPARED,
];

/// How it was measured: two documents compare only as well as these do.
#[derive(Debug, Serialize)]
pub(super) struct Settings {
    /// How long each measurement ran before it counted.
    pub(super) warm_up_s: f64,
    /// How long each measurement counted.
    pub(super) measured_s: f64,
    /// How often each was made.
    pub(super) runs: u32,
    /// How sagas arrived in an open loop.
    pub(super) arrivals: Option<&'static str>,
}

impl Settings {
    pub(super) fn new(window: Window, runs: u32, loads: &[Load]) -> Self {
        let Window { warm_up, measured } = window;
        let is_open = loads.iter().any(|load| *load != Load::Closed);
        Self {
            warm_up_s: warm_up.as_secs_f64(),
            measured_s: measured.as_secs_f64(),
            runs,
            arrivals: is_open.then_some(ARRIVALS_IN_WORDS),
        }
    }
}

impl Report {
    pub(super) const fn new(machine: Machine, settings: Settings) -> Self {
        Self {
            machine,
            settings,
            disk: Vec::new(),
            sagas: Vec::new(),
            shop: Vec::new(),
            recovery: Vec::new(),
            memory: Vec::new(),
            history: Vec::new(),
            compared: None,
        }
    }

    /// One workload after the other; within one, in the order of measurement.
    pub(super) fn sort(&mut self) {
        self.sagas.sort_by_key(|row| row.load.workload);
    }

    /// What a person should know before believing the figures.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut flushes =
            self.sagas.iter().map(|row| &row.load.flushes).chain(self.disk.iter().map(|row| &row.flushes));
        let did_not_reach = flushes.any(|flushes| flushes.flushes_reached_the_disk == Some(false));
        let fell_behind = self.sagas.iter().any(|row| row.load.kept_up == Some(false));
        let did_not_reach = did_not_reach.then_some(flushes::DID_NOT_REACH);
        let fell_behind = fell_behind.then_some(load::FELL_BEHIND);
        let of_figures = did_not_reach.into_iter().chain(fell_behind).map(str::to_owned);
        of_figures.chain(self.compared.iter().flat_map(Comparison::warnings)).collect()
    }
}

impl Printed for Report {
    fn draw(&self) -> String {
        table::draw(self)
    }
}

#[cfg(test)]
mod tests {
    use super::sample::{one_run, settings, three_runs};
    use super::*;
    use crate::printed::{json, yaml};

    use expect_test::{Expect, expect};

    fn check(found: &str, expected: Expect) {
        expected.assert_eq(found);
    }

    #[test]
    fn the_document_has_the_keys_that_programs_rely_on() {
        check(
            &json(&one_run()),
            expect![[r#"
                {
                  "machine": {
                    "cpus": 2,
                    "model": "A processor",
                    "memory_bytes": 8589934592,
                    "kernel": "6.18.44",
                    "filesystem": "ext4",
                    "device": "/dev/vda",
                    "write_cache": null,
                    "durability": "log: flushed; database: WAL",
                    "load_before": 0.25,
                    "rustc": "1.95.0",
                    "build": "release",
                    "version": "0.1.0",
                    "date": "2026-11-23T00:00:00Z"
                  },
                  "settings": {
                    "warm_up_s": 1.0,
                    "measured_s": 10.0,
                    "runs": 1,
                    "arrivals": null
                  },
                  "disk": [
                    {
                      "clients": 64,
                      "runs": 1,
                      "appends_per_second": 50000.0,
                      "appends_per_second_min": 50000.0,
                      "appends_per_second_max": 50000.0,
                      "p50_us": 1234,
                      "p50_us_min": 1234,
                      "p50_us_max": 1234,
                      "p99_us": 5678,
                      "p99_us_min": 5678,
                      "p99_us_max": 5678,
                      "p999_us": 9012,
                      "max_us": 34567,
                      "cpu_s_per_1000": 0.1235,
                      "cpu_s_per_1000_min": 0.1235,
                      "cpu_s_per_1000_max": 0.1235,
                      "cpus_used": 1.25,
                      "cores": [
                        0.931,
                        0.5
                      ],
                      "log_flushes_per_second": 812.3,
                      "kernel_flushes_per_second": 900.0,
                      "appends_per_flush": 31.42,
                      "flushes_reached_the_disk": true
                    }
                  ],
                  "sagas": [
                    {
                      "workload": "ok",
                      "clients": 64,
                      "rate": null,
                      "arrived_per_second": null,
                      "kept_up": null,
                      "runs": 1,
                      "per_second": 5000.0,
                      "per_second_min": 5000.0,
                      "per_second_max": 5000.0,
                      "p50_us": 1234,
                      "p50_us_min": 1234,
                      "p50_us_max": 1234,
                      "p99_us": 5678,
                      "p99_us_min": 5678,
                      "p99_us_max": 5678,
                      "p999_us": 9012,
                      "max_us": 34567,
                      "cpu_s_per_1000": 0.1235,
                      "cpu_s_per_1000_min": 0.1235,
                      "cpu_s_per_1000_max": 0.1235,
                      "cpus_used": 1.25,
                      "cores": [
                        0.931,
                        0.5
                      ],
                      "log_flushes_per_second": 812.3,
                      "kernel_flushes_per_second": 900.0,
                      "appends_per_flush": 31.42,
                      "flushes_reached_the_disk": true,
                      "share_of_disk": null,
                      "bytes_per_saga": 1235
                    },
                    {
                      "workload": "undo",
                      "clients": 64,
                      "rate": null,
                      "arrived_per_second": null,
                      "kept_up": null,
                      "runs": 1,
                      "per_second": 4000.0,
                      "per_second_min": 4000.0,
                      "per_second_max": 4000.0,
                      "p50_us": 1234,
                      "p50_us_min": 1234,
                      "p50_us_max": 1234,
                      "p99_us": 5678,
                      "p99_us_min": 5678,
                      "p99_us_max": 5678,
                      "p999_us": 9012,
                      "max_us": 34567,
                      "cpu_s_per_1000": 0.1235,
                      "cpu_s_per_1000_min": 0.1235,
                      "cpu_s_per_1000_max": 0.1235,
                      "cpus_used": 1.25,
                      "cores": [
                        0.931,
                        0.5
                      ],
                      "log_flushes_per_second": 812.3,
                      "kernel_flushes_per_second": 900.0,
                      "appends_per_flush": 31.42,
                      "flushes_reached_the_disk": true,
                      "share_of_disk": 0.48,
                      "bytes_per_saga": 0
                    }
                  ],
                  "shop": [
                    {
                      "clients": 64,
                      "runs": 1,
                      "per_second": 2000.0,
                      "per_second_min": 2000.0,
                      "per_second_max": 2000.0,
                      "p50_us": 1234,
                      "p50_us_min": 1234,
                      "p50_us_max": 1234,
                      "p99_us": 5678,
                      "p99_us_min": 5678,
                      "p99_us_max": 5678,
                      "p999_us": 9012,
                      "max_us": 34567,
                      "server_cpu_s_per_1000": 0.35,
                      "server_cpu_s_per_1000_min": 0.35,
                      "server_cpu_s_per_1000_max": 0.35,
                      "client_cpu_s_per_1000": 0.1235,
                      "cores": [
                        0.931,
                        0.5
                      ],
                      "journal_flushes_per_order": 0.123,
                      "service_flushes_per_order": 0.246,
                      "floor_per_second": 40000.0,
                      "floor_per_second_min": 40000.0,
                      "floor_per_second_max": 40000.0,
                      "floor_p50_us": 1234,
                      "floor_p99_us": 5678,
                      "floor_server_cpu_s_per_1000": null,
                      "floor_client_cpu_s_per_1000": 0.1235,
                      "floor_cores": [
                        0.931,
                        0.5
                      ],
                      "share_of_floor": 0.05
                    }
                  ],
                  "recovery": [
                    {
                      "in_flight": 10000,
                      "runs": 1,
                      "first_ms": 123.5,
                      "first_ms_min": 123.5,
                      "first_ms_max": 123.5,
                      "all_ms": 2000.0,
                      "all_ms_min": 2000.0,
                      "all_ms_max": 2000.0
                    }
                  ],
                  "memory": [
                    {
                      "state": "idle",
                      "sagas": 0,
                      "runs": 1,
                      "resident_bytes": 10000000,
                      "resident_bytes_min": 10000000,
                      "resident_bytes_max": 10000000,
                      "bytes_per_saga": null
                    },
                    {
                      "state": "live",
                      "sagas": 100000,
                      "runs": 1,
                      "resident_bytes": 170000000,
                      "resident_bytes_min": 170000000,
                      "resident_bytes_max": 170000000,
                      "bytes_per_saga": 1600.0
                    },
                    {
                      "state": "waiting",
                      "sagas": 200000,
                      "runs": 1,
                      "resident_bytes": 30000000,
                      "resident_bytes_min": 30000000,
                      "resident_bytes_max": 30000000,
                      "bytes_per_saga": 100.0
                    }
                  ],
                  "history": []
                }"#]],
        );
    }

    #[test]
    fn the_same_document_as_yaml() {
        let mut report = one_run();
        report.disk.clear();
        report.sagas.clear();
        report.shop.clear();
        check(
            &yaml(&report),
            expect![[r#"
                machine:
                  cpus: 2
                  model: A processor
                  memory_bytes: 8589934592
                  kernel: "6.18.44"
                  filesystem: ext4
                  device: /dev/vda
                  write_cache: null
                  durability: "log: flushed; database: WAL"
                  load_before: 0.25
                  rustc: "1.95.0"
                  build: release
                  version: "0.1.0"
                  date: "2026-11-23T00:00:00Z"
                settings:
                  warm_up_s: 1.0
                  measured_s: 10.0
                  runs: 1
                  arrivals: null
                disk: []
                sagas: []
                shop: []
                recovery:
                - in_flight: 10000
                  runs: 1
                  first_ms: 123.5
                  first_ms_min: 123.5
                  first_ms_max: 123.5
                  all_ms: 2000.0
                  all_ms_min: 2000.0
                  all_ms_max: 2000.0
                memory:
                - state: idle
                  sagas: 0
                  runs: 1
                  resident_bytes: 10000000
                  resident_bytes_min: 10000000
                  resident_bytes_max: 10000000
                  bytes_per_saga: null
                - state: live
                  sagas: 100000
                  runs: 1
                  resident_bytes: 170000000
                  resident_bytes_min: 170000000
                  resident_bytes_max: 170000000
                  bytes_per_saga: 1600.0
                - state: waiting
                  sagas: 200000
                  runs: 1
                  resident_bytes: 30000000
                  resident_bytes_min: 30000000
                  resident_bytes_max: 30000000
                  bytes_per_saga: 100.0
                history: []
            "#]],
        );
    }

    #[test]
    fn of_several_runs_the_document_has_the_medians_and_what_lies_around_them() {
        let document: serde_json::Value = serde_json::from_str(&json(&three_runs())).unwrap();
        let figures = |part: &str, key: &str| {
            ["", "_min", "_max"].map(|which| document[part][0][format!("{key}{which}")].as_f64().unwrap())
        };
        assert_eq!(figures("sagas", "per_second"), [4_500.0, 2_000.0, 5_000.0]);
        assert_eq!(
            figures("disk", "appends_per_second"),
            [45_000.0, 30_000.0, 50_000.0],
            "the better of each run"
        );
        assert_eq!(figures("shop", "per_second"), [2_000.0, 1_000.0, 3_000.0]);
        assert_eq!(figures("shop", "floor_per_second"), [40_000.0, 30_000.0, 50_000.0]);
        // The median of the runs' own shares: a twentieth, a tenth and a fiftieth.
        assert_eq!(document["shop"][0]["share_of_floor"].as_f64(), Some(0.05));
        assert_eq!(figures("recovery", "first_ms"), [300.0, 200.0, 400.0]);
        assert_eq!(figures("recovery", "all_ms"), [3_000.0, 2_000.0, 4_000.0]);
        // The median of the runs' own shares: 0.5, 0.5 and a third.
        assert_eq!(document["sagas"][0]["share_of_disk"].as_f64(), Some(0.5));
    }

    #[test]
    fn a_disk_that_kept_flushes_to_itself_is_warned_of() {
        let mut report = one_run();
        assert_eq!(report.warnings(), [""; 0]);
        report.disk[0].flushes.flushes_reached_the_disk = Some(false);
        assert_eq!(report.warnings(), [flushes::DID_NOT_REACH]);
        assert!(json(&report).contains(r#""flushes_reached_the_disk": false"#));
    }

    #[test]
    fn sagas_that_fell_behind_their_rate_are_warned_of() {
        assert_eq!(sample::open_loop().warnings(), [load::FELL_BEHIND]);
    }

    #[test]
    fn parts_that_were_not_measured_are_empty_lists() {
        let document: serde_json::Value =
            serde_json::from_str(&json(&Report::new(Machine::sample(), settings(1)))).unwrap();
        for part in ["disk", "sagas", "shop", "recovery", "memory", "history"] {
            assert_eq!(document[part], serde_json::json!([]));
        }
    }
}
