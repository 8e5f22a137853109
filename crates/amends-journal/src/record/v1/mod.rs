//! The stored shapes of format 1.
//!
//! Owns the messages of a record and of a definition, a field for each mode, and what the modes share. A
//! field's number is never used for anything else. A field may be added within the format as long as its
//! absence means what was meant before: a program that does not know the field refuses the record as newer.
//! Does not frame or check sums.

#[cfg(feature = "errand")]
mod errand;
mod saga;
mod saga_definition;

use std::time::Duration as Span;

use std::collections::BTreeMap;

use amends_core::{DefinitionName, DefinitionSpec, Event, Facts, Time};

use prost::encoding::{WireType, decode_key, decode_varint};

use super::Flaw;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Record {
    #[prost(uint64, tag = "1")]
    at: u64,
    /// Of a saga.
    #[prost(message, repeated, tag = "2")]
    events: Vec<saga::Event>,
    /// Of an errand.
    #[cfg(feature = "errand")]
    #[prost(message, repeated, tag = "1000")]
    errand: Vec<errand::Event>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Definition {
    #[cfg(not(feature = "errand"))]
    #[prost(oneof = "DefinitionKind", tags = "1, 2")]
    kind: Option<DefinitionKind>,
    #[cfg(feature = "errand")]
    #[prost(oneof = "DefinitionKind", tags = "1, 2, 1000")]
    kind: Option<DefinitionKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum DefinitionKind {
    #[prost(message, tag = "1")]
    Saga(saga_definition::Definition),
    #[prost(message, tag = "2")]
    Document(Document),
    #[cfg(feature = "errand")]
    #[prost(message, tag = "1000")]
    Errand(errand::Definition),
}

/// Of a saga, as data.
#[derive(Clone, PartialEq, prost::Message)]
struct Document {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    version: u32,
    #[prost(string, tag = "3")]
    source: String,
    #[prost(btree_map = "string, uint32", tag = "4")]
    children: BTreeMap<String, u32>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Nothing {}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Duration {
    #[prost(uint64, tag = "1")]
    seconds: u64,
    #[prost(uint32, tag = "2")]
    nanoseconds: u32,
}

/// How many facts the body of a record states, without reading them; `None`: it is no such body.
pub(super) fn facts_in(mut body: &[u8]) -> Option<u32> {
    let mut facts = 0;
    while !body.is_empty() {
        let (tag, wire) = decode_key(&mut body).ok()?;
        let is_fact = tag == 2 || (cfg!(feature = "errand") && tag == 1000);
        match wire {
            WireType::Varint => drop(decode_varint(&mut body).ok()?),
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut body).ok()?).ok()?;
                body = body.get(length..)?;
                facts += u32::from(is_fact);
            }
            WireType::SixtyFourBit | WireType::StartGroup | WireType::EndGroup | WireType::ThirtyTwoBit => {
                return None;
            }
        }
    }
    Some(facts)
}

impl From<&super::Record> for Record {
    fn from(record: &super::Record) -> Self {
        let mut stored = Self { at: record.at.milliseconds(), ..Self::default() };
        match &record.facts {
            Facts::Saga(events) => stored.events = events.iter().map(saga::Event::from).collect(),
            #[cfg(feature = "errand")]
            Facts::Errand(events) => stored.errand = events.iter().map(errand::Event::from).collect(),
        }
        stored
    }
}

impl TryFrom<Record> for super::Record {
    type Error = Flaw;

    fn try_from(stored: Record) -> Result<Self, Flaw> {
        let at = Time::from_milliseconds(stored.at);
        #[cfg(feature = "errand")]
        if !stored.errand.is_empty() && stored.events.is_empty() {
            let facts = errand::read_all(stored.errand).map(Facts::Errand)?;
            return Ok(Self { at, facts });
        }
        if stored.events.is_empty() {
            return Err(Flaw::damaged("it states nothing"));
        }
        let events = stored.events.into_iter().map(Event::try_from).collect::<Result<_, _>>()?;
        Ok(Self { at, facts: Facts::Saga(events) })
    }
}

impl From<&DefinitionSpec> for Definition {
    fn from(spec: &DefinitionSpec) -> Self {
        let kind = match spec {
            DefinitionSpec::Saga(saga) => DefinitionKind::Saga(saga.into()),
            DefinitionSpec::Document { name, version, source, children } => {
                let children = children.iter().map(|(name, version)| (name.as_str().to_owned(), *version));
                DefinitionKind::Document(Document {
                    name: name.as_str().to_owned(),
                    version: *version,
                    source: source.as_ref().to_owned(),
                    children: children.collect(),
                })
            }
            #[cfg(feature = "errand")]
            DefinitionSpec::Errand(errand) => DefinitionKind::Errand(errand.into()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<Definition> for DefinitionSpec {
    type Error = Flaw;

    fn try_from(stored: Definition) -> Result<Self, Flaw> {
        match stored.kind {
            None => Err(Flaw::newer("it is of an unknown mode")),
            Some(DefinitionKind::Saga(saga)) => saga.try_into().map(Self::Saga),
            Some(DefinitionKind::Document(Document { name, version, source, children })) => {
                if name.is_empty() || version == 0 || source.is_empty() {
                    return Err(Flaw::damaged("its name, version or text is missing"));
                }
                let children =
                    children.into_iter().map(|(name, version)| (DefinitionName::new(name), version));
                let children = children.collect();
                Ok(Self::Document {
                    name: DefinitionName::new(name),
                    version,
                    source: source.into(),
                    children,
                })
            }
            #[cfg(feature = "errand")]
            Some(DefinitionKind::Errand(errand)) => errand.try_into().map(Self::Errand),
        }
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self { seconds: span.as_secs(), nanoseconds: span.subsec_nanos() }
    }
}

impl TryFrom<Duration> for Span {
    type Error = Flaw;

    fn try_from(stored: Duration) -> Result<Self, Flaw> {
        // More than a second of nanoseconds was never written, and `Duration::new` would panic on some of
        // them.
        if stored.nanoseconds < 1_000_000_000 {
            Ok(Self::new(stored.seconds, stored.nanoseconds))
        } else {
            Err(Flaw::damaged("a span of time has more than a second of nanoseconds"))
        }
    }
}

fn span(stored: Option<Duration>, name: &str) -> Result<Span, Flaw> {
    present(stored, name)?.try_into()
}

fn present<T>(field: Option<T>, name: &str) -> Result<T, Flaw> {
    field.ok_or_else(|| Flaw::damaged(format!("its {name} is missing")))
}
