//! What people may not see.
//!
//! Owns the way from payloads to payloads with their `sensitive` parts masked. Promises that whatever a definition
//! marks is masked in sagas and facts alike. Does not know what is sensitive: the definition's document does.

use std::sync::Arc;

use amends_api::{Fact, Payload, Saga};
use amends_definition::{Document, Place};
use amends_engine::Engine;

/// The masks of one definition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Masks {
    document: Option<Arc<Document>>,
}

impl Masks {
    /// Those of this version of a definition.
    pub(crate) fn of(engine: &Engine, name: &str, version: u32) -> Self {
        Self { document: engine.definition(name, Some(version)).and_then(|view| view.document) }
    }

    /// Masks a saga.
    pub(crate) fn saga(&self, saga: Saga) -> Saga {
        if self.document.is_none() {
            return saga;
        }
        let steps = saga.steps.into_iter().map(|step| {
            let output = self.payload(Place::Output(bare(&step.name)), step.output);
            amends_api::Step { output, ..step }
        });
        Saga {
            input: self.payload(Place::Input, saga.input),
            output: self.payload(Place::SagaOutput, saga.output),
            steps: steps.collect(),
            ..saga
        }
    }

    /// Masks a fact.
    pub(crate) fn fact(&self, fact: Fact) -> Fact {
        if self.document.is_none() {
            return fact;
        }
        let step = fact.step.clone();
        let place = match (&step, fact.fact.as_str()) {
            (Some(step), _) => Place::Output(bare(step)),
            (None, _) => Place::SagaOutput,
        };
        Fact {
            input: fact.input.map(|input| self.payload(Place::Input, input)),
            output: fact.output.map(|output| self.payload(place, output)),
            ..fact
        }
    }

    fn payload(&self, place: Place<'_>, payload: Payload) -> Payload {
        let Some(document) = &self.document else { return payload };
        let masked = document.mask(place, payload.as_json().as_bytes());
        // What cannot be read any more is shown to nobody.
        let masked = String::from_utf8(masked).ok().and_then(|text| Payload::parse(&text).ok());
        masked.unwrap_or_else(Payload::null)
    }
}

/// The step's name without the number of a run.
fn bare(step: &str) -> &str {
    step.split_once('[').map_or(step, |(name, _)| name)
}
