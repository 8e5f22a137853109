use std::fs;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::report::Report;
use crate::sample::{one_run, open_loop, three_runs};

use super::*;

/// Both as if they had been kept in files.
fn compare(before: &Value, after: &Value) -> Result<Comparison, BenchError> {
    let directory = tempfile::tempdir().unwrap();
    let read = |name: &str, report: &Value| {
        let path = directory.path().join(name);
        fs::write(&path, report.to_string()).unwrap();
        Document::read(&path)
    };
    Comparison::of(&read("before", before)?, &read("after", after)?)
}

fn document(report: &Report) -> Value {
    serde_json::to_value(report).unwrap()
}

/// The verdict on a figure that was `before` and is `after`, each with what its runs showed.
fn verdict(part: &str, figure: &str, before: (u32, [f64; 3]), after: (u32, [f64; 3])) -> Verdict {
    let with = |(runs, [min, median, max]): (u32, [f64; 3])| {
        let mut report = document(&one_run());
        let row = &mut report[part][0];
        row["runs"] = json!(runs);
        row[figure] = json!(median);
        row[format!("{figure}_min")] = json!(min);
        row[format!("{figure}_max")] = json!(max);
        report
    };
    let compared = compare(&with(before), &with(after)).unwrap();
    let rows = compared.rows.iter().filter(|row| row.part == part && row.figure == figure);
    rows.map(|row| row.verdict).next().unwrap()
}

const fn single(figure: f64) -> (u32, [f64; 3]) {
    (1, [figure, figure, figure])
}

#[test]
fn of_one_run_each_a_fifth_is_noise() {
    let rate = |before, after| verdict("sagas", "per_second", single(before), single(after));
    assert_eq!(rate(1_000.0, 1_000.0), Verdict::WithinNoise);
    assert_eq!(rate(1_000.0, 1_250.0), Verdict::WithinNoise, "a fifth of the larger");
    assert_eq!(rate(1_000.0, 1_251.0), Verdict::Better);
    assert_eq!(rate(1_000.0, 800.0), Verdict::WithinNoise);
    assert_eq!(rate(1_000.0, 799.0), Verdict::Worse);
}

#[test]
fn of_several_runs_noise_is_what_they_differ_by() {
    let rate = |before, after| verdict("sagas", "per_second", (3, before), (3, after));
    let quiet = [995.0, 1_000.0, 1_005.0];
    assert_eq!(rate(quiet, [1_006.0, 1_010.0, 1_014.0]), Verdict::WithinNoise, "10 of 10");
    assert_eq!(rate(quiet, [1_009.0, 1_011.0, 1_014.0]), Verdict::Better);
    assert_eq!(rate([900.0, 1_000.0, 1_100.0], [1_150.0, 1_200.0, 1_201.0]), Verdict::WithinNoise);
    assert_eq!(rate([1_000.0; 3], [900.0, 1_150.0, 1_151.0]), Verdict::WithinNoise, "the other's spread");
    assert_eq!(
        verdict("sagas", "per_second", (3, [1_000.0; 3]), single(1_100.0)),
        Verdict::WithinNoise,
        "one run has no spread"
    );
}

#[test]
fn less_is_better_of_what_takes_time() {
    for (part, figure) in
        [("sagas", "p99_us"), ("sagas", "cpu_s_per_1000"), ("disk", "p50_us"), ("recovery", "all_ms")]
    {
        assert_eq!(verdict(part, figure, single(100.0), single(50.0)), Verdict::Better, "{figure}");
        assert_eq!(verdict(part, figure, single(50.0), single(100.0)), Verdict::Worse, "{figure}");
    }
    assert_eq!(verdict("disk", "appends_per_second", single(50.0), single(100.0)), Verdict::Better);
}

#[test]
fn only_rows_that_both_have_are_compared() {
    let (closed, open) = (document(&one_run()), document(&open_loop()));
    let nothing = compare(&closed, &open).unwrap();
    assert_eq!(nothing.rows.len(), 0, "the same workload, and another loop");
    assert!(nothing.warnings().iter().any(|warning| warning.contains("no row in common")));
    let rates = compare(&open, &open).unwrap();
    let of: Vec<String> = rates.rows.iter().map(Compared::in_words).collect();
    assert!(of.contains(&"sagas, ok, clients 512, rate 90,000".to_owned()), "{of:?}");
    assert_eq!(rates.rows.len(), 2 * 4);
}

fn check_draws(compared: &Comparison, expected: Expect) {
    // The files lie in another directory each time.
    let (_, rows) = compared.draw().split_once("┌").map(|(_, rows)| ((), rows.to_owned())).unwrap();
    expected.assert_eq(&format!("┌{rows}"));
}

#[test]
fn people_see_each_figure_before_and_after() {
    let compared = compare(&document(&one_run()), &document(&three_runs())).unwrap();
    check_draws(
        &compared,
        expect![[r#"
            ┌────────────────────────────────┬──────────────────────────┬────────┬────────┬───────┬──────────────┐
            │                                ┆ figure                   ┆ before ┆  after ┆ ratio ┆      verdict │
            ╞════════════════════════════════╪══════════════════════════╪════════╪════════╪═══════╪══════════════╡
            │ sagas, ok, clients 64          ┆ sagas/s                  ┆  5,000 ┆  4,500 ┆  0.90 ┆ within noise │
            │                                ┆ p50 ms                   ┆   1.23 ┆   1.23 ┆  1.00 ┆ within noise │
            │                                ┆ p99 ms                   ┆   5.68 ┆   5.68 ┆  1.00 ┆ within noise │
            │                                ┆ CPU s per 1,000          ┆  0.123 ┆  0.123 ┆  1.00 ┆ within noise │
            │ disk, clients 64               ┆ appends/s                ┆ 50,000 ┆ 45,000 ┆  0.90 ┆ within noise │
            │                                ┆ p50 ms                   ┆   1.23 ┆   1.23 ┆  1.00 ┆ within noise │
            │                                ┆ p99 ms                   ┆   5.68 ┆   5.68 ┆  1.00 ┆ within noise │
            │                                ┆ CPU s per 1,000          ┆  0.123 ┆  0.123 ┆  1.00 ┆ within noise │
            │ shop, clients 64               ┆ orders/s                 ┆  2,000 ┆  2,000 ┆  1.00 ┆ within noise │
            │                                ┆ p50 ms                   ┆   1.23 ┆   1.23 ┆  1.00 ┆ within noise │
            │                                ┆ p99 ms                   ┆   5.68 ┆   5.68 ┆  1.00 ┆ within noise │
            │                                ┆ server's CPU s per 1,000 ┆  0.350 ┆  0.350 ┆  1.00 ┆ within noise │
            │ recovery, in flight 10,000     ┆ first ended, ms          ┆    124 ┆    300 ┆  2.43 ┆ within noise │
            │                                ┆ all ended, ms            ┆  2,000 ┆  3,000 ┆  1.50 ┆ within noise │
            │ memory, idle, sagas 0          ┆ in memory, MB            ┆     10 ┆     10 ┆  1.00 ┆ within noise │
            │ memory, live, sagas 100,000    ┆ in memory, MB            ┆    170 ┆    170 ┆  1.00 ┆ within noise │
            │ memory, waiting, sagas 200,000 ┆ in memory, MB            ┆     30 ┆     30 ┆  1.00 ┆ within noise │
            └────────────────────────────────┴──────────────────────────┴────────┴────────┴───────┴──────────────┘
        "#]],
    );
}

#[test]
fn programs_get_one_object_for_each_figure() {
    let compared = compare(&document(&one_run()), &document(&three_runs())).unwrap();
    let first = serde_json::to_value(&compared).unwrap()[0].clone();
    let expected = json!({
        "part": "sagas",
        "workload": "ok",
        "clients": 64,
        "rate": null,
        "figure": "per_second",
        "before": 5000.0,
        "after": 4500.0,
        "ratio": 0.9,
        "verdict": "within_noise",
    });
    assert_eq!(first, expected);
}

#[test]
fn a_figure_that_one_of_them_does_not_have_is_left_out() {
    let mut earlier = document(&one_run());
    let row = earlier["disk"][0].as_object_mut().unwrap();
    row.retain(|key, _| !key.starts_with("cpu_s_per_1000"));
    let compared = compare(&earlier, &document(&one_run())).unwrap();
    let of_disk: Vec<_> =
        compared.rows.iter().filter(|row| row.part == "disk").map(|row| row.figure).collect();
    assert_eq!(of_disk, ["appends_per_second", "p50_us", "p99_us"]);
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    let mut later = document(&one_run());
    later["weather"] = json!([{"rain": true}]);
    later["sagas"][0]["mood"] = json!("good");
    let compared = compare(&later, &document(&one_run())).unwrap();
    assert!(compared.rows.iter().all(|row| row.verdict == Verdict::WithinNoise));
}

#[test]
fn other_circumstances_are_said() {
    let mut other = document(&one_run());
    other["machine"]["kernel"] = json!("7.0.0");
    other["machine"]["device"] = Value::Null;
    other["settings"]["measured_s"] = json!(2.0);
    let [warning] = &compare(&other, &document(&one_run())).unwrap().warnings()[..] else {
        panic!("one warning");
    };
    for difference in ["kernel was 7.0.0 and is 6.18.44", "measured_s was 2.0 and is 10.0"] {
        assert!(warning.contains(difference), "{warning}");
    }
    assert!(!warning.contains("device"), "it may be the same: {warning}");
}

#[test]
fn what_is_no_report_is_refused_by_name() {
    let report = document(&one_run());
    let refused = |bytes: &str| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kept.json");
        fs::write(&path, bytes).unwrap();
        let after = Document::of(&one_run());
        let error = Document::read(&path).and_then(|before| Comparison::of(&before, &after));
        let error = error.map(drop).expect_err(bytes);
        assert_eq!(error.exit_code(), 2, "{error}");
        let text = error.to_string();
        assert!(text.contains("kept.json") && text.contains("--output json"), "{text}");
        text
    };
    assert!(refused("").contains("not JSON"));
    assert!(refused("machine:\n  cpus: 2\n").contains("not JSON"), "the same as YAML");
    assert!(refused("[1, 2]").contains("machine"));
    assert!(refused(r#"{"machine": 7}"#).contains("machine"));
    for (pointer, instead) in [
        ("/sagas", json!({"ok": 1})),
        ("/sagas/0/per_second", json!("fast")),
        ("/sagas/0/per_second_min", json!([])),
        ("/sagas/0/runs", json!(0)),
        ("/sagas/0/workload", json!({})),
    ] {
        let mut report = report.clone();
        *report.pointer_mut(pointer).unwrap() = instead;
        assert!(refused(&report.to_string()).contains(r#""sagas""#), "{pointer}");
    }
}
