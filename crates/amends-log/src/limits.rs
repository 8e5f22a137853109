//! The named limits of the log.

/// Bytes of one file of the log. Small enough that the first start does not notice two of them, large enough
/// that going from one to the next is rare.
pub const SEGMENT_BYTES: u64 = 1 << 20;
