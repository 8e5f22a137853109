//! Why a command did not do what it was asked for.
//!
//! Owns [`Failure`], what is printed of it and with which exit code the process ends. Promises a sentence about
//! what is wrong and, where there is one, the next step. Does not print: `main` does.

use std::process::ExitCode;

use amends_api::ErrorKind;
use amends_client::ClientError;

/// What ended badly, with the exit code for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// What to do next.
    pub(crate) next: Option<String>,
    pub(crate) code: Code,
}

/// With what a command ends: the numbers that `--help` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Done.
    Done,
    /// It could not be done.
    CouldNot,
    /// The command line makes no sense.
    Usage,
    /// The saga went back, and everything is undone.
    Compensated,
    /// The saga is parked and waits for an operator.
    Parked,
    /// The saga goes on; this command no longer waits for it.
    StillRunning,
    /// An operator stopped the saga without undo.
    Abandoned,
}

impl Code {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::CouldNot => 1,
            Self::Usage => 2,
            Self::Compensated => 3,
            Self::Parked => 4,
            Self::StillRunning => 5,
            Self::Abandoned => 6,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

impl Failure {
    /// It could not be done.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), next: None, code: Code::CouldNot }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: Code::Usage, ..Self::new(message) }
    }

    /// With the next step.
    #[must_use]
    pub(crate) fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let next = match &error {
            ClientError::Unreachable { .. } => Some(
                "start a server with `amends serve`, or name another with --server or AMENDS_SERVER"
                    .to_owned(),
            ),
            ClientError::Unanswered { .. } => Some(
                "nobody knows whether it was done: look with `amends saga show` or `amends saga list`, then \
                 repeat it with the same id or key"
                    .to_owned(),
            ),
            ClientError::NotAmends { .. } => {
                Some("is this the address of an Amends server? Name it with --server".to_owned())
            }
            ClientError::Unsendable(_) => None,
            ClientError::Refused(refused) => next_step(refused.problem.kind()),
        };
        let code = error.refused().map(|refused| &refused.problem.code);
        let message = match code {
            Some(code) => format!("{error} ({code})"),
            None => error.to_string(),
        };
        Self { next, ..Self::new(message) }
    }
}

/// What to do about an answer, where its own detail cannot know this command line.
fn next_step(kind: Option<ErrorKind>) -> Option<String> {
    match kind? {
        ErrorKind::Unauthorized => {
            Some("set AMENDS_TOKEN to the token that the server was started with".to_owned())
        }
        ErrorKind::SagaParked => Some("`amends saga show ID` says what can be done".to_owned()),
        ErrorKind::DefinitionRetired => {
            Some("`amends definition list` shows the versions that start".to_owned())
        }
        _ => None,
    }
}
