//! Colour, where somebody sees it.
//!
//! Owns the few styles there are and when they are used: on a terminal, and not with `NO_COLOR`. Promises
//! that a painted text without its colours says the same. Does not print.

use std::fmt;
use std::io::IsTerminal;

use amends_api::{SagaStatus, StepStatus};

/// A style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    Busy,
    Back,
    Bad,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Busy => "\x1b[36m",
            Self::Back => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }

    pub(crate) const fn of_saga(status: SagaStatus) -> Self {
        match status {
            SagaStatus::Pending => Self::Dim,
            SagaStatus::InProgress => Self::Busy,
            SagaStatus::Compensating | SagaStatus::Compensated => Self::Back,
            SagaStatus::Completed => Self::Good,
            SagaStatus::Parked | SagaStatus::Abandoned => Self::Bad,
        }
    }

    pub(crate) const fn of_step(status: StepStatus) -> Self {
        match status {
            StepStatus::Pending | StepStatus::Skipped => Self::Dim,
            StepStatus::InProgress => Self::Busy,
            StepStatus::Compensating | StepStatus::Compensated => Self::Back,
            StepStatus::Completed => Self::Good,
            StepStatus::Failed => Self::Bad,
        }
    }
}

/// Where a text goes, and so whether it has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    /// For the standard output.
    pub(crate) fn stdout() -> Self {
        Self { is_on: std::io::stdout().is_terminal() && may_colour() }
    }

    /// For the standard error.
    pub(crate) fn stderr() -> Self {
        Self { is_on: std::io::stderr().is_terminal() && may_colour() }
    }

    #[cfg(test)]
    pub(crate) const fn off() -> Self {
        Self { is_on: false }
    }

    /// A text in a style.
    pub(crate) fn text<T: fmt::Display>(self, style: Style, text: T) -> Painted<T> {
        Painted { code: if self.is_on { style.code() } else { "" }, text }
    }
}

/// `NO_COLOR` counts when it is not empty (no-color.org).
fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A text with its colour.
pub(crate) struct Painted<T> {
    code: &'static str,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code.is_empty() {
            return self.text.fmt(f);
        }
        write!(f, "{}{}\x1b[0m", self.code, self.text)
    }
}
