//! The named limits of every journal, in one place.

/// Bytes of the records of one transaction, at most; an append beyond is answered *too large*. Twice what the
/// engine lets a transaction have, so that it can still be parked and moved by an operator; far below what a
/// store can keep in one value.
pub const TRANSACTION_BYTES_MAX: u64 = 128 << 20;

/// Tags of one transaction, at most: each is a row of an index.
pub const TAGS_MAX: usize = 16;

/// Bytes of a tag's key, at most.
pub const TAG_KEY_BYTES_MAX: usize = 64;

/// Bytes of a tag's value, at most.
pub const TAG_VALUE_BYTES_MAX: usize = 256;

/// How far up a transaction's ancestors are looked at. Far more than any definition nests: beyond, the data is
/// damaged.
pub const ANCESTORS_MAX: usize = 64;

/// How far a count goes whose answer nobody keeps: beyond, it says that there are more.
pub const COUNTED_MAX: u64 = 10_000;

/// Facts that the feed of a journal in memory keeps.
pub const MEMORY_FEED_FACTS_KEPT: u64 = 100_000;
