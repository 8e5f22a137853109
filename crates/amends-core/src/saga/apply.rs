//! How events change a saga.
//!
//! Owns [`Saga::begin`] and [`Saga::apply`]. Promises that every move is in the tables of
//! [`super::transition`], that the invariants hold after every event, and that an event that does not fit is
//! an error. Does not choose events: that is `decide.rs`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::definition::{Kind, OnTimeout, SagaDefinition};
use super::event::{Cause, Event, GivenUp, ParkReason};
use super::step_state::{Acted, Asking, Corrected, Failure, Legs, Phase};
use super::{Parked, Saga, Status, StepRun, StepState};
use crate::attempt::{AttemptId, CallId, Direction, StepId, StepIndex};
use crate::command::{Signal, VerbKey};
use crate::id::TransactionId;
use crate::limits::VERB_KEYS_KEPT_MAX;
use crate::misfit::ApplyError;
use crate::moment::Time;
use crate::outcome::{Reason, Refusal};

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
            result: None,
            is_recalled: false,
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
            Event::StepPassedOver { step } => self.pass_step_over(*step, at),
            Event::StepUnjudged { step, reason } => self.fail_unjudged(*step, reason, at),
            Event::StepSplit { step, elements } => self.split_step(*step, elements, at),
            Event::LimitExtended { step, by } => {
                let StepState::InProgress { deadline, .. } = &mut self.run_mut(*step)?.state else {
                    return Err("only a step whose action is asked has a limit to extend");
                };
                *deadline = deadline.after(*by);
                Ok(())
            }
            Event::RefusalReported { call, refusal } => self.note_refusal(*call, refusal),
            Event::ChildFreed { step } => {
                let is_waited_for = |parked: &Parked| parked.because == ParkReason::ChildParked(*step);
                if !self.parked.as_ref().is_some_and(is_waited_for) {
                    return Err("only a saga that waits for its child is freed with it");
                }
                self.unpark_if_parked(at)
            }
            Event::Recalled if self.is_recalled => Err("a saga is recalled once"),
            Event::Recalled => {
                self.is_recalled = true;
                Ok(())
            }
            Event::LateEffect { call } => {
                let rare = self.run_mut(call.of())?.rare.get_or_insert_default();
                rare.late_effects = rare.late_effects.saturating_add(1);
                Ok(())
            }
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
                // A participant that said *working* may be at it.
                let asking = self.run(*step)?.state.asking();
                let is_working = asking.is_some_and(|(_, asking)| asking.working_until.is_some());
                let failure = Failure::Unmade { in_doubt: self.is_unknown(*step)? || is_working };
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
            Event::WaitRefused { step, refusal } => self.refuse_wait(*step, refusal, at),
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
                if !self.is_owed_undo_of(*step) {
                    return Err("only a step that may have taken effect is undone");
                }
                let acted = state.acted().ok_or("what may have taken effect is known as such")?;
                self.start_compensation(*step, acted)
            }
            Event::CompensationCompleted { step } => {
                let (StepState::Compensating { acted, .. } | StepState::ChildUndoing { acted }) =
                    &self.run(*step)?.state
                else {
                    return Err("only a step being undone is undone");
                };
                let acted = acted.clone();
                self.move_step(*step, StepState::Compensated { acted })
            }
            Event::CompensationFailed { step, reason } => self.fail_compensation(*step, reason),
            Event::OutputUnmade { reason } => {
                if !self.steps.iter().all(|run| run.state.is_done()) {
                    return Err("a saga returns something once every step is done");
                }
                self.result = Some(Box::new(Err(reason.clone())));
                Ok(())
            }
            Event::SagaCompleted { output } => {
                self.result = output.as_ref().map(|output| Box::new(Ok(output.clone())));
                self.end(Status::Completed, at)
            }
            Event::SagaCompensated => self.end(Status::Compensated, at),
            Event::SagaParked { because } => {
                self.parked = Some(Parked { since: at, because: because.clone() });
                self.move_to(Status::Parked)
            }
            Event::CancelRequested { .. } => Ok(()),
            Event::SagaRetried { .. } => self.unpark_if_parked(at),
            Event::CallCorrected { call, payload } => self.correct_call(*call, payload),
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

    fn start_step(&mut self, step: StepId, at: Time) -> Taken {
        if !self.is_forward() {
            return Err("nothing is started on the way back");
        }
        self.require_startable(step)?;
        let (attempts, state) = match &self.definition.step(step.step).kind {
            Kind::Call(calls) => {
                (1, StepState::InProgress { asking: Asking::FIRST, deadline: at.after(calls.limit) })
            }
            Kind::Sleep { length } => (0, StepState::Sleeping { until: at.after(*length) }),
            Kind::Wait(wait) => (0, StepState::Waiting { until: at.after(wait.limit) }),
            Kind::Child(child) => {
                let deadline = child.limit.map_or(Time::NEVER, |limit| at.after(limit));
                (1, StepState::InChild { deadline })
            }
        };
        let run = self.run_mut(step)?;
        run.attempts = attempts;
        run.started_at = Some(at);
        self.move_step(step, state)?;
        self.get_going()
    }

    /// Whether the step, or its run, has not started, and everything before it is done.
    fn require_startable(&self, step: StepId) -> Taken {
        if !matches!(self.run(step)?.state, StepState::Pending) {
            return Err("a step starts once");
        }
        match step.occurrence {
            None if !self.startable().contains(step.step) => Err("a step starts when all before it are done"),
            None => Ok(()),
            Some(0) => Ok(()),
            Some(n) if matches!(self.run(StepId::leg(step.step, n - 1))?.state, StepState::Pending) => {
                Err("the runs of a step start in the order of their elements")
            }
            Some(_) => Ok(()),
        }
    }

    fn pass_step_over(&mut self, step: StepIndex, at: Time) -> Taken {
        self.require_unstarted(step.into())?;
        let run = self.run_mut(step.into())?;
        run.rare.get_or_insert_default().supplied = Some(NOTHING);
        self.finish_step(step.into(), StepState::Skipped { output: NOTHING, acted: None }, at)?;
        self.get_going()
    }

    fn fail_unjudged(&mut self, step: StepId, reason: &Reason, at: Time) -> Taken {
        self.require_unstarted(step)?;
        self.run_mut(step)?.error = Some(Box::new(reason.clone()));
        self.finish_step(step, StepState::Failed { because: Failure::Unjudged }, at)?;
        self.get_going()
    }

    fn split_step(&mut self, step: StepIndex, elements: &[Bytes], at: Time) -> Taken {
        self.require_unstarted(step.into())?;
        if self.definition.written(step).each.is_none() {
            return Err("only a step that runs once for each element is split");
        }
        let legs = Legs::new(elements);
        let run = self.run_mut(step.into())?;
        run.started_at = Some(at);
        run.finished_at = legs.output.is_some().then_some(at);
        run.state = StepState::Split(Box::new(legs));
        self.get_going()
    }

    fn require_unstarted(&self, step: StepId) -> Taken {
        if !self.is_forward() {
            return Err("nothing is started on the way back");
        }
        self.require_startable(step)
    }

    fn get_going(&mut self) -> Taken {
        if self.status == Status::Pending { self.move_to(Status::InProgress) } else { Ok(()) }
    }

    /// The attempt that is out is waited for. What it did is not known from here on: the refusal may be another's.
    fn note_refusal(&mut self, call: CallId, refusal: &Refusal) -> Taken {
        let run = self.run_mut(call.of())?;
        if run.call(call.of(), call.direction) != call {
            return Err("only the call that is asked is refused");
        }
        match run.state.asking_mut() {
            Some((direction, asking)) if direction == call.direction => asking.unknown = true,
            Some(_) | None => return Err("only the call that is asked is refused"),
        }
        run.rare.get_or_insert_default().reported = Some(refusal.clone());
        Ok(())
    }

    fn correct_call(&mut self, call: CallId, payload: &Bytes) -> Taken {
        let run = self.run_mut(call.of())?;
        let is_stuck = match (call.direction, &mut run.state) {
            (Direction::Action, state) => matches!(state, StepState::Failed { .. }),
            (Direction::Compensation, StepState::CompensationFailed { unknown, .. }) => !*unknown,
            (Direction::Compensation, _) => false,
        };
        if !is_stuck {
            return Err("only a call that failed for certain is corrected");
        }
        if call.round.checked_sub(1) != Some(run.round(call.direction)) {
            return Err("rounds are numbered without gaps");
        }
        let [action, undo] = &mut run.rare.get_or_insert_default().corrected;
        let of = match call.direction {
            Direction::Action => action,
            Direction::Compensation => undo,
        };
        *of = Some(Corrected { round: call.round, payload: payload.clone() });
        Ok(())
    }

    fn start_attempt(&mut self, attempt: AttemptId) -> Taken {
        let run = self.run_mut(attempt.call.of())?;
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
        *self.run_mut(attempt.call.of())?.error_mut() = Some(Box::new(reason.clone()));
        Ok(())
    }

    /// Decides a step whose action is asked. Without a reason of its own the last attempt's stays: it says
    /// more.
    fn decide_asked(&mut self, step: StepId, state: StepState, error: Option<Reason>, at: Time) -> Taken {
        let run = self.run_mut(step)?;
        if !matches!(run.state, StepState::InProgress { .. } | StepState::InChild { .. }) {
            return Err("only a step whose action is asked is decided");
        }
        if error.is_some() {
            run.error = error.map(Box::new);
        }
        if let Some(rare) = &mut run.rare {
            rare.reported = None;
        }
        self.finish_step(step, state, at)
    }

    fn give_step_up(&mut self, step: StepId, why: GivenUp, at: Time) -> Taken {
        if matches!(self.run(step)?.state, StepState::Sleeping { .. } | StepState::Waiting { .. }) {
            return self.finish_step(step, StepState::Failed { because: Failure::Dropped }, at);
        }
        self.decide_asked(step, StepState::Failed { because: Failure::GivenUp(why) }, why.reason(), at)
    }

    fn finish_step(&mut self, step: StepId, state: StepState, at: Time) -> Taken {
        self.run_mut(step)?.finished_at = Some(at);
        self.move_step(step, state)?;
        if step.occurrence.is_some()
            && let StepState::Split(legs) = &mut self.steps[step.step.at()].state
        {
            legs.gather();
            if legs.output.is_some() {
                self.steps[step.step.at()].finished_at = Some(at);
            }
        }
        Ok(())
    }

    fn keep_signal(&mut self, signal: &Signal) -> Taken {
        if !self.definition.signals().any(|name| name == signal.name) {
            return Err("a signal is kept only if a step waits for it");
        }
        self.signals.get_or_insert_default().kept.push(signal.clone());
        Ok(())
    }

    fn take_signal(&mut self, step: StepId, at: Time) -> Taken {
        let StepState::Waiting { .. } = &self.run(step)?.state else {
            return Err("only a step that waits takes a signal");
        };
        let definition = self.definition.clone();
        let wait = definition.wait(step.step).ok_or(WAITS)?;
        let output = self.take_oldest(&wait.signal)?;
        self.finish_step(step, StepState::Completed { output }, at)
    }

    /// The body of the oldest signal of this name, which is kept no longer.
    fn take_oldest(&mut self, name: &str) -> Result<Bytes, &'static str> {
        let signals = self.signals.get_or_insert_default();
        let oldest = signals.kept.iter().position(|signal| signal.name == name);
        let signal = signals.kept.remove(oldest.ok_or("only a signal that was kept is taken")?);
        let body = signal.body.clone();
        signals.taken.push(signal);
        Ok(body)
    }

    fn refuse_wait(&mut self, step: StepId, refusal: &Refusal, at: Time) -> Taken {
        let StepState::Waiting { .. } = &self.run(step)?.state else {
            return Err("only a step that waits is refused by a signal");
        };
        let definition = self.definition.clone();
        let wait = definition.wait(step.step).ok_or(WAITS)?;
        self.take_oldest(wait.refused_by.as_deref().ok_or("only a signal that refuses the wait does")?)?;
        self.run_mut(step)?.error = Some(Box::new(refusal.reason()));
        self.finish_step(step, StepState::Failed { because: Failure::Refused { in_doubt: false } }, at)
    }

    fn time_out_wait(&mut self, step: StepId, at: Time) -> Taken {
        let StepState::Waiting { .. } = &self.run(step)?.state else {
            return Err("only a step that waits is waited for in vain");
        };
        let wait = self.definition.wait(step.step).ok_or(WAITS)?;
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
        if self.status == Status::Completed && !matches!(cause, Cause::Reversed | Cause::Recalled) {
            return Err("a completed saga turns back only when it is reversed");
        }
        self.turned_back = Some(cause.clone());
        self.parked = None;
        self.ended_at = None;
        self.move_to(Status::Compensating)
    }

    /// The action is asked again; the attempt is its own, and its number goes on.
    fn seek_output(&mut self, step: StepId) -> Taken {
        let acted =
            self.run(step)?.state.acted().ok_or("an output is sought for a step that may have acted")?;
        if acted.output().is_some() || !self.is_owed_undo_of(step) {
            return Err("an output is sought for a step that may have taken effect and has none");
        }
        let run = self.run_mut(step)?;
        run.attempts = next_attempt(run.attempts)?;
        let asking = Asking { unknown: true, ..Asking::FIRST };
        self.move_step(step, StepState::Seeking { acted, asking })
    }

    fn require_seeking(&self, step: StepId) -> Taken {
        if matches!(self.run(step)?.state, StepState::Seeking { .. }) {
            Ok(())
        } else {
            Err("an output is found, or found missing, where it was sought")
        }
    }

    fn start_compensation(&mut self, step: StepId, acted: Acted) -> Taken {
        if self.is_forward() {
            return Err("nothing is undone on the way forward");
        }
        if !self.clear_behind().contains(step.step) || !self.is_next_leg(step) {
            return Err("a step is undone after everything that followed it");
        }
        let is_child = matches!(self.definition.step(step.step).kind, Kind::Child(_));
        let run = self.run_mut(step)?;
        run.compensation_attempts = next_attempt(run.compensation_attempts)?;
        if is_child {
            return self.move_step(step, StepState::ChildUndoing { acted });
        }
        // Under the same key as before: what was unknown of it still is.
        let unknown = matches!(run.state, StepState::CompensationFailed { unknown: true, .. });
        self.move_step(
            step,
            StepState::Compensating { acted, asking: Box::new(Asking { unknown, ..Asking::FIRST }) },
        )
    }

    fn fail_compensation(&mut self, step: StepId, reason: &Reason) -> Taken {
        let run = self.run_mut(step)?;
        if !run.state.is_being_undone() {
            return Err("only a step being undone fails to be undone");
        }
        let acted = run.state.acted().ok_or("what is undone may have taken effect")?;
        let unknown = match run.state.asking() {
            Some((Direction::Compensation, asking)) => asking.unknown || asking.working_until.is_some(),
            Some((Direction::Action, _)) | None => true,
        };
        run.compensation_error = Some(Box::new(reason.clone()));
        if let Some(rare) = &mut run.rare {
            rare.reported = None;
        }
        self.move_step(step, StepState::CompensationFailed { acted, again: false, unknown })
    }

    fn retry_step(&mut self, step: StepId, at: Time) -> Taken {
        if matches!(self.run(step)?.state, StepState::Failed { because: Failure::Unjudged }) {
            // It is judged again.
            self.run_mut(step)?.finished_at = None;
            return self.move_step(step, StepState::Pending);
        }
        let rested = Asking { phase: Phase::Resting { until: at }, ..Asking::FIRST };
        let limit = match &self.definition.steps().get(step.step.at()).ok_or(NO_SUCH_STEP)?.kind {
            Kind::Call(calls) => calls.limit,
            Kind::Child(child) => {
                let deadline = child.limit.map_or(Time::NEVER, |limit| at.after(limit));
                return self.run_child_anew(step, deadline);
            }
            Kind::Sleep { .. } | Kind::Wait(_) => return Err("only a call is asked again"),
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
            StepState::CompensationFailed { acted, unknown, .. } => {
                StepState::CompensationFailed { acted: acted.clone(), again: true, unknown: *unknown }
            }
            StepState::Pending
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. }
            | StepState::InChild { .. }
            | StepState::ChildUndoing { .. }
            | StepState::Split(_)
            | StepState::Completed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => return Err("there is nothing to ask again"),
        };
        self.move_step(step, state)
    }

    /// Another child: the first one is undone.
    fn run_child_anew(&mut self, step: StepId, deadline: Time) -> Taken {
        let run = self.run_mut(step)?;
        if !matches!(run.state, StepState::Failed { because: Failure::Refused { in_doubt: false } }) {
            return Err("only a saga that came to nothing is run anew");
        }
        run.finished_at = None;
        run.attempts = next_attempt(run.attempts)?;
        self.move_step(step, StepState::InChild { deadline })
    }

    fn skip_step(&mut self, step: StepId, output: &Bytes, at: Time) -> Taken {
        if !self.is_forward() {
            return Err("nothing is skipped on the way back");
        }
        let run = self.run(step)?;
        let acted = match &run.state {
            StepState::Pending if step.occurrence.is_some() => {
                return Err("a run that has not started is not skipped");
            }
            StepState::Pending | StepState::Sleeping { .. } | StepState::Waiting { .. } => None,
            // Certain as a refusal may seem, a person who skips the step may know better.
            StepState::Failed { because } => {
                (run.attempts > 0).then(|| because.acted().unwrap_or(Acted::Perhaps))
            }
            StepState::InProgress { .. }
            | StepState::InChild { .. }
            | StepState::ChildUndoing { .. }
            | StepState::Split(_)
            | StepState::Completed { .. }
            | StepState::Seeking { .. }
            | StepState::Compensating { .. }
            | StepState::CompensationFailed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => {
                return Err("only a step that calls nobody now and is not done is skipped");
            }
        };
        self.run_mut(step)?.rare.get_or_insert_default().supplied = Some(output.clone());
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
        self.each_run_mut(|run| {
            if let StepState::InProgress { deadline: limit, .. }
            | StepState::InChild { deadline: limit }
            | StepState::Waiting { until: limit } = &mut run.state
            {
                *limit = limit.after(pause);
            }
            if let Some((_, asking)) = run.state.asking_mut() {
                asking.working_until = asking.working_until.map(|until| until.after(pause));
                if let Phase::Working { expires_at, .. } = &mut asking.phase {
                    *expires_at = expires_at.after(pause);
                }
            }
        });
    }

    /// Every moment that the saga waits for, or counts from, is that much earlier by the clock as it now is.
    fn set_clock_back(&mut self, by: Duration) {
        self.as_of = self.as_of.before(by);
        self.deadline = self.deadline.before(by);
        self.paused_since = self.paused_since.map(|since| since.before(by));
        if let Some(parked) = &mut self.parked {
            parked.since = parked.since.before(by);
        }
        self.each_run_mut(|run| {
            if let StepState::InProgress { deadline: moment, .. }
            | StepState::InChild { deadline: moment }
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
        });
    }

    /// Every step, and every run of those that run once for each element.
    fn each_run_mut(&mut self, mut change: impl FnMut(&mut StepRun)) {
        for run in &mut self.steps {
            if let Some(legs) = run.state.legs_mut() {
                legs.runs.iter_mut().for_each(&mut change);
            } else {
                change(run);
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

    fn move_step(&mut self, step: StepId, next: StepState) -> Taken {
        let run = self.run_mut(step)?;
        if !run.state.status().may_become(next.status()) {
            return Err("the table of step transitions forbids it");
        }
        run.state = next;
        Ok(())
    }

    pub(super) fn run(&self, step: StepId) -> Result<&StepRun, &'static str> {
        let run = self.steps.get(step.step.at()).ok_or(NO_SUCH_STEP)?;
        let Some(n) = step.occurrence else { return Ok(run) };
        run.state.legs().and_then(|legs| legs.runs.get(n as usize)).ok_or(NO_SUCH_LEG)
    }

    fn run_mut(&mut self, step: StepId) -> Result<&mut StepRun, &'static str> {
        let run = self.steps.get_mut(step.step.at()).ok_or(NO_SUCH_STEP)?;
        let Some(n) = step.occurrence else { return Ok(run) };
        run.state.legs_mut().and_then(|legs| legs.runs.get_mut(n as usize)).ok_or(NO_SUCH_LEG)
    }

    /// Whether the outcome of some attempt of the action that is asked is unknown.
    fn is_unknown(&self, step: StepId) -> Result<bool, &'static str> {
        match self.run(step)?.state.asking() {
            Some((Direction::Action, asking)) => Ok(asking.unknown),
            // What came to nothing came to nothing.
            None if matches!(self.run(step)?.state, StepState::InChild { .. }) => Ok(false),
            Some((Direction::Compensation, _)) | None => Err("only a step whose action is asked is decided"),
        }
    }

    /// The call that the attempt belongs to, if the attempt is the current one.
    fn current_asking(&mut self, attempt: AttemptId) -> Result<&mut Asking, &'static str> {
        let run = self.run_mut(attempt.call.of())?;
        if run.attempts_of(attempt.direction()) != attempt.number {
            return Err("only the current attempt is answered");
        }
        asking_of(run, attempt)
    }
}

const NO_SUCH_STEP: &str = "the definition has no such step";
const NO_SUCH_LEG: &str = "the step has no such run";
const WAITS: &str = "a step that waits is defined as one";

fn next_attempt(number: u32) -> Result<u32, &'static str> {
    number.checked_add(1).ok_or("attempts are counted in 32 bits")
}

fn asking_of(run: &mut StepRun, attempt: AttemptId) -> Result<&mut Asking, &'static str> {
    if attempt.call != run.call(attempt.call.of(), attempt.direction()) {
        return Err("only the call that is asked is asked again or answered");
    }
    match run.state.asking_mut() {
        Some((asked, asking)) if asked == attempt.direction() => Ok(asking),
        Some(_) | None => Err("the step is not asked in this direction"),
    }
}
