//! Which definitions run here, and with what.
//!
//! Owns the map from names to [`Runnable`]s: checked definitions with the participants and mappings that
//! their calls need. Promises that nothing a runnable needs is missing. Does not change once the engine runs.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use amends_core::{CallId, Definition, DefinitionName, Direction, Mapping, Payload, Transaction};
use bytes::Bytes;

use crate::participant::gate::Gate;
use crate::participant::{Participant, ParticipantIndex};

/// A participant and how many calls it takes together.
pub(crate) struct Registered {
    pub(crate) name: String,
    pub(crate) participant: Arc<dyn Participant>,
    pub(crate) calls_max: usize,
}

/// What this program lacks to run a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// A participant.
    #[error("the step {step:?} calls the participant {participant:?}, which is not registered")]
    Participant {
        /// The step.
        step: String,
        /// The participant.
        participant: String,
    },
    /// A mapping.
    #[error("the payload of {step:?} is made by the mapping {mapping:?}, which is not registered")]
    Mapping {
        /// The step.
        step: String,
        /// The mapping.
        mapping: String,
    },
}

/// A definition with everything it takes to run it in this program.
#[derive(Debug)]
pub struct Runnable {
    /// The definition.
    pub definition: Definition,
    /// By step, action and compensation.
    calls: Vec<[Option<Staffed>; 2]>,
}

/// A call with whoever carries it out, and what makes its payload.
#[derive(Debug, Clone)]
struct Staffed {
    participant: ParticipantIndex,
    payload: Source,
}

#[derive(Clone)]
enum Source {
    Input,
    Output,
    Mapping(Arc<dyn Mapping>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Input => "Input",
            Self::Output => "Output",
            Self::Mapping(_) => "Mapping",
        })
    }
}

impl Runnable {
    /// Who carries out a call.
    ///
    /// # Panics
    /// When the definition has no such call.
    #[must_use]
    pub fn participant(&self, call: CallId) -> ParticipantIndex {
        self.staffed(call).participant
    }

    /// The payload of a call that the transaction owes: the same bytes each time.
    ///
    /// # Errors
    /// When it cannot be made.
    ///
    /// # Panics
    /// When the definition has no such call.
    pub(crate) fn payload(&self, transaction: &Transaction, call: CallId) -> Result<Bytes, String> {
        match &self.staffed(call).payload {
            Source::Input => Ok(transaction.input().clone()),
            Source::Output => Ok(transaction.with_scope(call, |scope| {
                scope.output.cloned().unwrap_or_else(|| Bytes::from_static(b"null"))
            })),
            Source::Mapping(mapping) => transaction.with_scope(call, |scope| {
                catch_unwind(AssertUnwindSafe(|| mapping.payload(scope)))
                    .unwrap_or_else(|_| Err("the mapping panicked".to_owned()))
            }),
        }
    }

    fn staffed(&self, call: CallId) -> &Staffed {
        self.calls[call.step.at()][place_of(call.direction)].as_ref().expect("what is owed is a call")
    }

    /// A definition, and whoever carries out its calls, in the order of their gates.
    #[cfg(test)]
    pub(crate) fn for_tests(definition: impl Into<Definition>, participants: &[&str]) -> Arc<Self> {
        let find = |name: &str| participants.iter().position(|known| *known == name).map(ParticipantIndex);
        // Everything that a scope shows, so that a scope that changes is noticed.
        let mapping: Arc<dyn Mapping> = Arc::new(|scope: &amends_core::Scope<'_>| {
            let names = ["a", "b", "c", "d", "first", "left", "right", "last", "nap", "go"];
            let outputs: Vec<_> = names.iter().map(|name| scope.output_of(name)).collect();
            Ok(format!("{:?}", (scope.input, outputs, scope.output)).into())
        });
        let mappings = BTreeMap::from([("everything".to_owned(), mapping)]);
        Arc::new(Self::new(definition.into(), find, &mappings).expect("nothing is missing"))
    }

    fn new(
        definition: Definition,
        find: impl Fn(&str) -> Option<ParticipantIndex>,
        mappings: &BTreeMap<String, Arc<dyn Mapping>>,
    ) -> Result<Self, Missing> {
        let mut calls: Vec<[Option<Staffed>; 2]> = Vec::new();
        for call in definition.calls() {
            let terms = definition.terms(call);
            let step = || terms.step.to_owned();
            let Some(participant) = find(terms.participant) else {
                return Err(Missing::Participant { step: step(), participant: terms.participant.to_owned() });
            };
            let payload = match terms.payload {
                Payload::Input => Source::Input,
                Payload::Output => Source::Output,
                Payload::Mapping(name) => match mappings.get(name) {
                    Some(mapping) => Source::Mapping(mapping.clone()),
                    None => return Err(Missing::Mapping { step: step(), mapping: name.clone() }),
                },
            };
            let step = call.step.at();
            if calls.len() <= step {
                calls.resize(step + 1, [const { None }; 2]);
            }
            calls[step][place_of(call.direction)] = Some(Staffed { participant, payload });
        }
        Ok(Self { definition, calls })
    }
}

const fn place_of(direction: Direction) -> usize {
    match direction {
        Direction::Action => 0,
        Direction::Compensation => 1,
    }
}

/// All definitions, participants and mappings of one engine.
pub(crate) struct Registry {
    pub(crate) participants: Vec<Registered>,
    mappings: BTreeMap<String, Arc<dyn Mapping>>,
    runnables: BTreeMap<(DefinitionName, u32), Arc<Runnable>>,
    /// Of the journal, not of this program.
    earlier: BTreeMap<(DefinitionName, u32), Arc<Runnable>>,
}

impl Registry {
    /// # Errors
    /// Names what nobody registered.
    pub(crate) fn new(
        definitions: Vec<Definition>,
        participants: Vec<Registered>,
        mappings: BTreeMap<String, Arc<dyn Mapping>>,
    ) -> Result<Self, Missing> {
        let (runnables, earlier) = (BTreeMap::new(), BTreeMap::new());
        let mut registry = Self { participants, mappings, runnables, earlier };
        for definition in definitions {
            let key = (definition.name().clone(), definition.version());
            let runnable = registry.staff(definition)?;
            registry.runnables.insert(key, runnable);
        }
        Ok(registry)
    }

    /// Takes in a definition that the journal has and this program does not register: transactions that run
    /// it go on, and no new ones are started.
    ///
    /// # Errors
    /// Names what nobody registered.
    pub(crate) fn remember(&mut self, definition: Definition) -> Result<(), Missing> {
        let key = (definition.name().clone(), definition.version());
        if !self.runnables.contains_key(&key) {
            let runnable = self.staff(definition)?;
            self.earlier.insert(key, runnable);
        }
        Ok(())
    }

    fn staff(&self, definition: Definition) -> Result<Arc<Runnable>, Missing> {
        let find =
            |name: &str| self.participants.iter().position(|known| known.name == name).map(ParticipantIndex);
        Runnable::new(definition, find, &self.mappings).map(Arc::new)
    }

    pub(crate) fn runnable(&self, name: &DefinitionName, version: u32) -> Option<&Arc<Runnable>> {
        let key = (name.clone(), version);
        self.runnables.get(&key).or_else(|| self.earlier.get(&key))
    }

    /// The newest version of this name that this program registers.
    pub(crate) fn newest(&self, name: &DefinitionName) -> Option<&Arc<Runnable>> {
        let versions = (name.clone(), 0)..=(name.clone(), u32::MAX);
        self.runnables.range(versions).next_back().map(|(_, runnable)| runnable)
    }

    pub(crate) fn runnables(&self) -> impl Iterator<Item = &Arc<Runnable>> {
        self.runnables.values()
    }

    /// A gate per participant for one of `shards` shards; their shares add up to the limit or a little more.
    pub(crate) fn gates(&self, shards: usize) -> Vec<Gate> {
        self.participants.iter().map(|known| Gate::new(known.calls_max.div_ceil(shards))).collect()
    }
}
