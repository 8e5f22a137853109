//! Definitions that are data: registered, retired and listed while the engine runs.
//!
//! Owns the way from a text to something that runs here: compile, connect its participants, store, show. Promises
//! that what is shown is stored, that a version never changes, and that a text which was taken once is taken at
//! each start. Does not compile: that is `amends-definition`. Start reading at [`register`].

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_core::{Definition, DefinitionName, DefinitionSpec, Mode, Standings, Time};
use amends_definition::{Document, Findings, compile};
use amends_journal::{Filter, JournalError, PutDefinition, RetireDefinition, StoredDefinition};

use crate::errors::{RegisterError, RetireError};
use crate::mailbox::{Mailbox, Message};
use crate::participant::ParticipantIndex;
use crate::participant::connect::Connect;
use crate::registry::{Change, Entry};
use crate::shard::input::Input;
use crate::shell::Shared;

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The definition's name.
    pub name: DefinitionName,
    /// The version that has this text.
    pub version: u32,
    /// Whether it is a new one; otherwise the newest version has this text already.
    pub is_new: bool,
    /// Legal, but worth a thought.
    pub warnings: Findings,
}

/// A definition that is known here.
#[derive(Debug, Clone)]
pub struct DefinitionView {
    /// The definition.
    pub definition: Definition,
    /// What it was compiled from, if it is data.
    pub document: Option<Arc<Document>>,
    /// When it was stored.
    pub registered_at: Time,
    /// When it was retired: it starts nothing more.
    pub retired_at: Option<Time>,
}

impl From<&Entry> for DefinitionView {
    fn from(entry: &Entry) -> Self {
        Self {
            definition: entry.runnable.definition.clone(),
            document: entry.runnable.document.clone(),
            registered_at: entry.registered_at,
            retired_at: entry.retired_at,
        }
    }
}

/// Takes a text in. Blocks the thread.
pub(crate) fn register(
    shared: &Shared,
    mailboxes: &[Mailbox],
    source: &str,
    expected: Option<&str>,
) -> Result<Registration, RegisterError> {
    let document = Arc::new(compile(source).map_err(RegisterError::Findings)?);
    let name = document.name.clone();
    if let Some(expected) = expected.filter(|expected| *expected != name.as_str()) {
        return Err(RegisterError::NameDiffers { name, expected: expected.to_owned() });
    }
    let warnings = Findings(document.warnings.clone());
    let mut change = shared.registry.change();
    let last = change.known().last(&name);
    if let Some(entry) = last.filter(|entry| entry.starts)
        && entry.runnable.document.as_ref().is_some_and(|known| known.source == document.source)
    {
        let version = entry.runnable.definition.version();
        return Ok(Registration { name, version, is_new: false, warnings });
    }
    if last.is_some_and(|entry| entry.runnable.document.is_none()) {
        return Err(RegisterError::OfProgram(name));
    }
    let version = last.map_or(1, |entry| entry.runnable.definition.version().saturating_add(1));
    let connect = shared.connect.as_deref().ok_or(RegisterError::NoTransport)?;
    let newest =
        |child: &DefinitionName| change.known().newest(child).map(|known| known.definition.version());
    let definition = document.definition(version, newest).map_err(RegisterError::Findings)?;
    let look = |child: &DefinitionName, version| {
        change.known().runnable(child, version).map(|known| known.definition.clone())
    };
    document.judge_children(&definition, &look).map_err(RegisterError::Findings)?;
    let participants = connect_all(&mut change, connect, &document).map_err(RegisterError::Findings)?;
    let definition = Definition::from(definition);
    let now = shared.clock.now();
    let spec = definition.spec();
    change.add_document(document, definition, &participants, (now, None)).map_err(RegisterError::Missing)?;
    match shared
        .journal
        .put_definition(&spec, now)
        .map_err(|error| RegisterError::Journal(error.to_string()))?
    {
        PutDefinition::New => {}
        PutDefinition::Unchanged | PutDefinition::Different => return Err(RegisterError::Overtaken),
    }
    // Before anybody can start a transaction of it.
    let places = change.known().places(mailboxes.len());
    for mailbox in mailboxes {
        // A shard that is gone needs no gates.
        drop(mailbox.send(Message::Input(Input::Gates(places.clone()))));
    }
    change.show();
    Ok(Registration { name, version, is_new: true, warnings })
}

/// The participants that a document names, connected.
fn connect_all(
    change: &mut Change<'_>,
    connect: &dyn Connect,
    document: &Document,
) -> Result<BTreeMap<String, ParticipantIndex>, Findings> {
    let mut participants = BTreeMap::new();
    let mut findings = Vec::new();
    for (name, settings) in &document.participants {
        match connect.connect(name, settings) {
            Ok(connected) => {
                participants.insert(name.clone(), change.participant(name, connected));
            }
            Err(why) => {
                let message = format!("the participant {name} cannot be called: {why}");
                findings.push(document.participant_finding(name, "participant_refused", &message));
            }
        }
    }
    if findings.is_empty() { Ok(participants) } else { Err(Findings(findings)) }
}

/// Takes in what the journal has of earlier. What cannot run here is said, with the reason: its transactions wait.
pub(crate) fn take_in(change: &mut Change<'_>, connect: Option<&dyn Connect>, stored: Vec<StoredDefinition>) {
    // A parent comes after its children, whatever their names.
    let mut stored = stored;
    stored.sort_by_key(|stored| stored.registered_at);
    let mut waiting = stored;
    loop {
        let before = waiting.len();
        waiting.retain(|stored| match take_in_one(change, connect, stored) {
            Ok(()) => false,
            Err(NotTaken::ChildMissing) => true,
            Err(NotTaken::Because(why)) => {
                let (name, version) = (stored.spec.name(), stored.spec.version());
                tracing::warn!(%name, version, %why, "transactions of this definition will not progress until it can run here");
                false
            }
        });
        if waiting.len() == before {
            break;
        }
    }
    for StoredDefinition { spec, .. } in waiting {
        let (name, version) = (spec.name(), spec.version());
        tracing::warn!(%name, version, "transactions of this definition will not progress: a definition that it starts is not there");
    }
}

enum NotTaken {
    ChildMissing,
    Because(String),
}

fn take_in_one(
    change: &mut Change<'_>,
    connect: Option<&dyn Connect>,
    stored: &StoredDefinition,
) -> Result<(), NotTaken> {
    let because = |why: String| NotTaken::Because(why);
    let (name, version) = (stored.spec.name().clone(), stored.spec.version());
    if change.known().runnable(&name, version).is_some() {
        return Ok(());
    }
    let DefinitionSpec::Document { source, children, .. } = &stored.spec else {
        let definition = stored.spec.clone().check().map_err(|findings| {
            let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
            because(format!("it does not pass the checks of this release: {}", findings.join("; ")))
        })?;
        // This program does not register it, and so starts nothing of it.
        return change
            .add(definition, false, stored.registered_at)
            .map_err(|missing| because(missing.to_string()));
    };
    if children.iter().any(|(child, version)| change.known().runnable(child, *version).is_none()) {
        return Err(NotTaken::ChildMissing);
    }
    let findings = |findings: Findings| because(findings.to_string());
    let document = Arc::new(compile(source).map_err(findings)?);
    let connect = connect.ok_or_else(|| because("this program calls no services".to_owned()))?;
    let pinned = |child: &DefinitionName| children.get(child).copied();
    let definition = document.definition(version, pinned).map_err(findings)?;
    let participants = connect_all(change, connect, &document).map_err(findings)?;
    let noted = (stored.registered_at, stored.retired_at);
    let added = change.add_document(document, Definition::from(definition), &participants, noted);
    added.map_err(|missing| because(missing.to_string()))
}

/// Lets a version start nothing more. Says how many of its transactions are live. Blocks the thread.
pub(crate) fn retire(shared: &Shared, name: &DefinitionName, version: u32) -> Result<u64, RetireError> {
    let mut change = shared.registry.change();
    let now = shared.clock.now();
    let journal = |error: JournalError| RetireError::Journal(error.to_string());
    match shared.journal.retire_definition(Mode::Saga, name, version, now).map_err(journal)? {
        RetireDefinition::NotFound => return Err(RetireError::NotFound { name: name.clone(), version }),
        RetireDefinition::Retired | RetireDefinition::Unchanged => {}
    }
    change.retire(name, version, now);
    change.show();
    let live = Filter { definition: Some(name.clone()), standings: Standings::LIVE, ..Filter::default() };
    shared.journal.count(&live).map(|count| count.count).map_err(journal)
}
