//! The named limits of definitions, in one place.

/// Bytes of a definition's text.
pub const SOURCE_BYTES_MAX: usize = 256 << 10;

/// Bytes of one line in the head of a request: a target or a header.
pub const REQUEST_HEAD_BYTES_MAX: usize = 16 << 10;

/// Levels of lists and maps in a definition's text.
pub const NESTING_MAX: usize = 64;

/// Findings that are made of one text. There are rarely more than ten that do not follow from each other.
pub const FINDINGS_MAX: usize = 100;

/// Bytes of one expression.
pub const EXPRESSION_BYTES_MAX: usize = 8 << 10;

/// Levels of an expression: calls and operators in each other.
pub const EXPRESSION_NESTING_MAX: usize = 96;

/// Loops (`map`, `filter`, `all`, `exists`, `exists_one`) in each other.
pub const LOOPS_NESTED_MAX: usize = 2;

/// Work that evaluating the expressions of one payload may take, in units of one operator or 64 bytes looked
/// at: some tens of milliseconds. What takes more fails.
pub const WORK_MAX: u64 = 1_000_000;

/// Elements that an `each` runs for.
pub const ELEMENTS_MAX: usize = 1_000;

/// Bytes of a payload that expressions make, before anybody compares it with the configured limit: doubling a
/// text sixty times must not take all memory.
pub const BUILT_BYTES_MAX: usize = 16 << 20;

/// Bytes of a regular expression when compiled.
pub const PATTERN_BYTES_MAX: usize = 256 << 10;

/// Bytes of a path with its query.
pub const TARGET_BYTES_MAX: usize = 8 << 10;

/// Bytes of a header's value.
pub const HEADER_BYTES_MAX: usize = 8 << 10;

/// What is wrong with an input is listed up to this many times.
pub const INPUT_FLAWS_MAX: usize = 20;

/// Levels of sub-sagas in each other.
pub const CHILDREN_DEPTH_MAX: usize = 8;
