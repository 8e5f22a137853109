//! How events change a saga.
//!
//! Owns [`Saga::begin`] and [`Saga::apply`]. Promises that every move is in the tables of
//! [`super::transition`], that the invariants hold after every event, and that an event that does not fit is
//! an error. Does not choose events: that is `decide.rs`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::definition::{Kind, OnTimeout, SagaDefinition};
use super::event::{Cause, Event, GivenUp};
use super::step_state::{Acted, Asking, Failure, Phase};
use super::{Parked, Saga, Status, StepRun, StepState};
use crate::attempt::{AttemptId, Direction, StepIndex};
use crate::command::{Signal, VerbKey};
use crate::id::TransactionId;
use crate::limits::VERB_KEYS_KEPT_MAX;
use crate::misfit::ApplyError;
use crate::moment::Time;
use crate::outcome::Reason;

/// The output of a sleep, and of a wait that goes on without its signal.
const NOTHING: Bytes = Bytes::from_static(b"null");

type Taken = Result<(), &'static str>;

impl Saga {
    /// The saga that a first event makes.
    ///
    /// # Errors
    /// When `event` is no [`Event::SagaStarted`], or is about another definition.
    pub fn begin(
        id: TransactionId,
        definition: Arc<SagaDefinition>,
        event: &Event,
        at: Time,
    ) -> Result<Self, ApplyError> {
        let misfit = |because| {
            let status = Status::Pending.as_str();
            ApplyError { event: format!("{event:?}"), status, because }
        };
        let Event::SagaStarted { definition: name, version, input, origin } = event else {
            return Err(misfit("the first event of a saga is its start"));
        };
        if definition.name() != name || definition.version() != *version {
            return Err(misfit("the saga was started under another definition"));
        }
        Ok(Self {
            id,
            input: input.clone(),
            status: Status::Pending,
            turned_back: None,
            parked: None,
            paused_since: None,
            deadline: at.after(definition.spec().limit),
            started_at: at,
            ended_at: None,
            as_of: at,
            facts: 1,
            bytes: event.weight(),
            steps: vec![StepRun::PENDING; definition.spec().steps.len()],
            origin: origin.clone(),
            signals: None,
            verbs: None,
            definition,
        })
    }

    /// Takes one fact in.
    ///
    /// # Errors
    /// When the fact does not fit; the state is then not to be used any further.
    ///
    /// # Panics
    /// When an invariant does not hold afterwards: stopping beats going on from a false state.
    pub fn apply(&mut self, event: &Event, at: Time) -> Result<(), ApplyError> {
        self.take(event, at).map_err(|because| ApplyError {
            event: format!("{event:?}"),
            status: self.status.as_str(),
            because,
        })?;
        if let Some(key) = event.by().and_then(|by| by.key.as_ref()) {
            self.remember(key);
        }
        self.facts += 1;
        self.as_of = self.as_of.max(at);
        self.bytes = self.bytes.saturating_add(event.weight());
        self.assert_invariants();
        Ok(())
    }

    /// Notes that a verb with this key was carried out.
    fn remember(&mut self, key: &VerbKey) {
        let verbs = self.verbs.get_or_insert_default();
        if verbs.len() == VERB_KEYS_KEPT_MAX {
            verbs.remove(0);
        }
        verbs.push(key.clone());
    }

    fn take(&mut self, event: &Event, at: Time) -> Taken {
        match event {
            Event::SagaStarted { .. } => Err("a saga starts once"),
            Event::StepStarted { step } => self.start_step(*step, at),
            Event::AttemptStarted { attempt } => self.start_attempt(*attempt),
            Event::AttemptUnknown { attempt, reason, retry_at } => {
                self.attempt_unknown(*attempt, reason, *retry_at)
            }
            Event::AttemptWorking { attempt, ask_at, expires_at } => {
                let asking = self.current_asking(*attempt)?;
                asking.working_until = Some(*expires_at);
                asking.phase = Phase::Working { ask_at: *ask_at, expires_at: *expires_at };
                Ok(())
            }
            Event::StepCompleted { step, output } => {
                self.decide_asked(*step, StepState::Completed { output: output.clone() }, None, at)
            }
            // While it was sought: it is known then that there is something to undo.
            Event::OutputTooLarge { step, .. } if self.run(*step)?.state.is_being_undone() => {
                let StepState::Seeking { acted, .. } = &mut self.run_mut(*step)?.state else {
                    return Err("an output is too large where it was sought, or asked for first");
                };
                *acted = Acted::Surely;
                Ok(())
            }
            Event::OutputTooLarge { step, bytes, limit } => {
                let failure = Failure::OutputTooLarge { bytes: *bytes, limit: *limit };
                let message = format!("the output would take {bytes} bytes; {limit} are allowed");
                let reason = Reason::new(Reason::OUTPUT_TOO_LARGE, message);
                self.decide_asked(*step, StepState::Failed { because: failure }, Some(reason), at)
            }
            Event::StepRefused { step, refusal } => {
                let failure = Failure::Refused { in_doubt: self.is_unknown(*step)? };
                self.decide_asked(*step, StepState::Failed { because: failure }, Some(refusal.reason()), at)
            }
            Event::StepUnmade { step, reason } => {
                let failure = Failure::Unmade { in_doubt: self.is_unknown(*step)? };
                self.decide_asked(*step, StepState::Failed { because: failure }, Some(reason.clone()), at)
            }
            Event::StepConflicted { step, reason } => {
                let failure = StepState::Failed { because: Failure::Conflict };
                self.decide_asked(*step, failure, Some(reason.clone()), at)
            }
            Event::StepGivenUp { step, why } => self.give_step_up(*step, *why, at),
            Event::SleepEnded { step } => {
                if !matches!(self.run(*step)?.state, StepState::Sleeping { .. }) {
                    return Err("only a step that sleeps wakes");
                }
                self.finish_step(*step, StepState::Completed { output: NOTHING }, at)
            }
            Event::SignalReceived { signal } => self.keep_signal(signal),
            Event::SignalTaken { step } => self.take_signal(*step, at),
            Event::WaitTimedOut { step } => self.time_out_wait(*step, at),
            Event::TurnedBack { cause } => self.turn_back(cause),
            Event::OutputSought { step } => self.seek_output(*step),
            Event::OutputFound { step, output } => {
                self.require_seeking(*step)?;
                self.start_compensation(*step, Acted::Returned(output.clone()))
            }
            Event::NothingToUndo { step } => {
                self.require_seeking(*step)?;
                if self.run(*step)?.state.acted() == Some(Acted::Surely) {
                    return Err("what took effect for certain is there to undo");
                }
                self.move_step(*step, StepState::Failed { because: Failure::NothingToUndo })
            }
            Event::CompensationStarted { step } => {
                let state = &self.run(*step)?.state;
                if !self.is_owed_undo(*step) {
                    return Err("only a step that may have taken effect is undone");
                }
                let acted = state.acted().ok_or("what may have taken effect is known as such")?;
                self.start_compensation(*step, acted)
            }
            Event::CompensationCompleted { step } => {
                let StepState::Compensating { acted, .. } = &self.run(*step)?.state else {
                    return Err("only a step being undone is undone");
                };
                let acted = acted.clone();
                self.move_step(*step, StepState::Compensated { acted })
            }
            Event::CompensationFailed { step, reason } => self.fail_compensation(*step, reason),
            Event::SagaCompleted => self.end(Status::Completed, at),
            Event::SagaCompensated => self.end(Status::Compensated, at),
            Event::SagaParked { because } => {
                self.parked = Some(Parked { since: at, because: because.clone() });
                self.move_to(Status::Parked)
            }
            Event::CancelRequested { .. } => Ok(()),
            Event::SagaRetried { .. } => self.unpark_if_parked(at),
            Event::StepRetried { step } => self.retry_step(*step, at),
            Event::StepSkipped { step, output, .. } => self.skip_step(*step, output, at),
            Event::CompensationResolved { step, .. } => {
                let StepState::CompensationFailed { acted, .. } = &self.run(*step)?.state else {
                    return Err("only a compensation that failed is resolved by hand");
                };
                let acted = acted.clone();
                self.move_step(*step, StepState::Compensated { acted })?;
                self.unpark_if_parked(at)
            }
            Event::SagaPaused { .. } => match self.paused_since.replace(at) {
                Some(_) => Err("a paused saga is not paused again"),
                None => Ok(()),
            },
            Event::SagaResumed { .. } => self.resume(at),
            Event::SagaReversed { .. } if self.status == Status::Completed => Ok(()),
            Event::SagaReversed { .. } => Err("only a completed saga is reversed"),
            Event::SagaAbandoned { .. } => {
                self.parked = None;
                self.end(Status::Abandoned, at)
            }
            Event::ClockSetBack { by } => {
                self.set_clock_back(*by);
                Ok(())
            }
        }
    }

    fn start_step(&mut self, step: StepIndex, at: Time) -> Taken {
        if !self.is_forward() {
            return Err("nothing is started on the way back");
        }
        if self.run(step)?.state != StepState::Pending {
            return Err("a step starts once");
        }
        if !self.startable().contains(step) {
            return Err("a step starts when all before it are done");
        }
        let (attempts, state) = match &self.definition.step(step).kind {
            Kind::Call(calls) => {
                (1, StepState::InProgress { asking: Asking::FIRST, deadline: at.after(calls.limit) })
            }
            Kind::Sleep { length } => (0, StepState::Sleeping { until: at.after(*length) }),
            Kind::Wait(wait) => (0, StepState::Waiting { until: at.after(wait.limit) }),
            Kind::Child(_) => return Err("this version runs no saga in a saga yet"),
        };
        let run = self.run_mut(step)?;
        run.attempts = attempts;
        run.started_at = Some(at);
        self.move_step(step, state)?;
        if self.status == Status::Pending { self.move_to(Status::InProgress) } else { Ok(()) }
    }

    fn start_attempt(&mut self, attempt: AttemptId) -> Taken {
        let run = self.run_mut(attempt.step())?;
        let direction = attempt.direction();
        let expected = next_attempt(run.attempts_of(direction))?;
        let asking = asking_of(run, attempt)?;
        if asking.phase == Phase::Calling {
            return Err("one attempt is under way at a time");
        }
        if attempt.number != expected {
            return Err("attempts are numbered without gaps");
        }
        asking.phase = Phase::Calling;
        *run.attempts_mut(direction) = attempt.number;
        Ok(())
    }

    fn attempt_unknown(&mut self, attempt: AttemptId, reason: &Reason, retry_at: Time) -> Taken {
        let asking = self.current_asking(attempt)?;
        asking.unanswered = asking.unanswered.saturating_add(1);
        asking.unknown = true;
        asking.phase = Phase::Resting { until: retry_at };
        *self.run_mut(attempt.step())?.error_mut() = Some(Box::new(reason.clone()));
        Ok(())
    }

    /// Decides a step whose action is asked. Without a reason of its own the last attempt's stays: it says
    /// more.
    fn decide_asked(&mut self, step: StepIndex, state: StepState, error: Option<Reason>, at: Time) -> Taken {
        let run = self.run_mut(step)?;
        if !matches!(run.state, StepState::InProgress { .. }) {
            return Err("only a step whose action is asked is decided");
        }
        if error.is_some() {
            run.error = error.map(Box::new);
        }
        self.finish_step(step, state, at)
    }

    fn give_step_up(&mut self, step: StepIndex, why: GivenUp, at: Time) -> Taken {
        if matches!(self.run(step)?.state, StepState::Sleeping { .. } | StepState::Waiting { .. }) {
            return self.finish_step(step, StepState::Failed { because: Failure::Dropped }, at);
        }
        self.decide_asked(step, StepState::Failed { because: Failure::GivenUp(why) }, why.reason(), at)
    }

    fn finish_step(&mut self, step: StepIndex, state: StepState, at: Time) -> Taken {
        self.run_mut(step)?.finished_at = Some(at);
        self.move_step(step, state)
    }

    fn keep_signal(&mut self, signal: &Signal) -> Taken {
        if !self.definition.signals().any(|name| name == signal.name) {
            return Err("a signal is kept only if a step waits for it");
        }
        self.signals.get_or_insert_default().kept.push(signal.clone());
        Ok(())
    }

    fn take_signal(&mut self, step: StepIndex, at: Time) -> Taken {
        let StepState::Waiting { .. } = &self.run(step)?.state else {
            return Err("only a step that waits takes a signal");
        };
        let name = self.definition.wait(step).map(|wait| wait.signal.as_str());
        let signals = self.signals.get_or_insert_default();
        let oldest = signals.kept.iter().position(|signal| Some(signal.name.as_str()) == name);
        let signal = signals.kept.remove(oldest.ok_or("only a signal that was kept is taken")?);
        let output = signal.body.clone();
        signals.taken.push(signal);
        self.finish_step(step, StepState::Completed { output }, at)
    }

    fn time_out_wait(&mut self, step: StepIndex, at: Time) -> Taken {
        let StepState::Waiting { .. } = &self.run(step)?.state else {
            return Err("only a step that waits is waited for in vain");
        };
        let wait = self.definition.wait(step).ok_or("a step that waits is defined as one")?;
        let state = match wait.on_timeout {
            OnTimeout::GoOn => StepState::Completed { output: NOTHING },
            OnTimeout::TurnBack => StepState::Failed { because: Failure::WaitTimedOut },
        };
        self.finish_step(step, state, at)
    }

    fn turn_back(&mut self, cause: &Cause) -> Taken {
        if self.turned_back.is_some() {
            return Err("a saga turns back once");
        }
        if self.status == Status::Completed && *cause != Cause::Reversed {
            return Err("a completed saga turns back only when it is reversed");
        }
        self.turned_back = Some(cause.clone());
        self.parked = None;
        self.ended_at = None;
        self.move_to(Status::Compensating)
    }

    /// The action is asked again; the attempt is its own, and its number goes on.
    fn seek_output(&mut self, step: StepIndex) -> Taken {
        let acted =
            self.run(step)?.state.acted().ok_or("an output is sought for a step that may have acted")?;
        if acted.output().is_some() || !self.is_owed_undo(step) {
            return Err("an output is sought for a step that may have taken effect and has none");
        }
        let run = self.run_mut(step)?;
        run.attempts = next_attempt(run.attempts)?;
        let asking = Asking { unknown: true, ..Asking::FIRST };
        self.move_step(step, StepState::Seeking { acted, asking })
    }

    fn require_seeking(&self, step: StepIndex) -> Taken {
        if matches!(self.run(step)?.state, StepState::Seeking { .. }) {
            Ok(())
        } else {
            Err("an output is found, or found missing, where it was sought")
        }
    }

    fn start_compensation(&mut self, step: StepIndex, acted: Acted) -> Taken {
        if self.is_forward() {
            return Err("nothing is undone on the way forward");
        }
        if !self.clear_behind().contains(step) {
            return Err("a step is undone after everything that followed it");
        }
        let run = self.run_mut(step)?;
        run.compensation_attempts = next_attempt(run.compensation_attempts)?;
        self.move_step(step, StepState::Compensating { acted, asking: Box::new(Asking::FIRST) })
    }

    fn fail_compensation(&mut self, step: StepIndex, reason: &Reason) -> Taken {
        let run = self.run_mut(step)?;
        if !run.state.is_being_undone() {
            return Err("only a step being undone fails to be undone");
        }
        let acted = run.state.acted().ok_or("what is undone may have taken effect")?;
        run.compensation_error = Some(Box::new(reason.clone()));
        self.move_step(step, StepState::CompensationFailed { acted, again: false })
    }

    fn retry_step(&mut self, step: StepIndex, at: Time) -> Taken {
        let rested = Asking { phase: Phase::Resting { until: at }, ..Asking::FIRST };
        let limit = match &self.definition.steps().get(step.at()).ok_or(NO_SUCH_STEP)?.kind {
            Kind::Call(calls) => calls.limit,
            Kind::Sleep { .. } | Kind::Wait(_) | Kind::Child(_) => return Err("only a call is asked again"),
        };
        let run = self.run_mut(step)?;
        let state = match &run.state {
            StepState::InProgress { asking, deadline } => StepState::InProgress {
                asking: Asking { unknown: asking.unknown, ..rested },
                deadline: *deadline,
            },
            StepState::Seeking { acted, .. } => {
                StepState::Seeking { acted: acted.clone(), asking: Asking { unknown: true, ..rested } }
            }
            StepState::Compensating { acted, .. } => StepState::Compensating {
                acted: acted.clone(),
                asking: Box::new(Asking { unknown: true, ..rested }),
            },
            StepState::Failed { because } => {
                let asking = Asking { unknown: because.acted().is_some(), ..rested };
                run.finished_at = None;
                StepState::InProgress { asking, deadline: at.after(limit) }
            }
            StepState::CompensationFailed { acted, .. } => {
                StepState::CompensationFailed { acted: acted.clone(), again: true }
            }
            StepState::Pending
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. }
            | StepState::Completed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => return Err("there is nothing to ask again"),
        };
        self.move_step(step, state)
    }

    fn skip_step(&mut self, step: StepIndex, output: &Bytes, at: Time) -> Taken {
        if !self.is_forward() {
            return Err("nothing is skipped on the way back");
        }
        let run = self.run(step)?;
        let acted = match &run.state {
            StepState::Pending | StepState::Sleeping { .. } | StepState::Waiting { .. } => None,
            // Certain as a refusal may seem, a person who skips the step may know better.
            StepState::Failed { because } => {
                (run.attempts > 0).then(|| because.acted().unwrap_or(Acted::Perhaps))
            }
            StepState::InProgress { .. }
            | StepState::Completed { .. }
            | StepState::Seeking { .. }
            | StepState::Compensating { .. }
            | StepState::CompensationFailed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => {
                return Err("only a step that calls nobody now and is not done is skipped");
            }
        };
        self.run_mut(step)?.supplied = Some(Box::new(output.clone()));
        self.finish_step(step, StepState::Skipped { output: output.clone(), acted }, at)?;
        self.unpark_if_parked(at)
    }

    fn resume(&mut self, at: Time) -> Taken {
        let since = self.paused_since.take().ok_or("only a paused saga is resumed")?;
        // What passes after it was parked is not the pause's to give back.
        let until = self.parked.as_ref().map_or(at, |parked| parked.since);
        self.put_off_limits(until.since(since));
        Ok(())
    }

    /// Limits stood still for so long. A sleep went on: it is no limit.
    fn put_off_limits(&mut self, pause: Duration) {
        self.deadline = self.deadline.after(pause);
        for run in &mut self.steps {
            if let StepState::InProgress { deadline: limit, .. } | StepState::Waiting { until: limit } =
                &mut run.state
            {
                *limit = limit.after(pause);
            }
            if let Some((_, asking)) = run.state.asking_mut() {
                asking.working_until = asking.working_until.map(|until| until.after(pause));
                if let Phase::Working { expires_at, .. } = &mut asking.phase {
                    *expires_at = expires_at.after(pause);
                }
            }
        }
    }

    /// Every moment that the saga waits for, or counts from, is that much earlier by the clock as it now is.
    fn set_clock_back(&mut self, by: Duration) {
        self.as_of = self.as_of.before(by);
        self.deadline = self.deadline.before(by);
        self.paused_since = self.paused_since.map(|since| since.before(by));
        if let Some(parked) = &mut self.parked {
            parked.since = parked.since.before(by);
        }
        for run in &mut self.steps {
            if let StepState::InProgress { deadline: moment, .. }
            | StepState::Waiting { until: moment }
            | StepState::Sleeping { until: moment } = &mut run.state
            {
                *moment = moment.before(by);
            }
            if let Some((_, asking)) = run.state.asking_mut() {
                asking.working_until = asking.working_until.map(|until| until.before(by));
                match &mut asking.phase {
                    Phase::Calling => {}
                    Phase::Resting { until } => *until = until.before(by),
                    Phase::Working { ask_at, expires_at } => {
                        *ask_at = ask_at.before(by);
                        *expires_at = expires_at.before(by);
                    }
                }
            }
        }
    }

    /// Sends a parked saga on, or back. It waited for a person, which is nothing that limits are about: else
    /// the verb `retry` would find the saga's limit passed, and turn back what it was to send on.
    fn unpark_if_parked(&mut self, at: Time) -> Taken {
        let Some(Parked { since, .. }) = self.parked.take() else { return Ok(()) };
        if self.paused_since.is_none() {
            self.put_off_limits(at.since(since));
        }
        self.move_to(if self.is_forward() { Status::InProgress } else { Status::Compensating })
    }

    fn end(&mut self, status: Status, at: Time) -> Taken {
        self.ended_at = Some(at);
        self.paused_since = None;
        self.move_to(status)
    }

    fn move_to(&mut self, next: Status) -> Taken {
        if !self.status.may_become(next) {
            return Err("the table of saga transitions forbids it");
        }
        self.status = next;
        Ok(())
    }

    fn move_step(&mut self, step: StepIndex, next: StepState) -> Taken {
        let run = self.run_mut(step)?;
        if !run.state.status().may_become(next.status()) {
            return Err("the table of step transitions forbids it");
        }
        run.state = next;
        Ok(())
    }

    fn run(&self, step: StepIndex) -> Result<&StepRun, &'static str> {
        self.steps.get(step.at()).ok_or(NO_SUCH_STEP)
    }

    fn run_mut(&mut self, step: StepIndex) -> Result<&mut StepRun, &'static str> {
        self.steps.get_mut(step.at()).ok_or(NO_SUCH_STEP)
    }

    /// Whether the outcome of some attempt of the action that is asked is unknown.
    fn is_unknown(&self, step: StepIndex) -> Result<bool, &'static str> {
        match self.run(step)?.state.asking() {
            Some((Direction::Action, asking)) => Ok(asking.unknown),
            Some((Direction::Compensation, _)) | None => Err("only a step whose action is asked is decided"),
        }
    }

    /// The call that the attempt belongs to, if the attempt is the current one.
    fn current_asking(&mut self, attempt: AttemptId) -> Result<&mut Asking, &'static str> {
        let run = self.run_mut(attempt.step())?;
        if run.attempts_of(attempt.direction()) != attempt.number {
            return Err("only the current attempt is answered");
        }
        asking_of(run, attempt)
    }
}

const NO_SUCH_STEP: &str = "the definition has no such step";

fn next_attempt(number: u32) -> Result<u32, &'static str> {
    number.checked_add(1).ok_or("attempts are counted in 32 bits")
}

fn asking_of(run: &mut StepRun, attempt: AttemptId) -> Result<&mut Asking, &'static str> {
    if attempt.call != StepRun::call(attempt.step(), attempt.direction()) {
        return Err("the step runs once, and in its first round");
    }
    match run.state.asking_mut() {
        Some((asked, asking)) if asked == attempt.direction() => Ok(asking),
        Some(_) | None => Err("the step is not asked in this direction"),
    }
}
