//! `amends participant`: how participants do.
//!
//! Owns the words and the table. Does not call participants: the server does.

use amends_api::{BreakerState, Participant};
use clap::{Args, Subcommand};

use crate::failure::{Code, Failure};
use crate::output::Output;
use crate::output::paint::{Paint, Style};
use crate::output::table::{Table, cut};
use crate::process::note;
use crate::remote::{Remote, block_on};
use crate::times;

#[derive(Args)]
pub(crate) struct ParticipantArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List participants with breaker, queue and outcomes
    List,
    /// Show one participant
    Show(Named),
    /// Close the breaker of a participant: calls go out again now
    Reset(Named),
}

#[derive(Args)]
struct Named {
    /// Name of the participant
    name: String,
}

/// Characters of a last error in the list.
const ERROR_SHOWN: usize = 60;

/// Carries the command out.
pub(crate) fn run(args: ParticipantArgs) -> Result<Code, Failure> {
    let ParticipantArgs { remote, command } = args;
    block_on(async {
        let client = remote.client()?;
        match command {
            Command::List => {
                let mut list = client.participants(None).await?;
                while let Some(cursor) = list.next_cursor.take() {
                    let more = client.participants(Some(&cursor)).await?;
                    list.participants.extend(more.participants);
                    list.next_cursor = more.next_cursor;
                }
                remote.output.print(&list, || table(&list.participants, Paint::stdout()))?;
                if list.participants.is_empty() && remote.output == Output::Table {
                    note("no participant is known yet: they come with the definitions that name them");
                }
            }
            Command::Show(Named { name }) => {
                let found = client.participant(&name).await?;
                remote.output.print(&found, || pages(&found.participants, Paint::stdout()))?;
            }
            Command::Reset(Named { name }) => {
                let reset = client.reset_participant(&name).await?;
                remote.output.print(&reset, || pages(&reset.participants, Paint::stdout()))?;
            }
        }
        Ok(Code::Done)
    })
}

fn style(state: BreakerState) -> Style {
    match state {
        BreakerState::Closed => Style::Good,
        BreakerState::Open => Style::Bad,
        BreakerState::Probing => Style::Back,
    }
}

fn table(participants: &[Participant], paint: Paint) -> String {
    let mut table = Table::new(&[
        "NAME",
        "ORIGIN",
        "BREAKER",
        "CALLS",
        "QUEUED",
        "COMPLETED",
        "REFUSED",
        "UNKNOWN",
        "LAST ERROR",
    ]);
    for participant in participants {
        let Participant { name, origin, breaker, queued, calls, concurrency, outcomes, last_error } =
            participant;
        let error = last_error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
        table.row([
            (Style::Plain, name.clone()),
            (Style::Plain, origin.clone()),
            (style(breaker.state), breaker.state.to_string()),
            (Style::Plain, format!("{calls}/{concurrency}")),
            (Style::Plain, queued.to_string()),
            (Style::Plain, outcomes.completed.to_string()),
            (Style::Plain, outcomes.refused.to_string()),
            (Style::Plain, outcomes.unknown.to_string()),
            (Style::Dim, cut(&error.unwrap_or_default(), ERROR_SHOWN)),
        ]);
    }
    table.draw(paint)
}

/// One page for each origin.
fn pages(participants: &[Participant], paint: Paint) -> String {
    let pages: Vec<String> = participants.iter().map(|participant| page(participant, paint)).collect();
    pages.join("\n")
}

fn page(participant: &Participant, paint: Paint) -> String {
    let Participant { name, origin, breaker, queued, calls, concurrency, outcomes, last_error } = participant;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        text += &format!("{}{value}\n", paint.text(Style::Dim, format!("{name:<12}")));
    };
    line("participant", name.clone());
    line("origin", origin.clone());
    let probe = breaker.probe_at.as_deref().map(|at| format!(", asks again at {}", times::shown(at)));
    let row =
        breaker.open_since.as_deref().map(|at| format!(" since {}", times::shown(at))).unwrap_or_default();
    line(
        "breaker",
        format!("{}{row}{}", paint.text(style(breaker.state), breaker.state), probe.unwrap_or_default()),
    );
    line("calls", format!("{calls} of {concurrency}, {queued} wait"));
    line(
        "answers",
        format!(
            "{} completed, {} refused, {} working, {} unknown, {} conflicts",
            outcomes.completed, outcomes.refused, outcomes.working, outcomes.unknown, outcomes.conflict
        ),
    );
    if let Some(error) = last_error {
        line("last error", format!("{} {}: {}", times::shown(&error.at), error.code, error.message));
    }
    text
}
