//! The named limits of definitions, in one place.

/// Bytes of a definition's text.
pub const SOURCE_BYTES_MAX: usize = 512 << 10;

/// Bytes of one line in the head of a request: a target or a header.
pub const REQUEST_HEAD_BYTES_MAX: usize = 16 << 10;
