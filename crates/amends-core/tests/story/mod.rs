//! Stories about one saga, told in words: what happens, line by line, and the events that follow.
//!
//! A line is `a ok`, `a no`, `a no:<code>`, `a lost`, `a lost:<code>`, `a lost+<ms>` (with a wish for when to
//! be asked again), `a working`, `a working+<ms>`, `a conflict`: the answer to the last attempt of step `a`;
//! `undo a …` answers its compensation, and `a#1 …` a certain attempt, late or twice. `wake` waits for the
//! next wake-up, `wait <ms>` for so long, `crash` forgets all but the journal. Everything else is an
//! operator's verb: `cancel`, `skip a`, `resolve a` …

use std::time::Duration;

use amends_core::{
    AttemptId, CallSpec, Cause, ChildStands, Command, CompensationSpec, DefinitionName, Direction, Effect,
    Event, Outcome, Reason, RetryPolicy, SagaDefinition, SagaSpec, StepId, StepKind, StepSpec, Time, Verb,
    Want,
};
use bytes::Bytes;
use expect_test::Expect;

use crate::run::{Run, completed};

/// A step that is asked twice, and undone by a call that is asked twice.
pub(crate) fn step(name: &str) -> StepSpec {
    with_undo(name, false)
}

/// A step whose undo cannot do without the action's output.
pub(crate) fn step_with_output(name: &str) -> StepSpec {
    with_undo(name, true)
}

fn with_undo(name: &str, needs_output: bool) -> StepSpec {
    let mut step = StepSpec::new(name, "participant", name).retry(twice());
    if let StepKind::Call(calls) = &mut step.kind {
        let undo = CallSpec::new("participant", format!("undo {name}"));
        calls.compensation =
            CompensationSpec::Call { call: CallSpec { retry: Some(twice()), ..undo }, needs_output };
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

pub(crate) fn definition(pivot: Option<&str>, steps: impl IntoIterator<Item = StepSpec>) -> SagaDefinition {
    SagaDefinition::from_spec(SagaSpec {
        name: DefinitionName::new("Story"),
        version: 1,
        limit: Duration::from_secs(60),
        pivot: pivot.map(str::to_owned),
        steps: steps.into_iter().collect(),
    })
    .expect("the definition is sound")
}

/// Tells a story and compares what followed from each line.
pub(crate) fn check(definition: SagaDefinition, story: &str, expected: Expect) {
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
            ["back", milliseconds] => self.run.now = self.run.now.before(milliseconds_of(milliseconds)),
            ["big", bytes] => self.run.sizes.payload_bytes_max = bytes.parse().expect("bytes are a number"),
            ["room", bytes] => self.run.sizes.saga_bytes_max = bytes.parse().expect("bytes are a number"),
            ["signal", name] => return self.signal(name, "1", b"true"),
            ["signal", name, key] => return self.signal(name, key, b"true"),
            ["signal", name, key, "other"] => return self.signal(name, key, b"false"),
            ["unmade", step] => self.unmade(step, Direction::Action),
            ["unmade", "undo", step] => self.unmade(step, Direction::Compensation),
            ["retry", step] => return self.retry(step, None),
            ["retry", step, payload] => return self.retry(step, Some(payload)),
            ["signal", name, key, "because", body] => return self.signal_with(name, key, body),
            ["undo", step, "calls", "back", answer] => {
                return self.call_back(step, Direction::Compensation, answer);
            }
            ["child", step, stands] => self.child(step, stands),
            ["wanted", ref wants @ ..] => self.wanted(wants),
            [step, "calls", "back", answer] => return self.call_back(step, Direction::Action, answer),
            ["cancel"] => return self.operate(Verb::Cancel),
            ["retry"] => return self.operate(Verb::RETRY),
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

    fn signal(&mut self, name: &str, key: &str, body: &'static [u8]) -> Option<String> {
        self.run.signal(name, key, body).err().map(|rejected| rejected.to_string())
    }

    fn signal_with(&mut self, name: &str, key: &str, body: &str) -> Option<String> {
        self.run
            .signal_with(name, key, Bytes::copy_from_slice(body.as_bytes()))
            .err()
            .map(|no| no.to_string())
    }

    fn retry(&mut self, step: &str, payload: Option<&str>) -> Option<String> {
        let payload = payload.map(|payload| Bytes::copy_from_slice(payload.as_bytes()));
        self.operate(Verb::Retry { step: Some(self.step(step)), payload })
    }

    fn call_back(&mut self, step: &str, direction: Direction, answer: &str) -> Option<String> {
        let call = self.current(step, direction).call;
        let outcome = outcome(answer);
        self.run.give(Command::Callback { call, outcome }, 5).err().map(|rejected| rejected.to_string())
    }

    fn child(&mut self, step: &str, stands: &str) {
        let child = self.run.saga.child(self.step(step)).expect("a child was started there");
        let stands = match stands {
            "goes" => ChildStands::UnderWay,
            "parks" => ChildStands::Parked,
            "completes" => ChildStands::Completed { output: Bytes::from_static(b"[7]") },
            "compensates" => ChildStands::Compensated { reason: Reason::new("sold_out", "none left") },
            "abandoned" => ChildStands::Abandoned,
            _ => panic!("no child stands like this: {stands}"),
        };
        self.run.give(Command::Child { child, stands }, 5).expect("what a child tells is never rejected");
    }

    fn wanted(&mut self, wants: &[&str]) {
        let has = |what| wants.contains(&what);
        let want = Want { undo: has("undone"), pause: has("paused"), abandon: has("abandoned") };
        self.run.give(Command::Wanted { want }, 5).expect("what a parent wants is never rejected");
    }

    fn answer(&mut self, step: &str, direction: Direction, answer: &str) {
        let (name, number) = step.split_once('#').map_or((step, None), |(name, n)| (name, Some(n)));
        let mut attempt = self.current(name, direction);
        if let Some(number) = number {
            attempt.number = number.parse().expect("an attempt is a number");
        }
        self.run
            .give(Command::Answer { attempt, outcome: outcome(answer) }, 5)
            .expect("answers are never rejected");
    }

    fn unmade(&mut self, step: &str, direction: Direction) {
        let attempt = self.current(step, direction);
        let why = "no such field".to_owned();
        self.run.give(Command::Unmade { attempt, why }, 5).expect("answers are never rejected");
    }

    fn current(&self, step: &str, direction: Direction) -> AttemptId {
        let step = self.step(step);
        let run = self.run.step(step);
        run.call(step, direction).attempt(run.attempts_of(direction))
    }

    fn step(&self, name: &str) -> StepId {
        let (name, occurrence) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((name, n)) => (name, Some(n.parse().expect("a run is a number"))),
            None => (name, None),
        };
        let step = self.run.definition.find(name).unwrap_or_else(|| panic!("no such step: {name}"));
        StepId { step, occurrence }
    }

    fn name(&self, step: StepId) -> String {
        step.named(&self.run.definition.written(step.step).name).to_string()
    }

    fn in_words(&self, event: &Event) -> String {
        let call = |attempt: &AttemptId| match attempt.direction() {
            Direction::Action => self.name(attempt.call.of()),
            Direction::Compensation => format!("undo of {}", self.name(attempt.call.of())),
        };
        match event {
            Event::SagaStarted { .. } => "saga started".to_owned(),
            Event::StepStarted { step } => format!("{} started", self.name(*step)),
            Event::AttemptStarted { attempt } => format!("{} asked #{}", call(attempt), attempt.number),
            Event::AttemptUnknown { attempt, .. } => format!("{} unknown #{}", call(attempt), attempt.number),
            Event::AttemptWorking { attempt, .. } => format!("{} working #{}", call(attempt), attempt.number),
            Event::OutputTooLarge { step, bytes, limit } => {
                format!("output of {} too large ({bytes} > {limit})", self.name(*step))
            }
            Event::StepUnmade { step, .. } => format!("{} unmade", self.name(*step)),
            Event::StepConflicted { step, .. } => format!("{} conflicted", self.name(*step)),
            Event::SleepEnded { step } => format!("{} slept", self.name(*step)),
            Event::SignalReceived { signal } => format!("signal {} received", signal.name),
            Event::SignalTaken { step } => format!("{} took its signal", self.name(*step)),
            Event::WaitTimedOut { step } => format!("{} timed out", self.name(*step)),
            Event::ClockSetBack { by } => format!("clock set back by {by:?}"),
            Event::StepCompleted { step, .. } => format!("{} completed", self.name(*step)),
            Event::StepRefused { step, .. } => format!("{} refused", self.name(*step)),
            Event::StepGivenUp { step, why } => format!("{} given up ({why:?})", self.name(*step)),
            Event::TurnedBack { cause } => format!("turned back ({})", self.cause(cause)),
            Event::OutputSought { step } => format!("output of {} sought", self.name(*step)),
            Event::OutputFound { step, .. } => format!("output of {} found", self.name(*step)),
            Event::NothingToUndo { step } => format!("nothing to undo of {}", self.name(*step)),
            Event::CompensationStarted { step } => {
                let mut owed = self.run.saga.owed();
                let is_doubtful = owed.any(|effect| match effect {
                    Effect::Call(call) => call.attempt.call.of() == *step && call.in_doubt,
                    Effect::Child(_) => false,
                });
                let doubt = if is_doubtful { " in doubt" } else { "" };
                format!("undo of {} started{doubt}", self.name(*step))
            }
            Event::CompensationCompleted { step } => format!("undo of {} completed", self.name(*step)),
            Event::CompensationFailed { step, .. } => format!("undo of {} failed", self.name(*step)),
            Event::SagaCompleted { output: None } => "saga completed".to_owned(),
            Event::SagaCompleted { output: Some(output) } => {
                format!("saga completed with {}", String::from_utf8_lossy(output))
            }
            Event::OutputUnmade { reason } => format!("output unmade ({})", reason.code),
            Event::StepPassedOver { step } => format!("{} passed over", self.name((*step).into())),
            Event::StepUnjudged { step, reason } => {
                format!("{} unjudged ({})", self.name(*step), reason.message)
            }
            Event::StepSplit { step, elements } => {
                format!("{} split in {}", self.name((*step).into()), elements.len())
            }
            Event::LimitExtended { step, by } => format!("limit of {} extended by {by:?}", self.name(*step)),
            Event::RefusalReported { call, .. } => format!("{} refused by callback", self.name(call.of())),
            Event::ChildFreed { step } => format!("child of {} freed", self.name(*step)),
            Event::Recalled => "recalled".to_owned(),
            Event::LateEffect { call } => format!("late effect of {}", self.name(call.of())),
            Event::WaitRefused { step, refusal } => {
                format!("{} refused by signal ({}: {})", self.name(*step), refusal.code, refusal.message)
            }
            Event::CallCorrected { call, .. } => {
                format!(
                    "{} {} corrected, round {}",
                    call.direction.as_str(),
                    self.name(call.of()),
                    call.round
                )
            }
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
            Cause::Unmade(step) => format!("{} was unmade", self.name(*step)),
            Cause::Recalled => "recalled".to_owned(),
            Cause::OutputUnmade => "the output was unmade".to_owned(),
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
        None if answer == "conflict" => Outcome::Conflict { message: "another payload".to_owned() },
        None if answer == "lost" => Outcome::unknown("reset", "connection reset"),
        None if answer == "working" => Outcome::Working { ask_again_after: None },
        Some(("no", code)) => Outcome::refused(code, "not like this"),
        Some(("lost", number)) if number.parse::<u64>().is_ok() => {
            let Outcome::Unknown { reason, .. } = Outcome::unknown("busy", "try later") else {
                unreachable!()
            };
            Outcome::Unknown { reason, retry_after: Some(milliseconds_of(number)) }
        }
        Some(("lost", code)) => Outcome::unknown(code, "never works"),
        Some(("working", number)) => Outcome::Working { ask_again_after: Some(milliseconds_of(number)) },
        _ => panic!("no such answer: {answer}"),
    }
}
