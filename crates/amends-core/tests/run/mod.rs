//! A saga driven by hand: commands in, records kept, crashes at will.

#![allow(dead_code, reason = "two test programs share it, and each uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_core::{
    By, CallParticipant, Command, Definition, Direction, Entropy, Event, Moment, Outcome, Rejected, Saga,
    StepIndex, Time, TransactionId, Verb,
};
use bytes::Bytes;

/// One saga with its journal, and the calls that its shell has under way.
pub(crate) struct Run {
    pub(crate) saga: Saga,
    pub(crate) definition: Arc<Definition>,
    pub(crate) journal: Vec<(Time, Vec<Event>)>,
    pub(crate) under_way: BTreeMap<(StepIndex, Direction, u32), CallParticipant>,
    pub(crate) now: Time,
}

impl Run {
    pub(crate) fn start(definition: Definition) -> Self {
        let definition = Arc::new(definition);
        let now = Time::from_milliseconds(1_000_000);
        let moment = Moment { now, entropy: Entropy(7) };
        let (saga, events) = Saga::start(
            TransactionId::from_parts(1, 1),
            definition.clone(),
            Bytes::from_static(b"{}"),
            moment,
        );
        let mut run =
            Self { saga, definition, journal: vec![(now, events)], under_way: BTreeMap::new(), now };
        run.send();
        run
    }

    /// Decides, records and sends; tells whether anything came of it.
    pub(crate) fn give(&mut self, command: Command, random: u64) -> Result<bool, Rejected> {
        let moment = Moment { now: self.now, entropy: Entropy(random) };
        let mut before = self.saga.clone();
        let events = match self.saga.decide(command, moment) {
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
        for call in self.saga.owed_calls() {
            self.under_way.insert((call.step, call.direction, call.attempt), call);
        }
    }

    pub(crate) fn answer(&mut self, call: CallParticipant, outcome: Outcome, random: u64) -> bool {
        let CallParticipant { step, direction, attempt, .. } = call;
        self.under_way.remove(&(step, direction, attempt));
        self.give(Command::Answer { step, direction, attempt, outcome }, random)
            .expect("answers are never rejected")
    }

    pub(crate) fn operate(&mut self, verb: Verb) -> Result<bool, Rejected> {
        let by = By { who: "ann".to_owned(), why: "test".to_owned() };
        self.give(Command::Operate { verb, by }, 3)
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
