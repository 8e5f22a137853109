//! Effects elsewhere, written down in groups.
//!
//! Owns the way of an intent and of its outcome through the queue. Promises that an intent is handed out only
//! when it is on disk. Does not carry anything out.

use super::{Database, WriteError};
use crate::answer::Decision;
use crate::barrier::elsewhere::{Begun, Call, Intent, Recorded, UndoIntent};
use crate::delivery::Delivery;

impl Database {
    /// [`begin_action`](crate::barrier::elsewhere::begin_action), queued. `answered` is called exactly once,
    /// as [`Database::submit`] does; from then on the effect may take place.
    pub fn begin_action(
        &self,
        delivery: Delivery<'_>,
        now_ms: i64,
        answered: impl FnOnce(Result<Begun<Intent>, WriteError>) + Send + 'static,
    ) {
        let call = Call::of(&delivery);
        self.submit(move |savepoint| call.begin_action(savepoint, now_ms), answered);
    }

    /// [`begin_undo`](crate::barrier::elsewhere::begin_undo), queued.
    pub fn begin_undo(
        &self,
        delivery: Delivery<'_>,
        now_ms: i64,
        answered: impl FnOnce(Result<Begun<UndoIntent>, WriteError>) + Send + 'static,
    ) {
        let call = Call::of(&delivery);
        self.submit(move |savepoint| call.begin_undo(savepoint, now_ms), answered);
    }

    /// [`Intent::record`], queued.
    pub fn record_action(
        &self,
        intent: Intent,
        decision: Decision,
        answered: impl FnOnce(Result<Recorded, WriteError>) + Send + 'static,
    ) {
        self.submit(move |savepoint| intent.record_in(savepoint, decision), answered);
    }

    /// [`UndoIntent::record`], queued.
    pub fn record_undo(
        &self,
        intent: UndoIntent,
        decision: Decision,
        answered: impl FnOnce(Result<Recorded, WriteError>) + Send + 'static,
    ) {
        self.submit(move |savepoint| intent.record_in(savepoint, decision), answered);
    }
}
