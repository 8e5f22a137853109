//! What a participant answers.
//!
//! Owns the shapes that leave the barrier. Promises nothing about the bytes: whoever made them judged them.
//! Does not carry *working* and *unknown*: the first is not an end, and the second is what the caller makes
//! of an error.

/// Code of the refusal an action gets when it was undone before, or its undo came first.
pub const UNDONE: &str = "undone";

/// Code of the refusal of an undo that [certainly](crate::Delivery::certain) has something to undo, and finds
/// no row of it.
pub const ROW_FORGOTTEN: &str = "row_forgotten";

/// The first answer to a call, given again to every repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The effect took place; the output as JSON.
    Completed(Vec<u8>),
    /// The participant says no, for good, and nothing took place.
    Refused(Refusal),
}

/// Why a participant said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable and for programs, such as `insufficient_stock`.
    pub code: String,
    /// For people.
    pub message: String,
    /// More for programs, as JSON.
    pub details: Option<Vec<u8>>,
}

/// What business code decides when it runs: an output, or a refusal after which nothing of it may remain.
pub type Decision = Result<Vec<u8>, Refusal>;

impl Refusal {
    /// A refusal without details.
    pub fn new(code: &str, message: impl Into<String>) -> Refusal {
        Refusal { code: code.to_owned(), message: message.into(), details: None }
    }
}
