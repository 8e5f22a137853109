//! One attempt of a call, as it arrived at the service.
//!
//! Owns what the barrier knows of it. Promises that it is used up by one effect: a second one would be told
//! the answer of the first. Does not carry the number of the attempt: the barrier counts on keys alone.

use crate::key::CallKey;

/// One attempt of a call. Make one for each request that arrives. It is used up by the effect it stands for,
/// and cannot be copied:
///
/// ```compile_fail,E0382
/// # use amends_participant::{BarrierError, Delivery, CallKey, barrier};
/// # fn debit(connection: &rusqlite::Connection, key: &CallKey) -> Result<(), BarrierError> {
/// let delivery = Delivery::new(key, "debit", b"{}");
/// barrier::action(connection, delivery, 0, |_| Ok(Ok(b"debited".to_vec())))?;
/// barrier::action(connection, delivery, 0, |_| Ok(Ok(b"credited".to_vec())))?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Delivery<'a> {
    pub(crate) key: &'a CallKey,
    pub(crate) operation: &'static str,
    pub(crate) payload: &'a [u8],
    pub(crate) is_certain: bool,
}

impl<'a> Delivery<'a> {
    /// What arrived: the key, the name that this service's code has for the effect (such as `RefundPayment`),
    /// and the bytes of the body. The row of the key remembers all three: another operation or other bytes
    /// under the same key are an error.
    pub fn new(key: &'a CallKey, operation: &'static str, payload: &'a [u8]) -> Delivery<'a> {
        Delivery { key, operation, payload, is_certain: false }
    }

    /// For an undo: the coordinator knows that the action took effect, because it was answered
    /// (`Amends-In-Doubt` is not in the request). When its row is not there, it was removed too early or its
    /// database is not the one that acted. The undo is then refused with
    /// [`ROW_FORGOTTEN`](crate::ROW_FORGOTTEN) instead of taking the action for one that never came.
    #[must_use]
    pub fn certain(self) -> Delivery<'a> {
        Delivery { is_certain: true, ..self }
    }
}
