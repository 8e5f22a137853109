//! What is masked wherever people look.
//!
//! Owns [`Sensitive`]: the places that `sensitive` names, and their masking. Promises that a payload which
//! cannot be looked into is masked whole, and that everything else keeps its bytes. Does not change what is
//! stored or sent.

use std::collections::BTreeMap;

use crate::expression::{Json, Parts, render_text};
use crate::read::{At, Written};
use crate::source::{Source, say};

/// What a payload is, so that its sensitive parts are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The saga's input.
    Input,
    /// The output of the step of this name, and the body of a signal that becomes one.
    Output(&'a str),
    /// The saga's output.
    SagaOutput,
}

/// What stands for a masked value.
const MASK: &str = "\"[sensitive]\"";

/// The sensitive places of a definition.
#[derive(Debug, Default)]
pub(crate) struct Sensitive {
    input: Tree,
    outputs: BTreeMap<String, Tree>,
    saga_output: Tree,
    /// The step whose output is the saga's.
    last_step: Option<String>,
}

/// Fields that are masked, or that lead to such.
#[derive(Debug, Default, Clone)]
struct Tree {
    is_masked: bool,
    fields: BTreeMap<String, Tree>,
}

impl Tree {
    fn add(&mut self, path: &[&str]) {
        match path {
            [] => self.is_masked = true,
            [first, rest @ ..] => self.fields.entry((*first).to_owned()).or_default().add(rest),
        }
    }

    fn is_empty(&self) -> bool {
        !self.is_masked && self.fields.is_empty()
    }

    fn write(&self, json: &Json<'_>, out: &mut Vec<u8>) {
        if self.is_masked {
            out.extend_from_slice(MASK.as_bytes());
            return;
        }
        match json.look().0 {
            Parts::Object(members) if !self.fields.is_empty() => {
                out.push(b'{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    render_text(key, out);
                    out.push(b':');
                    match self.fields.get(key.as_ref()) {
                        Some(tree) => tree.write(value, out),
                        None => out.extend_from_slice(value.raw().as_bytes()),
                    }
                }
                out.push(b'}');
            }
            // What is said of a list is said of its elements.
            Parts::List(items) if !self.fields.is_empty() => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.write(item, out);
                }
                out.push(b']');
            }
            Parts::Null
            | Parts::Bool(_)
            | Parts::Int(_)
            | Parts::Uint(_)
            | Parts::Double(_)
            | Parts::Large(_)
            | Parts::Text(_)
            | Parts::Object(_)
            | Parts::List(_) => out.extend_from_slice(json.raw().as_bytes()),
        }
    }
}

impl Sensitive {
    pub(crate) fn read(written: &Written<'_>, source: &mut Source<'_>) -> Self {
        let mut sensitive = Self::default();
        if written.output.is_none() {
            sensitive.last_step = written.steps.last().map(|step| step.name.clone());
        }
        for At { value: path, span } in &written.sensitive {
            let parts: Vec<&str> = path.split('.').collect();
            let said = match parts.as_slice() {
                _ if parts.iter().any(|part| part.is_empty()) => {
                    Some(say("sensitive", format!("{path:?} has an empty part")))
                }
                ["input", rest @ ..] => {
                    sensitive.input.add(rest);
                    None
                }
                ["output", rest @ ..] => {
                    sensitive.saga_output.add(rest);
                    None
                }
                ["steps", name, "output", rest @ ..] => {
                    let names: Vec<&str> = written.steps.iter().map(|step| step.name.as_str()).collect();
                    if names.contains(name) {
                        sensitive.outputs.entry((*name).to_owned()).or_default().add(rest);
                        None
                    } else {
                        Some(say("unknown_step", format!("there is no step `{name}`")).nearest(name, names))
                    }
                }
                _ => Some(
                    say("sensitive", format!("{path:?} is not a part of input or outputs"))
                        .help("such as `input.card`, `steps.ProcessPayment.output.token` or `output.token`"),
                ),
            };
            if let Some(said) = said {
                source.find(*span, said);
            }
        }
        sensitive
    }

    fn trees(&self, place: Place<'_>) -> Vec<&Tree> {
        let of_step = |name: &str| self.outputs.get(name);
        let trees: Vec<&Tree> = match place {
            Place::Input => vec![&self.input],
            Place::Output(step) => of_step(step).into_iter().collect(),
            Place::SagaOutput => {
                let of_last = self.last_step.as_deref().and_then(of_step);
                std::iter::once(&self.saga_output).chain(of_last).collect()
            }
        };
        trees.into_iter().filter(|tree| !tree.is_empty()).collect()
    }

    pub(crate) fn concerns(&self, place: Place<'_>) -> bool {
        !self.trees(place).is_empty()
    }

    pub(crate) fn mask(&self, place: Place<'_>, payload: &[u8]) -> Vec<u8> {
        let mut masked = payload.to_vec();
        for tree in self.trees(place) {
            let Some(json) = Json::of(&masked).filter(|_| !masked.is_empty()) else {
                return MASK.as_bytes().to_vec();
            };
            let mut out = Vec::with_capacity(masked.len());
            tree.write(&json, &mut out);
            masked = out;
        }
        masked
    }
}
