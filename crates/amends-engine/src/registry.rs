//! Which definitions run here, and with what.
//!
//! Owns the map from names to [`Runnable`]s: checked definitions with the participants and mappings that
//! their calls need. Promises that nothing a runnable needs is missing, that a runnable never changes, and
//! that whoever looks sees all of a registration or nothing of it. Does not store definitions: that is
//! `definitions.rs`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use amends_core::{
    CallId, Definition, DefinitionName, Direction, Expressions, Mapping, Payload, Time, Transaction,
};
use amends_definition::Document;
use bytes::Bytes;

use crate::participant::connect::Connected;
use crate::participant::gate::Places;
use crate::participant::shared_gate::SharedGate;
use crate::participant::{Participant, ParticipantIndex};

/// What lets calls through to a participant.
#[derive(Clone)]
pub(crate) enum Gateway {
    /// So many together, each shard its share.
    Own(usize),
    /// What all shards share.
    Shared(Arc<SharedGate>),
}

/// A participant and how much it is asked.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) name: String,
    /// Where it is: with the name, what tells participants apart. Empty for a handler of this program.
    pub(crate) origin: String,
    pub(crate) participant: Arc<dyn Participant>,
    pub(crate) gateway: Gateway,
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
    /// The expressions of a document.
    #[error("the payload of {step:?} is made by the definition's expressions, and it came without any")]
    Expressions {
        /// The step.
        step: String,
    },
}

/// A definition with everything it takes to run it in this program.
#[derive(Debug)]
pub struct Runnable {
    /// The definition.
    pub definition: Definition,
    /// What it was compiled from, if it is data.
    pub(crate) document: Option<Arc<Document>>,
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
    Expressions(Arc<dyn Expressions>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Input => "Input",
            Self::Output => "Output",
            Self::Mapping(_) => "Mapping",
            Self::Expressions(_) => "Expressions",
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
        let staffed = self.staffed(call);
        // Expressions put it into the request that they make; elsewhere it is the whole payload.
        if call.round > 1
            && !matches!(staffed.payload, Source::Expressions(_))
            && let Some(corrected) = transaction.with_scope(call, |scope| scope.corrected.cloned())
        {
            return Ok(corrected);
        }
        match &staffed.payload {
            Source::Input => Ok(transaction.input().clone()),
            Source::Output => Ok(transaction.with_scope(call, |scope| {
                scope.output.cloned().unwrap_or_else(|| Bytes::from_static(b"null"))
            })),
            Source::Mapping(mapping) => transaction.with_scope(call, |scope| {
                catch_unwind(AssertUnwindSafe(|| mapping.payload(scope)))
                    .unwrap_or_else(|_| Err("the mapping panicked".to_owned()))
            }),
            Source::Expressions(expressions) => transaction.with_scope(call, |scope| {
                catch_unwind(AssertUnwindSafe(|| expressions.payload(call, scope)))
                    .unwrap_or_else(|_| Err("the expression panicked".to_owned()))
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
                Payload::Expression => match definition.expressions() {
                    Some(expressions) => Source::Expressions(expressions.clone()),
                    None => return Err(Missing::Expressions { step: step() }),
                },
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
        Ok(Self { definition, document: None, calls })
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
    mappings: BTreeMap<String, Arc<dyn Mapping>>,
    /// A snapshot, replaced as a whole.
    known: RwLock<Arc<Known>>,
    /// Held by whoever changes something, from the first look to the last.
    changing: Mutex<()>,
}

/// What is registered, at one moment.
#[derive(Clone, Default)]
pub(crate) struct Known {
    participants: Vec<Registered>,
    runnables: BTreeMap<(DefinitionName, u32), Entry>,
}

/// A definition that runs here.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) runnable: Arc<Runnable>,
    /// Whether new transactions may run it: not if it is retired, or of the journal and not of this program.
    pub(crate) starts: bool,
    pub(crate) registered_at: Time,
    pub(crate) retired_at: Option<Time>,
}

/// The right to change what is registered.
pub(crate) struct Change<'r> {
    registry: &'r Registry,
    known: Known,
    _turn: MutexGuard<'r, ()>,
}

impl Registry {
    /// # Errors
    /// Names what nobody registered.
    pub(crate) fn new(
        definitions: Vec<Definition>,
        participants: Vec<Registered>,
        mappings: BTreeMap<String, Arc<dyn Mapping>>,
        now: Time,
    ) -> Result<Self, Missing> {
        let known = Known { participants, runnables: BTreeMap::new() };
        let registry = Self { mappings, known: RwLock::new(Arc::new(known)), changing: Mutex::new(()) };
        let mut change = registry.change();
        for definition in definitions {
            change.add(definition, true, now)?;
        }
        change.show();
        Ok(registry)
    }

    /// What is registered now.
    pub(crate) fn known(&self) -> Arc<Known> {
        // Nobody panics while the snapshot is exchanged.
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn runnable(&self, name: &DefinitionName, version: u32) -> Option<Arc<Runnable>> {
        self.known().runnable(name, version).cloned()
    }

    /// Begins a change: one at a time.
    pub(crate) fn change(&self) -> Change<'_> {
        let turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        Change { registry: self, known: (*self.known()).clone(), _turn: turn }
    }
}

impl Known {
    pub(crate) fn participant(&self, index: ParticipantIndex) -> &Registered {
        &self.participants[index.0]
    }

    /// What each participant's gate lets through at one of `shards` shards. Shares of an own limit add up to it,
    /// or to a little more.
    pub(crate) fn places(&self, shards: usize) -> Arc<[Places]> {
        let places = |known: &Registered| match &known.gateway {
            Gateway::Own(calls_max) => Places::Own(calls_max.div_ceil(shards)),
            Gateway::Shared(gate) => Places::Shared(gate.clone()),
        };
        self.participants.iter().map(places).collect()
    }

    pub(crate) fn participants(&self) -> &[Registered] {
        &self.participants
    }

    pub(crate) fn runnable(&self, name: &DefinitionName, version: u32) -> Option<&Arc<Runnable>> {
        self.runnables.get(&(name.clone(), version)).map(|entry| &entry.runnable)
    }

    /// The newest version of this name that new transactions may run.
    pub(crate) fn newest(&self, name: &DefinitionName) -> Option<&Arc<Runnable>> {
        let versions = (name.clone(), 0)..=(name.clone(), u32::MAX);
        let mut newest_first = self.runnables.range(versions).rev();
        newest_first.find(|(_, entry)| entry.starts).map(|(_, entry)| &entry.runnable)
    }

    /// The newest version of this name, whether it starts anything or not.
    pub(crate) fn last(&self, name: &DefinitionName) -> Option<&Entry> {
        let versions = (name.clone(), 0)..=(name.clone(), u32::MAX);
        self.runnables.range(versions).next_back().map(|(_, entry)| entry)
    }

    pub(crate) fn entry(&self, name: &DefinitionName, version: u32) -> Option<&Entry> {
        self.runnables.get(&(name.clone(), version))
    }

    /// Every definition, by name and version.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.runnables.values()
    }

    pub(crate) fn runnables(&self) -> impl Iterator<Item = &Arc<Runnable>> {
        self.runnables.values().map(|entry| &entry.runnable)
    }
}

impl Change<'_> {
    /// What is registered, with the changes so far.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Takes in a participant. One of this name and origin gets the new one's figures, and keeps its place.
    pub(crate) fn participant(&mut self, name: &str, connected: Connected) -> ParticipantIndex {
        let Connected { origin, participant, limits } = connected;
        let is_same = |known: &Registered| known.name == name && known.origin == origin;
        match self.known.participants.iter().position(is_same) {
            Some(at) => {
                let known = &mut self.known.participants[at];
                known.participant = participant;
                match &known.gateway {
                    Gateway::Shared(gate) => gate.set_limits(limits),
                    Gateway::Own(_) => known.gateway = Gateway::Shared(Arc::new(SharedGate::new(limits))),
                }
                ParticipantIndex(at)
            }
            None => {
                let gateway = Gateway::Shared(Arc::new(SharedGate::new(limits)));
                let name = name.to_owned();
                self.known.participants.push(Registered { name, origin, participant, gateway });
                ParticipantIndex(self.known.participants.len() - 1)
            }
        }
    }

    /// Takes in a definition whose participants are handlers of this program.
    ///
    /// # Errors
    /// Names what nobody registered.
    pub(crate) fn add(&mut self, definition: Definition, starts: bool, now: Time) -> Result<(), Missing> {
        let participants = &self.known.participants;
        let find = |name: &str| {
            let is_meant = |known: &Registered| known.origin.is_empty() && known.name == name;
            participants.iter().position(is_meant).map(ParticipantIndex)
        };
        let runnable = Arc::new(Runnable::new(definition, find, &self.registry.mappings)?);
        self.put(Entry { runnable, starts, registered_at: now, retired_at: None });
        Ok(())
    }

    /// Takes in a definition that is data, with its participants by name.
    ///
    /// # Errors
    /// Names what is missing.
    pub(crate) fn add_document(
        &mut self,
        document: Arc<Document>,
        definition: Definition,
        participants: &BTreeMap<String, ParticipantIndex>,
        (registered_at, retired_at): (Time, Option<Time>),
    ) -> Result<(), Missing> {
        let find = |name: &str| participants.get(name).copied();
        let runnable = Runnable::new(definition, find, &self.registry.mappings)?;
        let runnable = Arc::new(Runnable { document: Some(document), ..runnable });
        self.put(Entry { runnable, starts: retired_at.is_none(), registered_at, retired_at });
        Ok(())
    }

    fn put(&mut self, entry: Entry) {
        let definition = &entry.runnable.definition;
        self.known.runnables.insert((definition.name().clone(), definition.version()), entry);
    }

    /// Lets no new transaction run this version.
    pub(crate) fn retire(&mut self, name: &DefinitionName, version: u32, now: Time) {
        if let Some(entry) = self.known.runnables.get_mut(&(name.clone(), version)) {
            entry.starts = false;
            entry.retired_at.get_or_insert(now);
        }
    }

    /// Shows the changes to everybody.
    pub(crate) fn show(self) {
        let Self { registry, known, .. } = self;
        *registry.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }
}
