//! The self-test of the campaign: it has to catch builds that are broken on purpose.
//!
//! Owns the list of broken variants and what counts as caught.
//! Promises that a broken build is caught by what it did to orders, money or answers; that it crashes proves
//! nothing. Does not build anything: it is given a binary with the feature `sabotage`.

use std::path::Path;

use serde_json::{Value, json};

use super::campaign::{Checks, Outcome, Plan};
use super::could_not_run::CouldNotRun;
use super::process::Services;
use super::random::Seed;
use super::report;
use super::violation::About;

/// A self-test of the campaign.
#[derive(Debug)]
pub(crate) struct SelfTest<'a> {
    /// An `amends` with the feature `sabotage`.
    pub(crate) binary: &'a Path,
    pub(crate) seed: Seed,
    pub(crate) clients: u16,
}

/// What became of one broken variant.
#[derive(Debug)]
pub(crate) struct Verdict {
    variant: &'static str,
    outcome: Outcome,
}

impl SelfTest<'_> {
    /// Runs the campaign against every broken variant and says how it went.
    pub(crate) fn run(&self, say: &mut dyn FnMut(String)) -> Result<Vec<Verdict>, CouldNotRun> {
        VARIANTS
            .into_iter()
            .map(|variant| {
                let verdict = self.try_variant(variant)?;
                say(verdict.in_words());
                Ok(verdict)
            })
            .collect()
    }

    fn try_variant(&self, variant: &'static str) -> Result<Verdict, CouldNotRun> {
        let plan = Plan {
            binary: self.binary.to_owned(),
            rounds: ROUNDS_MAX,
            seed: self.seed,
            clients: self.clients,
            data: None,
            keeps_data: false,
            sabotage: Some(variant.to_owned()),
            checks: Checks::AfterEachRound,
            services: Services::Inside,
        };
        let mut outcome =
            plan.run().map_err(|CouldNotRun(why)| CouldNotRun(format!("--sabotage {variant}: {why}")))?;
        if let Some(directory) = outcome.kept.take().and_then(|kept| kept.log.parent().map(Path::to_owned)) {
            // What a broken build left behind is of no use to anybody; a directory that stays does no harm
            // either.
            let _ = std::fs::remove_dir_all(directory);
        }
        Ok(Verdict { variant, outcome })
    }
}

impl Verdict {
    fn is_caught(&self) -> bool {
        self.outcome.violations.by_kind().any(|(kind, _)| kind.about() == About::Effects)
    }

    fn in_words(&self) -> String {
        let Verdict { variant, outcome } = self;
        let rounds = outcome.summary.rounds;
        if self.is_caught() {
            return format!(
                "self-test: {variant} was caught after {rounds} rounds: {}",
                report::kinds(outcome)
            );
        }
        let found = report::text(outcome);
        format!(
            "self-test FAILED: {variant} was NOT caught in {rounds} rounds. The campaign is blind.\n{found}"
        )
    }
}

/// Whether the campaign can be trusted.
pub(crate) fn all_caught(verdicts: &[Verdict]) -> bool {
    verdicts.len() == VARIANTS.len() && verdicts.iter().all(Verdict::is_caught)
}

pub(crate) fn json(verdicts: &[Verdict], seed: Seed) -> Value {
    let variants: Vec<Value> = verdicts
        .iter()
        .map(|verdict| {
            let campaign = report::json(&verdict.outcome);
            json!({"variant": verdict.variant, "caught": verdict.is_caught(), "campaign": campaign})
        })
        .collect();
    json!({"passed": all_caught(verdicts), "seed": seed.to_string(), "variants": variants})
}

/// The broken variants: effects that leave before the events behind them are durable, and services without a
/// barrier.
const VARIANTS: [&str; 2] = ["early-effects", "no-barrier"];
/// Rounds within which each has to be caught; one or two are enough in practice.
const ROUNDS_MAX: u32 = 40;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::campaign::Summary;
    use crate::record::Tally;
    use crate::violation::{Kind, Violation, Violations};

    fn verdicts(kind: Option<Kind>) -> Vec<Verdict> {
        let verdict = |variant| {
            let mut violations = Violations::default();
            violations.extend(kind.map(|kind| Violation::new(kind, "key", "this", "that")));
            let summary = Summary {
                seed: "1".parse().unwrap(),
                rounds: 3,
                kills: 3,
                service_kills: 0,
                tally: Tally::default(),
                held: None,
                worst_restart: Duration::ZERO,
                took: Duration::ZERO,
            };
            Verdict { variant, outcome: Outcome { summary, violations, kept: None } }
        };
        VARIANTS.map(verdict).into()
    }

    #[test]
    fn a_second_order_counts_as_caught() {
        assert!(all_caught(&verdicts(Some(Kind::SecondOrder))));
    }

    #[test]
    fn a_campaign_that_passes_on_a_broken_build_has_failed() {
        let verdicts = verdicts(None);
        assert!(!all_caught(&verdicts));
        assert!(
            verdicts[0].in_words().starts_with("self-test FAILED: early-effects was NOT caught in 3 rounds")
        );
    }

    #[test]
    fn a_build_that_merely_crashes_is_not_caught() {
        assert!(!all_caught(&verdicts(Some(Kind::ExitedByItself))));
        assert!(!all_caught(&verdicts(Some(Kind::DidNotRestart))));
    }

    #[test]
    fn a_variant_that_was_not_tried_is_not_caught() {
        assert!(!all_caught(&verdicts(Some(Kind::SecondOrder))[..1]));
    }
}
