//! `amends saga start`.
//!
//! Owns the flags of a start, and what is said of one. Promises that the command can be repeated: without a key
//! it makes one for its own repeats, so that a lost answer starts nothing twice. Waits with [`super::follow`].

use std::collections::BTreeMap;
use std::time::Duration;

use amends_api::{Saga, SagaStatus, StartSaga};
use amends_client::{Client, ClientError, Wait, new_key};
use clap::Args;

use super::follow::{self, Ended};
use super::show;
use crate::failure::{Code, Failure};
use crate::input;
use crate::output::Output;
use crate::process::note;
use crate::remote::Remote;
use crate::times::parse_span;

const EXIT_CODES: &str = "Exit codes with --wait:
  0  the saga completed
  1  it was not started, or nobody knows; the message on stderr says which
  2  the command line makes no sense
  3  the saga was compensated: everything is undone
  4  the saga is parked and waits for an operator
  5  the saga still runs: the time given to --wait is over, or Ctrl-C
  6  an operator abandoned the saga";

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct StartArgs {
    /// Name of the definition
    definition: String,
    /// What to start it with: JSON, @FILE, or - for the standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// Idempotency key: the same key and input give the same saga, however often they are sent
    #[arg(long, conflicts_with = "id")]
    key: Option<String>,
    /// Id of the saga (a UUID), instead of one made by the server
    #[arg(long)]
    id: Option<String>,
    /// What it is to be found by; can be given several times
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// Version of the definition, instead of the newest that is not retired
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Follow the saga until it has ended or is parked, or so long (30s, 5m)
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, value_parser = parse_span)]
    #[expect(clippy::option_option, reason = "not given, given, given with a time")]
    wait: Option<Option<Duration>>,
    /// Trace that the saga is part of (W3C traceparent)
    #[arg(long, value_name = "TRACEPARENT", env = "TRACEPARENT")]
    traceparent: Option<String>,
}

pub(super) async fn run(remote: &Remote, args: StartArgs) -> Result<Code, Failure> {
    let client = remote.client()?;
    let start = StartSaga {
        definition: args.definition,
        version: args.version,
        id: args.id,
        input: input::json("--input", &args.input)?,
        tags: args.tags.into_iter().collect::<BTreeMap<_, _>>(),
    };
    let key = args.key.or_else(|| start.id.is_none().then(new_key));
    let trace = args.traceparent.as_deref().filter(|trace| !trace.is_empty());
    let saga = match client.start_traced(&start, key.as_deref(), Wait::Accepted, trace).await {
        Ok(saga) => saga,
        Err(error) => known_before(&client, error).await?,
    };
    match args.wait {
        None => {
            remote.output.print(&saga, || saga.id.clone() + "\n")?;
            if remote.output == Output::Table {
                let Saga { id, definition, version, .. } = &saga;
                if follow::is_at_rest(&saga) {
                    note(&format!(
                        "it was started before, and is {}; see it: amends saga show {id}",
                        saga.status
                    ));
                } else {
                    note(&format!("{definition} v{version} is started; follow it: amends saga watch {id}"));
                }
            }
            Ok(Code::Done)
        }
        Some(time_max) => {
            let (saga, ended) = follow::to_rest(&client, saga, time_max).await?;
            remote.output.print(&saga, || show::page(&saga))?;
            if ended == Ended::NotYet && remote.output == Output::Table {
                note(&format!("it still runs; follow it: amends saga watch {}", saga.id));
            }
            Ok(code_of(&saga))
        }
    }
}

/// The saga that this id or key started before, where its state is answered as an error.
async fn known_before(client: &Client, error: ClientError) -> Result<Saga, Failure> {
    use amends_api::ErrorKind as Kind;
    let ended_badly = match error.kind() {
        Some(
            Kind::SagaCompensated
            | Kind::AttemptsExhausted
            | Kind::TimedOut
            | Kind::ExpressionFailed
            | Kind::Cancelled
            | Kind::Reversed
            | Kind::SagaParked
            | Kind::SagaAbandoned,
        ) => error.refused().and_then(|refused| refused.saga()).map(str::to_owned),
        Some(_) | None => None,
    };
    match ended_badly {
        Some(id) => Ok(client.saga(&id).await?),
        None => Err(error.into()),
    }
}

/// The exit code that says where a saga stands.
pub(super) fn code_of(saga: &Saga) -> Code {
    match saga.status {
        SagaStatus::Completed => Code::Done,
        SagaStatus::Compensated => Code::Compensated,
        SagaStatus::Parked => Code::Parked,
        SagaStatus::Abandoned => Code::Abandoned,
        SagaStatus::Pending | SagaStatus::InProgress | SagaStatus::Compensating => Code::StillRunning,
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err(format!("{text:?} is not a tag: write NAME=VALUE, such as region=eu")),
    }
}
