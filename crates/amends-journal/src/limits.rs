//! The named limits of every journal, in one place.

/// Bytes of the records of one transaction, at most; an append beyond is answered *too large*. Twice what the
/// engine lets a transaction have, so that it can still be parked and moved by an operator; far below what a
/// store can keep in one value.
pub const TRANSACTION_BYTES_MAX: u64 = 128 << 20;
