//! Made-up reports, for tests of what is made of reports.

use std::time::Duration;

use super::disk::{Appends, DiskRun};
use super::load::{Flushed, Load, Measured, Offered, Window};
use super::machine::Machine;
use super::memory::{Held, MemoryRun};
use super::orders::{OrdersRun, UnderLoad};
use super::recovery::RecoveryRun;
use super::runs::Runs;
use super::sagas::SagaRun;

use super::parts::{DISK, MEMORY, RECOVERY, SAGAS, SHOP};
use super::report::{Report, Settings};
use super::workload::Workload;

pub(crate) fn settings(runs: u32) -> Settings {
    Settings::new(
        Window { warm_up: Duration::from_secs(1), measured: Duration::from_secs(10) },
        runs,
        &[Load::Closed],
    )
}

fn measured(per_second: f64) -> Measured {
    Measured {
        per_second,
        p50_us: 1_234,
        p99_us: 5_678,
        p999_us: 9_012,
        max_us: 34_567,
        cpu_s_per_1000: 0.123_456,
        cpus_used: 1.254,
        cores: Some(vec![0.9312, 0.5]),
        flushed: Flushed {
            log_per_second: 812.34,
            kernel_per_second: Some(900.0),
            appends_per_flush: Some(31.416),
            reached_the_disk: Some(true),
        },
        offered: None,
        turns: 1_000,
    }
}

fn disk(growing: f64, prefilled: f64) -> DiskRun {
    DiskRun { growing: measured(growing), prefilled: measured(prefilled), append_bytes: 140 }
}

fn sagas(per_second: f64, appends: u64, grown: u64) -> SagaRun {
    let appends = Appends { appends: appends * 1_000, bytes: 700_000, sagas: 1_000 };
    SagaRun { measured: measured(per_second), appends, grown, share_of_disk: None }
}

fn shop(per_second: f64, floor: f64) -> OrdersRun {
    let under_load = |per_second, server_time, flushes| UnderLoad {
        measured: measured(per_second),
        server_time,
        journal_flushes: flushes,
        service_flushes: 2 * flushes,
    };
    OrdersRun {
        shop: under_load(per_second, Some(Duration::from_millis(350)), 123),
        floor: under_load(floor, None, 0),
    }
}

const HELD: Held = Held { live: 100_000, waiting: 200_000 };

fn memory(megabytes: u64) -> MemoryRun {
    let resident = |megabytes| Some(megabytes * 1_000_000);
    MemoryRun { idle: resident(10), live: resident(megabytes), waiting: resident(30) }
}

/// Of one run.
pub(crate) fn one_run() -> Report {
    let disk = disk(20_000.0, 50_000.04);
    let mut undo = sagas(4_000.0, 6, 0);
    undo.compare_with(&disk);
    let ok = sagas(5_000.0, 5, 1_234_567);
    let recovery = RecoveryRun { first: Duration::from_micros(123_456), all: Duration::from_secs(2) };
    let mut report = Report::new(Machine::sample(), settings(1));
    report.rows(&DISK).push(DiskRun::row(64, &runs([disk])));
    report.rows(&SAGAS).extend([
        SagaRun::row(Workload::Undo, Load::Closed, 64, &runs([undo])),
        SagaRun::row(Workload::Ok, Load::Closed, 64, &runs([ok])),
    ]);
    report.rows(&SHOP).push(OrdersRun::row(64, &runs([shop(2_000.0, 40_000.0)])));
    report.rows(&RECOVERY).push(RecoveryRun::row(10_000, &runs([recovery])));
    report.rows(&MEMORY).extend(MemoryRun::rows(HELD, &runs([memory(170)])));
    report.sort();
    report
}

/// Of three runs, one of them slow.
pub(crate) fn three_runs() -> Report {
    let disks = [disk(20_000.0, 50_000.0), disk(45_000.0, 40_000.0), disk(20_000.0, 30_000.0)];
    let mut ok = [5_000.0, 4_500.0, 2_000.0].map(|per_second| sagas(per_second, 5, 1_234_567));
    for (saga, disk) in ok.iter_mut().zip(&disks) {
        saga.compare_with(disk);
    }
    let recovery = [2, 4, 3].map(|seconds| RecoveryRun {
        first: Duration::from_millis(100 * seconds),
        all: Duration::from_secs(seconds),
    });
    let mut report = Report::new(Machine::sample(), settings(3));
    report.rows(&DISK).push(DiskRun::row(64, &runs(disks)));
    report.rows(&SAGAS).push(SagaRun::row(Workload::Ok, Load::Closed, 64, &runs(ok)));
    let shops = [shop(2_000.0, 40_000.0), shop(3_000.0, 30_000.0), shop(1_000.0, 50_000.0)];
    report.rows(&SHOP).push(OrdersRun::row(64, &runs(shops)));
    report.rows(&RECOVERY).push(RecoveryRun::row(10_000, &runs(recovery)));
    report.rows(&MEMORY).extend(MemoryRun::rows(HELD, &runs([170, 150, 190].map(memory))));
    report
}

/// Of two rates, the second of which was too much.
pub(crate) fn open_loop() -> Report {
    let run = |per_second, kept_up| {
        let offered = Some(Offered { per_second: if kept_up { 20_025.0 } else { 89_876.5 }, kept_up });
        let measured = Measured { offered, ..measured(per_second) };
        SagaRun { measured, ..sagas(per_second, 5, 1_234_567) }
    };
    let loads = [20_000.0, 90_000.0].map(|rate| Load::Open { rate });
    let window = Window { warm_up: Duration::from_secs(1), measured: Duration::from_secs(10) };
    let mut report = Report::new(Machine::sample(), Settings::new(window, 1, &loads));
    report.rows(&SAGAS).extend([
        SagaRun::row(Workload::Ok, loads[0], 512, &runs([run(20_012.0, true)])),
        SagaRun::row(Workload::Ok, loads[1], 512, &runs([run(60_000.0, false)])),
    ]);
    report
}

fn runs<R, const N: usize>(runs: [R; N]) -> Runs<R> {
    Runs::of(runs.into()).unwrap()
}
