//! When transactions started, by blocks of their numbers.
//!
//! Owns [`SpanChanges`], what the running transaction adds, and the cut into blocks. Promises that each
//! transaction's start lies within its block's span, whatever clocks did. Does not know when a single one
//! started: its row does.
//!
//! Numbers are given in the order of starts, so a stretch of time is a few stretches of numbers. An index of
//! moments would cost each transaction an entry; this costs each round a row or two.

use std::collections::BTreeMap;

/// Numbers of a block. The fewer, the fewer transactions at the ends of a stretch of time are looked at in
/// vain; the more, the fewer rows: ten million transactions have some ten thousand, read in a millisecond.
pub(super) const BLOCK: i64 = 1_024;

/// The block that a number is in.
pub(super) const fn block_of(no: i64) -> i64 {
    no.div_euclid(BLOCK)
}

/// Blocks that are to be widened, and to which moments.
#[derive(Debug, Default)]
pub(super) struct SpanChanges(BTreeMap<i64, (i64, i64)>);

impl SpanChanges {
    /// The transaction of this number started then.
    pub(super) fn widen(&mut self, no: i64, started_at: i64) {
        let span = self.0.entry(block_of(no)).or_insert((started_at, started_at));
        *span = (span.0.min(started_at), span.1.max(started_at));
    }

    /// Takes the changes out: block, first and last moment.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (i64, i64, i64)> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|(block, (first, last))| (block, first, last))
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}
