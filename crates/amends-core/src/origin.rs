//! Where a transaction comes from.
//!
//! Owns [`Origin`]: what a start says besides definition and input, and [`Parent`], the step that started a
//! transaction. Promises that nothing here decides what a transaction does. Does not judge tags: the edge
//! does.

use std::collections::BTreeMap;

use crate::attempt::StepId;
use crate::id::TransactionId;

/// What a start says besides definition and input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Whatever the caller wants to find it by.
    pub tags: BTreeMap<String, String>,
    /// The step of another transaction that started it.
    pub parent: Option<Parent>,
    /// The caller's trace: a W3C `traceparent`.
    pub trace: Option<String>,
}

/// The step that started a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Its transaction.
    pub id: TransactionId,
    /// The step there.
    pub step: StepId,
    /// What people call the step there.
    pub step_name: String,
    /// The transaction at the top, which nobody started: it is the one that is cancelled or paused.
    pub root: TransactionId,
}

impl Origin {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { tags, parent, trace } = self;
        tags.is_empty() && parent.is_none() && trace.is_none()
    }

    /// About how many bytes it takes in a record.
    pub(crate) fn weight(&self) -> usize {
        /// Tags and lengths of an entry, or of a parent with its ids.
        const FRAME: usize = 64;
        let tags = self.tags.iter().map(|(name, value)| name.len() + value.len() + FRAME).sum::<usize>();
        let parent = self.parent.as_ref().map_or(0, |parent| parent.step_name.len());
        tags + parent + self.trace.as_ref().map_or(0, String::len) + 2 * FRAME
    }
}
