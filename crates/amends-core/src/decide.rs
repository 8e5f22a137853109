//! What follows from a command: where a saga goes on, turns back, parks or ends.
//!
//! Owns [`Saga::start`] and [`Saga::decide`]. Promises that all events of one call became true together (one record),
//! that the saga is then as these events make it, and that what is rejected changes nothing. A saga turns back in
//! [`Plan::turn_back`] and nowhere else. Does not send, store or wait.

use std::sync::Arc;

use bytes::Bytes;

use crate::command::{By, Command, Moment, Rejected, Verb};
use crate::definition::{CompensationSpec, Definition, Role, StepIndex};
use crate::event::{Cause, Direction, Event, GivenUp, ParkReason};
use crate::id::TransactionId;
use crate::limits::{ASK_AGAIN_MIN, PENDING_SECONDS_MAX, REST_MAX};
use crate::outcome::{Outcome, Reason, Refusal};
use crate::saga::{Phase, Saga, StepState};
use crate::time::Time;
use crate::transition::Status;

impl Saga {
    /// The events that start a saga, and the state after them.
    #[must_use]
    pub fn start(
        id: TransactionId,
        definition: Arc<Definition>,
        input: Bytes,
        moment: Moment,
    ) -> (Self, Vec<Event>) {
        let started = Event::SagaStarted {
            definition: definition.name().clone(),
            version: definition.version(),
            input,
        };
        let mut saga =
            Self::begin(id, definition, &started, moment.now).expect("the event names this definition");
        let mut plan = Plan { saga: &mut saga, events: vec![started], moment, was_parked: None };
        plan.advance();
        let events = plan.events;
        (saga, events)
    }

    /// The events that follow from `command`, and have been taken in: the state is ahead of the journal until they are
    /// recorded. None if the command changes nothing (a repeated or late answer).
    ///
    /// # Errors
    /// When an operator's verb does not fit the state, which is then as it was.
    ///
    /// # Panics
    /// When an invariant does not hold; the state is then not to be used any further.
    pub fn decide(&mut self, command: Command, moment: Moment) -> Result<Vec<Event>, Rejected> {
        let was_parked = self.parked.as_ref().map(|parked| parked.because.clone());
        let mut plan = Plan { saga: self, events: Vec::new(), moment, was_parked };
        match command {
            Command::Recover => plan.recover(),
            Command::Answer { step, direction, attempt, outcome } => {
                plan.answer(step, direction, attempt, outcome);
            }
            Command::Wake => plan.wake(),
            Command::Operate { verb, by } => plan.operate(verb, by)?,
        }
        plan.advance();
        plan.assert_goes_on();
        Ok(plan.events)
    }
}

/// A decision in the making: the state after the events so far.
struct Plan<'s> {
    saga: &'s mut Saga,
    events: Vec<Event>,
    moment: Moment,
    /// Why the saga waited for an operator before this decision, if it did.
    was_parked: Option<ParkReason>,
}

impl Plan<'_> {
    fn record(&mut self, event: Event) {
        self.saga.apply(&event, self.moment.now).expect("core decides only what core can apply");
        self.events.push(event);
    }

    /// The one place where a saga turns back.
    fn turn_back(&mut self, cause: Cause) {
        self.record(Event::TurnedBack { cause });
    }

    fn park(&mut self, because: ParkReason) {
        self.record(Event::SagaParked { because });
    }

    fn is_forward(&self) -> bool {
        self.saga.turned_back.is_none()
    }

    fn is_at_rest(&self) -> bool {
        self.saga.status.is_ended() || self.saga.status == Status::Failed
    }

    fn role(&self, step: StepIndex) -> Role {
        self.saga.definition.step(step).role
    }

    fn state(&self, step: StepIndex) -> &StepState {
        &self.saga.steps[step.at()].state
    }

    /// Whatever can be done next without anybody's answer.
    fn advance(&mut self) {
        if self.is_at_rest() {
            return;
        }
        let failed = |step: &&StepIndex| matches!(self.state(**step), StepState::Failed { .. });
        if self.is_forward()
            && let Some(&step) = self.saga.definition.order().iter().find(failed)
        {
            self.remains_stuck(step);
            if self.is_at_rest() {
                return;
            }
        }
        if !self.is_forward() {
            self.give_up_what_rests();
        }
        if self.saga.is_paused() {
            return;
        }
        if self.is_forward() { self.advance_forward() } else { self.advance_back() }
    }

    /// A step that failed for good on the way forward: an operator helped another one of several, and nothing new
    /// starts beside it.
    fn remains_stuck(&mut self, step: StepIndex) {
        let error = self.saga.steps[step.at()].error.as_ref();
        let is_conflict = error.is_some_and(|reason| reason.code == Refusal::PAYLOAD_CONFLICT);
        if self.role(step) == Role::BeforePivot && !is_conflict {
            // Refused while the saga was parked: this is the turn that it would have made.
            return self.turn_back(Cause::Refused(step));
        }
        let because = match self.was_parked.take() {
            Some(because) if because.step() == Some(step) => because,
            Some(_) | None if is_conflict => ParkReason::PayloadConflict(step),
            Some(_) | None => ParkReason::RefusedAfterPivot(step),
        };
        self.park(because);
    }

    fn advance_forward(&mut self) {
        // None of these follows another, so that starting one lets no other start.
        let startable = self.saga.startable();
        for step in self.saga.definition.clone().order().iter().filter(|step| startable.contains(**step)) {
            self.record(Event::StepStarted { step: *step });
        }
        if self.saga.steps.iter().all(|run| run.state.is_done()) {
            self.record(Event::SagaCompleted);
        }
    }

    fn advance_back(&mut self) {
        // None of these follows another, so that starting one makes no other wait.
        let due = self.saga.undo_due();
        for &step in self.saga.definition.clone().order().iter().rev().filter(|step| due.contains(**step)) {
            let needs_output = matches!(
                self.saga.definition.written(step).compensation,
                CompensationSpec::Call { needs_output: true, .. }
            );
            if needs_output && self.saga.known_output(step).is_none() {
                self.record(Event::OutputSought { step });
            } else {
                self.record(Event::CompensationStarted { step });
            }
        }
        if self.saga.is_all_settled() {
            let failed =
                self.saga.steps.iter().any(|run| matches!(run.state, StepState::CompensationFailed { .. }));
            if failed {
                self.park(ParkReason::CompensationFailed);
            } else {
                self.record(Event::SagaCompensated);
            }
        }
    }

    /// On the way back no further attempt of an action is made: what has no attempt under way is in doubt.
    fn give_up_what_rests(&mut self) {
        for step in self.saga.definition.clone().order() {
            if let StepState::InProgress { asking, .. } = self.state(*step)
                && asking.phase != Phase::Calling
            {
                self.record(Event::StepGivenUp { step: *step, why: GivenUp::TurnedBack });
            }
        }
    }

    fn answer(&mut self, step: StepIndex, direction: Direction, attempt: u32, outcome: Outcome) {
        if self.saga.status.is_ended() || !self.saga.definition.has(step) {
            return;
        }
        let run = &self.saga.steps[step.at()];
        let Some((asked, asking)) = run.state.asking() else { return };
        let current = run.attempts_of(direction);
        if asked != direction || attempt > current {
            return;
        }
        // Only the attempt that is waited for can say no or "do not know"; a late success is a success all the same.
        let is_awaited = attempt == current && !matches!(asking.phase, Phase::Resting { .. });
        match outcome {
            Outcome::Completed { output } => self.completed(step, output),
            Outcome::Refused(refusal) if is_awaited => self.refused(step, refusal),
            Outcome::Pending { ask_again_after } if is_awaited => {
                let ask_at = ask_again_after
                    .map_or(Time::NEVER, |rest| self.moment.now.after(rest.clamp(ASK_AGAIN_MIN, REST_MAX)));
                self.pending(step, direction, attempt, ask_at);
            }
            Outcome::Unknown { reason, retry_after } if is_awaited => {
                let policy = self.saga.retry_policy(step, direction);
                let failures = asking.failures.saturating_add(1);
                let rest = policy
                    .delay(failures, self.moment.entropy.for_step(step))
                    .max(retry_after.unwrap_or_default())
                    .min(REST_MAX);
                self.failed(step, direction, attempt, reason, self.moment.now.after(rest));
            }
            Outcome::Refused(_) | Outcome::Pending { .. } | Outcome::Unknown { .. } => {}
        }
    }

    fn completed(&mut self, step: StepIndex, output: Bytes) {
        self.record(match self.state(step) {
            StepState::Seeking { .. } => Event::OutputFound { step, output },
            StepState::Compensating { .. } => Event::CompensationCompleted { step },
            _ => Event::StepCompleted { step, output },
        });
    }

    fn refused(&mut self, step: StepIndex, refusal: Refusal) {
        let is_conflict = refusal.code == Refusal::PAYLOAD_CONFLICT;
        let in_doubt = match self.state(step) {
            StepState::InProgress { asking, .. } => asking.unknown,
            StepState::Seeking { .. } if !is_conflict => return self.record(Event::NothingToUndo { step }),
            _ => return self.record(Event::CompensationFailed { step, reason: refusal.reason() }),
        };
        if is_conflict {
            self.record(Event::StepGivenUp { step, why: GivenUp::PayloadConflict });
        } else {
            self.record(Event::StepRefused { step, refusal });
        }
        if !self.is_forward() || self.is_at_rest() {
            return;
        }
        match self.role(step) {
            _ if is_conflict => self.park(ParkReason::PayloadConflict(step)),
            Role::BeforePivot => self.turn_back(Cause::Refused(step)),
            Role::Pivot if in_doubt => self.park(ParkReason::PivotInDoubt(step)),
            Role::Pivot => self.turn_back(Cause::Refused(step)),
            Role::AfterPivot => self.park(ParkReason::RefusedAfterPivot(step)),
        }
    }

    fn pending(&mut self, step: StepIndex, direction: Direction, attempt: u32, ask_at: Time) {
        let until = self.state(step).asking().and_then(|(_, asking)| asking.pending_until);
        // After the pivot there is no giving up: each time the limit has passed, the wait begins anew.
        let begins_anew = |until: &Time| self.role(step) == Role::AfterPivot && *until <= self.moment.now;
        let expires_at = until
            .filter(|until| !begins_anew(until))
            .unwrap_or_else(|| self.moment.now.after(PENDING_SECONDS_MAX));
        self.record(Event::AttemptPending { step, direction, attempt, ask_at, expires_at });
    }

    fn failed(
        &mut self,
        step: StepIndex,
        direction: Direction,
        attempt: u32,
        reason: Reason,
        retry_at: Time,
    ) {
        let policy = self.saga.retry_policy(step, direction);
        let is_useless = policy.not_retryable.contains(&reason.code);
        self.record(Event::AttemptFailed { step, direction, attempt, reason, retry_at });
        let (_, asking) = self.state(step).asking().expect("a failed attempt leaves its step asked");
        let is_exhausted = self.saga.retry_policy(step, direction).exhausted_by(asking.failures);
        if (is_exhausted || is_useless) && !self.is_at_rest() {
            self.exhausted(step, GivenUp::Exhausted);
        }
    }

    /// Patience with a step or its undo has run out.
    fn exhausted(&mut self, step: StepIndex, why: GivenUp) {
        if !matches!(self.state(step), StepState::InProgress { .. }) {
            let error = match self.state(step) {
                StepState::Seeking { .. } => &self.saga.steps[step.at()].error,
                _ => &self.saga.steps[step.at()].compensation_error,
            };
            let last = error.as_ref().map_or("no answer", |reason| reason.message.as_str());
            let reason = Reason::new(Reason::EXHAUSTED, format!("the undo ran out of attempts: {last}"));
            return self.record(Event::CompensationFailed { step, reason });
        }
        if !self.is_forward() {
            return self.record(Event::StepGivenUp { step, why });
        }
        let cause = match why {
            GivenUp::TimedOut | GivenUp::PendingTooLong => Cause::StepTimedOut(step),
            GivenUp::Exhausted | GivenUp::TurnedBack | GivenUp::PayloadConflict => Cause::Exhausted(step),
        };
        match self.role(step) {
            Role::BeforePivot => {
                self.record(Event::StepGivenUp { step, why });
                self.turn_back(cause);
            }
            Role::Pivot => {
                self.record(Event::StepGivenUp { step, why });
                self.park(ParkReason::PivotExhausted(step));
            }
            // Asked until it succeeds.
            Role::AfterPivot => {}
        }
    }

    /// Moments that have come: limits first, so that nothing is sent for a saga that is about to turn back.
    fn wake(&mut self) {
        if self.is_at_rest() || self.saga.is_paused() {
            return;
        }
        self.check_limits();
        for step in self.saga.definition.clone().order() {
            self.wake_step(*step);
        }
    }

    fn check_limits(&mut self) {
        let now = self.moment.now;
        if !self.is_forward() || self.saga.is_past_return() {
            return;
        }
        if self.saga.deadline <= now {
            return self.turn_back(Cause::SagaTimedOut);
        }
        let overdue = |step: &&StepIndex| matches!(self.state(**step), StepState::InProgress { deadline, .. } if *deadline <= now);
        if let Some(&step) = self.saga.definition.order().iter().find(overdue) {
            self.record(Event::StepGivenUp { step, why: GivenUp::TimedOut });
            self.turn_back(Cause::StepTimedOut(step));
        }
    }

    fn wake_step(&mut self, step: StepIndex) {
        let now = self.moment.now;
        let run = &self.saga.steps[step.at()];
        let Some((direction, asking)) = run.state.asking() else { return };
        let attempt = run.attempts_of(direction).saturating_add(1);
        let is_given_up_anyway = !self.is_forward() && matches!(run.state, StepState::InProgress { .. });
        if self.is_at_rest() || is_given_up_anyway {
            return;
        }
        match asking.phase {
            Phase::Pending { expires_at, .. } if expires_at <= now && self.role(step) != Role::AfterPivot => {
                self.exhausted(step, GivenUp::PendingTooLong);
            }
            Phase::Resting { until: due } | Phase::Pending { ask_at: due, .. } if due <= now => {
                self.record(Event::AttemptStarted { step, direction, attempt });
            }
            Phase::Pending { expires_at, .. } if expires_at <= now => {
                self.record(Event::AttemptStarted { step, direction, attempt });
            }
            Phase::Calling | Phase::Resting { .. } | Phase::Pending { .. } => {}
        }
    }

    /// After a stop nobody waits for the calls that were under way: their outcome is unknown, and each counts as
    /// failed, so that a call which kills its caller cannot do so for ever.
    fn recover(&mut self) {
        if self.saga.status.is_ended() {
            return;
        }
        for step in self.saga.definition.clone().order() {
            let run = &self.saga.steps[step.at()];
            if let Some((direction, asking)) = run.state.asking()
                && asking.phase == Phase::Calling
            {
                let attempt = run.attempts_of(direction);
                let reason = Reason::new(Reason::INTERRUPTED, "the process stopped before the answer came");
                self.failed(*step, direction, attempt, reason, self.moment.now);
            }
        }
        self.wake();
    }

    fn operate(&mut self, verb: Verb, by: By) -> Result<(), Rejected> {
        let word = verb.as_str();
        let status = self.saga.status;
        let outcome = match verb {
            Verb::Cancel => self.cancel(by),
            Verb::Retry => self.retry(by),
            Verb::Skip { step, output } => self.skip(step, output, by),
            Verb::Resolve { step } => self.resolve(step, by),
            Verb::Pause => self.pause(by),
            Verb::Resume => self.resume(by),
            Verb::Reverse if status == Status::Completed => {
                self.record(Event::SagaReversed { by });
                Ok(())
            }
            Verb::Reverse => Err("only a completed saga is reversed"),
            Verb::Abandon if !status.is_ended() => {
                self.record(Event::SagaAbandoned { by });
                Ok(())
            }
            Verb::Abandon => Err("it has ended"),
        };
        outcome.map_err(|because| Rejected { verb: word, status, because })
    }

    fn cancel(&mut self, by: By) -> Result<(), &'static str> {
        if !self.is_forward() || self.saga.status.is_ended() {
            return Err("only a saga on its way forward is cancelled");
        }
        if self.saga.is_past_return() {
            // A parked pivot may be given up by a person, if that can be undone or needs no undo.
            let pivot = self.saga.definition.pivot().expect("past the point of no return there is a pivot");
            let can_go_back = match self.state(pivot) {
                StepState::Failed { in_doubt } => !in_doubt || self.saga.definition.has_undo(pivot),
                _ => false,
            };
            if self.saga.status != Status::Failed || !can_go_back {
                return Err("its pivot has been sent, and there is no way back from there");
            }
        }
        self.record(Event::CancelRequested { by });
        self.turn_back(Cause::Cancelled);
        Ok(())
    }

    fn retry(&mut self, by: By) -> Result<(), &'static str> {
        let parked = self.saga.status == Status::Failed;
        let forward = self.is_forward();
        let is_stuck = |state: &StepState| match state {
            StepState::Failed { .. } => parked && forward,
            StepState::CompensationFailed { .. } => parked,
            other => other.asking().is_some_and(|(_, asking)| matches!(asking.phase, Phase::Resting { .. })),
        };
        let stuck: Vec<StepIndex> =
            self.saga.definition.order().iter().copied().filter(|step| is_stuck(self.state(*step))).collect();
        if self.saga.status.is_ended() || stuck.is_empty() {
            return Err("nothing in it waits to be asked again");
        }
        self.record(Event::SagaRetried { by });
        for step in stuck {
            self.record(Event::StepRetried { step });
        }
        self.wake();
        Ok(())
    }

    fn skip(&mut self, step: StepIndex, output: Bytes, by: By) -> Result<(), &'static str> {
        if !self.saga.definition.has(step) {
            return Err("its definition has no such step");
        }
        if !self.is_forward() || self.saga.status.is_ended() {
            return Err("only a saga on its way forward has steps to skip");
        }
        if !matches!(self.state(step), StepState::Pending | StepState::Failed { .. }) {
            return Err("only a step that failed or has not started is skipped");
        }
        self.record(Event::StepSkipped { step, output, by });
        Ok(())
    }

    fn resolve(&mut self, step: StepIndex, by: By) -> Result<(), &'static str> {
        if !self.saga.definition.has(step) {
            return Err("its definition has no such step");
        }
        if self.saga.status.is_ended() || !matches!(self.state(step), StepState::CompensationFailed { .. }) {
            return Err("only a compensation that failed is resolved");
        }
        self.record(Event::CompensationResolved { step, by });
        Ok(())
    }

    fn pause(&mut self, by: By) -> Result<(), &'static str> {
        if self.is_at_rest() || self.saga.is_paused() {
            return Err("only a saga that is on its way is paused");
        }
        self.record(Event::SagaPaused { by });
        Ok(())
    }

    fn resume(&mut self, by: By) -> Result<(), &'static str> {
        if !self.saga.is_paused() {
            return Err("it is not paused");
        }
        self.record(Event::SagaResumed { by });
        self.wake();
        Ok(())
    }

    /// # Panics
    /// When nothing would ever move the saga again although it has neither ended nor parked.
    fn assert_goes_on(&self) {
        if self.is_at_rest() || self.saga.is_paused() {
            return;
        }
        assert!(
            self.saga.owed_calls().next().is_some() || self.saga.wake_at() < Time::NEVER,
            "a saga that has neither ended nor parked owes a call or a wake-up"
        );
    }
}
