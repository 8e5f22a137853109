//! Following a saga until it rests.
//!
//! Owns when to look again, and the live picture of its steps on a terminal. Promises that what it gives back
//! is the saga as the server said it last, and that a broken stream of events only makes it slower. Does not
//! change anything.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use amends_api::{Saga, SagaStatus};
use amends_client::Client;
use jiff::Timestamp;
use tokio::time::Instant;

use super::show;
use crate::failure::Failure;
use crate::output::paint::{Paint, Style};

/// How the following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The saga has ended, or is parked.
    AtRest,
    /// The time is over, or somebody pressed Ctrl-C.
    NotYet,
}

/// How long it may be silent before the saga is looked at all the same: an event may be late, and the picture
/// shows the time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Facts come in bursts; after the first, so long is waited for the others.
const BURST: Duration = Duration::from_millis(30);

/// How often a saga is looked at where there is no stream of events.
const LOOK_WITHOUT_EVENTS_EVERY: Duration = Duration::from_millis(200);

/// Follows a saga until it rests, or for so long.
pub(super) async fn to_rest(
    client: &Client,
    mut saga: Saga,
    time_max: Option<Duration>,
) -> Result<(Saga, Ended), Failure> {
    let over = time_max.map(|time_max| Instant::now() + time_max);
    let mut events = Some(client.saga_events(&saga.id, Some(&saga.sequence.to_string())));
    let mut picture = Picture::new();
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        picture.draw(&saga);
        if is_at_rest(&saga) {
            picture.clear();
            return Ok((saga, Ended::AtRest));
        }
        let look_after = if events.is_some() { LOOK_EVERY } else { LOOK_WITHOUT_EVENTS_EVERY };
        let is_over = tokio::select! {
            biased;
            _ = &mut stop => true,
            () = sleep_until(over) => true,
            event = next(&mut events) => {
                if event.is_none_or(|event| event.is_err()) {
                    // Ended, or not to be had: from now on the saga itself is looked at.
                    events = None;
                } else {
                    tokio::time::sleep(BURST).await;
                }
                false
            }
            () = tokio::time::sleep(look_after) => false,
        };
        if is_over {
            picture.clear();
            return Ok((saga, Ended::NotYet));
        }
        saga = client.saga(&saga.id).await.map_err(|error| {
            picture.clear();
            Failure::from(error).next(format!(
                "the saga goes on where the server is; follow it later: amends saga watch {}",
                saga.id
            ))
        })?;
    }
}

async fn next(
    events: &mut Option<amends_client::Events>,
) -> Option<Result<amends_api::Fact, amends_client::ClientError>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(over: Option<Instant>) {
    match over {
        Some(over) => tokio::time::sleep_until(over).await,
        None => std::future::pending().await,
    }
}

/// Whether it can go on by itself no further.
pub(super) fn is_at_rest(saga: &Saga) -> bool {
    match saga.status {
        SagaStatus::Completed | SagaStatus::Compensated | SagaStatus::Parked | SagaStatus::Abandoned => true,
        SagaStatus::Pending | SagaStatus::InProgress | SagaStatus::Compensating => false,
    }
}

/// The steps on the terminal, drawn over and over. Nothing where nobody looks.
struct Picture {
    is_on: bool,
    lines: usize,
    paint: Paint,
}

/// A line that is too long for the terminal is cut by it, and does not become two: lines are counted.
const NO_WRAP: &str = "\x1b[?7l";

/// As usual again.
const WRAP: &str = "\x1b[?7h";

/// Lines of the picture at most: what has left the screen cannot be drawn over.
const LINES_MAX: usize = 20;

impl Picture {
    fn new() -> Self {
        Self { is_on: std::io::stderr().is_terminal(), lines: 0, paint: Paint::stderr() }
    }

    fn draw(&mut self, saga: &Saga) {
        if !self.is_on {
            return;
        }
        let status = self.paint.text(Style::of_saga(saga.status), saga.status);
        let took = crate::times::took(Some(&saga.started_at), saga.finished_at.as_deref(), Timestamp::now());
        let paused = if saga.paused { "  paused" } else { "" };
        let mut text = format!("{} v{}  {status}{paused}  {took}\n", saga.definition, saga.version);
        text += &show::steps(saga, self.paint);
        let lines: Vec<&str> = text.lines().collect();
        let left_out = lines.len().saturating_sub(LINES_MAX);
        let mut shown = lines[..lines.len() - left_out].join("\n") + "\n";
        if left_out > 0 {
            shown += &format!("… and {left_out} steps more\n");
        }
        let up = self.up();
        self.lines = shown.lines().count();
        // A terminal that has gone away is noticed elsewhere.
        let _ = std::io::stderr().write_all(format!("{up}{NO_WRAP}{shown}{WRAP}").as_bytes());
    }

    /// Takes the picture away: what follows says the same.
    fn clear(&mut self) {
        let up = self.up();
        self.lines = 0;
        let _ = std::io::stderr().write_all(up.as_bytes());
    }

    fn up(&self) -> String {
        if self.lines == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.lines) }
    }
}
