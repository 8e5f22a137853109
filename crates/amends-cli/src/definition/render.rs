//! `amends definition render`.
//!
//! Owns the flags, and how requests are printed. Promises that nothing is called: the requests are made here,
//! of the text alone, as the server would make them. Does not make them itself: `amends-definition` does.

use std::collections::BTreeMap;
use std::path::Path;

use amends_api::Payload;
use amends_core::Direction;
use amends_definition::{Given, InputFlaw, Rendered, RenderedWhat, compile};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{source, source_of};
use crate::failure::Failure;
use crate::input;
use crate::output::paint::{Paint, Style};
use crate::output::table::printable;
use crate::remote::Remote;

#[derive(Args)]
pub(super) struct RenderArgs {
    /// File, or name of a registered definition
    #[arg(value_name = "FILE|NAME")]
    definition: String,
    /// What the saga would be started with: JSON, @FILE or -
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// What a step would have returned, for the requests that follow; can be given several times
    #[arg(long = "step-output", value_name = "STEP=JSON", value_parser = of_step)]
    outputs: Vec<(String, String)>,
    /// Version of a registered definition, instead of the newest
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Id of the saga that would be
    #[arg(long, default_value = "00000000-0000-7000-8000-000000000000")]
    id: String,
}

pub(super) async fn run(remote: &Remote, args: RenderArgs) -> Result<(), Failure> {
    let (place, text) = if Path::new(&args.definition).is_file() || args.definition == "-" {
        source::read(&args.definition)?
    } else {
        let definition = remote.client()?.definition(&args.definition, args.version).await?;
        (args.definition.clone(), source_of(&definition)?.to_owned())
    };
    let document = compile(&text)
        .map_err(|findings| Failure::new(format!("{place} cannot be rendered:\n{findings}")))?;
    let mut outputs = BTreeMap::new();
    for (step, given) in &args.outputs {
        let output = input::json("--step-output", given)?;
        outputs.insert(step.clone(), output.as_json().as_bytes().to_vec());
    }
    let given_input = input::json("--input", &args.input)?;
    let input = given_input.as_json().as_bytes().to_vec();
    if let Err(flaws) = document.judge_input(&input) {
        // The whole input has an empty pointer.
        let said = |flaw: &InputFlaw| match flaw.pointer.as_str() {
            "" => flaw.message.clone(),
            pointer => format!("{pointer}: {}", flaw.message),
        };
        let flaws: Vec<String> = flaws.iter().map(said).collect();
        return Err(Failure::new(format!("{place} does not take this input:\n  {}", flaws.join("\n  "))));
    }
    let started_at = format!("{:.3}", Timestamp::now());
    let rendered = document.render(&Given { id: args.id, started_at, input, outputs });
    let steps = rendered.iter().map(described).collect();
    let all = Document { definition: document.name.as_str(), steps };
    remote.output.print(&all, || drawn(&rendered, Paint::stdout()))
}

fn of_step(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((step, output)) if !step.is_empty() => Ok((step.to_owned(), output.to_owned())),
        Some(_) | None => {
            Err(format!("{text:?} is not STEP=JSON, such as CreateOrder={{\"order_id\":\"o1\"}}"))
        }
    }
}

/// What is printed of a step for programs: what it does not have is not there.
#[derive(Default, Serialize)]
struct Described<'a> {
    step: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    participant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<&'a str, &'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saga: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Payload>,
    /// `skipped`, `undecided` or `pause`.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// All that is printed.
#[derive(Serialize)]
struct Document<'a> {
    definition: &'a str,
    steps: Vec<Described<'a>>,
}

fn described(rendered: &Rendered) -> Described<'_> {
    let bare = Described { step: &rendered.step, ..Described::default() };
    match &rendered.what {
        RenderedWhat::Call { direction, participant, operation, url, request } => {
            let call = Described {
                direction: Some(direction.as_str()),
                participant: Some(participant),
                operation: Some(operation),
                url: Some(url),
                ..bare
            };
            match request {
                Ok(request) => {
                    let headers = request.headers.iter();
                    let headers = headers.map(|(name, value)| (name.as_str(), value.as_str())).collect();
                    Described {
                        method: Some(request.method.as_str()),
                        headers: Some(headers),
                        body: (!request.body.is_empty()).then(|| payload(&request.body)),
                        ..call
                    }
                }
                Err(why) => Described { error: Some(why), ..call },
            }
        }
        RenderedWhat::Child { definition, input } => match input {
            Ok(input) => Described { saga: Some(definition), input: Some(payload(input)), ..bare },
            Err(why) => Described { saga: Some(definition), error: Some(why), ..bare },
        },
        RenderedWhat::Skipped => Described { instead: Some("skipped"), ..bare },
        RenderedWhat::Undecided => Described { instead: Some("undecided"), ..bare },
        RenderedWhat::Failed(why) => Described { error: Some(why), ..bare },
        RenderedWhat::Pause => Described { instead: Some("pause"), ..bare },
    }
}

/// What would be sent, to the byte; what is not JSON, as a text.
fn payload(bytes: &[u8]) -> Payload {
    let text = String::from_utf8_lossy(bytes);
    Payload::parse(&text).unwrap_or_else(|_| Payload::text(&text))
}

fn drawn(rendered: &[Rendered], paint: Paint) -> String {
    let mut text = String::new();
    for Rendered { step, what } in rendered {
        let mut head =
            |what: &str| text += &format!("{}  {what}\n", paint.text(Style::Bold, printable(step)));
        match what {
            RenderedWhat::Call { direction, participant, url, request, .. } => {
                let undo = match direction {
                    Direction::Action => "",
                    Direction::Compensation => "undo, ",
                };
                head(&paint.text(Style::Dim, format!("{undo}{participant}")).to_string());
                match request {
                    Ok(request) => {
                        text += &format!("  {} {}\n", request.method, printable(url));
                        for (name, value) in &request.headers {
                            text += &format!("  {}: {}\n", printable(name), printable(value));
                        }
                        if !request.body.is_empty() {
                            text += &format!("  {}\n", printable(&String::from_utf8_lossy(&request.body)));
                        }
                    }
                    Err(why) => text += &format!("  {}\n", paint.text(Style::Bad, printable(why))),
                }
            }
            RenderedWhat::Child { definition, input } => {
                head(&format!("saga {}", printable(definition)));
                match input {
                    Ok(input) => text += &format!("  {}\n", printable(&String::from_utf8_lossy(input))),
                    Err(why) => text += &format!("  {}\n", paint.text(Style::Bad, printable(why))),
                }
            }
            RenderedWhat::Skipped => head("does not run: its guard is false"),
            RenderedWhat::Undecided => head("runs or not: its guard needs outputs that are not given"),
            RenderedWhat::Failed(why) => head(&paint.text(Style::Bad, printable(why)).to_string()),
            RenderedWhat::Pause => head("sleeps or waits"),
        }
    }
    text
}
