//! What was measured.
//!
//! Owns the document that programs read: its keys are a promise. Promises that parts which were not measured are empty
//! lists, never zeros. Each part has a file for its rows; what they look like as one text is up to `table.rs`.

pub(super) mod disk;
pub(super) mod recovery;
pub(super) mod sagas;

use serde::Serialize;

use super::machine::Machine;

use disk::DiskRow;
use recovery::RecoveryRow;
use sagas::SagaRow;

/// The whole document.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) disk: Vec<DiskRow>,
    pub(super) sagas: Vec<SagaRow>,
    pub(super) recovery: Vec<RecoveryRow>,
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

/// Digits that mean nothing are not printed.
fn rounded(number: f64, digits: i32) -> f64 {
    let unit = 10_f64.powi(digits);
    (number * unit).round() / unit
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bench::disk::Appends;
    use crate::bench::load::Measured;
    use std::time::Duration;

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
