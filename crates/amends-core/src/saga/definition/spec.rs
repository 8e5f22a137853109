//! A saga's definition as people write it.
//!
//! Owns [`SagaSpec`] and what it consists of: names, not indices. Does not judge anything: that is
//! `check.rs`.

use std::time::Duration;

use crate::name::DefinitionName;
use crate::payload::Payload;
use crate::retry::RetryPolicy;

/// A saga's definition as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaSpec {
    /// Its name.
    pub name: DefinitionName,
    /// Its version: the content of a version never changes.
    pub version: u32,
    /// How long the whole saga may take before it turns back.
    pub limit: Duration,
    /// The step after which there is no way back.
    pub pivot: Option<String>,
    /// The steps.
    pub steps: Vec<StepSpec>,
}

/// A step as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSpec {
    /// Its name.
    pub name: String,
    /// The steps that must be done before; `None`: the one written above.
    pub after: Option<Vec<String>>,
    /// Whether it runs only if a guard says so: see [`crate::Expressions::guard`].
    pub when: bool,
    /// Whether it runs once for each element of a list: see [`crate::Expressions::elements`].
    pub each: Option<EachSpec>,
    /// What it is.
    pub kind: StepKind,
}

/// How a step runs that runs once for each element of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EachSpec {
    /// How many of its runs may be under way together.
    pub concurrency: u32,
}

/// What a step is. To add a kind, see `docs/contribute/adding-a-step-kind.md`.
#[expect(
    clippy::large_enum_variant,
    reason = "most steps are calls, and a box would show in what people write"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepKind {
    /// A participant is called.
    Call(CallStep),
    /// Time passes.
    Sleep {
        /// How long.
        length: Duration,
    },
    /// Something is said from outside.
    Wait(WaitStep),
    /// Another saga runs.
    Child(ChildStep),
}

/// A step that calls a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallStep {
    /// The step's effect.
    pub action: CallSpec,
    /// How long all attempts of the action may take; `None`: attempts times their limit and the longest rests
    /// between them, at most the saga's limit.
    pub limit: Option<Duration>,
    /// The step's undo.
    pub compensation: CompensationSpec,
    /// Codes of the action's participant that are final whatever the status.
    pub refuse_on: Vec<String>,
}

/// A step that runs another saga. Its output is the step's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildStep {
    /// The definition's name.
    pub definition: DefinitionName,
    /// Its version.
    pub version: u32,
    /// How long it may take; `None`: as long as the saga may.
    pub limit: Option<Duration>,
}

/// One of a step's two calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSpec {
    /// Who carries it out.
    pub participant: String,
    /// The operation's name there.
    pub operation: String,
    /// What the payload is made of.
    pub payload: Payload,
    /// How long one attempt may take.
    pub attempt_limit: Duration,
    /// How the call is repeated; `None`: the default of the step's role, or of an undo.
    pub retry: Option<RetryPolicy>,
    /// How long a participant that said *working* may take to answer; `None`: an hour.
    pub pending: Option<Duration>,
}

/// A step's undo as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompensationSpec {
    /// Nothing was said, which is a finding: a forgotten undo must not look like a decision.
    Undeclared,
    /// The step has no undo, and needs none (before the pivot: because it changes nothing).
    None,
    /// The step changes nothing, wherever it stands: there is never anything to undo.
    ReadOnly,
    /// The undo is a call.
    Call {
        /// The call.
        call: CallSpec,
        /// Whether the undo cannot do without the action's output.
        needs_output: bool,
    },
}

/// A step that waits for a signal. The signal's body is its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitStep {
    /// The signal's name.
    pub signal: String,
    /// How long it is waited for.
    pub limit: Duration,
    /// What follows when the limit passes.
    pub on_timeout: OnTimeout,
    /// A signal that turns the saga back, with the code and detail of its body.
    pub refused_by: Option<String>,
}

impl WaitStep {
    /// Whether it waits for this signal, to go on or to turn back.
    #[must_use]
    pub fn takes(&self, signal: &str) -> bool {
        self.signal == signal || self.refused_by.as_deref() == Some(signal)
    }
}

/// What follows when nobody sent a signal in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// The saga turns back.
    TurnBack,
    /// The saga goes on; the step's output is `null`.
    GoOn,
}

/// How long one attempt may take unless something else is said.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(2);

impl CallSpec {
    /// A call with the saga's input as payload, an attempt limit of two seconds and default patience.
    pub fn new(participant: impl Into<String>, operation: impl Into<String>) -> Self {
        Self {
            participant: participant.into(),
            operation: operation.into(),
            payload: Payload::Input,
            attempt_limit: ATTEMPT_LIMIT,
            retry: None,
            pending: None,
        }
    }
}

impl StepSpec {
    /// A step that calls a participant, with default patience, an attempt limit of two seconds, the saga's
    /// input as payload and no word yet about its undo.
    pub fn new(
        name: impl Into<String>,
        participant: impl Into<String>,
        operation: impl Into<String>,
    ) -> Self {
        let action = CallSpec::new(participant, operation);
        let call = CallStep {
            action,
            limit: None,
            compensation: CompensationSpec::Undeclared,
            refuse_on: Vec::new(),
        };
        Self::of(name, StepKind::Call(call))
    }

    /// A step of this kind, after the one above it.
    pub fn of(name: impl Into<String>, kind: StepKind) -> Self {
        Self { name: name.into(), after: None, when: false, each: None, kind }
    }

    /// A step during which time passes.
    pub fn sleep(name: impl Into<String>, length: Duration) -> Self {
        Self::of(name, StepKind::Sleep { length })
    }

    /// A step that waits for a signal for up to `limit`; the saga turns back when that passes.
    pub fn wait(name: impl Into<String>, signal: impl Into<String>, limit: Duration) -> Self {
        let on_timeout = OnTimeout::TurnBack;
        Self::of(
            name,
            StepKind::Wait(WaitStep { signal: signal.into(), limit, on_timeout, refused_by: None }),
        )
    }

    /// A step that runs another saga.
    pub fn child(name: impl Into<String>, definition: DefinitionName, version: u32) -> Self {
        Self::of(name, StepKind::Child(ChildStep { definition, version, limit: None }))
    }

    /// Lets the saga go on when the wait's limit passes.
    ///
    /// # Panics
    /// When the step does not wait.
    #[must_use]
    pub fn or_go_on(mut self) -> Self {
        let StepKind::Wait(wait) = &mut self.kind else { panic!("only a wait has something to do without") };
        wait.on_timeout = OnTimeout::GoOn;
        self
    }

    /// Declares the undo at the same participant: with the saga's input as payload, without need of the
    /// action's output, with default patience.
    ///
    /// # Panics
    /// When the step is not a call, here and in the methods that follow.
    #[must_use]
    pub fn undone_by(mut self, operation: impl Into<String>) -> Self {
        let step = self.call_mut();
        let call = CallSpec {
            attempt_limit: step.action.attempt_limit,
            ..CallSpec::new(step.action.participant.clone(), operation)
        };
        step.compensation = CompensationSpec::Call { call, needs_output: false };
        self
    }

    /// Declares that there is no undo.
    #[must_use]
    pub fn without_undo(mut self) -> Self {
        self.call_mut().compensation = CompensationSpec::None;
        self
    }

    /// Declares that it changes nothing.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.call_mut().compensation = CompensationSpec::ReadOnly;
        self
    }

    /// Has it run only if a guard says so.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.when = true;
        self
    }

    /// Has it run once for each element of a list, so many together.
    #[must_use]
    pub fn each(mut self, concurrency: u32) -> Self {
        self.each = Some(EachSpec { concurrency });
        self
    }

    /// Declares the steps that must be done before.
    #[must_use]
    pub fn after<'a>(mut self, steps: impl IntoIterator<Item = &'a str>) -> Self {
        self.after = Some(steps.into_iter().map(str::to_owned).collect());
        self
    }

    /// Sets how long one attempt of the action may take.
    #[must_use]
    pub fn attempt_limit(mut self, limit: Duration) -> Self {
        self.call_mut().action.attempt_limit = limit;
        self
    }

    /// Sets how the action is repeated.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.call_mut().action.retry = Some(policy);
        self
    }

    /// Sets what the action's payload is made of.
    #[must_use]
    pub fn payload(mut self, payload: Payload) -> Self {
        self.call_mut().action.payload = payload;
        self
    }

    /// Sets what the undo's payload is made of.
    ///
    /// # Panics
    /// When no undo was declared.
    #[must_use]
    pub fn undo_payload(mut self, payload: Payload) -> Self {
        let CompensationSpec::Call { call, .. } = &mut self.call_mut().compensation else {
            panic!("the undo is declared before its payload");
        };
        call.payload = payload;
        self
    }

    fn call_mut(&mut self) -> &mut CallStep {
        match &mut self.kind {
            StepKind::Call(call) => call,
            StepKind::Sleep { .. } | StepKind::Wait(_) | StepKind::Child(_) => {
                panic!("only a call has participants")
            }
        }
    }
}
