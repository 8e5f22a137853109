//! What follows from a command: where a saga goes on, turns back, parks or ends.
//!
//! Owns [`Saga::start`] and [`Saga::handle`]. Promises that all events of one call became true together (one
//! record), that the saga is then as these events make it, and that what is rejected changes nothing. A saga
//! turns back in [`Decision::turn_back`] and nowhere else. Does not send, store or wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::definition::{Kind, Role, SagaDefinition};
use super::event::{Cause, Event, GivenUp, ParkReason};
use super::failure::Consequence;
use super::graph::Cursor;
use super::step_state::{Acted, Phase};
use super::{Saga, StepRun, StepState};
use crate::attempt::{AttemptId, CallId, Direction, StepId, StepIndex};
use crate::command::{Command, Rejected, Signal};
use crate::expressions::Expressions;
use crate::id::TransactionId;
use crate::json::text_field;
use crate::limits::{
    ASK_AGAIN_LONGER, ASK_AGAIN_MIN, CLOCK_SET_BACK_MIN, ELEMENTS_MAX, REST_MAX, SIGNALS_KEPT_MAX, STEPS_MAX,
};
use crate::moment::{Moment, Time};
use crate::origin::Origin;
use crate::outcome::{Outcome, Reason, Refusal};
use crate::payload::Scope;

impl Saga {
    /// The events that start a saga, and the state after them.
    #[must_use]
    pub fn start(
        id: TransactionId,
        definition: Arc<SagaDefinition>,
        input: Bytes,
        origin: Origin,
        moment: Moment,
    ) -> (Self, Vec<Event>) {
        let started = Event::SagaStarted {
            definition: definition.name().clone(),
            version: definition.version(),
            input,
            origin: (!origin.is_empty()).then(|| Box::new(origin)),
        };
        let mut saga =
            Self::begin(id, definition, &started, moment.now).expect("the event names this definition");
        let mut decision = Decision { saga: &mut saga, events: vec![started], moment };
        decision.advance();
        let events = decision.events;
        (saga, events)
    }

    /// Decides what follows from `command` and takes it in: the state is then ahead of the journal, until the
    /// events returned are recorded. None if the command changes nothing (a repeated or late answer).
    ///
    /// # Errors
    /// When the state forbids what is asked for; it is then as it was.
    ///
    /// # Panics
    /// When an invariant does not hold; the state is then not to be used any further.
    pub fn handle(&mut self, command: Command, moment: Moment) -> Result<Vec<Event>, Rejected> {
        let mut decision = Decision { saga: self, events: Vec::new(), moment };
        match command {
            Command::Recover => decision.recover(),
            Command::Answer { attempt, outcome } => decision.answer(attempt, outcome),
            Command::Unmade { attempt, why } => decision.unmade(attempt, why),
            Command::Wake => decision.wake(),
            Command::Signal(signal) => decision.signal(signal)?,
            Command::Callback { call, outcome } => decision.called_back(call, outcome)?,
            Command::Child { child, stands } => decision.child_stands(child, stands),
            Command::Wanted { want } => decision.wanted(want),
            Command::Operate { verb, by, expected } => decision.operate(verb, by, expected)?,
        }
        decision.advance();
        decision.assert_goes_on();
        Ok(decision.events)
    }
}

/// A decision in the making: the state after the events so far.
pub(super) struct Decision<'s> {
    pub(super) saga: &'s mut Saga,
    events: Vec<Event>,
    pub(super) moment: Moment,
}

impl Decision<'_> {
    pub(super) fn record(&mut self, event: Event) {
        if self.events.is_empty() {
            self.follow_the_clock();
        }
        self.push(event);
    }

    fn push(&mut self, event: Event) {
        self.saga.apply(&event, self.moment.now).expect("core decides only what core can apply");
        self.events.push(event);
    }

    /// Before the first fact by a clock that was set back since the last one: what is waited for would come
    /// too late by it.
    fn follow_the_clock(&mut self) {
        let by = self.saga.as_of.since(self.moment.now);
        if by >= CLOCK_SET_BACK_MIN && !self.saga.standing().is_ended() {
            self.push(Event::ClockSetBack { by });
        }
    }

    /// The one place where a saga turns back.
    pub(super) fn turn_back(&mut self, cause: Cause) {
        self.record(Event::TurnedBack { cause });
    }

    pub(super) fn park(&mut self, because: ParkReason) {
        self.record(Event::SagaParked { because });
    }

    fn role(&self, step: StepId) -> Role {
        self.saga.definition.step(step.step).role
    }

    pub(super) fn run(&self, step: StepId) -> &StepRun {
        self.saga.run(step).expect("what is decided about is there")
    }

    pub(super) fn state(&self, step: StepId) -> &StepState {
        &self.run(step).state
    }

    /// The step at this place in the order of the definition: what is decided about one may change others.
    fn nth(&self, place: usize) -> Option<StepIndex> {
        self.saga.definition.order().get(place).copied()
    }

    /// Whatever can be done next without anybody's answer.
    fn advance(&mut self) {
        self.follow_recall();
        self.follow_failure();
        if self.saga.is_at_rest() {
            return;
        }
        if self.saga.is_forward() {
            if self.saga.is_paused() {
                return;
            }
            self.advance_forward();
            if self.saga.is_forward() || self.saga.is_at_rest() {
                return;
            }
        }
        self.give_up_what_rests();
        if !self.saga.is_paused() {
            self.advance_back();
        }
    }

    /// What follows from a step that failed: immediately, or once an operator has sent the saga on that it
    /// parked.
    pub(super) fn follow_failure(&mut self) {
        if self.saga.is_at_rest() || !self.saga.is_forward() {
            return;
        }
        match self.saga.consequence() {
            Some(Consequence::TurnBack(cause)) => self.turn_back(cause),
            Some(Consequence::Park(because)) => self.park(because),
            None => {}
        }
    }

    fn advance_forward(&mut self) {
        // A sleep of no length, a wait whose signal is there already, or a guard that says no lets others start
        // in the same decision.
        for _ in 0..=STEPS_MAX {
            let is_any_over = self.start_what_may_start();
            if self.saga.definition.is_plain() {
                break;
            }
            self.start_runs();
            let is_any_done = is_any_over | self.take_kept_signals() | self.end_sleeps();
            self.follow_failure();
            if !self.saga.is_forward() || self.saga.is_at_rest() {
                return;
            }
            if !is_any_done {
                break;
            }
        }
        if self.saga.steps.iter().all(|run| run.state.is_done()) {
            self.complete();
        }
    }

    /// Whether a step was done, or failed, instead of being started.
    fn start_what_may_start(&mut self) -> bool {
        // None of these follows another, so that starting one lets no other start.
        let startable = self.saga.startable();
        if startable.is_empty() {
            return false;
        }
        let mut is_any_over = false;
        for place in 0.. {
            let Some(step) = self.nth(place) else { break };
            if startable.contains(step) {
                is_any_over |= self.start_step(step);
            }
        }
        is_any_over
    }

    /// Whether the step is done, or has failed, instead of being started.
    fn start_step(&mut self, step: StepIndex) -> bool {
        if self.saga.definition.is_plain() {
            self.record(Event::StepStarted { step: step.into() });
            return false;
        }
        let written = self.saga.definition.written(step);
        let (has_guard, has_runs) = (written.when, written.each.is_some());
        if has_guard {
            match self.ask(step, |expressions, scope| expressions.guard(step, scope)) {
                Ok(true) => {}
                Ok(false) => {
                    self.record(Event::StepPassedOver { step });
                    return true;
                }
                Err(why) => return self.unjudged(step.into(), why),
            }
        }
        if !has_runs {
            return self.start_run(step.into());
        }
        match self.elements(step) {
            Ok(elements) => {
                let is_over = elements.is_empty();
                self.record(Event::StepSplit { step, elements });
                is_over
            }
            Err(why) => self.unjudged(step.into(), why),
        }
    }

    /// Whether it has failed instead of being started: a child has an input before there is one.
    fn start_run(&mut self, step: StepId) -> bool {
        if matches!(self.saga.definition.step(step.step).kind, Kind::Child(_)) {
            match self.saga.child_input(step) {
                Ok(_) => {}
                Err(why) => return self.unjudged(step, why),
            }
        }
        self.record(Event::StepStarted { step });
        false
    }

    fn unjudged(&mut self, step: StepId, why: String) -> bool {
        let reason = Reason::new(Reason::EXPRESSION_FAILED, why).bounded();
        self.record(Event::StepUnjudged { step, reason });
        true
    }

    fn ask<R>(
        &self,
        step: StepIndex,
        question: impl FnOnce(&dyn Expressions, &Scope<'_>) -> Result<R, String>,
    ) -> Result<R, String> {
        let expressions = self.saga.definition.expressions().ok_or(NO_EXPRESSIONS)?;
        let call = CallId::first(step, Direction::Action);
        self.saga.with_scope(call, |scope| question(&**expressions, scope))
    }

    fn elements(&self, step: StepIndex) -> Result<Vec<Bytes>, String> {
        let elements = self.ask(step, |expressions, scope| expressions.elements(step, scope))?;
        if elements.len() > ELEMENTS_MAX {
            return Err(format!("its list has {} elements; {ELEMENTS_MAX} are allowed", elements.len()));
        }
        let bytes = elements.iter().map(|element| element.len() as u64 + 1).sum::<u64>() + 1;
        match self.too_large(bytes) {
            Some((bytes, limit)) => Err(format!("its list would take {bytes} bytes; {limit} are allowed")),
            None => Ok(elements),
        }
    }

    /// Starts further runs of the steps that run once for each element: in order, as many together as their
    /// definition says, and none once one has failed.
    fn start_runs(&mut self) {
        for place in 0.. {
            let Some(step) = self.nth(place) else { break };
            let Some(each) = self.saga.definition.written(step).each else { continue };
            let Some(legs) = self.saga.steps[step.at()].state.legs() else { continue };
            if legs.has_failed() {
                continue;
            }
            let is_pending = |run: &StepRun| matches!(run.state, StepState::Pending);
            let under_way = legs.runs.iter().filter(|run| !is_pending(run) && !run.state.is_done()).count();
            let places = (each.concurrency as usize).saturating_sub(under_way);
            let next = legs.runs.iter().enumerate().filter(|(_, run)| is_pending(run)).map(|(at, _)| at);
            for at in next.take(places).collect::<Vec<_>>() {
                let step = StepId::leg(step, u32::try_from(at).expect("ELEMENTS_MAX fits in 32 bits"));
                if self.start_run(step) {
                    break;
                }
            }
        }
    }

    /// Every step is done.
    fn complete(&mut self) {
        let made = self.saga.definition.expressions().and_then(|expressions| {
            let made = self.saga.with_scope_of_all(|scope| expressions.output(scope))?;
            Some(made.map_err(|why| Reason::new(Reason::EXPRESSION_FAILED, why).bounded()))
        });
        let output = made.map(|made| {
            let output = made?;
            match self.too_large(output.len() as u64) {
                Some((bytes, limit)) => {
                    let message = format!("what it returns would take {bytes} bytes; {limit} are allowed");
                    Err(Reason::new(Reason::OUTPUT_TOO_LARGE, message))
                }
                None => Ok(output),
            }
        });
        match output.transpose() {
            Ok(output) => {
                self.record(Event::SagaCompleted { output });
                self.follow_recall();
            }
            Err(reason) => {
                self.record(Event::OutputUnmade { reason });
                match self.saga.definition.pivot() {
                    None => self.turn_back(Cause::OutputUnmade),
                    Some(_) => self.park(ParkReason::OutputUnmade),
                }
            }
        }
    }

    fn take_kept_signals(&mut self) -> bool {
        let mut any = false;
        for place in 0.. {
            let Some(step) = self.nth(place) else { break };
            if self.saga.kept_signals().is_empty() {
                break;
            }
            let StepState::Waiting { .. } = &self.saga.steps[step.at()].state else { continue };
            let Some(wait) = self.saga.definition.wait(step) else { continue };
            // The oldest, whichever it is.
            let mut kept = self.saga.kept_signals().iter();
            let Some(oldest) = kept.find(|signal| wait.takes(&signal.name)) else { continue };
            let step = StepId::whole(step);
            if oldest.name == wait.signal {
                self.record(Event::SignalTaken { step });
            } else {
                let refusal = refusal_of(&oldest.name, &oldest.body);
                self.record(Event::WaitRefused { step, refusal });
            }
            any = true;
        }
        any
    }

    fn end_sleeps(&mut self) -> bool {
        let mut any = false;
        for place in 0.. {
            let Some(step) = self.nth(place) else { break };
            if let StepState::Sleeping { until } = &self.saga.steps[step.at()].state
                && *until <= self.moment.now
            {
                self.record(Event::SleepEnded { step: step.into() });
                any = true;
            }
        }
        any
    }

    fn advance_back(&mut self) {
        // None of these follows another, so that starting one makes no other wait.
        let due = self.saga.undo_due();
        for place in (0..self.saga.definition.order().len()).rev() {
            let Some(step) = self.nth(place).filter(|step| due.contains(*step)) else { continue };
            let undo = self.saga.definition.step(step).undo();
            let needs_output = undo.is_some_and(|undo| undo.needs_output);
            let Some(step) = self.saga.next_undo(step) else { continue };
            let acted = self.state(step).acted();
            if needs_output && acted.is_none_or(|acted| acted.output().is_none()) {
                self.record(Event::OutputSought { step });
            } else {
                self.record(Event::CompensationStarted { step });
            }
        }
        if self.saga.is_all_clear() {
            if self.saga.runs().any(|(_, run)| matches!(run.state, StepState::CompensationFailed { .. })) {
                self.park(ParkReason::CompensationFailed);
            } else {
                self.record(Event::SagaCompensated);
            }
        }
    }

    /// On the way back no further attempt of an action is made, and nothing is waited for: what has no
    /// attempt under way is given up.
    fn give_up_what_rests(&mut self) {
        let mut cursor = Cursor::default();
        while let Some(step) = self.saga.next_run(&mut cursor) {
            let rests = match self.state(step) {
                StepState::InProgress { asking, .. } => asking.phase != Phase::Calling,
                StepState::InChild { .. } | StepState::Sleeping { .. } | StepState::Waiting { .. } => true,
                StepState::Pending
                | StepState::ChildUndoing { .. }
                | StepState::Split(_)
                | StepState::Completed { .. }
                | StepState::Failed { .. }
                | StepState::Seeking { .. }
                | StepState::Compensating { .. }
                | StepState::CompensationFailed { .. }
                | StepState::Compensated { .. }
                | StepState::Skipped { .. } => false,
            };
            if rests {
                self.record(Event::StepGivenUp { step, why: GivenUp::TurnedBack });
            }
        }
    }

    /// Whether the attempt is one of the call that is asked now, and if so, whether it is the one that is
    /// waited for: only that can say no or "do not know"; a late success is a success all the same.
    fn is_awaited(&self, attempt: AttemptId) -> Option<bool> {
        if self.saga.standing().is_ended() {
            return None;
        }
        let run = self.saga.run(attempt.call.of()).ok()?;
        let (asked, asking) = run.state.asking()?;
        let current = run.attempts_of(asked);
        if attempt.call != run.call(attempt.call.of(), asked) || attempt.number > current {
            return None;
        }
        Some(attempt.number == current && !matches!(asking.phase, Phase::Resting { .. }))
    }

    fn answer(&mut self, attempt: AttemptId, outcome: Outcome) {
        let Some(is_awaited) = self.is_awaited(attempt) else { return };
        let step = attempt.call.of();
        let outcome = if is_awaited { self.with_reported(step, outcome) } else { outcome };
        match outcome {
            Outcome::Completed { output } => self.completed(step, Ok(output)),
            Outcome::CompletedTooLarge { bytes } => self.completed(step, Err(bytes)),
            Outcome::Refused(refusal) if is_awaited => self.refused(step, refusal.bounded()),
            Outcome::Working { ask_again_after } if is_awaited => {
                let ask_at = ask_again_after.map_or(Time::NEVER, |rest| {
                    let least = ASK_AGAIN_MIN.max(longer_each_time(attempt.number));
                    self.moment.now.after(rest.max(least).min(REST_MAX))
                });
                self.working(attempt, ask_at);
            }
            Outcome::Unknown { reason, retry_after } if is_awaited => {
                let patience = self.saga.patience(attempt.call);
                let (_, asking) = self.state(step).asking().expect("what is awaited is asked");
                let random = self.moment.entropy.for_place(place_of(step));
                let rest = patience.retry.delay(asking.unanswered.saturating_add(1), random);
                let wish = retry_after.unwrap_or_default().min(REST_MAX);
                let rest = rest.max(wish).min(REST_MAX);
                if !wish.is_zero() && matches!(self.state(step), StepState::InProgress { .. }) {
                    self.record(Event::LimitExtended { step, by: wish });
                }
                self.unknown(attempt, reason.bounded(), self.moment.now.after(rest));
            }
            Outcome::Conflict { message } if is_awaited => {
                let reason = Reason::new(Reason::PAYLOAD_CONFLICT, message).bounded();
                self.hopeless(step, |step, reason| Event::StepConflicted { step, reason }, reason);
            }
            Outcome::Refused(_)
            | Outcome::Working { .. }
            | Outcome::Unknown { .. }
            | Outcome::Conflict { .. } => {}
        }
    }

    fn unmade(&mut self, attempt: AttemptId, why: String) {
        if self.is_awaited(attempt) == Some(true) {
            let reason = Reason::new(Reason::EXPRESSION_FAILED, why).bounded();
            self.hopeless(attempt.call.of(), |step, reason| Event::StepUnmade { step, reason }, reason);
        }
    }

    /// Asking again is useless, though nobody refused.
    fn hopeless(&mut self, step: StepId, failed: impl Fn(StepId, Reason) -> Event, reason: Reason) {
        if self.state(step).is_being_undone() {
            return self.record(Event::CompensationFailed { step, reason });
        }
        self.record(failed(step, reason));
        self.follow_failure();
    }

    /// The effect took place. `Err`: with an output of so many bytes, which the transport did not read.
    pub(super) fn completed(&mut self, step: StepId, output: Result<Bytes, u64>) {
        let is_undo = matches!(self.state(step).asking(), Some((Direction::Compensation, _)));
        if is_undo {
            // Of an undo's answer only the verdict counts.
            return self.record(Event::CompensationCompleted { step });
        }
        let is_sought = self.state(step).is_being_undone();
        let output = match output {
            Ok(output) => self.output_too_large(step, &output).map_or(Ok(output), Err),
            Err(bytes) => Err((bytes, self.moment.sizes.payload_bytes_max)),
        };
        match output {
            Err((bytes, limit)) if is_sought => {
                self.record(Event::OutputTooLarge { step, bytes, limit });
                let message =
                    format!("the output that the undo needs would take {bytes} bytes; {limit} are allowed");
                let reason = Reason::new(Reason::OUTPUT_TOO_LARGE, message);
                self.record(Event::CompensationFailed { step, reason });
            }
            Err((bytes, limit)) => {
                self.record(Event::OutputTooLarge { step, bytes, limit });
                self.follow_failure();
            }
            Ok(output) if is_sought => self.record(Event::OutputFound { step, output }),
            Ok(output) => self.record(Event::StepCompleted { step, output }),
        }
    }

    /// The size that is too large, and its limit: of the output, or of the list that it completes.
    pub(super) fn output_too_large(&self, step: StepId, output: &Bytes) -> Option<(u64, u64)> {
        let limit = self.moment.sizes.payload_bytes_max;
        let legs = step.occurrence.and_then(|_| self.saga.steps[step.step.at()].state.legs());
        let list = legs.map_or(0, |legs| (legs.bytes() + output.len() + 1) as u64);
        self.too_large(output.len() as u64).or((list > limit).then_some((list, limit)))
    }

    /// The size that is too large, and its limit.
    fn too_large(&self, bytes: u64) -> Option<(u64, u64)> {
        let sizes = self.moment.sizes;
        let all = self.saga.bytes.saturating_add(bytes);
        if bytes > sizes.payload_bytes_max {
            Some((bytes, sizes.payload_bytes_max))
        } else {
            (all > sizes.saga_bytes_max).then_some((all, sizes.saga_bytes_max))
        }
    }

    /// A saga that has grown too large by asking again and again waits for an operator before it goes on with
    /// that.
    pub(super) fn park_if_too_large(&mut self) {
        let (bytes, limit) = (self.saga.bytes, self.moment.sizes.saga_bytes_max);
        if bytes > limit && !self.saga.is_at_rest() {
            self.park(ParkReason::SagaTooLarge { bytes, limit });
        }
    }

    pub(super) fn refused(&mut self, step: StepId, refusal: Refusal) {
        let is_undo = matches!(self.state(step).asking(), Some((Direction::Compensation, _)));
        if is_undo {
            self.record(Event::CompensationFailed { step, reason: refusal.reason() });
        } else if self.state(step).is_being_undone() {
            // It had completed once: whoever refuses now does not know.
            let is_certain = self.state(step).acted() == Some(Acted::Surely);
            self.record(match is_certain {
                true => Event::CompensationFailed { step, reason: refusal.reason() },
                false => Event::NothingToUndo { step },
            });
        } else {
            self.record(Event::StepRefused { step, refusal });
            self.follow_failure();
        }
    }

    fn working(&mut self, attempt: AttemptId, ask_at: Time) {
        let step = attempt.call.of();
        let until = self.state(step).asking().and_then(|(_, asking)| asking.working_until);
        let pending = self.saga.patience(attempt.call).pending;
        // After the pivot there is no giving up: each time the limit has passed, the wait begins anew.
        let begins_anew = |until: &Time| self.role(step) == Role::AfterPivot && *until <= self.moment.now;
        let expires_at =
            until.filter(|until| !begins_anew(until)).unwrap_or_else(|| self.moment.now.after(pending));
        self.record(Event::AttemptWorking { attempt, ask_at, expires_at });
        self.park_if_too_large();
    }

    fn unknown(&mut self, attempt: AttemptId, reason: Reason, retry_at: Time) {
        let step = attempt.call.of();
        let is_useless = self.saga.patience(attempt.call).retry.not_retryable.contains(&reason.code);
        self.record(Event::AttemptUnknown { attempt, reason, retry_at });
        let (_, asking) = self.state(step).asking().expect("an unknown outcome leaves its step asked");
        let is_exhausted = self.saga.patience(attempt.call).retry.exhausted_by(asking.unanswered);
        if (is_exhausted || is_useless) && !self.saga.is_at_rest() {
            self.exhausted(step, GivenUp::Exhausted);
        }
        self.park_if_too_large();
    }

    /// Patience with a step or its undo has run out.
    fn exhausted(&mut self, step: StepId, why: GivenUp) {
        let state = self.state(step);
        if state.is_being_undone() {
            let error = &self.run(step).compensation_error;
            let last = error.as_ref().map_or("no answer", |reason| reason.message.as_str());
            let what = match state.asking() {
                Some((Direction::Compensation, _)) => "the undo",
                Some((Direction::Action, _)) | None => "the search for the output that the undo needs",
            };
            let exhausted = || Reason::new(Reason::EXHAUSTED, format!("{what} ran out of attempts: {last}"));
            let reason = why.reason().unwrap_or_else(exhausted);
            return self.record(Event::CompensationFailed { step, reason: reason.bounded() });
        }
        // After the pivot a step is asked until it succeeds.
        if !self.saga.is_forward() || self.role(step) != Role::AfterPivot {
            self.record(Event::StepGivenUp { step, why });
            self.follow_failure();
        }
    }

    /// Moments that have come: limits first, so that nothing is sent for a saga that is about to turn back.
    pub(super) fn wake(&mut self) {
        if self.saga.is_at_rest() || self.saga.is_paused() {
            return;
        }
        self.check_limits();
        let mut cursor = Cursor::default();
        while let Some(step) = self.saga.next_run(&mut cursor) {
            self.wake_step(step);
        }
    }

    fn check_limits(&mut self) {
        let now = self.moment.now;
        if !self.saga.is_forward() {
            return;
        }
        // What comes in the same moment as the limit has come in time.
        if !self.saga.definition.is_plain() {
            self.take_kept_signals();
            self.follow_failure();
            if !self.saga.is_forward() || self.saga.is_at_rest() {
                return;
            }
        }
        let has_limits = !self.saga.is_past_return();
        if has_limits && self.saga.deadline <= now {
            return self.turn_back(Cause::SagaTimedOut);
        }
        let mut cursor = Cursor::default();
        while let Some(step) = self.saga.next_run(&mut cursor) {
            match self.state(step) {
                StepState::InProgress { deadline, asking }
                    if has_limits && asking.limit(*deadline) <= now =>
                {
                    let is_working = asking.working_until.is_some();
                    let why = if is_working { GivenUp::WorkingTooLong } else { GivenUp::TimedOut };
                    self.record(Event::StepGivenUp { step, why });
                }
                StepState::InChild { deadline } if has_limits && *deadline <= now => {
                    self.record(Event::StepGivenUp { step, why: GivenUp::TimedOut });
                }
                StepState::Waiting { until } if *until <= now => self.record(Event::WaitTimedOut { step }),
                StepState::InProgress { .. }
                | StepState::Waiting { .. }
                | StepState::InChild { .. }
                | StepState::ChildUndoing { .. }
                | StepState::Pending
                | StepState::Split(_)
                | StepState::Sleeping { .. }
                | StepState::Completed { .. }
                | StepState::Failed { .. }
                | StepState::Seeking { .. }
                | StepState::Compensating { .. }
                | StepState::CompensationFailed { .. }
                | StepState::Compensated { .. }
                | StepState::Skipped { .. } => continue,
            }
            self.follow_failure();
            if !self.saga.is_forward() || self.saga.is_at_rest() {
                return;
            }
        }
    }

    fn wake_step(&mut self, step: StepId) {
        let now = self.moment.now;
        let run = self.run(step);
        let Some((direction, asking)) = run.state.asking() else { return };
        let number = run.attempts_of(direction).saturating_add(1);
        let is_given_up_anyway = !self.saga.is_forward() && !run.state.is_being_undone();
        if self.saga.is_at_rest() || is_given_up_anyway {
            return;
        }
        let attempt = run.call(step, direction).attempt(number);
        match asking.phase {
            Phase::Working { expires_at, .. } if expires_at <= now && self.role(step) != Role::AfterPivot => {
                self.exhausted(step, GivenUp::WorkingTooLong);
            }
            Phase::Resting { until: due } | Phase::Working { ask_at: due, .. } if due <= now => {
                self.record(Event::AttemptStarted { attempt });
            }
            Phase::Working { expires_at, .. } if expires_at <= now => {
                self.record(Event::AttemptStarted { attempt });
            }
            Phase::Calling | Phase::Resting { .. } | Phase::Working { .. } => {}
        }
    }

    /// After a stop nobody waits for the calls that were under way: their outcome is unknown, and each counts
    /// as unanswered, so that a call which kills its caller cannot do so for ever.
    fn recover(&mut self) {
        if self.saga.standing().is_ended() {
            return;
        }
        self.follow_the_clock();
        let mut cursor = Cursor::default();
        while let Some(step) = self.saga.next_run(&mut cursor) {
            let run = self.run(step);
            if let Some((direction, asking)) = run.state.asking()
                && asking.phase == Phase::Calling
            {
                let attempt = run.call(step, direction).attempt(run.attempts_of(direction));
                let reason = Reason::new(Reason::INTERRUPTED, "the process stopped before the answer came");
                match run.reported().cloned() {
                    // The attempt that was out is waited for no longer.
                    Some(refusal) => self.refused(step, refusal),
                    None => self.unknown(attempt, reason, self.moment.now),
                }
            }
        }
        self.wake();
    }

    fn signal(&mut self, signal: Box<Signal>) -> Result<(), Rejected> {
        let seen = self.saga.signals.iter().flat_map(|signals| signals.taken.iter().chain(&signals.kept));
        let mut earlier = seen.filter(|other| other.name == signal.name && other.key == signal.key);
        if let Some(earlier) = earlier.next() {
            let Signal { name, key, .. } = *signal;
            let is_repeat = earlier.fingerprint == signal.fingerprint;
            return if is_repeat { Ok(()) } else { Err(Rejected::SignalKeyReused { name, key }) };
        }
        if !self.saga.definition.signals().any(|name| name == signal.name) {
            let known = self.saga.definition.signals().map(str::to_owned).collect();
            return Err(Rejected::UnknownSignal { name: signal.name, known });
        }
        if !self.saga.is_forward() || self.saga.standing().is_ended() {
            return Err(Rejected::NotListening { status: self.saga.status.as_str() });
        }
        if self.saga.is_overheard(&signal.name) {
            return Err(Rejected::NotWaited { name: signal.name });
        }
        let kept = self.saga.kept_signals().len();
        if kept >= SIGNALS_KEPT_MAX {
            return Err(Rejected::TooManySignals { kept });
        }
        if let Some((bytes, limit)) = self.too_large(signal.body.len() as u64) {
            return Err(Rejected::TooLarge { what: "the signal's body", bytes, limit });
        }
        self.record(Event::SignalReceived { signal });
        Ok(())
    }

    /// # Panics
    /// When nothing would ever move the saga again although it has neither ended nor parked.
    fn assert_goes_on(&self) {
        if self.saga.is_at_rest() || self.saga.is_paused() {
            return;
        }
        assert!(
            self.saga.owes() || self.saga.wake_at() < Time::NEVER,
            "a saga that has neither ended nor parked owes an effect or a wake-up"
        );
    }
}

/// What a signal that refuses says of why.
fn refusal_of(name: &str, body: &Bytes) -> Refusal {
    let code = text_field(body, "code").filter(|code| !code.is_empty()).unwrap_or_else(|| name.to_owned());
    let message = text_field(body, "detail").unwrap_or_default();
    Refusal { code, message, details: Some(body.clone()) }.bounded()
}

const NO_EXPRESSIONS: &str = "its definition came without its expressions";

/// A number of its own for each step, and each run of it.
const fn place_of(step: StepId) -> u16 {
    let occurrence = match step.occurrence {
        None => 0,
        Some(occurrence) => occurrence + 1,
    };
    step.step.0.wrapping_add((occurrence as u16).wrapping_mul(1_009))
}

/// The rest before a participant that works is asked for the `number`-th time, at least: the records of a
/// wait grow with the square root of its length.
fn longer_each_time(number: u32) -> Duration {
    ASK_AGAIN_LONGER.saturating_mul(number)
}
