//! What a campaign finds wrong.
//!
//! Owns the list of everything that must not happen, and the collection it is gathered in.
//! Promises that each finding carries what is needed to look into it, and that a flood of one kind keeps its
//! count but not its memory.
//! Does not decide what is wrong: that is done where answers come in (`record`) and at the end (`check`).

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The process ended without being killed.
    ExitedByItself,
    /// The process wrote of a panic.
    Panicked,
    /// The process did not come up again on what a kill had left.
    DidNotRestart,
    /// A connection broke or timed out although nobody had killed the process.
    ConnectionLost,
    /// A key never got its final answer.
    Unanswered,
    /// Sagas were still under way long after the last kill.
    NeverSettled,
    /// An answer the contract does not know.
    OutsideContract,
    /// An order ended in a way its contents do not explain.
    WrongVerdict,
    /// An acknowledged answer was not repeated word for word.
    AnswerChanged,
    /// One key stood for one saga first and for another one later.
    SagaChanged,
    /// Two keys stand for one saga.
    SagaShared,
    /// A used key was accepted with another body.
    KeyReuseAccepted,
    /// A body that must be refused was not.
    InvalidAccepted,
    /// An acknowledged saga is not there.
    SagaMissing,
    /// An acknowledged order is not there.
    OrderMissing,
    /// An order has another status than the answer said.
    OrderContradictsAnswer,
    /// An order names another saga than the answer did.
    OrderNamesOtherSaga,
    /// An order that no key of ours asked for.
    StrangeOrder,
    /// More than one order for one key.
    SecondOrder,
    /// An order that does not contain what was posted.
    OrderDiffersFromPosted,
    /// The number of orders is not the number of keys that began one.
    OrderCountDiffers,
    /// An order looks different alone and in the list.
    ViewsDisagree,
    /// Stock at start is not free plus reserved, or something is negative.
    StockBroken,
    /// What is reserved is not what the orders reserve.
    ReservedDiffers,
    /// Captured minus refunded is not the sum of what stands confirmed.
    MoneyBroken,
    /// A confirmed order lacks a payment, a reservation for all its lines, or a shipment in force.
    ConfirmedIncomplete,
    /// A cancelled order still has something in force.
    CancelledInForce,
    /// The services' own records do not add up to what the orders imply.
    LedgerDiffers,
    /// An order is still pending and its saga is not parked.
    PendingNotParked,
    /// A view could not be read.
    Unreadable,
}

impl Kind {
    /// Whether this speaks of answers and effects, and not merely of a process that fails to run.
    ///
    /// The self-test of the campaign asks: a broken build has to be caught by what it did, not by crashing.
    pub(crate) fn is_about_effects(self) -> bool {
        match self {
            Kind::ExitedByItself
            | Kind::Panicked
            | Kind::DidNotRestart
            | Kind::ConnectionLost
            | Kind::Unanswered
            | Kind::NeverSettled
            | Kind::OutsideContract
            | Kind::Unreadable => false,
            Kind::WrongVerdict
            | Kind::AnswerChanged
            | Kind::SagaChanged
            | Kind::SagaShared
            | Kind::KeyReuseAccepted
            | Kind::InvalidAccepted
            | Kind::SagaMissing
            | Kind::OrderMissing
            | Kind::OrderContradictsAnswer
            | Kind::OrderNamesOtherSaga
            | Kind::StrangeOrder
            | Kind::SecondOrder
            | Kind::OrderDiffersFromPosted
            | Kind::OrderCountDiffers
            | Kind::ViewsDisagree
            | Kind::StockBroken
            | Kind::ReservedDiffers
            | Kind::MoneyBroken
            | Kind::ConfirmedIncomplete
            | Kind::CancelledInForce
            | Kind::LedgerDiffers
            | Kind::PendingNotParked => true,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::ExitedByItself => "the process ended by itself",
            Kind::Panicked => "the process panicked",
            Kind::DidNotRestart => "the process did not come up again after a kill",
            Kind::ConnectionLost => "an answer never came although nobody had killed the process",
            Kind::Unanswered => "a key never got its final answer",
            Kind::NeverSettled => "sagas never came to their end",
            Kind::OutsideContract => "an answer the contract does not know",
            Kind::WrongVerdict => "an order ended as its contents do not explain",
            Kind::AnswerChanged => "an acknowledged answer changed",
            Kind::SagaChanged => "a key changed its saga",
            Kind::SagaShared => "two keys share a saga",
            Kind::KeyReuseAccepted => "a used key was accepted with another body",
            Kind::InvalidAccepted => "an invalid body was not refused",
            Kind::SagaMissing => "an acknowledged saga is not there",
            Kind::OrderMissing => "an acknowledged order is not there",
            Kind::OrderContradictsAnswer => "an order contradicts its acknowledged answer",
            Kind::OrderNamesOtherSaga => "an order names another saga than its answer did",
            Kind::StrangeOrder => "an order nobody asked for",
            Kind::SecondOrder => "more than one order for one key",
            Kind::OrderDiffersFromPosted => "an order differs from what was posted",
            Kind::OrderCountDiffers => "the number of orders is not the number of keys that began one",
            Kind::ViewsDisagree => "an order looks different alone and in the list",
            Kind::StockBroken => "stock at start is not free plus reserved",
            Kind::ReservedDiffers => "what is reserved is not what the orders reserve",
            Kind::MoneyBroken => "captured minus refunded is not what stands confirmed",
            Kind::ConfirmedIncomplete => "a confirmed order is incomplete",
            Kind::CancelledInForce => "a cancelled order still has something in force",
            Kind::LedgerDiffers => "the services' records do not add up to the orders",
            Kind::PendingNotParked => "an order is pending and its saga is not parked",
            Kind::Unreadable => "a view could not be read",
        })
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    /// What went wrong.
    pub(crate) kind: Kind,
    /// What it is about: key, saga and order ids, as far as they are known.
    pub(crate) subject: String,
    /// What should have been.
    pub(crate) expected: String,
    /// What was.
    pub(crate) got: String,
}

impl Violation {
    /// A finding about `subject`.
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
    /// How many there were.
    pub(crate) count: u64,
    /// The first of them, at most [`EXAMPLES_MAX`].
    pub(crate) examples: Vec<Violation>,
}

impl Violations {
    /// Takes one up.
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

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }

    /// How many there are of all kinds.
    pub(crate) fn count(&self) -> u64 {
        self.by_kind.values().map(|findings| findings.count).sum()
    }

    /// The findings of each kind.
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
