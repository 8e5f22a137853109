//! What was measured.
//!
//! Owns the document that programs read: its keys are a promise. Promises that parts which were not measured are empty
//! lists, never zeros. Does not draw tables: `table.rs` does.

use std::time::Duration;

use serde::Serialize;

use super::disk::Appends;
use super::load::Measured;
use super::machine::Machine;

/// The whole document.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) disk: Vec<DiskRow>,
    pub(super) sagas: Vec<SagaRow>,
    pub(super) recovery: Vec<RecoveryRow>,
}

/// The disk alone.
#[derive(Debug, Serialize)]
pub(super) struct DiskRow {
    pub(super) clients: u32,
    pub(super) appends_per_second: f64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    /// For people: appends per second into each of the two files, and their size.
    #[serde(skip)]
    pub(super) growing: f64,
    #[serde(skip)]
    pub(super) prefilled: f64,
    #[serde(skip)]
    pub(super) append_bytes: usize,
}

/// Sagas of one workload.
#[derive(Debug, Serialize)]
pub(super) struct SagaRow {
    pub(super) workload: &'static str,
    pub(super) clients: u32,
    pub(super) per_second: f64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) cpu_s_per_1000: f64,
    pub(super) share_of_disk: Option<f64>,
    pub(super) bytes_per_saga: u64,
}

/// Going on after a kill.
#[derive(Debug, Serialize)]
pub(super) struct RecoveryRow {
    pub(super) in_flight: u32,
    pub(super) first_ms: f64,
    pub(super) all_ms: f64,
}

impl Report {
    pub(super) const fn new(machine: Machine) -> Self {
        Self { machine, disk: Vec::new(), sagas: Vec::new(), recovery: Vec::new() }
    }

    /// One workload after the other; within one, in the order of measurement.
    pub(super) fn sort(&mut self) {
        self.sagas.sort_by_key(|row| row.workload);
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("the document has text for keys and finite numbers")
    }

    pub(super) fn yaml(&self) -> String {
        serde_saphyr::to_string(self).expect("the document has text for keys and finite numbers")
    }
}

impl DiskRow {
    pub(super) fn better_of(
        clients: u32,
        appends: Appends,
        growing: &Measured,
        prefilled: &Measured,
    ) -> Self {
        let better = if growing.per_second > prefilled.per_second { growing } else { prefilled };
        Self {
            clients,
            appends_per_second: rounded(better.per_second, 1),
            p50_us: better.p50_us,
            p99_us: better.p99_us,
            growing: rounded(growing.per_second, 1),
            prefilled: rounded(prefilled.per_second, 1),
            append_bytes: appends.mean_bytes(),
        }
    }
}

impl SagaRow {
    pub(super) fn new(workload: &'static str, clients: u32, measured: &Measured, grown: u64) -> Self {
        Self {
            workload,
            clients,
            per_second: rounded(measured.per_second, 1),
            p50_us: measured.p50_us,
            p99_us: measured.p99_us,
            cpu_s_per_1000: rounded(measured.cpu_s_per_1000, 4),
            share_of_disk: None,
            bytes_per_saga: grown.div_ceil(measured.turns.max(1)),
        }
    }

    /// How much of the disk's own limit the sagas reached.
    pub(super) fn compare_with(&mut self, disk: &DiskRow, appends_per_saga: f64) {
        self.share_of_disk = Some(rounded(self.per_second * appends_per_saga / disk.appends_per_second, 4));
    }
}

impl RecoveryRow {
    pub(super) fn new(in_flight: u32, first: Duration, all: Duration) -> Self {
        let milliseconds = |time: Duration| rounded(time.as_secs_f64() * 1_000.0, 1);
        Self { in_flight, first_ms: milliseconds(first), all_ms: milliseconds(all) }
    }
}

/// Digits that mean nothing are not printed.
fn rounded(number: f64, digits: i32) -> f64 {
    let unit = 10_f64.powi(digits);
    (number * unit).round() / unit
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    pub(in crate::bench) fn sample() -> Report {
        let measured = |per_second| Measured {
            per_second,
            p50_us: 1_234,
            p99_us: 5_678,
            cpu_s_per_1000: 0.123_456,
            turns: 1_000,
        };
        let appends = Appends { appends: 5_000, bytes: 700_000, sagas: 1_000 };
        let disk = DiskRow::better_of(64, appends, &measured(20_000.0), &measured(50_000.04));
        let mut undo = SagaRow::new("undo", 64, &measured(4_000.0), 0);
        undo.compare_with(&disk, 6.0);
        let ok = SagaRow::new("ok", 64, &measured(5_000.0), 1_234_567);
        let recovery = RecoveryRow::new(10_000, Duration::from_micros(123_456), Duration::from_secs(2));
        let mut report = Report::new(Machine::sample());
        report.disk.push(disk);
        report.sagas.extend([undo, ok]);
        report.recovery.push(recovery);
        report.sort();
        report
    }

    fn check(found: &str, expected: Expect) {
        expected.assert_eq(found);
    }

    #[test]
    fn the_document_has_the_keys_that_programs_rely_on() {
        check(
            &sample().json(),
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
                    "load_before": 0.25,
                    "rustc": "1.95.0",
                    "build": "release",
                    "version": "0.1.0",
                    "date": "2026-11-23T00:00:00Z"
                  },
                  "disk": [
                    {
                      "clients": 64,
                      "appends_per_second": 50000.0,
                      "p50_us": 1234,
                      "p99_us": 5678
                    }
                  ],
                  "sagas": [
                    {
                      "workload": "ok",
                      "clients": 64,
                      "per_second": 5000.0,
                      "p50_us": 1234,
                      "p99_us": 5678,
                      "cpu_s_per_1000": 0.1235,
                      "share_of_disk": null,
                      "bytes_per_saga": 1235
                    },
                    {
                      "workload": "undo",
                      "clients": 64,
                      "per_second": 4000.0,
                      "p50_us": 1234,
                      "p99_us": 5678,
                      "cpu_s_per_1000": 0.1235,
                      "share_of_disk": 0.48,
                      "bytes_per_saga": 0
                    }
                  ],
                  "recovery": [
                    {
                      "in_flight": 10000,
                      "first_ms": 123.5,
                      "all_ms": 2000.0
                    }
                  ]
                }"#]],
        );
    }

    #[test]
    fn the_same_document_as_yaml() {
        check(
            &sample().yaml(),
            expect![[r#"
            machine:
              cpus: 2
              model: A processor
              memory_bytes: 8589934592
              kernel: "6.18.44"
              filesystem: ext4
              device: /dev/vda
              write_cache: null
              load_before: 0.25
              rustc: "1.95.0"
              build: release
              version: "0.1.0"
              date: "2026-11-23T00:00:00Z"
            disk:
            - clients: 64
              appends_per_second: 50000.0
              p50_us: 1234
              p99_us: 5678
            sagas:
            - workload: ok
              clients: 64
              per_second: 5000.0
              p50_us: 1234
              p99_us: 5678
              cpu_s_per_1000: 0.1235
              share_of_disk: null
              bytes_per_saga: 1235
            - workload: undo
              clients: 64
              per_second: 4000.0
              p50_us: 1234
              p99_us: 5678
              cpu_s_per_1000: 0.1235
              share_of_disk: 0.48
              bytes_per_saga: 0
            recovery:
            - in_flight: 10000
              first_ms: 123.5
              all_ms: 2000.0
        "#]],
        );
    }

    #[test]
    fn parts_that_were_not_measured_are_empty_lists() {
        let document: serde_json::Value =
            serde_json::from_str(&Report::new(Machine::sample()).json()).unwrap();
        for part in ["disk", "sagas", "recovery"] {
            assert_eq!(document[part], serde_json::json!([]));
        }
    }
}
