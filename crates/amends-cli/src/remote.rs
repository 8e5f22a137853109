//! What every command has that talks to a server.
//!
//! Owns the flags for it, the client they make and the runtime it runs on. Promises that the token is taken
//! from the environment only: a command line can be seen by everybody on the machine. Does not talk.

use std::future::Future;

use amends_client::Client;
use clap::Args;

use crate::failure::Failure;
use crate::output::Output;

/// Environment variable with the token.
pub(crate) const TOKEN: &str = "AMENDS_TOKEN";

/// Which server, and how its answer is printed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Remote {
    /// Address of the server; its token, if it has one, is taken from AMENDS_TOKEN
    #[arg(
        long,
        env = "AMENDS_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        global = true
    )]
    server: String,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Output::Table, value_name = "FORM", global = true)]
    pub(crate) output: Output,
}

impl Remote {
    /// The client.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let mut builder = Client::builder(&self.server);
        match std::env::var(TOKEN) {
            Ok(token) if token.is_empty() => {}
            Ok(token) => builder = builder.token(token),
            Err(std::env::VarError::NotPresent) => {}
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(Failure::usage(format!("{TOKEN} is not a text")));
            }
        }
        builder.build().map_err(|error| Failure::usage(error.to_string()))
    }
}

/// Runs a command to its end.
pub(crate) fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime does not start: {error}")))?;
    runtime.block_on(command)
}
