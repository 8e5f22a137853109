//! A compiled definition.
//!
//! Owns [`Document`] and [`compile`]. Promises that whatever is one has no finding. Does not run it: that is
//! core's and the engine's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use amends_core::DefinitionName;
use amends_core::saga::definition::{SagaDefinition, StepKind};

use crate::expression::Type;
use crate::expressions::Compiled;
use crate::finding::{Finding, Findings};
use crate::input::{InputFlaw, InputSchema};
use crate::mask::{Place, Sensitive};
use crate::plan::{Plan, plan};
use crate::settings::ParticipantSettings;
use crate::source::{Source, Span, say};
use crate::{node, read};

/// A definition read from a text.
#[derive(Clone)]
pub struct Document {
    /// Its name.
    pub name: DefinitionName,
    /// The participants that it names.
    pub participants: BTreeMap<String, ParticipantSettings>,
    /// The definitions that it starts as sub-sagas, each once.
    pub children: Vec<DefinitionName>,
    /// The text, as it was given.
    pub source: Arc<str>,
    /// Legal, but worth a thought.
    pub warnings: Vec<Finding>,
    pub(crate) plan: Arc<Plan>,
    schema: Option<Arc<InputSchema>>,
    sensitive: Arc<Sensitive>,
    pub(crate) places: Arc<Places>,
}

/// Where things stand that only the world outside can judge.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Of each participant's name.
    pub(crate) participants: BTreeMap<String, Span>,
    /// Names of environment variables.
    variables: Vec<(String, Span)>,
    /// Of each step that starts a sub-saga.
    children: Vec<(DefinitionName, Span)>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads and checks a definition, YAML or JSON. The same text gives the same plan in every release.
///
/// # Errors
/// Every finding, not only the first.
pub fn compile(text: &str) -> Result<Document, Findings> {
    let mut source = Source::new(text);
    match read_all(&mut source) {
        Some(document) => Ok(Document { warnings: source.into_verdict()?, ..document }),
        None => match source.into_verdict() {
            Err(findings) => Err(findings),
            // Something returned nothing and said nothing, which is our fault and no reason to accept a text.
            Ok(_) => {
                let mut source = Source::new(text);
                source.find(Span::default(), say("internal", "the definition could not be compiled"));
                Err(source.into_verdict().err().unwrap_or_default())
            }
        },
    }
}

fn read_all(source: &mut Source<'_>) -> Option<Document> {
    let root = node::read(source)?;
    let written = read::read(&root, source)?;
    let (schema, input) = match written.input {
        None => (None, Type::ANY),
        Some(node) => {
            InputSchema::read(node, source).map_or((None, Type::ANY), |(schema, kind)| (Some(schema), kind))
        }
    };
    let sensitive = Sensitive::read(&written, source);
    let plan = plan(&written, input, source)?;
    let mut places = Places::default();
    for (name, participant) in &written.participants {
        places.participants.insert(name.clone(), participant.name);
        places.variables.extend(participant.variables.iter().map(|name| (name.value.clone(), name.span)));
    }
    let mut children: Vec<DefinitionName> = Vec::new();
    for (step, planned) in plan.spec.steps.iter().zip(&plan.steps) {
        if let StepKind::Child(child) = &step.kind {
            places.children.push((child.definition.clone(), planned.span));
            if !children.contains(&child.definition) {
                children.push(child.definition.clone());
            }
        }
    }
    Some(Document {
        name: plan.spec.name.clone(),
        participants: written
            .participants
            .into_iter()
            .map(|(name, written)| (name, written.settings))
            .collect(),
        children,
        source: source.text.into(),
        warnings: Vec::new(),
        plan: Arc::new(plan),
        schema: schema.map(Arc::new),
        sensitive: Arc::new(sensitive),
        places: Arc::new(places),
    })
}

impl Document {
    /// What core runs: with its expressions and its source. `child_version` gives the version that a sub-saga
    /// is pinned to, `None` for a definition that is not registered.
    ///
    /// # Errors
    /// Findings that need to know other definitions: a child that is not there.
    pub fn definition(
        &self,
        version: u32,
        child_version: impl Fn(&DefinitionName) -> Option<u32>,
    ) -> Result<SagaDefinition, Findings> {
        let mut source = Source::new(&self.source);
        for (name, span) in &self.places.children {
            if *name == self.name {
                source.find(*span, say("child_circle", format!("`{name}` would start itself")));
            } else if child_version(name).is_none() {
                let said = say("unknown_definition", format!("there is no definition `{name}`"));
                source.find(*span, said.help("register it first"));
            }
        }
        let mut spec = self.plan.spec.clone();
        spec.version = version;
        for step in &mut spec.steps {
            if let StepKind::Child(child) = &mut step.kind {
                child.version = child_version(&child.definition).unwrap_or_default();
            }
        }
        match SagaDefinition::from_spec(spec) {
            Err(findings) => {
                for finding in findings {
                    source.find(Span::default(), say("definition", finding.to_string()));
                }
                Err(source.into_verdict().err().unwrap_or_default())
            }
            Ok(definition) => {
                source.into_verdict()?;
                Ok(definition.with_expressions(self.source.clone(), Arc::new(Compiled(self.plan.clone()))))
            }
        }
    }

    /// Judges secrets by the names of their environment variables: those that begin with `AMENDS_SECRET_` and
    /// those listed in the configuration may be named. Asked at registration only, so that a change of the
    /// configuration takes no definition away.
    ///
    /// # Errors
    /// A finding for each name that may not be used.
    pub fn judge_secrets(&self, listed: &[String]) -> Result<(), Findings> {
        let mut source = Source::new(&self.source);
        for (name, span) in &self.places.variables {
            if !name.starts_with(SECRET_PREFIX) && !listed.contains(name) {
                let said = say("secret", format!("the environment variable `{name}` may not be named here"));
                let help = format!(
                    "give it a name that begins with {SECRET_PREFIX}, or list it in the configuration"
                );
                source.find(*span, said.help(help));
            }
        }
        source.into_verdict().map(drop)
    }

    /// Compares an input with the definition's schema.
    ///
    /// # Errors
    /// Every flaw, up to a named number.
    pub fn judge_input(&self, input: &[u8]) -> Result<(), Vec<InputFlaw>> {
        self.schema.as_ref().map_or(Ok(()), |schema| schema.judge(input))
    }

    /// The payload with its sensitive parts masked, for people to look at.
    #[must_use]
    pub fn mask(&self, place: Place<'_>, payload: &[u8]) -> Vec<u8> {
        self.sensitive.mask(place, payload)
    }

    /// Whether [`Self::mask`] would change anything at this place.
    #[must_use]
    pub fn is_sensitive(&self, place: Place<'_>) -> bool {
        self.sensitive.concerns(place)
    }
}

/// How the name of an environment variable begins that any definition may name as a secret.
pub const SECRET_PREFIX: &str = "AMENDS_SECRET_";

impl Document {
    /// The names of the steps, in the order written.
    #[must_use]
    pub fn step_names(&self) -> Vec<String> {
        self.plan.spec.steps.iter().map(|step| step.name.clone()).collect()
    }
}
