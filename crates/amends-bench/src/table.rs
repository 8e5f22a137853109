//! The same for people.
//!
//! Owns the page that the parts' tables make. Promises units in the headings, shares in percent, and nothing that the
//! document does not have but the two files behind the disk's number. Uses no colour. The tables are the parts' own.

use comfy_table::{CellAlignment, Table, presets};

use super::compare::Comparison;
use super::machine::Machine;
use super::report::{Report, Settings, disk, history, memory, recovery, sagas, shop};
use super::runs::Spread;

pub(super) fn draw(report: &Report) -> String {
    let parts = [
        describe(&report.machine),
        how(&report.settings),
        sagas::draw(&report.sagas),
        disk::draw(&report.disk),
        shop::draw(&report.shop),
        recovery::draw(&report.recovery),
        memory::draw(&report.memory),
        history::draw(&report.history),
        report.compared.as_ref().map_or_else(String::new, Comparison::draw),
    ];
    parts.concat()
}

/// A part with its title; nothing of one that was not measured.
pub(super) fn section<R>(title: &str, rows: &[R], draw: impl FnOnce(&[R]) -> Table) -> String {
    if rows.is_empty() { String::new() } else { format!("\n{title}\n{}\n", draw(rows)) }
}

fn describe(machine: &Machine) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let cpus = machine.cpus.map_or_else(|| "?".to_owned(), |cpus| cpus.to_string());
    let memory = machine.memory_bytes.map_or_else(|| "?".to_owned(), |bytes| format!("{}", bytes >> 30));
    format!(
        "Amends {} ({}, rustc {}) on {}\n{cpus} × {}, {memory} GiB of memory, Linux {}, {} on {} (cache: {})\n{}\n",
        machine.version,
        machine.build,
        machine.rustc,
        machine.date,
        text(&machine.model),
        text(&machine.kernel),
        text(&machine.filesystem),
        text(&machine.device),
        text(&machine.write_cache),
        machine.durability,
    )
}

/// How it was measured.
fn how(settings: &Settings) -> String {
    let Settings { warm_up_s, measured_s, runs, arrivals } = settings;
    let runs = match runs {
        1 => "one run of each".to_owned(),
        runs => format!("medians of {runs} runs, ± half the way from the least to the most"),
    };
    let arrivals = arrivals.map_or_else(String::new, |arrivals| format!("; arrivals: {arrivals}"));
    format!("{measured_s} s each, after a warm-up of {warm_up_s} s; {runs}{arrivals}\n")
}

/// A cell and the heading over it, which may have lines.
pub(super) type Column = (&'static str, String);

/// A table of rows that have the same columns. The first few, which hold text, stand to the left.
pub(super) fn table<R: IntoIterator<Item = Column>>(rows: impl Iterator<Item = R>, texts: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    for row in rows {
        let (headings, cells): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        table.set_header(headings).add_row(cells);
    }
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

pub(super) fn milliseconds(microseconds: f64) -> String {
    format!("{:.2}", microseconds / 1_000.0)
}

pub(super) fn thousandths(number: f64) -> String {
    format!("{number:.3}")
}

/// A whole number; of several runs the median, and half of what lies between the least and the most.
pub(super) fn with_spread(figure: Spread, runs: usize) -> String {
    let Spread { min, median, max } = figure;
    let median_alone = grouped(median);
    if runs == 1 || median == 0.0 {
        return median_alone;
    }
    format!("{median_alone} ±{:.0} %", (max - min) / 2.0 / median * 100.0)
}

/// A whole number with its thousands apart.
pub(super) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{one_run, open_loop, three_runs};
    use expect_test::expect;

    #[test]
    fn people_see_units_and_percentages() {
        expect![[r#"
            Amends 0.1.0 (release, rustc 1.95.0) on 2026-11-23T00:00:00Z
            2 × A processor, 8 GiB of memory, Linux 6.18.44, ext4 on /dev/vda (cache: unknown)
            log: flushed; database: WAL
            10 s each, after a warm-up of 1 s; one run of each

            Sagas: four steps, each durable before the next
            ┌──────────┬─────────┬─────────┬────────┬────────┬──────────┬────────────┬─────────────┐
            │ workload ┆ clients ┆ sagas/s ┆ p50 ms ┆ p99 ms ┆ p99.9 ms ┆ longest ms ┆ of the disk │
            ╞══════════╪═════════╪═════════╪════════╪════════╪══════════╪════════════╪═════════════╡
            │ ok       ┆      64 ┆   5,000 ┆   1.23 ┆   5.68 ┆     9.01 ┆      34.57 ┆           – │
            │ undo     ┆      64 ┆   4,000 ┆   1.23 ┆   5.68 ┆     9.01 ┆      34.57 ┆      48.0 % │
            └──────────┴─────────┴─────────┴────────┴────────┴──────────┴────────────┴─────────────┘

            What the sagas took
            ┌──────────────────┬───────────┬──────┬───────────┬───────────┬───────────┬──────────────┬──────────┐
            │ workload         ┆     CPU s ┆ CPUs ┆     cores ┆   appends ┆ the log's ┆ the kernel's ┆    bytes │
            │                  ┆ per 1,000 ┆ used ┆      busy ┆ per flush ┆ flushes/s ┆    flushes/s ┆ per saga │
            ╞══════════════════╪═══════════╪══════╪═══════════╪═══════════╪═══════════╪══════════════╪══════════╡
            │ ok, 64 clients   ┆     0.123 ┆ 1.25 ┆ 93 % 50 % ┆      31.4 ┆       812 ┆          900 ┆    1,235 │
            │ undo, 64 clients ┆     0.123 ┆ 1.25 ┆ 93 % 50 % ┆      31.4 ┆       812 ┆          900 ┆        0 │
            └──────────────────┴───────────┴──────┴───────────┴───────────┴───────────┴──────────────┴──────────┘

            Disk: bare appends, flushed in groups; the better of the two files counts
            ┌─────────┬───────────┬────────┬────────┬──────────┬───────┬──────────┬────────────┬───────────┬──────────────┐
            │ clients ┆ appends/s ┆ p50 ms ┆ p99 ms ┆ p99.9 ms ┆ bytes ┆  growing ┆ pre-filled ┆ the log's ┆ the kernel's │
            │         ┆           ┆        ┆        ┆          ┆  each ┆ file, /s ┆   file, /s ┆ flushes/s ┆    flushes/s │
            ╞═════════╪═══════════╪════════╪════════╪══════════╪═══════╪══════════╪════════════╪═══════════╪══════════════╡
            │      64 ┆    50,000 ┆   1.23 ┆   5.68 ┆     9.01 ┆   140 ┆   20,000 ┆     50,000 ┆       812 ┆          900 │
            └─────────┴───────────┴────────┴────────┴──────────┴───────┴──────────┴────────────┴───────────┴──────────────┘

            Shop: orders over HTTP; below each, the same clients and a handler that does nothing
            ┌──────────┬─────────┬──────────┬────────┬────────┬────────────────┬────────────────┬───────────┬─────────────┬────────┐
            │ served   ┆ clients ┆ a second ┆ p50 ms ┆ p99 ms ┆ server's CPU s ┆ clients' CPU s ┆     cores ┆     flushes ┆ of the │
            │          ┆         ┆          ┆        ┆        ┆      per 1,000 ┆      per 1,000 ┆      busy ┆    an order ┆  floor │
            ╞══════════╪═════════╪══════════╪════════╪════════╪════════════════╪════════════════╪═══════════╪═════════════╪════════╡
            │ the shop ┆      64 ┆    2,000 ┆   1.23 ┆   5.68 ┆          0.350 ┆          0.123 ┆ 93 % 50 % ┆ 0.12 + 0.25 ┆  5.0 % │
            │ nothing  ┆      64 ┆   40,000 ┆   1.23 ┆   5.68 ┆        unknown ┆          0.123 ┆ 93 % 50 % ┆           – ┆      – │
            └──────────┴─────────┴──────────┴────────┴────────┴────────────────┴────────────────┴───────────┴─────────────┴────────┘

            Recovery: from the start of the process after a kill
            ┌───────────┬─────────────────┬───────────────┐
            │ in flight ┆ first ended, ms ┆ all ended, ms │
            ╞═══════════╪═════════════════╪═══════════════╡
            │    10,000 ┆             124 ┆         2,000 │
            └───────────┴─────────────────┴───────────────┘

            Memory: a process of its own for each row
            ┌─────────┬──────────┬───────────────┬────────────┐
            │ sagas   ┆ how many ┆ in memory, MB ┆ bytes each │
            ╞═════════╪══════════╪═══════════════╪════════════╡
            │ idle    ┆        0 ┆            10 ┆          – │
            │ live    ┆  100,000 ┆           170 ┆      1,600 │
            │ waiting ┆  200,000 ┆            30 ┆        100 │
            └─────────┴──────────┴───────────────┴────────────┘
        "#]]
        .assert_eq(&draw(&one_run()));
    }

    #[test]
    fn of_several_runs_people_see_how_far_they_lie_apart() {
        expect![[r#"
            Amends 0.1.0 (release, rustc 1.95.0) on 2026-11-23T00:00:00Z
            2 × A processor, 8 GiB of memory, Linux 6.18.44, ext4 on /dev/vda (cache: unknown)
            log: flushed; database: WAL
            10 s each, after a warm-up of 1 s; medians of 3 runs, ± half the way from the least to the most

            Sagas: four steps, each durable before the next
            ┌──────────┬─────────┬─────────────┬────────┬────────┬──────────┬────────────┬─────────────┐
            │ workload ┆ clients ┆     sagas/s ┆ p50 ms ┆ p99 ms ┆ p99.9 ms ┆ longest ms ┆ of the disk │
            ╞══════════╪═════════╪═════════════╪════════╪════════╪══════════╪════════════╪═════════════╡
            │ ok       ┆      64 ┆ 4,500 ±33 % ┆   1.23 ┆   5.68 ┆     9.01 ┆      34.57 ┆      50.0 % │
            └──────────┴─────────┴─────────────┴────────┴────────┴──────────┴────────────┴─────────────┘

            What the sagas took
            ┌────────────────┬───────────┬──────┬───────────┬───────────┬───────────┬──────────────┬──────────┐
            │ workload       ┆     CPU s ┆ CPUs ┆     cores ┆   appends ┆ the log's ┆ the kernel's ┆    bytes │
            │                ┆ per 1,000 ┆ used ┆      busy ┆ per flush ┆ flushes/s ┆    flushes/s ┆ per saga │
            ╞════════════════╪═══════════╪══════╪═══════════╪═══════════╪═══════════╪══════════════╪══════════╡
            │ ok, 64 clients ┆     0.123 ┆ 1.25 ┆ 93 % 50 % ┆      31.4 ┆       812 ┆          900 ┆    1,235 │
            └────────────────┴───────────┴──────┴───────────┴───────────┴───────────┴──────────────┴──────────┘

            Disk: bare appends, flushed in groups; the better of the two files counts
            ┌─────────┬──────────────┬────────┬────────┬──────────┬───────┬──────────┬────────────┬───────────┬──────────────┐
            │ clients ┆    appends/s ┆ p50 ms ┆ p99 ms ┆ p99.9 ms ┆ bytes ┆  growing ┆ pre-filled ┆ the log's ┆ the kernel's │
            │         ┆              ┆        ┆        ┆          ┆  each ┆ file, /s ┆   file, /s ┆ flushes/s ┆    flushes/s │
            ╞═════════╪══════════════╪════════╪════════╪══════════╪═══════╪══════════╪════════════╪═══════════╪══════════════╡
            │      64 ┆ 45,000 ±22 % ┆   1.23 ┆   5.68 ┆     9.01 ┆   140 ┆   20,000 ┆     40,000 ┆       812 ┆          900 │
            └─────────┴──────────────┴────────┴────────┴──────────┴───────┴──────────┴────────────┴───────────┴──────────────┘

            Shop: orders over HTTP; below each, the same clients and a handler that does nothing
            ┌──────────┬─────────┬──────────────┬────────┬────────┬────────────────┬────────────────┬───────────┬─────────────┬────────┐
            │ served   ┆ clients ┆     a second ┆ p50 ms ┆ p99 ms ┆ server's CPU s ┆ clients' CPU s ┆     cores ┆     flushes ┆ of the │
            │          ┆         ┆              ┆        ┆        ┆      per 1,000 ┆      per 1,000 ┆      busy ┆    an order ┆  floor │
            ╞══════════╪═════════╪══════════════╪════════╪════════╪════════════════╪════════════════╪═══════════╪═════════════╪════════╡
            │ the shop ┆      64 ┆  2,000 ±50 % ┆   1.23 ┆   5.68 ┆          0.350 ┆          0.123 ┆ 93 % 50 % ┆ 0.12 + 0.25 ┆  5.0 % │
            │ nothing  ┆      64 ┆ 40,000 ±25 % ┆   1.23 ┆   5.68 ┆        unknown ┆          0.123 ┆ 93 % 50 % ┆           – ┆      – │
            └──────────┴─────────┴──────────────┴────────┴────────┴────────────────┴────────────────┴───────────┴─────────────┴────────┘

            Recovery: from the start of the process after a kill
            ┌───────────┬─────────────────┬───────────────┐
            │ in flight ┆ first ended, ms ┆ all ended, ms │
            ╞═══════════╪═════════════════╪═══════════════╡
            │    10,000 ┆       300 ±33 % ┆   3,000 ±33 % │
            └───────────┴─────────────────┴───────────────┘

            Memory: a process of its own for each row
            ┌─────────┬──────────┬───────────────┬────────────┐
            │ sagas   ┆ how many ┆ in memory, MB ┆ bytes each │
            ╞═════════╪══════════╪═══════════════╪════════════╡
            │ idle    ┆        0 ┆       10 ±0 % ┆          – │
            │ live    ┆  100,000 ┆     170 ±12 % ┆      1,600 │
            │ waiting ┆  200,000 ┆       30 ±0 % ┆        100 │
            └─────────┴──────────┴───────────────┴────────────┘
        "#]].assert_eq(&draw(&three_runs()));
    }

    #[test]
    fn of_an_open_loop_people_see_the_rate_and_what_fell_behind() {
        let mut report = open_loop();
        report.sagas.iter_mut().for_each(|row| row.share_of_disk = Some(0.25));
        expect![[r#"
            Amends 0.1.0 (release, rustc 1.95.0) on 2026-11-23T00:00:00Z
            2 × A processor, 8 GiB of memory, Linux 6.18.44, ext4 on /dev/vda (cache: unknown)
            log: flushed; database: WAL
            10 s each, after a warm-up of 1 s; one run of each; arrivals: Poisson process, seed 1

            Sagas started at a stated rate; latency from the intended start
            ┌──────────┬──────────┬────────┬───────────┬────────┬─────────┬────────┬────────┬──────────┬────────────┬─────────────┐
            │ workload ┆ at once, ┆ rate/s ┆ arrived/s ┆ done/s ┆ kept up ┆ p50 ms ┆ p99 ms ┆ p99.9 ms ┆ longest ms ┆ of the disk │
            │          ┆  at most ┆        ┆           ┆        ┆         ┆        ┆        ┆          ┆            ┆             │
            ╞══════════╪══════════╪════════╪═══════════╪════════╪═════════╪════════╪════════╪══════════╪════════════╪═════════════╡
            │ ok       ┆      512 ┆ 20,000 ┆    20,025 ┆ 20,012 ┆     yes ┆   1.23 ┆   5.68 ┆     9.01 ┆      34.57 ┆      25.0 % │
            │ ok       ┆      512 ┆ 90,000 ┆    89,876 ┆ 60,000 ┆      NO ┆   1.23 ┆   5.68 ┆     9.01 ┆      34.57 ┆      25.0 % │
            └──────────┴──────────┴────────┴───────────┴────────┴─────────┴────────┴────────┴──────────┴────────────┴─────────────┘

            What the sagas took
            ┌───────────────────────────┬───────────┬──────┬───────────┬───────────┬───────────┬──────────────┬──────────┐
            │ workload                  ┆     CPU s ┆ CPUs ┆     cores ┆   appends ┆ the log's ┆ the kernel's ┆    bytes │
            │                           ┆ per 1,000 ┆ used ┆      busy ┆ per flush ┆ flushes/s ┆    flushes/s ┆ per saga │
            ╞═══════════════════════════╪═══════════╪══════╪═══════════╪═══════════╪═══════════╪══════════════╪══════════╡
            │ ok, 20,000/s, 512 at most ┆     0.123 ┆ 1.25 ┆ 93 % 50 % ┆      31.4 ┆       812 ┆          900 ┆    1,235 │
            │ ok, 90,000/s, 512 at most ┆     0.123 ┆ 1.25 ┆ 93 % 50 % ┆      31.4 ┆       812 ┆          900 ┆    1,235 │
            └───────────────────────────┴───────────┴──────┴───────────┴───────────┴───────────┴──────────────┴──────────┘
        "#]].assert_eq(&draw(&report));
    }

    #[test]
    fn what_was_not_measured_is_not_drawn() {
        let mut report = one_run();
        report.recovery.clear();
        assert!(!draw(&report).contains("Recovery"));
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0.0, 999.4, 1_000.0, 1_234_567.0].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
