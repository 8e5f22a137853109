//! What a campaign says when it is over.
//!
//! Owns the text for people and the one JSON document for programs.
//! Promises that every violation kept is shown with all it carries, and the seed always.
//! Does not decide whether a campaign passed: violations do.

use serde_json::{Value, json};

use super::campaign::{Outcome, Summary};
use super::place::Kept;
use super::violation::Kind;

pub(crate) fn text(outcome: &Outcome) -> String {
    let mut lines = Vec::new();
    for (kind, findings) in outcome.violations.by_kind() {
        let shown = findings.examples.len() as u64;
        let rest =
            if findings.count > shown { format!(", the first {shown} of them") } else { String::new() };
        lines.push(format!("VIOLATION: {kind} ({} times{rest})", findings.count));
        lines.extend(findings.examples.iter().map(|violation| format!("  {violation}")));
    }
    if let Some(Kept { data, log }) = &outcome.kept {
        lines.push(format!(
            "kept: the data in {}, what the process wrote in {}",
            data.display(),
            log.display()
        ));
    }
    lines.push(summary(&outcome.summary, outcome.violations.count()));
    lines.join("\n")
}

pub(crate) fn json(outcome: &Outcome) -> Value {
    let Summary { seed, rounds, kills, service_kills, tally, held, worst_restart, took } = &outcome.summary;
    let violations: Vec<Value> = outcome
        .violations
        .by_kind()
        .map(|(kind, found)| json!({"kind": kind, "count": found.count, "examples": found.examples}))
        .collect();
    json!({
        "passed": outcome.violations.is_empty(),
        "seed": seed.to_string(),
        "rounds": rounds,
        "kills": kills,
        "service_kills": service_kills,
        "orders_acknowledged": tally.completed + tally.compensated,
        "orders_completed": tally.completed,
        "orders_compensated": tally.compensated,
        "accepted_without_waiting": tally.accepted,
        "repeats": tally.repeats,
        "busy": tally.busy,
        "worst_restart_ms": milliseconds(*worst_restart),
        "parked": held.map(|held| held.parked),
        "orders_confirmed_in_shop": held.map(|held| held.confirmed),
        "orders_cancelled_in_shop": held.map(|held| held.cancelled),
        "seconds": took.as_secs_f64(),
        "kept": outcome.kept,
        "violations": violations,
    })
}

pub(crate) fn kinds(outcome: &Outcome) -> String {
    let kinds: Vec<String> =
        outcome.violations.by_kind().map(|(kind, _): (Kind, _)| kind.to_string()).collect();
    kinds.join("; ")
}

fn summary(summary: &Summary, violations: u64) -> String {
    let Summary { seed, rounds, kills, service_kills, tally, held, worst_restart, took } = summary;
    let of_services = match service_kills {
        0 => String::new(),
        more => format!(" and {more} of services"),
    };
    let parked = held.map_or("parked unknown".to_owned(), |held| format!("{} parked", held.parked));
    format!(
        "kill: {rounds} rounds, {} orders acknowledged ({} completed, {} compensated), {} repeats compared, \
         {kills} kills{of_services}, {:.1} s, worst restart {} ms, {parked}, seed {seed}: {}",
        tally.completed + tally.compensated,
        tally.completed,
        tally.compensated,
        tally.repeats,
        took.as_secs_f64(),
        milliseconds(*worst_restart),
        match violations {
            0 => "no violation".to_owned(),
            1 => "1 VIOLATION".to_owned(),
            more => format!("{more} VIOLATIONS"),
        }
    )
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("a campaign is shorter than 500 million years")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::Held;
    use crate::record::Tally;
    use crate::violation::{Violation, Violations};

    fn outcome() -> Outcome {
        let summary = Summary {
            seed: "42".parse().unwrap(),
            rounds: 20,
            kills: 27,
            service_kills: 0,
            tally: Tally { completed: 100, compensated: 20, accepted: 7, repeats: 50, busy: 0 },
            held: Some(Held { confirmed: 100, cancelled: 20, parked: 1 }),
            worst_restart: Duration::from_millis(85),
            took: Duration::from_millis(23_400),
        };
        Outcome { summary, violations: Violations::default(), kept: None }
    }

    #[test]
    fn the_summary_is_one_line_with_the_seed() {
        let expected = "kill: 20 rounds, 120 orders acknowledged (100 completed, 20 compensated), 50 repeats compared, \
                        27 kills, 23.4 s, worst restart 85 ms, 1 parked, seed 42: no violation";
        assert_eq!(text(&outcome()), expected);
    }

    #[test]
    fn a_violation_is_shown_with_all_it_carries() {
        let mut outcome = outcome();
        outcome.violations.add(Violation::new(Kind::SagaChanged, "key kill-42-0-1", "saga s1", "saga s2"));
        let text = text(&outcome);
        for part in
            ["a key changed its saga (1 times)", "key kill-42-0-1", "saga s1", "saga s2", "1 VIOLATION"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        let json = json(&outcome);
        assert_eq!(json["passed"], false);
        assert_eq!(json["violations"][0]["kind"], "saga_changed");
        assert_eq!(json["violations"][0]["examples"][0]["expected"], "saga s1");
    }
}
