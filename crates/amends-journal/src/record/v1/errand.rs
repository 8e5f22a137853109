//! The stored shapes of an errand, the mode that tests show a second one with.

use amends_core::errand::{ErrandDefinition, Event as Fact};
use amends_core::{DefinitionName, Time};
use bytes::Bytes;

use super::{Duration, Nothing, present, span};
use crate::record::Flaw;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Definition {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    version: u32,
    #[prost(string, tag = "3")]
    participant: String,
    #[prost(string, tag = "4")]
    operation: String,
    #[prost(message, optional, tag = "5")]
    rest: Option<Duration>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Event {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(bytes = "bytes", tag = "1")]
    Started(Bytes),
    #[prost(message, tag = "2")]
    AttemptStarted(Nothing),
    #[prost(uint64, tag = "3")]
    AttemptUnknown(u64),
    #[prost(message, tag = "4")]
    Completed(Nothing),
    #[prost(message, tag = "5")]
    Refused(Nothing),
    #[prost(message, tag = "6")]
    Abandoned(Nothing),
}

impl From<&ErrandDefinition> for Definition {
    fn from(errand: &ErrandDefinition) -> Self {
        Self {
            name: errand.name.as_str().to_owned(),
            version: errand.version,
            participant: errand.participant.clone(),
            operation: errand.operation.clone(),
            rest: Some(errand.rest.into()),
        }
    }
}

impl TryFrom<Definition> for ErrandDefinition {
    type Error = Flaw;

    fn try_from(stored: Definition) -> Result<Self, Flaw> {
        Ok(Self {
            name: DefinitionName::new(stored.name),
            version: stored.version,
            participant: stored.participant,
            operation: stored.operation,
            rest: span(stored.rest, "rest")?,
        })
    }
}

impl From<&Fact> for Event {
    fn from(fact: &Fact) -> Self {
        let kind = match fact {
            Fact::Started { input } => Kind::Started(input.clone()),
            Fact::AttemptStarted => Kind::AttemptStarted(Nothing {}),
            Fact::AttemptUnknown { retry_at } => Kind::AttemptUnknown(retry_at.milliseconds()),
            Fact::Completed => Kind::Completed(Nothing {}),
            Fact::Refused => Kind::Refused(Nothing {}),
            Fact::Abandoned => Kind::Abandoned(Nothing {}),
        };
        Self { kind: Some(kind) }
    }
}

pub(super) fn read_all(stored: Vec<Event>) -> Result<Vec<Fact>, Flaw> {
    let read = |event: Event| {
        Ok(match present(event.kind, "fact")? {
            Kind::Started(input) => Fact::Started { input },
            Kind::AttemptStarted(Nothing {}) => Fact::AttemptStarted,
            Kind::AttemptUnknown(at) => Fact::AttemptUnknown { retry_at: Time::from_milliseconds(at) },
            Kind::Completed(Nothing {}) => Fact::Completed,
            Kind::Refused(Nothing {}) => Fact::Refused,
            Kind::Abandoned(Nothing {}) => Fact::Abandoned,
        })
    };
    stored.into_iter().map(read).collect()
}
