//! Why a measurement could not be made.
//!
//! Owns [`BenchError`] and the exit code of each, which says who has to act. Promises that a number that was
//! not measured is never printed.

use std::io;
use std::path::PathBuf;

use amends_core::Status;
use amends_engine::{ReadError, StartError, StartUpError};
use amends_journal::JournalError;
use amends_journal_sqlite::OpenError;
use amends_server::serve::BindError;
use amends_shop::setup::SetupError;

use super::http_client::HttpError;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The data directory cannot be used.
    #[error("cannot measure in {}: choose a directory that this user may write, with --data DIR", .directory.display())]
    Unusable {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file to compare with is not a report.
    #[error(
        "cannot compare with {}: {reason}. It must hold what `amends bench --output json` printed", .path.display()
    )]
    Report { path: PathBuf, reason: String },
    /// A file could not be read or written.
    #[error("cannot use {}", .path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The runtime or a thread could not be started.
    #[error("cannot start {what}")]
    Threads {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// The bare file failed.
    #[error("the bare file could not be written: {0}")]
    Append(String),
    /// The journal could not be opened.
    #[error("the journal could not be opened")]
    Open(#[from] OpenError),
    /// The engine did not start.
    #[error("the engine did not start")]
    StartUp(#[from] StartUpError),
    /// A definition was not registered.
    #[error("a definition was not registered: {0}")]
    Register(String),
    /// A saga was not started.
    #[error("a saga was not started")]
    Start(#[from] StartError),
    /// A saga could not be read.
    #[error("a saga could not be read")]
    Read(#[from] ReadError),
    /// Sagas could not be counted.
    #[error("the journal could not be read")]
    Journal(#[from] JournalError),
    /// A saga ended otherwise than its workload says.
    #[error("a saga ended {found}, not {expected}: that is a bug")]
    WrongEnd { found: Status, expected: Status },
    /// More clients than the server has connections.
    #[error(
        "the shop's server takes {max} connections: measure it with as many --clients at most, not {clients}"
    )]
    TooManyClients { clients: u32, max: usize },
    /// The environment asks for a trace that cannot be understood.
    #[error("{0}")]
    Log(String),
    /// The server got no port.
    #[error("the server did not start")]
    Bind(#[from] BindError),
    /// The shop did not open.
    #[error("the shop could not be opened")]
    Shop(#[from] SetupError),
    /// An order was not answered.
    #[error("an order was not answered")]
    Http(#[from] HttpError),
    /// An order ended otherwise than it should.
    #[error("an order was answered with {status}, not with 201 and completed: {answer}")]
    NotCompleted { status: u16, answer: String },
    /// Nothing ended within the time.
    #[error("nothing ended within the measured time: measure longer, with --seconds")]
    NothingMeasured,
    /// Something still holds the journal after the engine has stopped.
    #[error("the journal is still in use after the engine has stopped: that is a bug")]
    StillOpen,
    /// Sagas are not where they should be.
    #[error("{found} sagas are {place}, not {expected}: that is a bug")]
    SagasElsewhere { place: &'static str, found: u64, expected: u32 },
    /// A child process failed.
    #[error("the process that {what} failed ({how})")]
    Child { what: &'static str, how: String },
    /// A client panicked.
    #[error("a client panicked: that is a bug")]
    Panicked,
    /// The result could not be printed.
    #[error("the result could not be printed")]
    Print(#[source] io::Error),
}

impl BenchError {
    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unusable { .. } | Self::Report { .. } | Self::TooManyClients { .. } => 2,
            Self::File { .. }
            | Self::Threads { .. }
            | Self::Append(_)
            | Self::Open(_)
            | Self::StartUp(_)
            | Self::Register(_)
            | Self::Start(_)
            | Self::Read(_)
            | Self::Journal(_)
            | Self::WrongEnd { .. }
            | Self::Log(_)
            | Self::Bind(_)
            | Self::Shop(_)
            | Self::Http(_)
            | Self::NotCompleted { .. }
            | Self::NothingMeasured
            | Self::StillOpen
            | Self::SagasElsewhere { .. }
            | Self::Child { .. }
            | Self::Panicked
            | Self::Print(_) => 1,
        }
    }
}
