//! A transaction, whatever its mode.
//!
//! Owns [`Transaction`] and [`Facts`], one variant for each mode, and with them the whole surface that the
//! engine, the journal and the API know: how it starts, takes a command, takes facts in, stands and owes.
//! Promises that a new mode is a new variant here, and that the compiler then names every place that must
//! know it (`docs/contribute/adding-a-mode.md`). Does not decide anything: each mode does.

use bytes::Bytes;

use crate::attempt::CallId;
use crate::command::{ChildStands, Command, Rejected};
use crate::definition::Definition;
use crate::effect::{Effect, OwedChild};
#[cfg(feature = "errand")]
use crate::errand::{self, Errand};
use crate::id::TransactionId;
use crate::misfit::ApplyError;
use crate::moment::{Moment, Time};
use crate::name::DefinitionName;
use crate::origin::{Origin, Parent};
use crate::payload::Scope;
use crate::saga::{self, Saga};
use crate::standing::{Mode, Standing};

/// One run of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transaction {
    /// Steps with undo.
    Saga(Saga),
    /// One call, repeated.
    #[cfg(feature = "errand")]
    Errand(Errand),
}

/// A transaction that is to run in a step of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its definition's name.
    pub definition: DefinitionName,
    /// Its definition's version.
    pub version: u32,
    /// Where it comes from.
    pub origin: Origin,
    /// What it is started with.
    pub input: Bytes,
}

/// Facts that became true together, about one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// About a saga.
    Saga(Vec<saga::Event>),
    /// About an errand.
    #[cfg(feature = "errand")]
    Errand(Vec<errand::Event>),
}

impl Transaction {
    /// Starts a transaction: its first facts, and the state after them.
    #[must_use]
    pub fn start(
        id: TransactionId,
        definition: Definition,
        input: Bytes,
        origin: Origin,
        moment: Moment,
    ) -> (Self, Facts) {
        match definition {
            Definition::Saga(definition) => {
                let (saga, events) = Saga::start(id, definition, input, origin, moment);
                (Self::Saga(saga), Facts::Saga(events))
            }
            #[cfg(feature = "errand")]
            Definition::Errand(definition) => {
                let (errand, events) = Errand::start(id, definition, input, moment);
                (Self::Errand(errand), Facts::Errand(events))
            }
        }
    }

    /// The transaction that its first facts make.
    ///
    /// # Errors
    /// When the facts are of another mode or definition, or do not begin with a start.
    pub fn begin(
        id: TransactionId,
        definition: Definition,
        facts: &Facts,
        at: Time,
    ) -> Result<Self, ApplyError> {
        match (definition, facts) {
            (Definition::Saga(definition), Facts::Saga(events)) => {
                let (first, others) = events.split_first().ok_or_else(no_facts)?;
                let mut saga = Saga::begin(id, definition, first, at)?;
                others.iter().try_for_each(|event| saga.apply(event, at))?;
                Ok(Self::Saga(saga))
            }
            #[cfg(feature = "errand")]
            (Definition::Errand(definition), Facts::Errand(events)) => {
                Errand::begin(id, definition, events, at).map(Self::Errand)
            }
            #[cfg(feature = "errand")]
            (Definition::Saga(_), Facts::Errand(_)) | (Definition::Errand(_), Facts::Saga(_)) => {
                Err(other_mode())
            }
        }
    }

    /// Takes facts in.
    ///
    /// # Errors
    /// When they do not fit; the state is then not to be used any further.
    ///
    /// # Panics
    /// When an invariant does not hold afterwards.
    pub fn apply(&mut self, facts: &Facts, at: Time) -> Result<(), ApplyError> {
        match (self, facts) {
            (Self::Saga(saga), Facts::Saga(events)) => {
                events.iter().try_for_each(|event| saga.apply(event, at))
            }
            #[cfg(feature = "errand")]
            (Self::Errand(errand), Facts::Errand(events)) => errand.apply(events, at),
            #[cfg(feature = "errand")]
            (Self::Saga(_), Facts::Errand(_)) | (Self::Errand(_), Facts::Saga(_)) => Err(other_mode()),
        }
    }

    /// Decides what follows from a command and takes it in: the state is then ahead of the journal, until the
    /// facts returned are recorded. Ask [`Transaction::owed`], [`Transaction::wake_at`] and
    /// [`Transaction::standing`] again once they are. No facts if the command changes nothing.
    ///
    /// # Errors
    /// When the state forbids what is asked for; it is then as it was.
    ///
    /// # Panics
    /// When an invariant does not hold; the state is then not to be used any further.
    pub fn handle(&mut self, command: Command, moment: Moment) -> Result<Facts, Rejected> {
        match self {
            Self::Saga(saga) => saga.handle(command, moment).map(Facts::Saga),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => errand.handle(command, moment).map(Facts::Errand),
        }
    }

    /// What must be under way.
    pub fn owed(&self) -> impl Iterator<Item = Effect> + '_ {
        match self {
            Self::Saga(saga) => Owed::Saga(saga.owed()),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => Owed::Errand(errand.owed()),
        }
    }

    /// Whether anything must be under way.
    #[must_use]
    pub fn owes(&self) -> bool {
        match self {
            Self::Saga(saga) => saga.owes(),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => errand.owed().is_some(),
        }
    }

    /// When to send [`Command::Wake`]; [`Time::NEVER`] if only an answer or a person moves it.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        match self {
            Self::Saga(saga) => saga.wake_at(),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => errand.wake_at(),
        }
    }

    /// Where it stands. Never [`Standing::Asleep`]: whoever keeps it in memory decides that.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self {
            Self::Saga(saga) => saga.standing(),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => errand.standing(),
        }
    }

    /// Shows what the payload of an owed call may be made of.
    pub fn with_scope<R>(&self, call: CallId, look: impl FnOnce(&Scope<'_>) -> R) -> R {
        match self {
            Self::Saga(saga) => saga.with_scope(call, look),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => errand.with_scope(look),
        }
    }

    /// Its mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self {
            Self::Saga(_) => Mode::Saga,
            #[cfg(feature = "errand")]
            Self::Errand(_) => Mode::Errand,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        match self {
            Self::Saga(saga) => saga.id(),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => errand.id(),
        }
    }

    /// The definition it runs.
    #[must_use]
    pub fn definition(&self) -> Definition {
        match self {
            Self::Saga(saga) => Definition::Saga(saga.definition().clone()),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => Definition::Errand(errand.definition().clone()),
        }
    }

    /// The trace that it was started with: a W3C `traceparent`.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        match self {
            Self::Saga(saga) => saga.trace(),
            #[cfg(feature = "errand")]
            Self::Errand(_) => None,
        }
    }

    /// What it was started with.
    #[must_use]
    pub fn input(&self) -> &Bytes {
        match self {
            Self::Saga(saga) => saga.input(),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => errand.input(),
        }
    }

    /// The step that started it, if one did.
    #[must_use]
    pub fn parent(&self) -> Option<&Parent> {
        match self {
            Self::Saga(saga) => saga.parent(),
            #[cfg(feature = "errand")]
            Self::Errand(_) => None,
        }
    }

    /// Where it stands, for the transaction that it runs in.
    ///
    /// # Panics
    /// When it runs in none.
    #[must_use]
    pub fn stands(&self) -> ChildStands {
        match self {
            Self::Saga(saga) => saga.stands(),
            #[cfg(feature = "errand")]
            Self::Errand(_) => unreachable!("errands run in no other transaction"),
        }
    }

    /// What a child that it owes is started as, and with.
    ///
    /// # Errors
    /// When its input cannot be made.
    ///
    /// # Panics
    /// When it owes no such child.
    pub fn child(&self, owed: &OwedChild) -> Result<Child, String> {
        match self {
            Self::Saga(saga) => {
                let (written, origin) = saga.child_origin(owed.step);
                let (definition, version) = (written.definition.clone(), written.version);
                Ok(Child { definition, version, origin, input: saga.child_input(owed.step)? })
            }
            #[cfg(feature = "errand")]
            Self::Errand(_) => unreachable!("no other transaction runs in errands"),
        }
    }

    /// The saga, if it is one.
    #[must_use]
    pub fn as_saga(&self) -> Option<&Saga> {
        match self {
            Self::Saga(saga) => Some(saga),
            #[cfg(feature = "errand")]
            Self::Errand(_) => None,
        }
    }
}

/// The effects of one mode or another.
enum Owed<S> {
    Saga(S),
    #[cfg(feature = "errand")]
    Errand(Option<Effect>),
}

impl<S: Iterator<Item = Effect>> Iterator for Owed<S> {
    type Item = Effect;

    fn next(&mut self) -> Option<Effect> {
        match self {
            Self::Saga(effects) => effects.next(),
            #[cfg(feature = "errand")]
            Self::Errand(effect) => effect.take(),
        }
    }
}

impl Facts {
    /// The facts about a saga, if they are.
    #[must_use]
    pub fn as_saga(&self) -> Option<&[saga::Event]> {
        match self {
            Self::Saga(events) => Some(events),
            #[cfg(feature = "errand")]
            Self::Errand(_) => None,
        }
    }

    /// Whether nothing became true.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Saga(events) => events.is_empty(),
            #[cfg(feature = "errand")]
            Self::Errand(events) => events.is_empty(),
        }
    }
}

fn no_facts() -> ApplyError {
    ApplyError { event: "an empty record".to_owned(), status: "pending", because: "a record states a fact" }
}

#[cfg(feature = "errand")]
fn other_mode() -> ApplyError {
    ApplyError {
        event: "a fact of another mode".to_owned(),
        status: "under way",
        because: "modes do not change",
    }
}
