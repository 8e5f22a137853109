//! What a definition may start as a sub-saga, and where.
//!
//! Owns the rules that take two definitions to judge: no circle, no tower, and before the pivot only what can be
//! undone. Promises a position for each finding. Does not look definitions up: whoever registers them does.

use std::collections::{BTreeMap, BTreeSet};

use amends_core::saga::definition::{CompensationSpec, Kind, Role, SagaDefinition, StepKind};
use amends_core::{Definition, DefinitionName};

use crate::finding::Findings;
use crate::limits::CHILDREN_DEPTH_MAX;
use crate::source::{Source, Span, say};
use crate::{Document, Finding};

/// Finds the definition of this name and version.
pub type Look<'l> = &'l dyn Fn(&DefinitionName, u32) -> Option<Definition>;

impl Document {
    /// Judges the sub-sagas of this definition, compiled by [`Document::definition`]: asked at registration.
    ///
    /// # Errors
    /// A finding for each step whose sub-saga cannot stand there.
    pub fn judge_children(&self, definition: &SagaDefinition, look: Look<'_>) -> Result<(), Findings> {
        let mut source = Source::new(&self.source);
        let mut walk = Walk { look, known: BTreeMap::new() };
        for (step, child) in definition.children() {
            let span = self.plan.steps.get(step.at()).map(|plan| plan.span).unwrap_or_default();
            let name = &child.definition;
            let Some(Definition::Saga(below)) = look(name, child.version) else {
                source.find(span, say("unknown_definition", format!("there is no definition `{name}`")));
                continue;
            };
            let below = walk.below(&below, 1);
            if below.starts.contains(&self.name) {
                let said = say("child_circle", format!("`{name}` starts `{}`, directly or not", self.name));
                source.find(span, said.help("a saga cannot be its own sub-saga: break the circle"));
            } else if below.height >= CHILDREN_DEPTH_MAX {
                let said = say(
                    "too_deep",
                    format!("sub-sagas would run in each other more than {CHILDREN_DEPTH_MAX} deep"),
                );
                source.find(span, said.help("start some of them beside each other"));
            }
            if definition.step(step).role == Role::BeforePivot
                && let Some(standing) = below.without_undo
            {
                let said = say(
                    "child_without_undo",
                    format!(
                        "`{name}` cannot be undone as a whole: its step `{standing}` has no compensation"
                    ),
                );
                let help = "before the pivot, or without one, only what can be undone may run: make this step the pivot, \
                            put it after the pivot, or give that step a compensation";
                source.find(span, said.help(help));
            }
        }
        source.into_verdict().map(drop)
    }

    /// A finding about a participant that this definition names: for whoever connects it.
    #[must_use]
    pub fn participant_finding(&self, name: &str, rule: &'static str, message: &str) -> Finding {
        let mut source = Source::new(&self.source);
        source.find(self.participant_place(name), say(rule, message));
        let mut findings = source.into_verdict().err().unwrap_or_default().0;
        findings.pop().unwrap_or_else(|| unreachable!("a finding was just noted"))
    }
}

/// What is known of a definition and all that it starts.
#[derive(Clone, Default)]
struct Below {
    /// Levels of sagas, itself counted.
    height: usize,
    starts: BTreeSet<DefinitionName>,
    /// The first step, here or below, that has an effect and no undo.
    without_undo: Option<String>,
}

/// Looks into each definition once, however often it is started.
struct Walk<'l> {
    look: Look<'l>,
    known: BTreeMap<(DefinitionName, u32), Below>,
}

impl Walk<'_> {
    fn below(&mut self, definition: &SagaDefinition, so_far: usize) -> Below {
        let key = (definition.name().clone(), definition.version());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut found = Below { height: 1, starts: BTreeSet::from([key.0.clone()]), without_undo: None };
        for (step, written) in definition.steps().iter().zip(&definition.spec().steps) {
            let is_read_only = matches!(&written.kind, StepKind::Call(call) if call.compensation == CompensationSpec::ReadOnly);
            let standing = match &step.kind {
                Kind::Call(_) => (!step.has_undo && !is_read_only).then(|| written.name.clone()),
                Kind::Sleep { .. } | Kind::Wait(_) => None,
                Kind::Child(child) => match (self.look)(&child.definition, child.version) {
                    Some(Definition::Saga(child)) if so_far < CHILDREN_DEPTH_MAX => {
                        let below = self.below(&child, so_far + 1);
                        found.height = found.height.max(below.height + 1);
                        found.starts.extend(below.starts);
                        below.without_undo.map(|step| format!("{}/{step}", written.name))
                    }
                    // Too deep, or not to be seen: nothing good is known of it.
                    Some(_) | None => {
                        found.height = CHILDREN_DEPTH_MAX + 1;
                        found.starts.insert(child.definition.clone());
                        Some(written.name.clone())
                    }
                },
            };
            found.without_undo = found.without_undo.or(standing);
        }
        self.known.insert(key, found.clone());
        found
    }
}

impl Document {
    fn participant_place(&self, name: &str) -> Span {
        self.places.participants.get(name).copied().unwrap_or_default()
    }
}
