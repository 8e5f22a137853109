//! Definitions, whatever the mode.
//!
//! Owns [`Definition`] (what runs) and [`DefinitionSpec`] (what is stored of it), one variant for each mode.
//! Promises that both name the same thing. Does not know what a mode's definition consists of.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::attempt::CallId;
#[cfg(feature = "errand")]
use crate::errand::ErrandDefinition;
use crate::expressions::Expressions;
use crate::name::DefinitionName;
use crate::payload::Terms;
use crate::saga::definition::{Finding, SagaDefinition, SagaSpec};
use crate::standing::Mode;

/// A checked definition. Clones are handles to the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Of sagas.
    Saga(Arc<SagaDefinition>),
    /// Of errands.
    #[cfg(feature = "errand")]
    Errand(Arc<ErrandDefinition>),
}

/// A definition as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefinitionSpec {
    /// Of sagas.
    Saga(SagaSpec),
    /// Of sagas, as data: the text is stored, and compiled each time it is loaded.
    Document {
        /// The definition's name.
        name: DefinitionName,
        /// Its version.
        version: u32,
        /// The text.
        source: Arc<str>,
        /// The versions of the definitions that it starts: those that were the newest when it was registered.
        children: BTreeMap<DefinitionName, u32>,
    },
    /// Of errands.
    #[cfg(feature = "errand")]
    Errand(ErrandDefinition),
}

impl Definition {
    /// The saga's definition, if it is one.
    #[must_use]
    pub fn as_saga(&self) -> Option<&SagaDefinition> {
        match self {
            Self::Saga(saga) => Some(saga),
            #[cfg(feature = "errand")]
            Self::Errand(_) => None,
        }
    }

    /// The definition's name.
    #[must_use]
    pub fn name(&self) -> &DefinitionName {
        match self {
            Self::Saga(saga) => saga.name(),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => &errand.name,
        }
    }

    /// The definition's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        match self {
            Self::Saga(saga) => saga.version(),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => errand.version,
        }
    }

    /// The mode of the transactions that run it.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self {
            Self::Saga(_) => Mode::Saga,
            #[cfg(feature = "errand")]
            Self::Errand(_) => Mode::Errand,
        }
    }

    /// What is stored of it.
    #[must_use]
    pub fn spec(&self) -> DefinitionSpec {
        match self {
            Self::Saga(saga) => match saga.source() {
                None => DefinitionSpec::Saga(saga.spec().clone()),
                Some(source) => DefinitionSpec::Document {
                    name: saga.name().clone(),
                    version: saga.version(),
                    source: source.clone(),
                    children: (saga.children())
                        .map(|(_, child)| (child.definition.clone(), child.version))
                        .collect(),
                },
            },
            #[cfg(feature = "errand")]
            Self::Errand(errand) => DefinitionSpec::Errand((**errand).clone()),
        }
    }

    /// What it computes, if it is data.
    #[must_use]
    pub fn expressions(&self) -> Option<&Arc<dyn Expressions>> {
        match self {
            Self::Saga(saga) => saga.expressions(),
            #[cfg(feature = "errand")]
            Self::Errand(_) => None,
        }
    }

    /// Every call that a transaction of this definition can owe, in its first round.
    #[must_use]
    pub fn calls(&self) -> Vec<CallId> {
        match self {
            Self::Saga(saga) => saga.calls().collect(),
            #[cfg(feature = "errand")]
            Self::Errand(_) => vec![ErrandDefinition::CALL],
        }
    }

    /// The terms of a call.
    ///
    /// # Panics
    /// When no transaction of this definition owes such a call.
    #[must_use]
    pub fn terms(&self, call: CallId) -> Terms<'_> {
        match self {
            Self::Saga(saga) => saga.terms(call),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => errand.terms(),
        }
    }
}

impl From<SagaDefinition> for Definition {
    fn from(saga: SagaDefinition) -> Self {
        Self::Saga(Arc::new(saga))
    }
}

impl DefinitionSpec {
    /// Checks what was stored, as it was checked before it was stored.
    ///
    /// # Errors
    /// Every finding; of a document [`Finding::Uncompiled`]: whoever loads it has a compiler, core has not.
    pub fn check(self) -> Result<Definition, Vec<Finding>> {
        match self {
            Self::Saga(spec) => SagaDefinition::from_spec(spec).map(Definition::from),
            Self::Document { .. } => Err(vec![Finding::Uncompiled]),
            #[cfg(feature = "errand")]
            Self::Errand(errand) => Ok(Definition::Errand(Arc::new(errand))),
        }
    }

    /// The mode of the transactions that run it.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self {
            Self::Saga(_) | Self::Document { .. } => Mode::Saga,
            #[cfg(feature = "errand")]
            Self::Errand(_) => Mode::Errand,
        }
    }

    /// The definition's name.
    #[must_use]
    pub fn name(&self) -> &DefinitionName {
        match self {
            Self::Saga(saga) => &saga.name,
            Self::Document { name, .. } => name,
            #[cfg(feature = "errand")]
            Self::Errand(errand) => &errand.name,
        }
    }

    /// The definition's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        match self {
            Self::Saga(saga) => saga.version,
            Self::Document { version, .. } => *version,
            #[cfg(feature = "errand")]
            Self::Errand(errand) => errand.version,
        }
    }
}
