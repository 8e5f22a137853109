//! What the engine knows, as the API says it.
//!
//! Owns the way from a durable state to [`amends_api::Saga`]: words, times in RFC 3339 (UTC), payloads.
//! Promises that it says durable facts only. Does not read anything.

use amends_api::{
    Compensation, CompensationStatus, Mode, Parked, Payload, Reason, SagaStatus, Step, StepStatus, VerbName,
};
use amends_core::saga::step_state::Acted;
use amends_core::{
    By, CallSpec, Command, CompensationSpec, Direction, End, Entropy, Moment, ParkReason, Saga,
    SagaDefinition, SizeLimits, Standing, Status, StepId, StepIndex, StepKind, StepRun, StepSpec, StepState,
    Time, Verb, Way,
};
use bytes::Bytes;

/// A saga over the API.
#[must_use]
pub fn saga(saga: &Saga) -> amends_api::Saga {
    let definition = saga.definition();
    let failure = failure(saga);
    amends_api::Saga {
        id: saga.id().to_string(),
        saga_id: None,
        definition: definition.name().to_string(),
        version: definition.version(),
        mode: Mode::Saga,
        status: status(saga.status()),
        paused: saga.is_paused(),
        sequence: saga.sequence(),
        input: payload(saga.input()),
        output: output(saga),
        tags: saga.tags().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        parent: saga
            .parent()
            .map(|parent| amends_api::Parent { id: parent.id.to_string(), step: parent.step_name.clone() }),
        failed_step: failure.as_ref().and_then(|(step, _)| step.clone()),
        reason: failure.map(|(_, reason)| reason),
        parked: saga.parked().map(|parked| Parked {
            since: rfc3339(parked.since),
            because: because(definition, &parked.because),
            verbs: verbs(saga),
        }),
        started_at: rfc3339(saga.started_at()),
        finished_at: saga.ended_at().map(rfc3339),
        steps: steps(saga),
    }
}

/// The step, if there is one, and the reason that made a saga go back.
#[must_use]
pub fn failure(saga: &Saga) -> Option<(Option<String>, Reason)> {
    let (step, why) = saga.failure()?;
    Some((step.map(|step| step_name(saga.definition(), step)), reason(&why)))
}

/// A moment in RFC 3339, UTC, milliseconds.
#[must_use]
pub fn rfc3339(time: Time) -> String {
    let milliseconds = i64::try_from(time.milliseconds()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(milliseconds) {
        Ok(timestamp) => format!("{timestamp:.3}"),
        // There is no RFC 3339 beyond the year 9999, and jiff stops a day short of it for the sake of time
        // zones; the number says what is stored.
        Err(_) => milliseconds.to_string(),
    }
}

/// Why a parked saga waits, as a sentence.
#[must_use]
pub fn because(definition: &SagaDefinition, reason: &ParkReason) -> String {
    match reason {
        ParkReason::PivotExhausted(step) => {
            format!("{} ran out of attempts and may have taken effect", step_name(definition, *step))
        }
        ParkReason::PivotInDoubt(step) => {
            format!("{} was refused after an attempt whose outcome is unknown", step_name(definition, *step))
        }
        ParkReason::RefusedAfterPivot(step) => {
            format!("{} was refused after the point of no return", step_name(definition, *step))
        }
        ParkReason::PayloadConflict(step) => {
            format!("the participant of {} knows this key with another payload", step_name(definition, *step))
        }
        ParkReason::OutputTooLarge { step, bytes, limit } => {
            format!(
                "{} took effect, and its output would take {bytes} bytes; {limit} are allowed",
                step_name(definition, *step)
            )
        }
        ParkReason::Unmade(step) => {
            format!("an expression of {} failed, after the point of no return", step_name(definition, *step))
        }
        ParkReason::SagaTooLarge { bytes, limit } => {
            format!("its records take {bytes} bytes; {limit} are allowed before an operator is asked")
        }
        ParkReason::ChildParked(step) => {
            format!("the saga that runs in {} waits for an operator", step_name(definition, *step))
        }
        ParkReason::OutputUnmade => {
            "what it returns could not be made, after the point of no return".to_owned()
        }
        ParkReason::CompensationFailed => "at least one compensation failed; the others ran".to_owned(),
    }
}

/// The word for a saga's status.
#[must_use]
pub fn status(status: Status) -> SagaStatus {
    match status {
        Status::Pending => SagaStatus::Pending,
        Status::InProgress => SagaStatus::InProgress,
        Status::Compensating => SagaStatus::Compensating,
        Status::Parked => SagaStatus::Parked,
        Status::Completed => SagaStatus::Completed,
        Status::Compensated => SagaStatus::Compensated,
        Status::Abandoned => SagaStatus::Abandoned,
    }
}

/// The word for where a saga stands, as it is indexed.
#[must_use]
pub fn standing(standing: Standing) -> SagaStatus {
    match standing {
        Standing::Active(Way::Forward) | Standing::Asleep { way: Way::Forward, .. } => SagaStatus::InProgress,
        Standing::Active(Way::Back) | Standing::Asleep { way: Way::Back, .. } => SagaStatus::Compensating,
        Standing::Parked => SagaStatus::Parked,
        Standing::Ended(End::Completed) => SagaStatus::Completed,
        Standing::Ended(End::Compensated) => SagaStatus::Compensated,
        Standing::Ended(End::Abandoned) => SagaStatus::Abandoned,
    }
}

fn step_status(status: amends_core::StepStatus) -> StepStatus {
    use amends_core::StepStatus as Core;
    match status {
        Core::Pending => StepStatus::Pending,
        Core::InProgress => StepStatus::InProgress,
        Core::Completed => StepStatus::Completed,
        Core::Failed => StepStatus::Failed,
        Core::Compensating => StepStatus::Compensating,
        Core::Compensated => StepStatus::Compensated,
        Core::Skipped => StepStatus::Skipped,
    }
}

/// Every step; one that runs once for each element is followed by its runs.
fn steps(saga: &Saga) -> Vec<Step> {
    let written = saga.definition().spec().steps.iter();
    let mut steps = Vec::with_capacity(written.len());
    for ((step, run), at) in written.zip(saga.steps()).zip(0..) {
        let id = StepId::whole(StepIndex(at));
        steps.push(one_step(saga, step.name.clone(), id, run));
        let legs = run.state.legs().map_or(&[][..], |legs| &legs.runs);
        steps.extend(legs.iter().zip(0..).map(|(leg, n)| {
            let id = StepId::leg(StepIndex(at), n);
            one_step(saga, id.named(&step.name).to_string(), id, leg)
        }));
    }
    steps
}

fn one_step(saga: &Saga, name: String, id: StepId, run: &StepRun) -> Step {
    Step {
        name,
        status: step_status(run.state.status()),
        attempts: run.attempts,
        in_doubt: is_in_doubt(&run.state),
        started_at: run.started_at.map(rfc3339),
        finished_at: run.finished_at.map(rfc3339),
        output: run.output().map_or_else(Payload::null, payload),
        error: run.error.as_deref().map(reason),
        child: saga.child(id).map(|child| child.to_string()),
        compensation: compensation_status(&run.state).map(|status| Compensation {
            status,
            attempts: run.compensation_attempts,
            error: run.compensation_error.as_deref().map(reason),
        }),
    }
}

/// Whether the step may have taken effect although nothing says so for certain.
fn is_in_doubt(state: &StepState) -> bool {
    match state {
        StepState::InProgress { asking, .. } => asking.unknown,
        StepState::Failed { because } => because.acted() == Some(Acted::Perhaps),
        StepState::Seeking { .. } => true,
        StepState::Compensating { acted, .. }
        | StepState::ChildUndoing { acted }
        | StepState::CompensationFailed { acted, .. } => *acted == Acted::Perhaps,
        StepState::Split(legs) => legs.runs.iter().any(|run| is_in_doubt(&run.state)),
        StepState::Pending
        | StepState::InChild { .. }
        | StepState::Sleeping { .. }
        | StepState::Waiting { .. }
        | StepState::Completed { .. }
        | StepState::Compensated { .. }
        | StepState::Skipped { .. } => false,
    }
}

/// Where the step's undo stands, once it has begun.
fn compensation_status(state: &StepState) -> Option<CompensationStatus> {
    match state {
        StepState::Seeking { .. } | StepState::Compensating { .. } | StepState::ChildUndoing { .. } => {
            Some(CompensationStatus::InProgress)
        }
        StepState::CompensationFailed { again: true, .. } => Some(CompensationStatus::Pending),
        StepState::CompensationFailed { again: false, .. } => Some(CompensationStatus::Failed),
        StepState::Compensated { .. } => Some(CompensationStatus::Completed),
        // Its runs have undos of their own.
        StepState::Split(_)
        | StepState::Pending
        | StepState::InProgress { .. }
        | StepState::InChild { .. }
        | StepState::Sleeping { .. }
        | StepState::Waiting { .. }
        | StepState::Completed { .. }
        | StepState::Failed { .. }
        | StepState::Skipped { .. } => None,
    }
}

/// What an operator may do to a parked saga. Core itself is asked, on a copy, so that its rules stand in one
/// place.
fn verbs(saga: &Saga) -> Vec<VerbName> {
    let now = saga.parked().map_or(saga.started_at(), |parked| parked.since);
    let moment = Moment { now, entropy: Entropy(0), sizes: SizeLimits::default() };
    let by = By::new("", "");
    let is_taken =
        |verb| saga.clone().handle(Command::Operate { verb, by: by.clone(), expected: None }, moment).is_ok();
    let names = VerbName::ALL.iter().copied();
    names.filter(|name| candidate(saga, *name).is_some_and(is_taken)).collect()
}

/// The verb, for the step that is the likeliest to need it.
fn candidate(saga: &Saga, name: VerbName) -> Option<Verb> {
    let runs = saga.steps().iter().zip(0_u16..).flat_map(|(run, at)| {
        let legs = run.state.legs().map_or(&[][..], |legs| &legs.runs);
        let legs = legs.iter().zip(0..).map(move |(leg, n)| (StepId::leg(StepIndex(at), n), leg));
        std::iter::once((StepId::whole(StepIndex(at)), run)).chain(legs)
    });
    let runs = runs.filter(|(_, run)| run.state.legs().is_none());
    let first = |status: StepStatus| {
        let mut runs = runs.clone();
        runs.find(|(_, run)| step_status(run.state.status()) == status).map(|(step, _)| step)
    };
    Some(match name {
        VerbName::Cancel => Verb::Cancel,
        VerbName::Retry => Verb::RETRY,
        VerbName::Skip => {
            let step = first(StepStatus::Failed).or_else(|| first(StepStatus::Pending))?;
            Verb::Skip { step, output: Bytes::new() }
        }
        VerbName::Resolve => Verb::Resolve { step: first(StepStatus::Compensating)? },
        VerbName::Pause => Verb::Pause,
        VerbName::Resume => Verb::Resume,
        VerbName::Reverse => Verb::Reverse,
        VerbName::Abandon => Verb::Abandon,
    })
}

/// What the saga returned, once all its steps are done.
fn output(saga: &Saga) -> Payload {
    saga.returned().map_or_else(Payload::null, payload)
}

/// A payload as the engine has it: JSON as a rule. A participant of a program of one's own may return
/// anything: then nothing is nothing, and whatever else is a text.
#[must_use]
pub fn payload(bytes: &Bytes) -> Payload {
    if bytes.is_empty() {
        return Payload::null();
    }
    let text = String::from_utf8_lossy(bytes);
    Payload::parse(&text).unwrap_or_else(|_| Payload::text(&text))
}

fn reason(reason: &amends_core::Reason) -> Reason {
    Reason { code: reason.code.clone(), message: reason.message.clone() }
}

/// Who is called for a step, in this direction; `None` where nobody is.
#[must_use]
pub fn participant_of(definition: &SagaDefinition, step: StepIndex, direction: Direction) -> Option<String> {
    if !definition.has(step) {
        return None;
    }
    let call = match (&definition.written(step).kind, direction) {
        (StepKind::Call(call), Direction::Action) => &call.action,
        (StepKind::Call(call), Direction::Compensation) => undo_call(&call.compensation)?,
        (StepKind::Sleep { .. } | StepKind::Wait(_) | StepKind::Child(_), _) => return None,
    };
    Some(call.participant.clone())
}

fn undo_call(compensation: &CompensationSpec) -> Option<&CallSpec> {
    match compensation {
        CompensationSpec::Call { call, .. } => Some(call),
        CompensationSpec::Undeclared | CompensationSpec::None | CompensationSpec::ReadOnly => None,
    }
}

/// What a step is, in a word or two.
#[must_use]
pub fn step_kind(step: &StepSpec) -> String {
    match &step.kind {
        StepKind::Call(call) => format!("{} at {}", call.action.operation, call.action.participant),
        StepKind::Sleep { .. } => "sleep".to_owned(),
        StepKind::Wait(wait) => format!("wait for {}", wait.signal),
        StepKind::Child(child) => format!("saga {} v{}", child.definition, child.version),
    }
}

/// The operation that undoes a step, if there is one.
#[must_use]
pub fn undo_of(step: &StepSpec) -> Option<String> {
    match &step.kind {
        StepKind::Call(call) => undo_call(&call.compensation).map(|call| call.operation.clone()),
        StepKind::Sleep { .. } | StepKind::Wait(_) | StepKind::Child(_) => None,
    }
}

/// A step's name, or that of a run of it: `Leg[3]`.
#[must_use]
pub fn step_name(definition: &SagaDefinition, step: StepId) -> String {
    step.named(&definition.written(step.step).name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_and_the_wire_have_the_same_words() {
        for of_core in Status::ALL {
            assert_eq!(status(of_core).as_str(), of_core.as_str());
        }
        for of_core in amends_core::StepStatus::ALL {
            assert_eq!(step_status(of_core).as_str(), of_core.as_str());
        }
        for (name, verb) in VerbName::ALL.iter().zip([
            Verb::Cancel,
            Verb::RETRY,
            Verb::Skip { step: StepIndex(0).into(), output: Bytes::new() },
            Verb::Resolve { step: StepIndex(0).into() },
            Verb::Pause,
            Verb::Resume,
            Verb::Reverse,
            Verb::Abandon,
        ]) {
            assert_eq!(name.as_str(), verb.as_str());
        }
    }

    #[test]
    fn a_moment_is_rfc_3339_as_long_as_that_has_years() {
        assert_eq!(rfc3339(Time::from_milliseconds(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Time::from_milliseconds(253_402_207_200_000)), "9999-12-30T22:00:00.000Z");
        assert_eq!(rfc3339(Time::from_milliseconds(253_402_300_800_000)), "253402300800000");
    }
}
