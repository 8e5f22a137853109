//! What was measured: the document.
//!
//! Owns how its parts make one document for programs and one page for people. Promises that parts which were
//! not measured are empty lists, never zeros. What their rows hold is up to `parts.rs`.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::compare::Comparison;
use super::load::{ARRIVALS_IN_WORDS, Load, Window};
use super::machine::Machine;
use super::parts::{PARTS, Part, SAGAS};
use super::row::Row;
use super::table;

/// The whole document.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) settings: Settings,
    parts: [Vec<Row>; PARTS.len()],
    /// With an earlier report, if that was asked for.
    pub(super) compared: Option<Comparison>,
}

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

/// To be said when a disk kept flushes to itself.
const DID_NOT_REACH: &str = "the kernel counted fewer flushes than the log asked for: this disk, or what lies \
    between, merges or ignores them. These figures are not of durable sagas";

/// To be said when something did not keep up.
const FELL_BEHIND: &str = "some rows did not keep up with the rate they were started at: their latencies are \
    those of a line that only grew, and say nothing but that";

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

    fn in_words(&self) -> String {
        let Self { warm_up_s, measured_s, runs, arrivals } = self;
        let runs = match runs {
            1 => "one run of each".to_owned(),
            runs => format!("medians of {runs} runs, ± half the way from the least to the most"),
        };
        let arrivals = arrivals.map_or_else(String::new, |arrivals| format!("; arrivals: {arrivals}"));
        format!("{measured_s} s each, after a warm-up of {warm_up_s} s; {runs}{arrivals}\n")
    }
}

impl Report {
    pub(super) fn new(machine: Machine, settings: Settings) -> Self {
        Self { machine, settings, parts: Default::default(), compared: None }
    }

    /// The rows of a part.
    pub(super) fn rows(&mut self, part: &Part) -> &mut Vec<Row> {
        let at = PARTS.iter().position(|one| one.name == part.name).expect("every part is listed");
        &mut self.parts[at]
    }

    /// One workload after the other; within one, in the order of measurement.
    pub(super) fn sort(&mut self) {
        self.rows(&SAGAS).sort_by_key(|row| row.get("workload").to_string());
    }

    /// What a person should know before believing the figures.
    pub(super) fn warnings(&self) -> Vec<String> {
        let any_is_false = |key| self.parts.iter().flatten().any(|row| row.get(key) == false);
        let did_not_reach = any_is_false("flushes_reached_the_disk").then_some(DID_NOT_REACH);
        let fell_behind = any_is_false("kept_up").then_some(FELL_BEHIND);
        let of_figures = did_not_reach.into_iter().chain(fell_behind).map(str::to_owned);
        of_figures.chain(self.compared.iter().flat_map(Comparison::warnings)).collect()
    }

    /// For people.
    pub(super) fn draw(&self) -> String {
        let parts = PARTS.iter().zip(&self.parts).map(|(part, rows)| table::draw(part, rows));
        let compared = self.compared.as_ref().map_or_else(String::new, Comparison::draw);
        [self.machine.in_words(), self.settings.in_words()]
            .into_iter()
            .chain(parts)
            .chain([compared])
            .collect()
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("machine", &self.machine)?;
        map.serialize_entry("settings", &self.settings)?;
        for (part, rows) in PARTS.iter().zip(&self.parts) {
            map.serialize_entry(part.name, rows)?;
        }
        if let Some(compared) = &self.compared {
            map.serialize_entry("compared", compared)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::DISK;
    use crate::sample::{one_run, open_loop, settings, three_runs};

    use expect_test::expect;
    use serde_json::{Value, json};

    fn document(report: &Report) -> Value {
        serde_json::to_value(report).unwrap()
    }

    /// A few keys a line.
    fn wrapped(row: &Row) -> String {
        let mut text = serde_json::to_string(row).unwrap().replace(",\"", ", \"");
        let mut line = 0;
        while text.len() > line + 100 {
            line += text[line..line + 100].rfind(", \"").unwrap() + 1;
            text.replace_range(line..=line, "\n");
        }
        format!("\n{text}")
    }

    #[test]
    fn the_document_has_the_keys_that_programs_rely_on() {
        let mut report = one_run();
        let rows = PARTS.map(|part| {
            format!("{}:{}\n", part.name, report.rows(part).first().map_or_else(String::new, wrapped))
        });
        expect![[r#"
            sagas:
            {"workload":"ok", "clients":64, "rate":null, "arrived_per_second":null, "kept_up":null, "runs":1,
            "per_second":5000.0, "per_second_min":5000.0, "per_second_max":5000.0, "p50_us":1234,
            "p50_us_min":1234, "p50_us_max":1234, "p99_us":5678, "p99_us_min":5678, "p99_us_max":5678,
            "p999_us":9012, "max_us":34567, "cpu_s_per_1000":0.1235, "cpu_s_per_1000_min":0.1235,
            "cpu_s_per_1000_max":0.1235, "cpus_used":1.25, "cores":[0.931,0.5],
            "log_flushes_per_second":812.3, "kernel_flushes_per_second":900.0, "appends_per_flush":31.42,
            "flushes_reached_the_disk":true, "share_of_disk":null, "bytes_per_saga":1235}
            disk:
            {"clients":64, "runs":1, "appends_per_second":50000.0, "appends_per_second_min":50000.0,
            "appends_per_second_max":50000.0, "p50_us":1234, "p50_us_min":1234, "p50_us_max":1234,
            "p99_us":5678, "p99_us_min":5678, "p99_us_max":5678, "p999_us":9012, "max_us":34567,
            "cpu_s_per_1000":0.1235, "cpu_s_per_1000_min":0.1235, "cpu_s_per_1000_max":0.1235,
            "cpus_used":1.25, "cores":[0.931,0.5], "log_flushes_per_second":812.3,
            "kernel_flushes_per_second":900.0, "appends_per_flush":31.42, "flushes_reached_the_disk":true,
            "append_bytes":140, "growing_per_second":20000.0, "prefilled_per_second":50000.0}
            shop:
            {"clients":64, "runs":1, "per_second":2000.0, "per_second_min":2000.0, "per_second_max":2000.0,
            "p50_us":1234, "p50_us_min":1234, "p50_us_max":1234, "p99_us":5678, "p99_us_min":5678,
            "p99_us_max":5678, "p999_us":9012, "max_us":34567, "server_cpu_s_per_1000":0.35,
            "server_cpu_s_per_1000_min":0.35, "server_cpu_s_per_1000_max":0.35,
            "client_cpu_s_per_1000":0.1235, "cores":[0.931,0.5], "journal_flushes_per_order":0.123,
            "service_flushes_per_order":0.246, "floor_per_second":40000.0, "floor_per_second_min":40000.0,
            "floor_per_second_max":40000.0, "floor_p50_us":1234, "floor_p99_us":5678,
            "floor_server_cpu_s_per_1000":null, "floor_client_cpu_s_per_1000":0.1235,
            "floor_cores":[0.931,0.5], "share_of_floor":0.05}
            http:
            recovery:
            {"in_flight":10000, "runs":1, "first_ms":123.5, "first_ms_min":123.5, "first_ms_max":123.5,
            "all_ms":2000.0, "all_ms_min":2000.0, "all_ms_max":2000.0}
            memory:
            {"state":"idle", "sagas":0, "runs":1, "resident_bytes":10000000, "resident_bytes_min":10000000,
            "resident_bytes_max":10000000, "bytes_per_saga":null}
            history:
        "#]]
        .assert_eq(&rows.concat());
        let document = document(&report);
        let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["disk", "history", "http", "machine", "memory", "recovery", "sagas", "settings", "shop"]
        );
        assert_eq!(
            document["settings"],
            json!({"warm_up_s": 1.0, "measured_s": 10.0, "runs": 1, "arrivals": null})
        );
        let machine: Vec<&String> = document["machine"].as_object().unwrap().keys().collect();
        assert_eq!(machine.len(), 13);
    }

    #[test]
    fn of_several_runs_the_document_has_the_medians_and_what_lies_around_them() {
        let document = document(&three_runs());
        let figures = |part: &str, key: &str| {
            ["", "_min", "_max"].map(|which| document[part][0][format!("{key}{which}")].as_f64().unwrap())
        };
        assert_eq!(figures("sagas", "per_second"), [4_500.0, 2_000.0, 5_000.0]);
        let better_of_each = [45_000.0, 30_000.0, 50_000.0];
        assert_eq!(figures("disk", "appends_per_second"), better_of_each);
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
        report.rows(&DISK).push(Row::default().put("flushes_reached_the_disk", false));
        assert_eq!(report.warnings(), [DID_NOT_REACH]);
    }

    #[test]
    fn sagas_that_fell_behind_their_rate_are_warned_of() {
        assert_eq!(open_loop().warnings(), [FELL_BEHIND]);
    }

    #[test]
    fn parts_that_were_not_measured_are_empty_lists_and_not_drawn() {
        let report = Report::new(Machine::sample(), settings(1));
        let document = document(&report);
        for part in PARTS {
            assert_eq!(document[part.name], json!([]), "{}", part.name);
        }
        assert!(!report.draw().contains('│'), "{}", report.draw());
    }

    #[test]
    fn people_see_units_and_percentages_and_no_column_in_which_nothing_is_known() {
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
            ┌──────────┬─────────┬───────────┬──────┬───────────┬───────────┬───────────┬──────────────┬──────────┬──────────┐
            │ workload ┆ clients ┆     CPU s ┆ CPUs ┆     cores ┆   appends ┆ the log's ┆ the kernel's ┆  reached ┆    bytes │
            │          ┆         ┆ per 1,000 ┆ used ┆      busy ┆ per flush ┆ flushes/s ┆    flushes/s ┆ the disk ┆ per saga │
            ╞══════════╪═════════╪═══════════╪══════╪═══════════╪═══════════╪═══════════╪══════════════╪══════════╪══════════╡
            │ ok       ┆      64 ┆     0.123 ┆ 1.25 ┆ 93 % 50 % ┆      31.4 ┆       812 ┆          900 ┆      yes ┆    1,235 │
            │ undo     ┆      64 ┆     0.123 ┆ 1.25 ┆ 93 % 50 % ┆      31.4 ┆       812 ┆          900 ┆      yes ┆        0 │
            └──────────┴─────────┴───────────┴──────┴───────────┴───────────┴───────────┴──────────────┴──────────┴──────────┘

            Disk: bare appends, flushed in groups; the better of the two files counts
            ┌─────────┬───────────┬────────┬────────┬──────────┬────────────┬───────┬──────────┬────────────┐
            │ clients ┆ appends/s ┆ p50 ms ┆ p99 ms ┆ p99.9 ms ┆ longest ms ┆ bytes ┆  growing ┆ pre-filled │
            │         ┆           ┆        ┆        ┆          ┆            ┆  each ┆ file, /s ┆   file, /s │
            ╞═════════╪═══════════╪════════╪════════╪══════════╪════════════╪═══════╪══════════╪════════════╡
            │      64 ┆    50,000 ┆   1.23 ┆   5.68 ┆     9.01 ┆      34.57 ┆   140 ┆   20,000 ┆     50,000 │
            └─────────┴───────────┴────────┴────────┴──────────┴────────────┴───────┴──────────┴────────────┘

            What the appends took
            ┌─────────┬───────────┬──────┬───────────┬───────────┬───────────┬──────────────┬──────────┐
            │ clients ┆     CPU s ┆ CPUs ┆     cores ┆   appends ┆ the log's ┆ the kernel's ┆  reached │
            │         ┆ per 1,000 ┆ used ┆      busy ┆ per flush ┆ flushes/s ┆    flushes/s ┆ the disk │
            ╞═════════╪═══════════╪══════╪═══════════╪═══════════╪═══════════╪══════════════╪══════════╡
            │      64 ┆     0.123 ┆ 1.25 ┆ 93 % 50 % ┆      31.4 ┆       812 ┆          900 ┆      yes │
            └─────────┴───────────┴──────┴───────────┴───────────┴───────────┴──────────────┴──────────┘

            Shop: orders over HTTP
            ┌─────────┬──────────┬────────┬────────┬──────────┬────────────┬───────────┬───────────┬───────────┬───────────┬───────────┬────────┐
            │ clients ┆ orders/s ┆ p50 ms ┆ p99 ms ┆ p99.9 ms ┆ longest ms ┆  server's ┆  clients' ┆     cores ┆ journal's ┆ services' ┆ of the │
            │         ┆          ┆        ┆        ┆          ┆            ┆     CPU s ┆     CPU s ┆      busy ┆   flushes ┆   flushes ┆  floor │
            │         ┆          ┆        ┆        ┆          ┆            ┆ per 1,000 ┆ per 1,000 ┆           ┆  an order ┆  an order ┆        │
            ╞═════════╪══════════╪════════╪════════╪══════════╪════════════╪═══════════╪═══════════╪═══════════╪═══════════╪═══════════╪════════╡
            │      64 ┆    2,000 ┆   1.23 ┆   5.68 ┆     9.01 ┆      34.57 ┆     0.350 ┆     0.123 ┆ 93 % 50 % ┆      0.12 ┆      0.25 ┆  5.0 % │
            └─────────┴──────────┴────────┴────────┴──────────┴────────────┴───────────┴───────────┴───────────┴───────────┴───────────┴────────┘

            The floor: the same clients and a handler that does nothing
            ┌─────────┬──────────┬────────┬────────┬───────────┬───────────┐
            │ clients ┆ a second ┆ p50 ms ┆ p99 ms ┆  clients' ┆     cores │
            │         ┆          ┆        ┆        ┆     CPU s ┆      busy │
            │         ┆          ┆        ┆        ┆ per 1,000 ┆           │
            ╞═════════╪══════════╪════════╪════════╪═══════════╪═══════════╡
            │      64 ┆   40,000 ┆   1.23 ┆   5.68 ┆     0.123 ┆ 93 % 50 % │
            └─────────┴──────────┴────────┴────────┴───────────┴───────────┘

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
        "#]].assert_eq(&one_run().draw());
    }

    #[test]
    fn of_an_open_loop_people_see_the_rate_and_what_fell_behind() {
        let page = open_loop().draw();
        for part in ["arrivals: Poisson process", "rate/s", "arrived/s", "kept up", "NO", "90,000"] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!one_run().draw().contains("rate/s"), "nothing is known of it");
    }
}
