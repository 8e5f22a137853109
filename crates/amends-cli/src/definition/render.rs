//! `amends definition render`.
//!
//! Owns the flags, and how requests are printed. Promises that nothing is called: the requests are made here,
//! of the text alone, as the server would make them. Does not make them itself: `amends-definition` does.

use std::collections::BTreeMap;
use std::path::Path;

use amends_core::Direction;
use amends_definition::request::Request;
use amends_definition::{Given, Rendered, RenderedWhat, compile};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

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
        let flaws: Vec<String> =
            flaws.iter().map(|flaw| format!("{}: {}", flaw.pointer, flaw.message)).collect();
        return Err(Failure::new(format!("{place} does not take this input:\n  {}", flaws.join("\n  "))));
    }
    let started_at = format!("{:.3}", Timestamp::now());
    let rendered = document.render(&Given { id: args.id, started_at, input, outputs });
    let documents: Vec<Value> = rendered.iter().map(described).collect();
    let all = json!({"definition": document.name.as_str(), "steps": documents});
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

fn described(rendered: &Rendered) -> Value {
    let step = &rendered.step;
    match &rendered.what {
        RenderedWhat::Call { direction, participant, operation, url, request } => {
            let mut call = json!({"step": step, "direction": direction_word(*direction), "participant": participant,
                "operation": operation, "url": url});
            match request {
                Ok(request) => {
                    call["method"] = request.method.as_str().into();
                    call["headers"] = request
                        .headers
                        .iter()
                        .cloned()
                        .collect::<BTreeMap<_, _>>()
                        .into_iter()
                        .map(|(name, value)| (name, Value::from(value)))
                        .collect::<serde_json::Map<_, _>>()
                        .into();
                    call["body"] = body(request);
                }
                Err(why) => call["error"] = why.as_str().into(),
            }
            call
        }
        RenderedWhat::Child { definition, input } => match input {
            Ok(input) => json!({"step": step, "saga": definition,
                "input": serde_json::from_slice::<Value>(input).unwrap_or_else(|_| String::from_utf8_lossy(input).into())}),
            Err(why) => json!({"step": step, "saga": definition, "error": why}),
        },
        RenderedWhat::Skipped => json!({"step": step, "skipped": true}),
        RenderedWhat::Undecided => json!({"step": step, "undecided": true}),
        RenderedWhat::Failed(why) => json!({"step": step, "error": why}),
        RenderedWhat::Pause => json!({"step": step, "pause": true}),
    }
}

fn body(request: &Request) -> Value {
    if request.body.is_empty() {
        return Value::Null;
    }
    let text = String::from_utf8_lossy(&request.body);
    serde_json::from_str(&text).unwrap_or_else(|_| text.into())
}

const fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Action => "action",
        Direction::Compensation => "compensation",
    }
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
