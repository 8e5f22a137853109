//! What a campaign finds wrong.
//!
//! Owns the list of everything that must not happen, and the collection it is gathered in.
//! Promises that each finding carries what is needed to look into it, and that a flood of one kind keeps its
//! count but not its memory.
//! Does not decide what is wrong: that is done where answers come in (`record`) and at the end (`check`).

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// What went wrong; in words in [`Kind::told`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    ExitedByItself,
    Panicked,
    DidNotRestart,
    ConnectionLost,
    Unanswered,
    NeverSettled,
    OutsideContract,
    WrongVerdict,
    AnswerChanged,
    SagaChanged,
    SagaShared,
    KeyReuseAccepted,
    InvalidAccepted,
    SagaMissing,
    OrderMissing,
    OrderContradictsAnswer,
    OrderNamesOtherSaga,
    StrangeOrder,
    SecondOrder,
    OrderDiffersFromPosted,
    OrderCountDiffers,
    ViewsDisagree,
    StockBroken,
    ReservedDiffers,
    MoneyBroken,
    ConfirmedIncomplete,
    CancelledInForce,
    LedgerDiffers,
    PendingNotParked,
    Unreadable,
}

/// What a finding speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// Answers, and what came of them.
    Effects,
    /// A process that fails to run or to answer.
    Process,
}

impl Kind {
    /// What it speaks of, and in words. The self-test asks: a broken build has to be caught by what it did,
    /// not by crashing.
    fn told(self) -> (About, &'static str) {
        use About::{Effects, Process};
        match self {
            Kind::ExitedByItself => (Process, "the process ended by itself"),
            Kind::Panicked => (Process, "the process panicked"),
            Kind::DidNotRestart => (Process, "the process did not come up again after a kill"),
            Kind::ConnectionLost => {
                (Process, "an answer never came although the process had not been killed")
            }
            Kind::Unanswered => (Process, "a key never got its final answer"),
            Kind::NeverSettled => (Process, "sagas never came to their end"),
            Kind::OutsideContract => (Process, "an answer the contract does not know"),
            Kind::WrongVerdict => (Effects, "an order ended as its contents do not explain"),
            Kind::AnswerChanged => (Effects, "an acknowledged answer changed"),
            Kind::SagaChanged => (Effects, "a key changed its saga"),
            Kind::SagaShared => (Effects, "two keys share a saga"),
            Kind::KeyReuseAccepted => (Effects, "a used key was accepted with another body"),
            Kind::InvalidAccepted => (Effects, "an invalid body was not refused"),
            Kind::SagaMissing => (Effects, "an acknowledged saga is not there"),
            Kind::OrderMissing => (Effects, "an acknowledged order is not there"),
            Kind::OrderContradictsAnswer => (Effects, "an order contradicts its acknowledged answer"),
            Kind::OrderNamesOtherSaga => (Effects, "an order names another saga than its answer did"),
            Kind::StrangeOrder => (Effects, "an order nobody asked for"),
            Kind::SecondOrder => (Effects, "more than one order for one key"),
            Kind::OrderDiffersFromPosted => (Effects, "an order differs from what was posted"),
            Kind::OrderCountDiffers => {
                (Effects, "the number of orders is not the number of keys that began one")
            }
            Kind::ViewsDisagree => (Effects, "an order looks different alone and in the list"),
            Kind::StockBroken => (Effects, "stock at start is not free plus reserved"),
            Kind::ReservedDiffers => (Effects, "what is reserved is not what the orders reserve"),
            Kind::MoneyBroken => (Effects, "captured minus refunded is not what stands confirmed"),
            Kind::ConfirmedIncomplete => (Effects, "a confirmed order is incomplete"),
            Kind::CancelledInForce => (Effects, "a cancelled order still has something in force"),
            Kind::LedgerDiffers => (Effects, "the services' records do not add up to the orders"),
            Kind::PendingNotParked => (Effects, "an order is pending and its saga is not parked"),
            Kind::Unreadable => (Process, "a view could not be read"),
        }
    }

    pub(crate) fn about(self) -> About {
        self.told().0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.told().1)
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    pub(crate) kind: Kind,
    /// Key, saga and order ids, as far as they are known.
    pub(crate) subject: String,
    pub(crate) expected: String,
    pub(crate) got: String,
}

impl Violation {
    pub(crate) fn new(
        kind: Kind,
        subject: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Violation {
        Violation { kind, subject: subject.into(), expected: expected.into(), got: got.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    expected: {}\n    got:      {}", self.subject, self.expected, self.got)
    }
}

/// Everything found so far, by kind.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    by_kind: BTreeMap<Kind, Findings>,
}

/// The findings of one kind.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) count: u64,
    /// The first of them, at most [`EXAMPLES_MAX`].
    pub(crate) examples: Vec<Violation>,
}

impl Violations {
    pub(crate) fn add(&mut self, violation: Violation) {
        let findings = self.by_kind.entry(violation.kind).or_default();
        findings.count += 1;
        if findings.examples.len() < EXAMPLES_MAX {
            findings.examples.push(violation);
        }
    }

    /// Takes up everything that was found elsewhere, a flood's count included.
    pub(crate) fn absorb(&mut self, others: Violations) {
        for (kind, Findings { count, examples }) in others.by_kind {
            let findings = self.by_kind.entry(kind).or_default();
            findings.count += count;
            findings.examples.extend(examples);
            findings.examples.truncate(EXAMPLES_MAX);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }

    pub(crate) fn count(&self) -> u64 {
        self.by_kind.values().map(|findings| findings.count).sum()
    }

    pub(crate) fn by_kind(&self) -> impl Iterator<Item = (Kind, &Findings)> {
        self.by_kind.iter().map(|(kind, findings)| (*kind, findings))
    }
}

impl Extend<Violation> for Violations {
    fn extend<T: IntoIterator<Item = Violation>>(&mut self, found: T) {
        found.into_iter().for_each(|violation| self.add(violation));
    }
}

/// How many findings of one kind are kept and printed: one broken rule breaks for thousands of orders.
const EXAMPLES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_keeps_its_count_and_a_few_examples() {
        let mut violations = Violations::default();
        violations
            .extend((0..1_000).map(|n| Violation::new(Kind::StrangeOrder, format!("{n}"), "none", "one")));
        let kept: Vec<_> =
            violations.by_kind().map(|(kind, found)| (kind, found.count, found.examples.len())).collect();
        assert_eq!(kept, [(Kind::StrangeOrder, 1_000, 20)]);
        assert_eq!(violations.count(), 1_000);
    }

    #[test]
    fn what_was_found_elsewhere_keeps_its_count() {
        let some = |count: usize| {
            let mut violations = Violations::default();
            violations.extend((0..count).map(|n| Violation::new(Kind::SagaShared, format!("{n}"), "a", "b")));
            violations
        };
        let mut all = some(15);
        all.absorb(some(100));
        assert_eq!(
            (all.count(), all.by_kind().map(|(_, found)| found.examples.len()).sum::<usize>()),
            (115, 20)
        );
    }
}
