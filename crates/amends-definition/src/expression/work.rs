//! The budget of an evaluation, and why one ends without a value.
//!
//! Owns [`Work`] and [`Fault`]. Promises that the budget only shrinks, and that using it up is final. Does not know
//! what the work is for.

use crate::limits::{BUILT_BYTES_MAX, WORK_MAX};

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    /// Whether nothing more may be tried: the budget is used up.
    pub(super) is_final: bool,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_final: false }
    }
}

/// What may still be done.
#[derive(Debug)]
pub(crate) struct Work {
    left: u64,
    bytes_left: usize,
}

impl Work {
    pub(super) fn new() -> Self {
        Self { left: WORK_MAX, bytes_left: BUILT_BYTES_MAX }
    }

    pub(crate) fn step(&mut self) -> Result<(), Fault> {
        self.steps(1)
    }

    pub(crate) fn steps(&mut self, steps: u64) -> Result<(), Fault> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                let message = "the expression takes too much work for its input".to_owned();
                Err(Fault { message, is_final: true })
            }
        }
    }

    /// So many bytes are looked at.
    pub(crate) fn bytes(&mut self, bytes: usize) -> Result<(), Fault> {
        self.steps(bytes as u64 / 64)
    }

    /// So many bytes are made.
    pub(crate) fn built(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes(bytes)?;
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => {
                self.bytes_left = 0;
                let message = format!("more than {BUILT_BYTES_MAX} bytes would come of this");
                Err(Fault { message, is_final: true })
            }
        }
    }
}
