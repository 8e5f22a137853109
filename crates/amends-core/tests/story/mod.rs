//! Stories about one saga, told in words: what happens, line by line, and the events that follow.
//!
//! A line is `a ok`, `a no`, `a no:<code>`, `a lost`, `a lost:<code>`, `a lost+<ms>` (with a wish for when to be asked
//! again), `a pending`, `a pending+<ms>`: the answer to the last attempt of step `a`; `undo a …` answers its compensation,
//! and `a#1 …` a certain attempt, late or twice. `wake` waits for the next wake-up, `wait <ms>` for so
//! long, `crash` forgets all but the journal. Everything else is an operator's verb: `cancel`, `skip a`, `resolve a` …

use std::time::Duration;

use amends_core::{
    Cause, Command, CompensationSpec, Definition, DefinitionName, DefinitionSpec, Direction, Event, Outcome,
    RetryPolicy, StepIndex, StepSpec, Time, Verb,
};
use bytes::Bytes;
use expect_test::Expect;

use crate::run::{Run, completed};

/// A step that is asked twice, and undone by a call that is asked twice.
pub(crate) fn step(name: &str) -> StepSpec {
    let mut step = StepSpec::new(name, "participant", name).retry(twice());
    step.compensation = CompensationSpec::Call {
        operation: format!("undo {name}"),
        needs_output: false,
        attempt_limit: Duration::from_secs(2),
        retry: twice(),
    };
    step
}

/// A step whose undo cannot do without the action's output.
pub(crate) fn step_with_output(name: &str) -> StepSpec {
    let mut step = step(name);
    if let CompensationSpec::Call { needs_output, .. } = &mut step.compensation {
        *needs_output = true;
    }
    step
}

/// A step without undo, for the pivot and what follows it.
pub(crate) fn final_step(name: &str) -> StepSpec {
    StepSpec::new(name, "participant", name).without_undo().retry(twice())
}

fn twice() -> RetryPolicy {
    RetryPolicy {
        attempts: Some(2),
        first: Duration::from_millis(100),
        not_retryable: vec!["hopeless".to_owned()],
        ..RetryPolicy::action()
    }
}

pub(crate) fn plan(pivot: Option<&str>, steps: impl IntoIterator<Item = StepSpec>) -> Definition {
    Definition::check(DefinitionSpec {
        name: DefinitionName::new("Story"),
        version: 1,
        limit: Duration::from_secs(60),
        pivot: pivot.map(str::to_owned),
        steps: steps.into_iter().collect(),
    })
    .expect("the plan is sound")
}

/// Tells a story and compares what followed from each line.
pub(crate) fn check(definition: Definition, story: &str, expected: Expect) {
    let mut teller = Teller { run: Run::start(definition) };
    let mut told = format!("start: {}\n", teller.since(0));
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let records = teller.run.journal.len();
        let rejected = teller.tell(line);
        let what = rejected.unwrap_or_else(|| teller.since(records));
        told += &format!("{line}: {what}\n");
        assert_eq!(teller.run.replayed(), teller.run.saga, "replaying the events gives the same state");
    }
    told += &format!("= {}\n", teller.run.saga.status());
    expected.assert_eq(&told);
}

struct Teller {
    run: Run,
}

impl Teller {
    fn since(&self, records: usize) -> String {
        let events: Vec<String> = self.run.journal[records..]
            .iter()
            .flat_map(|(_, events)| events)
            .map(|event| self.in_words(event))
            .collect();
        if events.is_empty() { "-".to_owned() } else { events.join(", ") }
    }

    /// The rejection, if the line was an operator's verb that did not fit.
    fn tell(&mut self, line: &str) -> Option<String> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["crash"] => self.run.crash(),
            ["wake"] => {
                let due = self.run.saga.wake_at();
                assert!(due < Time::NEVER, "nothing is waited for");
                self.wake_at(due);
            }
            ["wait", milliseconds] => self.wake_at(self.run.now.after(milliseconds_of(milliseconds))),
            ["cancel"] => return self.operate(Verb::Cancel),
            ["retry"] => return self.operate(Verb::Retry),
            ["pause"] => return self.operate(Verb::Pause),
            ["resume"] => return self.operate(Verb::Resume),
            ["reverse"] => return self.operate(Verb::Reverse),
            ["abandon"] => return self.operate(Verb::Abandon),
            ["resolve", step] => return self.operate(Verb::Resolve { step: self.step(step) }),
            ["skip", step] => {
                return self.operate(Verb::Skip { step: self.step(step), output: Bytes::from_static(b"{}") });
            }
            ["undo", step, answer] => self.answer(step, Direction::Compensation, answer),
            [step, answer] => self.answer(step, Direction::Action, answer),
            _ => panic!("no such line: {line}"),
        }
        None
    }

    fn wake_at(&mut self, time: Time) {
        self.run.now = self.run.now.max(time);
        self.run.give(Command::Wake, 2).expect("waking is never rejected");
    }

    fn operate(&mut self, verb: Verb) -> Option<String> {
        self.run.operate(verb).err().map(|rejected| rejected.to_string())
    }

    fn answer(&mut self, step: &str, direction: Direction, answer: &str) {
        let (name, attempt) = step.split_once('#').map_or((step, None), |(name, n)| (name, Some(n)));
        let step = self.step(name);
        let current = self.run.saga.steps()[step.at()].attempts_of(direction);
        let attempt = attempt.map_or(current, |attempt| attempt.parse().expect("an attempt is a number"));
        let command = Command::Answer { step, direction, attempt, outcome: outcome(answer) };
        self.run.give(command, 5).expect("answers are never rejected");
    }

    fn step(&self, name: &str) -> StepIndex {
        self.run.definition.find(name).unwrap_or_else(|| panic!("no such step: {name}"))
    }

    fn name(&self, step: StepIndex) -> &str {
        &self.run.definition.written(step).name
    }

    fn in_words(&self, event: &Event) -> String {
        let call = |step: &StepIndex, direction: &Direction| match direction {
            Direction::Action => self.name(*step).to_owned(),
            Direction::Compensation => format!("undo of {}", self.name(*step)),
        };
        match event {
            Event::SagaStarted { .. } => "saga started".to_owned(),
            Event::StepStarted { step } => format!("{} started", self.name(*step)),
            Event::AttemptStarted { step, direction, attempt } => {
                format!("{} asked #{attempt}", call(step, direction))
            }
            Event::AttemptFailed { step, direction, attempt, .. } => {
                format!("{} unknown #{attempt}", call(step, direction))
            }
            Event::AttemptPending { step, direction, attempt, .. } => {
                format!("{} pending #{attempt}", call(step, direction))
            }
            Event::StepCompleted { step, .. } => format!("{} completed", self.name(*step)),
            Event::StepRefused { step, .. } => format!("{} refused", self.name(*step)),
            Event::StepGivenUp { step, why } => format!("{} given up ({why:?})", self.name(*step)),
            Event::TurnedBack { cause } => format!("turned back ({})", self.cause(cause)),
            Event::OutputSought { step } => format!("output of {} sought", self.name(*step)),
            Event::OutputFound { step, .. } => format!("output of {} found", self.name(*step)),
            Event::NothingToUndo { step } => format!("nothing to undo of {}", self.name(*step)),
            Event::CompensationStarted { step } => {
                let mut owed = self.run.saga.owed_calls();
                let is_doubtful = owed.any(|call| call.step == *step && call.in_doubt);
                let doubt = if is_doubtful { " in doubt" } else { "" };
                format!("undo of {} started{doubt}", self.name(*step))
            }
            Event::CompensationCompleted { step } => format!("undo of {} completed", self.name(*step)),
            Event::CompensationFailed { step, .. } => format!("undo of {} failed", self.name(*step)),
            Event::SagaCompleted => "saga completed".to_owned(),
            Event::SagaCompensated => "saga compensated".to_owned(),
            Event::SagaParked { because } => format!("saga parked ({because:?})"),
            Event::CancelRequested { by } => format!("cancel requested by {}", by.who),
            Event::SagaRetried { by } => format!("saga retried by {}", by.who),
            Event::StepRetried { step } => format!("{} retried", self.name(*step)),
            Event::StepSkipped { step, by, .. } => format!("{} skipped by {}", self.name(*step), by.who),
            Event::CompensationResolved { step, by } => {
                format!("undo of {} resolved by {}", self.name(*step), by.who)
            }
            Event::SagaPaused { by } => format!("saga paused by {}", by.who),
            Event::SagaResumed { by } => format!("saga resumed by {}", by.who),
            Event::SagaReversed { by } => format!("saga reversed by {}", by.who),
            Event::SagaAbandoned { by } => format!("saga abandoned by {}", by.who),
        }
    }

    fn cause(&self, cause: &Cause) -> String {
        match cause {
            Cause::Refused(step) => format!("{} was refused", self.name(*step)),
            Cause::Exhausted(step) => format!("{} was exhausted", self.name(*step)),
            Cause::StepTimedOut(step) => format!("{} timed out", self.name(*step)),
            Cause::SagaTimedOut => "the saga timed out".to_owned(),
            Cause::Cancelled => "cancelled".to_owned(),
            Cause::Reversed => "reversed".to_owned(),
        }
    }
}

fn milliseconds_of(text: &str) -> Duration {
    Duration::from_millis(text.parse().expect("milliseconds are a number"))
}

fn outcome(answer: &str) -> Outcome {
    match answer.split_once([':', '+']) {
        None if answer == "ok" => completed(),
        None if answer == "no" => Outcome::refused("no", "not today"),
        None if answer == "lost" => Outcome::unknown("reset", "connection reset"),
        None if answer == "pending" => Outcome::Pending { ask_again_after: None },
        Some(("no", code)) => Outcome::refused(code, "not like this"),
        Some(("lost", number)) if number.parse::<u64>().is_ok() => {
            let Outcome::Unknown { reason, .. } = Outcome::unknown("busy", "try later") else {
                unreachable!()
            };
            Outcome::Unknown { reason, retry_after: Some(milliseconds_of(number)) }
        }
        Some(("lost", code)) => Outcome::unknown(code, "never works"),
        Some(("pending", number)) => Outcome::Pending { ask_again_after: Some(milliseconds_of(number)) },
        _ => panic!("no such answer: {answer}"),
    }
}
