//! Sagas that have nothing to do for a long time.
//!
//! Owns the stories of who may keep them in memory, and for how long: it harms nothing but memory, so nothing
//! else would notice.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use amends_core::{
    AttemptId, By, CallId, Command, Definition, DefinitionName, Direction, Entropy, Moment, Origin, Outcome,
    RetryPolicy, SagaDefinition, SagaSpec, SizeLimits, Standing, StepIndex, StepSpec, StepState, Time,
    Transaction, TransactionId, Verb, Way,
};
use amends_journal::{AppendAnswer, Epoch};
use bytes::Bytes;

use crate::leases::Leases;
use crate::participant::gate::Places;
use crate::registry::Runnable;
use crate::shard::Shard;
use crate::shard::input::{Found, Input, Output, Reply, Start, Ticket, Until};

const A_DAY: Duration = Duration::from_secs(24 * 3_600);
const ATTEMPT: AttemptId = CallId::first(StepIndex(0), Direction::Action).attempt(1);

#[derive(Debug, Clone, Default)]
struct Waiter {
    gave_up: Rc<Cell<bool>>,
}

impl Ticket for Waiter {
    fn is_given_up(&self) -> bool {
        self.gave_up.get()
    }
}

/// A shard of one saga, whose participant has not answered yet.
struct Story {
    shard: Shard<Waiter>,
    runnable: Arc<Runnable>,
    /// As its records make it.
    stored: Transaction,
    sequence: u64,
    standing: Standing,
    now: Moment,
}

impl Story {
    fn new(until: Until) -> Self {
        let retry = RetryPolicy { first: A_DAY, cap: A_DAY, ..RetryPolicy::action() };
        let definition = SagaDefinition::from_spec(SagaSpec {
            name: DefinitionName::new("One"),
            version: 1,
            limit: 100 * A_DAY,
            pivot: None,
            steps: vec![
                StepSpec::new("a", "p", "a")
                    .undone_by("undo")
                    .retry(retry)
                    .attempt_limit(Duration::from_secs(1)),
            ],
        });
        let definition = Definition::from(definition.expect("the definition is sound"));
        let runnable = Runnable::for_tests(definition.clone(), &["p"]);
        let now = Time::from_milliseconds(1_000);
        let now = Moment { now, entropy: Entropy(1), sizes: SizeLimits::default() };
        let (id, input) = (TransactionId::from_parts(1, 1), Bytes::from_static(b"{}"));
        let (stored, _) = Transaction::start(id, definition, input.clone(), Origin::default(), now);
        let shard = Shard::new(&[Places::Own(1)], 0, Arc::new(Leases::all(Epoch(1))));
        let mut story =
            Self { shard, runnable, stored, sequence: 1, standing: Standing::Active(Way::Forward), now };
        let start = Start {
            ticket: Some(Waiter::default()),
            id,
            id_given: false,
            key: None,
            fingerprint: None,
            runnable: story.runnable.clone(),
            input,
            origin: None,
            order: None,
            until,
        };
        let appends = story.give(Input::Start(start)).appends;
        assert_eq!(appends.len(), 1);
        assert_eq!(story.give(Input::Appended(vec![AppendAnswer::Committed])).calls.len(), 1);
        story
    }

    fn give(&mut self, input: Input<Waiter>) -> Output<Waiter> {
        self.shard.handle(input, self.now);
        self.shard.take_output()
    }

    fn id(&self) -> TransactionId {
        self.stored.id()
    }

    fn answer(&mut self, outcome: Outcome) -> Output<Waiter> {
        self.give(Input::Answered { id: self.id(), attempt: ATTEMPT, outcome })
    }

    /// The participant wants to be asked tomorrow.
    fn fall_asleep(&mut self) -> Output<Waiter> {
        let tomorrow = || Outcome::Working { ask_again_after: Some(A_DAY) };
        let output = self.answer(tomorrow());
        let command = Command::Answer { attempt: ATTEMPT, outcome: tomorrow() };
        self.stored.handle(command, self.now).expect("an answer is never rejected");
        (self.sequence, self.standing) = (2, output.appends[0].standing);
        self.give(Input::Appended(vec![AppendAnswer::Committed]))
    }

    /// What the journal has of it is read.
    fn load(&mut self) -> Output<Waiter> {
        let found = self.found();
        self.give(Input::Loaded { id: self.id(), found })
    }

    fn found(&self) -> Found {
        let (transaction, runnable) = (Box::new(self.stored.clone()), self.runnable.clone());
        Found::Transaction { transaction, sequence: self.sequence, runnable, standing: self.standing }
    }

    fn pass(&mut self, time: Duration) -> Output<Waiter> {
        self.now.now = self.now.now.after(time);
        self.give(Input::Tick)
    }

    fn check_asleep(&self, output: &Output<Waiter>) {
        let timer = self.standing.until().expect("the journal knows the timer");
        assert_eq!((self.shard.population(), output.sleeps_until), (0, Some(timer)));
    }
}

fn by() -> By {
    By::new("ann", "test")
}

#[test]
fn what_is_read_of_a_saga_that_sleeps_does_not_keep_it_in_memory() {
    let mut story = Story::new(Until::Now);
    let output = story.fall_asleep();
    story.check_asleep(&output);

    let (id, found) = (story.id(), story.found());
    let late_page = Input::Recovered { id, found };
    assert_eq!(story.give(late_page).loads, [id], "the page is not believed");
    let output = story.load();
    story.check_asleep(&output);
    // The same goes for one that an operator wanted something of that its state forbids.
    let (ticket, verb) = (Waiter::default(), Verb::Resume);
    story.give(Input::Command { ticket, id, command: Command::Operate { verb, by: by(), expected: None } });
    let output = story.load();
    let [(_, Reply::Rejected(_))] = &output.replies[..] else { panic!("one answer: {:?}", output.replies) };
    story.check_asleep(&output);
}

#[test]
fn whoever_waits_keeps_a_saga_in_memory_until_he_gives_up() {
    let mut story = Story::new(Until::Now);
    story.fall_asleep();
    let (waiter, id) = (Waiter::default(), story.id());
    story.give(Input::Ask { ticket: waiter.clone(), id, until: Until::Rest });
    assert_eq!(story.load().sleeps_until, None);
    for _ in 0..3 {
        let until = story.shard.wake_at();
        assert!(until <= story.now.now.after(2 * Duration::from_secs(60)), "it is looked at again soon");
        assert_eq!(story.pass(Duration::from_secs(60)).sleeps_until, None);
        assert_eq!(story.shard.population(), 1);
    }
    waiter.gave_up.set(true);
    let output = story.pass(Duration::from_secs(60));
    story.check_asleep(&output);
}

#[test]
fn that_somebody_waits_is_not_told_to_the_journal() {
    let mut story = Story::new(Until::Rest);
    let output = story.fall_asleep();
    assert!(story.standing.until().is_some(), "or a restart would keep it in memory for nobody");
    assert_eq!((story.shard.population(), output.sleeps_until), (1, None));
}

#[test]
fn a_success_that_comes_while_the_saga_sleeps_counts() {
    let mut story = Story::new(Until::Now);
    // The attempt's limit passes, and the next attempt is a day away.
    let standing = story.pass(Duration::from_secs(2)).appends[0].standing;
    let unknown = Outcome::unknown(amends_core::Reason::TIMED_OUT, "no answer within 1000 ms".to_owned());
    story.stored.handle(Command::Answer { attempt: ATTEMPT, outcome: unknown }, story.now).unwrap();
    (story.sequence, story.standing) = (2, standing);
    let output = story.give(Input::Appended(vec![AppendAnswer::Committed]));
    story.check_asleep(&output);

    let id = story.id();
    assert_eq!(story.answer(Outcome::Completed { output: Bytes::from_static(b"{}") }).loads, [id]);
    assert_eq!(story.load().appends.len(), 1, "it is recorded");
    story.give(Input::Appended(vec![AppendAnswer::Committed]));
    assert_eq!(story.shard.population(), 0, "and was the last step");
    // One that tells nothing is not worth a read.
    let pending = Outcome::Working { ask_again_after: None };
    assert_eq!(story.answer(pending).loads, []);
    assert!(
        !matches!(story.stored.as_saga().unwrap().steps()[0].state, StepState::Completed { .. }),
        "our own copy is old"
    );
}
