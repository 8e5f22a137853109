//! `amends saga watch`.
//!
//! Owns what is printed while a saga goes on: each fact, from the first. Promises the exit codes of
//! `start --wait`. Does not change anything.

use clap::Args;

use super::{facts, follow, show, start};
use crate::failure::{Code, Failure};
use crate::output::paint::Paint;
use crate::output::{Output, print};
use crate::process::note;
use crate::remote::Remote;

const EXIT_CODES: &str = "Exit codes:
  0  the saga completed
  1  it could not be followed; the message on stderr says why
  2  the command line makes no sense
  3  the saga was compensated: everything is undone
  4  the saga is parked and waits for an operator
  5  the saga still runs (Ctrl-C)
  6  an operator abandoned the saga

With --output json or yaml, the saga is printed when it rests, and no facts.";

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct WatchArgs {
    /// Id of the saga
    id: String,
}

pub(super) async fn run(remote: &Remote, args: WatchArgs) -> Result<Code, Failure> {
    let client = remote.client()?;
    let mut saga = client.saga(&args.id).await?;
    if remote.output == Output::Table {
        let paint = Paint::stdout();
        let mut events = client.saga_events(&args.id, None);
        let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            let event = tokio::select! {
                biased;
                _ = &mut stop => break,
                event = events.next() => event,
            };
            match event {
                None => break,
                Some(Ok(fact)) => {
                    print(&(facts::line(&fact, paint) + "\n"))?;
                    // A parked saga says nothing more until somebody helps it.
                    if fact.fact.ends_with("parked") {
                        break;
                    }
                }
                Some(Err(error)) => return Err(error.into()),
            }
        }
        saga = client.saga(&args.id).await?;
        print(&format!("\n{}", show::page(&saga)))?;
        if !follow::is_at_rest(&saga) {
            note(&format!("it still runs; follow it: amends saga watch {}", saga.id));
        }
    } else {
        (saga, _) = follow::to_rest(&client, saga, None).await?;
        remote.output.print(&saga, String::new)?;
    }
    Ok(start::code_of(&saga))
}
