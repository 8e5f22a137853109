//! The metrics of a server, in the text format of Prometheus.
//!
//! Owns every name, unit and meaning. Promises that reading them does not slow the engine down: all are read
//! where they are counted anyway, when somebody asks. Does not count.

use std::fmt::Write as _;

use amends_core::{End, StandingKind, Standings};
use amends_engine::Engine;
use amends_journal::{Distribution, Filter};

/// The media type of the format.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A metric: name, what it is to Prometheus, meaning.
struct Metric {
    name: &'static str,
    kind: &'static str,
    meaning: &'static str,
}

const fn counter(name: &'static str, meaning: &'static str) -> Metric {
    Metric { name, kind: "counter", meaning }
}

const fn gauge(name: &'static str, meaning: &'static str) -> Metric {
    Metric { name, kind: "gauge", meaning }
}

const fn histogram(name: &'static str, meaning: &'static str) -> Metric {
    Metric { name, kind: "histogram", meaning }
}

const STARTED: Metric = counter("amends_sagas_started_total", "Sagas started since the server began.");
const FINISHED: Metric =
    counter("amends_sagas_finished_total", "Sagas ended since the server began, by how they ended.");
const PARKED: Metric = counter(
    "amends_sagas_parked_total",
    "How often a saga parked since the server began, to wait for an operator.",
);
const SAGAS: Metric = gauge("amends_sagas", "Sagas in the journal, by where they stand.");
const LIVE: Metric = gauge("amends_sagas_live", "Sagas in memory.");
const RECOVERED: Metric = gauge(
    "amends_recovered",
    "Whether everything that was under way at the start goes on: 1, or 0 until then.",
);
const RECOVERY: Metric = gauge(
    "amends_recovery_seconds",
    "How long it took until everything that was under way at the start went on; 0 until then.",
);
const ATTEMPTS: Metric = counter(
    "amends_attempts_total",
    "Answers of participants elsewhere since the server began, by outcome; no answer is unknown.",
);
const ATTEMPT_SECONDS: Metric = histogram(
    "amends_attempt_seconds",
    "From the moment a call leaves until its outcome is known; of participants that do not answer immediately.",
);
const CALLS: Metric = gauge("amends_participant_calls", "Calls under way to a participant.");
const QUEUED: Metric =
    gauge("amends_participant_queue_depth", "Calls that wait for a place or for the breaker.");
const BREAKER: Metric = gauge(
    "amends_participant_breaker_open",
    "Whether a participant is left alone: 1, and 0 when calls go through.",
);
const APPENDS: Metric =
    counter("amends_journal_appends_total", "Records made durable since the server began.");
const RECORD_BYTES: Metric = counter("amends_journal_record_bytes_total", "Bytes of those records.");
const FLUSHES: Metric = counter("amends_journal_flushes_total", "Flushes of the log since the server began.");
const APPEND_SECONDS: Metric = histogram(
    "amends_journal_append_seconds",
    "From an append's submission until it is durable and answered.",
);
const GROUP: Metric = histogram("amends_journal_batch_appends", "Records that shared one flush.");

/// What a journal counts exactly and at no cost: where sagas stand.
const STANDINGS: [(&str, Standings); 6] = [
    ("in_progress", Standings::FORWARD),
    ("compensating", Standings::BACK),
    ("failed", Standings::NONE.with(StandingKind::Parked)),
    ("completed", Standings::NONE.with(StandingKind::Ended(End::Completed))),
    ("compensated", Standings::NONE.with(StandingKind::Ended(End::Compensated))),
    ("abandoned", Standings::NONE.with(StandingKind::Ended(End::Abandoned))),
];

/// All metrics of an engine.
pub async fn of_engine(engine: &Engine) -> String {
    let mut page = Page::default();
    let meters = engine.meters();
    let journal = &meters.journal;
    page.one(&STARTED, &[], journal.started);
    let ended = [
        ("completed", journal.completed),
        ("compensated", journal.compensated),
        ("abandoned", journal.abandoned),
    ];
    page.head(&FINISHED);
    for (status, count) in ended {
        page.sample(FINISHED.name, &[("status", status)], count);
    }
    page.one(&PARKED, &[], journal.parked);
    page.head(&SAGAS);
    for (status, standings) in STANDINGS {
        let filter = Filter { standings, ..Filter::default() };
        // A journal that cannot answer now is not a reason to answer nothing: the sample is left out.
        if let Ok(count) = engine.count(filter).await {
            page.sample(SAGAS.name, &[("status", status)], count.count);
        }
    }
    page.one(&LIVE, &[], engine.live());
    page.one(&RECOVERED, &[], u8::from(engine.is_recovered()));
    page.one(&RECOVERY, &[], meters.recovery.as_secs_f64());
    page.participants(engine);
    page.distribution(&ATTEMPT_SECONDS, &meters.attempt_seconds);
    let stats = engine.journal_stats();
    page.one(&APPENDS, &[], stats.appends);
    page.one(&RECORD_BYTES, &[], stats.record_bytes);
    page.one(&FLUSHES, &[], stats.flushes);
    page.distribution(&APPEND_SECONDS, &journal.append_seconds);
    page.distribution(&GROUP, &journal.group_appends);
    page.text
}

/// The page as it grows.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, metric: &Metric) {
        let Metric { name, kind, meaning } = metric;
        // Writing into a text does not fail.
        let _ = writeln!(self.text, "# HELP {name} {meaning}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, metric: &Metric, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.head(metric);
        self.sample(metric.name, labels, value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn participants(&mut self, engine: &Engine) {
        let participants = engine.participants();
        let labels = |participant: usize| {
            let view = &participants[participant];
            [("participant", view.name.as_str()), ("origin", view.origin.as_str())]
        };
        self.head(&ATTEMPTS);
        for (at, view) in participants.iter().enumerate() {
            let [name, origin] = labels(at);
            for (outcome, count) in [
                ("completed", view.outcomes.completed),
                ("refused", view.outcomes.refused),
                ("working", view.outcomes.working),
                ("unknown", view.outcomes.unknown),
                ("conflict", view.outcomes.conflict),
            ] {
                self.sample(ATTEMPTS.name, &[name, origin, ("outcome", outcome)], count);
            }
        }
        self.head(&CALLS);
        for (at, view) in participants.iter().enumerate() {
            self.sample(CALLS.name, &labels(at), view.under_way);
        }
        self.head(&QUEUED);
        for (at, view) in participants.iter().enumerate() {
            self.sample(QUEUED.name, &labels(at), view.queued);
        }
        self.head(&BREAKER);
        for (at, view) in participants.iter().enumerate() {
            self.sample(BREAKER.name, &labels(at), u8::from(view.open_since().is_some()));
        }
    }

    fn distribution(&mut self, metric: &Metric, distribution: &Distribution) {
        self.head(metric);
        let bucket = format!("{}_bucket", metric.name);
        let mut below = 0;
        for (bound, count) in &distribution.buckets {
            below += count;
            self.sample(&bucket, &[("le", &bound.to_string())], below);
        }
        // Read one after the other while they grow: a bucket must not have more than all.
        let count = distribution.count.max(below);
        self.sample(&bucket, &[("le", "+Inf")], count);
        self.sample(&format!("{}_sum", metric.name), &[], distribution.sum);
        self.sample(&format!("{}_count", metric.name), &[], count);
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_name_labels_and_value_and_buckets_add_up() {
        let mut page = Page::default();
        page.one(&LIVE, &[("a", "x\"\\\n"), ("b", "")], 7);
        page.distribution(
            &GROUP,
            &Distribution { buckets: vec![(0.5, 2), (1.0, 0), (4.0, 1)], count: 4, sum: 12.5 },
        );
        let expected = "# HELP amends_sagas_live Sagas in memory.
# TYPE amends_sagas_live gauge
amends_sagas_live{a=\"x\\\"\\\\\\n\",b=\"\"} 7
# HELP amends_journal_batch_appends Records that shared one flush.
# TYPE amends_journal_batch_appends histogram
amends_journal_batch_appends_bucket{le=\"0.5\"} 2
amends_journal_batch_appends_bucket{le=\"1\"} 2
amends_journal_batch_appends_bucket{le=\"4\"} 3
amends_journal_batch_appends_bucket{le=\"+Inf\"} 4
amends_journal_batch_appends_sum 12.5
amends_journal_batch_appends_count 4
";
        assert_eq!(page.text, expected);
    }
}
