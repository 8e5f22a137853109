//! `amends saga show`, and what other commands show of a saga.
//!
//! Owns the page of a saga for people. Promises that everything an operator needs for the next step is on it,
//! the commands included. Does not decide which verbs there are: the server says so.

use amends_api::diagram::{Drawing, Sequence};
use amends_api::{CompensationStatus, Parked, Reason, Saga, Step, StepStatus, VerbName};
use amends_client::Client;
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::drawing;
use crate::failure::{Code, Failure};
use crate::output::paint::{Paint, Style};
use crate::output::table::{Table, cut, printable};
use crate::remote::Remote;
use crate::times;

#[derive(Args)]
pub(super) struct ShowArgs {
    /// Id of the saga
    id: String,
    /// Draw what happened between Amends and the participants, here or as Mermaid text
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "here")]
    diagram: Option<Diagram>,
}

/// How a diagram is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Diagram {
    /// With characters
    Here,
    /// As text for Mermaid
    Mermaid,
}

/// Characters of an input or output that are shown on one line.
const PAYLOAD_SHOWN: usize = 100;

/// Characters of an error that are shown on one line of the steps.
const ERROR_SHOWN: usize = 80;

pub(super) async fn run(remote: &Remote, args: ShowArgs) -> Result<Code, Failure> {
    let client = remote.client()?;
    if let Some(how) = args.diagram {
        return diagram(remote, &client, &args.id, how).await;
    }
    let saga = client.saga(&args.id).await?;
    remote.output.print(&saga, || page(&saga))?;
    Ok(Code::Done)
}

/// Draws what happened.
async fn diagram(remote: &Remote, client: &Client, id: &str, how: Diagram) -> Result<Code, Failure> {
    let mut facts = Vec::new();
    let mut cursor = None;
    loop {
        let page = client.saga_journal(id, cursor.as_deref()).await?;
        facts.extend(page.facts);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let sequence = Sequence::of(&facts);
    let (format, drawn) = match how {
        Diagram::Here => ("text", drawing::draw(&sequence)),
        Diagram::Mermaid => ("mermaid", sequence.mermaid()),
    };
    let document = serde_json::json!({"saga": id, "format": format, "diagram": drawn});
    remote.output.print(&document, || drawn.clone())?;
    Ok(Code::Done)
}

/// A saga for people.
pub(super) fn page(saga: &Saga) -> String {
    draw(saga, Paint::stdout(), Timestamp::now())
}

fn draw(saga: &Saga, paint: Paint, now: Timestamp) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        text += &format!("{}{value}\n", paint.text(Style::Dim, format!("{name:<12}")));
    };
    line("saga", &printable(&saga.id));
    line("definition", &printable(&format!("{} v{}", saga.definition, saga.version)));
    let paused = if saga.paused { ", paused: nothing is sent until `amends saga resume`" } else { "" };
    line("status", &format!("{}{paused}", paint.text(Style::of_saga(saga.status), saga.status)));
    if let Some(reason) = &saga.reason {
        let step = saga.failed_step.as_deref().map(|step| format!("{step}: ")).unwrap_or_default();
        line("because", &printable(&format!("{step}{}", reason_text(reason))));
    }
    let took = times::took(Some(&saga.started_at), saga.finished_at.as_deref(), now);
    line("started", &format!("{}, {took}", times::shown(&saga.started_at)));
    if let Some(parent) = &saga.parent {
        line("parent", &printable(&format!("{} ({})", parent.id, parent.step)));
    }
    if !saga.tags.is_empty() {
        let tags: Vec<String> = saga.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        line("tags", &printable(&tags.join(" ")));
    }
    line("input", &printable(&cut(saga.input.as_json(), PAYLOAD_SHOWN)));
    line("output", &printable(&cut(saga.output.as_json(), PAYLOAD_SHOWN)));
    text.push('\n');
    text += &steps(saga, paint);
    if let Some(parked) = &saga.parked {
        text.push('\n');
        text += &what_to_do(saga, parked, paint);
    }
    text
}

/// The steps of a saga as a table.
pub(super) fn steps(saga: &Saga, paint: Paint) -> String {
    let mut table = Table::new(&["STEP", "STATUS", "ATTEMPTS", "TOOK", "UNDO", "DETAIL"]);
    for step in &saga.steps {
        let took = match &step.finished_at {
            Some(finished_at) => {
                times::took(step.started_at.as_deref(), Some(finished_at), Timestamp::UNIX_EPOCH)
            }
            None => String::new(),
        };
        let attempts = if step.attempts == 0 { String::new() } else { step.attempts.to_string() };
        let undo = step.compensation.as_ref().map(|undo| format!("{} ({})", undo.status, undo.attempts));
        table.row([
            (Style::Plain, step.name.clone()),
            (Style::of_step(step.status), step.status.to_string()),
            (Style::Plain, attempts),
            (Style::Dim, took),
            (Style::Plain, undo.unwrap_or_default()),
            (Style::Plain, detail(step)),
        ]);
    }
    table.draw(paint)
}

/// The most important thing to say about a step. What went wrong before it went well is in the journal: here it would
/// look as if it still did.
fn detail(step: &Step) -> String {
    let undo = step.compensation.as_ref().filter(|undo| undo.status != CompensationStatus::Completed);
    let undo_error = undo.and_then(|undo| undo.error.as_ref());
    let error = step.error.as_ref().filter(|_| step.status != StepStatus::Completed);
    let mut parts = Vec::new();
    if step.in_doubt {
        parts.push("in doubt".to_owned());
    }
    if let Some(error) = undo_error {
        parts.push(format!("undo: {}", reason_text(error)));
    } else if let Some(error) = error {
        parts.push(reason_text(error));
    }
    if let Some(child) = &step.child {
        parts.push(format!("saga {child}"));
    }
    cut(&parts.join(", "), ERROR_SHOWN)
}

/// Code and message, as far as there are any.
pub(super) fn reason_text(reason: &Reason) -> String {
    if reason.message.is_empty() {
        reason.code.clone()
    } else {
        format!("{}: {}", reason.code, reason.message)
    }
}

fn what_to_do(saga: &Saga, parked: &Parked, paint: Paint) -> String {
    let since = times::shown(&parked.since);
    let mut text =
        format!("{} since {since}: {}\n", paint.text(Style::Bad, "Parked"), printable(&parked.because));
    if parked.verbs.is_empty() {
        return text;
    }
    text += "What you can do:\n";
    for verb in &parked.verbs {
        let flags = match verb {
            VerbName::Skip => " --step STEP --step-output JSON",
            VerbName::Resolve => " --step STEP",
            VerbName::Abandon => " --confirm ID",
            VerbName::Cancel | VerbName::Retry | VerbName::Pause | VerbName::Resume | VerbName::Reverse => "",
        };
        text += &format!("  amends saga {verb} {}{flags} --reason WHY\n", saga.id);
    }
    text
}
