//! A saga driven by hand: commands in, records kept, crashes at will.

#![allow(dead_code, reason = "two test programs share it, and each uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_core::{
    AttemptId, By, CallId, Command, Effect, Entropy, Event, Expressions, Moment, Origin, Outcome, OwedCall,
    OwedChild, Rejected, Saga, SagaDefinition, Scope, Signal, SizeLimits, StepId, StepIndex, StepRun, Time,
    TransactionId, Verb, VerbKey,
};
use bytes::Bytes;

/// One saga with its journal, and the calls that its shell has under way.
pub(crate) struct Run {
    pub(crate) saga: Saga,
    pub(crate) definition: Arc<SagaDefinition>,
    pub(crate) journal: Vec<(Time, Vec<Event>)>,
    pub(crate) under_way: BTreeMap<AttemptId, OwedCall>,
    pub(crate) children: BTreeMap<TransactionId, OwedChild>,
    pub(crate) now: Time,
    pub(crate) sizes: SizeLimits,
}

impl Run {
    pub(crate) fn start(definition: SagaDefinition) -> Self {
        Self::start_from(definition, Origin::default())
    }

    pub(crate) fn start_from(definition: SagaDefinition, origin: Origin) -> Self {
        let definition = Arc::new(definition);
        let now = Time::from_milliseconds(1_000_000);
        let sizes = SizeLimits::default();
        let moment = Moment { now, entropy: Entropy(7), sizes };
        let (saga, events) = Saga::start(
            TransactionId::from_parts(1, 1),
            definition.clone(),
            Bytes::from_static(b"{}"),
            origin,
            moment,
        );
        let mut run = Self {
            saga,
            definition,
            journal: vec![(now, events)],
            under_way: BTreeMap::new(),
            children: BTreeMap::new(),
            now,
            sizes,
        };
        run.send();
        run
    }

    /// Decides, records and sends; tells whether anything came of it.
    pub(crate) fn give(&mut self, command: Command, random: u64) -> Result<bool, Rejected> {
        let moment = Moment { now: self.now, entropy: Entropy(random), sizes: self.sizes };
        let mut before = self.saga.clone();
        let events = match self.saga.handle(command, moment) {
            Ok(events) => events,
            Err(rejected) => {
                assert_eq!(before, self.saga, "what is rejected changes nothing");
                return Err(rejected);
            }
        };
        if events.is_empty() {
            assert_eq!(before, self.saga, "nothing happens without an event");
            return Ok(false);
        }
        for event in &events {
            before.apply(event, self.now).expect("decided events apply");
        }
        assert_eq!(before, self.saga, "the state after a decision is the one its events make");
        self.journal.push((self.now, events));
        self.send();
        Ok(true)
    }

    fn send(&mut self) {
        for effect in self.saga.owed() {
            match effect {
                Effect::Call(call) => {
                    self.under_way.insert(call.attempt, call);
                }
                Effect::Child(child) => {
                    self.children.insert(child.id, child);
                }
            }
        }
    }

    pub(crate) fn answer(&mut self, call: OwedCall, outcome: Outcome, random: u64) -> bool {
        let attempt = call.attempt;
        self.under_way.remove(&attempt);
        self.give(Command::Answer { attempt, outcome }, random).expect("answers are never rejected")
    }

    /// What happened to a step, or a run of it.
    pub(crate) fn step(&self, step: StepId) -> &StepRun {
        let run = &self.saga.steps()[step.step.at()];
        match step.occurrence {
            None => run,
            Some(n) => &run.state.legs().expect("the step runs once for each element").runs[n as usize],
        }
    }

    pub(crate) fn signal(&mut self, name: &str, key: &str, body: &'static [u8]) -> Result<bool, Rejected> {
        self.signal_with(name, key, Bytes::from_static(body))
    }

    pub(crate) fn signal_with(&mut self, name: &str, key: &str, body: Bytes) -> Result<bool, Rejected> {
        let mut fingerprint = [0; 32];
        fingerprint[..body.len().min(32)].copy_from_slice(&body[..body.len().min(32)]);
        let (name, key) = (name.to_owned(), key.to_owned());
        self.give(Command::Signal(Box::new(Signal { name, key, body, fingerprint })), 4)
    }

    pub(crate) fn operate(&mut self, verb: Verb) -> Result<bool, Rejected> {
        let by = By::new("ann", "test");
        self.give(Command::Operate { verb, by, expected: None }, 3)
    }

    pub(crate) fn operate_keyed(&mut self, verb: Verb, key: &str, mark: u8) -> Result<bool, Rejected> {
        let key = VerbKey { key: key.to_owned(), fingerprint: [mark; 32] };
        let by = By { key: Some(key), ..By::new("ann", "test") };
        self.give(Command::Operate { verb, by, expected: None }, 3)
    }

    /// The journal read back.
    pub(crate) fn replayed(&self) -> Saga {
        let mut records = self.journal.iter();
        let (at, first) = records.next().expect("a journal has a first record");
        let mut saga =
            Saga::begin(self.saga.id(), self.definition.clone(), &first[0], *at).expect("it began once");
        for event in &first[1..] {
            saga.apply(event, *at).expect("what was written applies");
        }
        for (at, events) in records {
            for event in events {
                saga.apply(event, *at).expect("what was written applies");
            }
        }
        saga
    }

    /// The process dies and comes back: calls under way are forgotten, the state is what the journal says.
    pub(crate) fn crash(&mut self) {
        self.under_way.clear();
        self.saga = self.replayed();
        self.give(Command::Recover, 11).expect("recovery is never rejected");
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.journal.iter().flat_map(|(_, events)| events)
    }
}

pub(crate) fn completed() -> Outcome {
    Outcome::Completed { output: Bytes::from_static(b"{\"ok\":true}") }
}

/// Expressions that answer what they were told to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scripted {
    pub(crate) guards: BTreeMap<&'static str, Result<bool, String>>,
    pub(crate) elements: BTreeMap<&'static str, Result<Vec<Bytes>, String>>,
    pub(crate) output: Option<Result<Bytes, String>>,
}

impl Scripted {
    pub(crate) fn guard(mut self, step: &'static str, says: Result<bool, &str>) -> Self {
        self.guards.insert(step, says.map_err(str::to_owned));
        self
    }

    /// A step that runs for so many elements: `0`, `1` …
    pub(crate) fn runs(mut self, step: &'static str, count: usize) -> Self {
        let elements = (0..count).map(|n| Bytes::from(n.to_string())).collect();
        self.elements.insert(step, Ok(elements));
        self
    }

    pub(crate) fn returns(mut self, output: Result<&'static str, &str>) -> Self {
        self.output = Some(output.map(|text| Bytes::from_static(text.as_bytes())).map_err(str::to_owned));
        self
    }

    pub(crate) fn for_definition(self, definition: SagaDefinition) -> SagaDefinition {
        let names = definition.spec().steps.iter().map(|step| step.name.clone()).collect();
        definition.with_expressions("text".into(), Arc::new(Named { names, scripted: self }))
    }
}

#[derive(Debug)]
struct Named {
    names: Vec<String>,
    scripted: Scripted,
}

impl Expressions for Named {
    fn guard(&self, step: StepIndex, _scope: &Scope<'_>) -> Result<bool, String> {
        self.scripted.guards.get(self.names[step.at()].as_str()).cloned().unwrap_or(Ok(true))
    }

    fn elements(&self, step: StepIndex, _scope: &Scope<'_>) -> Result<Vec<Bytes>, String> {
        self.scripted.elements.get(self.names[step.at()].as_str()).cloned().unwrap_or_else(|| Ok(Vec::new()))
    }

    fn payload(&self, _call: CallId, scope: &Scope<'_>) -> Result<Bytes, String> {
        Ok(scope.corrected.unwrap_or(scope.input).clone())
    }

    fn child_input(&self, _step: StepIndex, scope: &Scope<'_>) -> Result<Bytes, String> {
        Ok(scope.input.clone())
    }

    fn output(&self, _scope: &Scope<'_>) -> Option<Result<Bytes, String>> {
        self.scripted.output.clone()
    }
}
