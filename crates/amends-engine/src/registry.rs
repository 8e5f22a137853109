//! Which definitions run here, and who carries out their steps.
//!
//! Owns the map from names to checked definitions and participants. Promises that every step of a registered
//! definition has a participant. Does not change once the engine runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_core::{Definition, DefinitionName, StepIndex, StepSpec};

use crate::call::Participant;
use crate::shard::gate::{Gate, ParticipantIndex};

/// A participant and how many calls it takes at once.
pub(crate) struct Registered {
    pub(crate) name: String,
    pub(crate) participant: Arc<dyn Participant>,
    pub(crate) calls_max: usize,
}

/// A definition with its steps' participants.
#[derive(Debug)]
pub struct Plan {
    /// The definition.
    pub definition: Arc<Definition>,
    /// Who carries out each step.
    pub participants: Vec<ParticipantIndex>,
}

impl Plan {
    /// Who carries out a step.
    #[must_use]
    pub fn participant(&self, step: StepIndex) -> ParticipantIndex {
        self.participants[step.at()]
    }
}

/// All definitions and participants of one engine.
pub(crate) struct Registry {
    pub(crate) participants: Vec<Registered>,
    plans: BTreeMap<(DefinitionName, u32), Arc<Plan>>,
    /// Of the journal, not of this program.
    earlier: BTreeMap<(DefinitionName, u32), Arc<Plan>>,
}

impl Registry {
    /// # Errors
    /// Names the step and the participant that nobody registered.
    pub(crate) fn new(
        definitions: Vec<Definition>,
        participants: Vec<Registered>,
    ) -> Result<Self, (String, String)> {
        let mut registry = Self { participants, plans: BTreeMap::new(), earlier: BTreeMap::new() };
        for definition in definitions {
            let key = (definition.name().clone(), definition.version());
            let plan = registry.staff(definition)?;
            registry.plans.insert(key, plan);
        }
        Ok(registry)
    }

    /// Takes in a definition that the journal has and this program does not register: sagas that run it go on, and no
    /// new ones are started. Whether all its participants are here.
    pub(crate) fn remember(&mut self, definition: Definition) -> bool {
        let key = (definition.name().clone(), definition.version());
        if self.plans.contains_key(&key) {
            return true;
        }
        match self.staff(definition) {
            Ok(plan) => {
                self.earlier.insert(key, plan);
                true
            }
            Err(_) => false,
        }
    }

    /// Finds a participant for every step.
    fn staff(&self, definition: Definition) -> Result<Arc<Plan>, (String, String)> {
        let place = |step: &StepSpec| {
            let found = self.participants.iter().position(|known| known.name == step.participant);
            found.map(ParticipantIndex).ok_or_else(|| (step.name.clone(), step.participant.clone()))
        };
        let participants = definition.spec().steps.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Arc::new(Plan { definition: Arc::new(definition), participants }))
    }

    pub(crate) fn plan(&self, name: &DefinitionName, version: u32) -> Option<&Arc<Plan>> {
        let key = (name.clone(), version);
        self.plans.get(&key).or_else(|| self.earlier.get(&key))
    }

    /// The newest version of this name that this program registers.
    pub(crate) fn newest(&self, name: &DefinitionName) -> Option<&Arc<Plan>> {
        self.plans.range((name.clone(), 0)..=(name.clone(), u32::MAX)).next_back().map(|(_, plan)| plan)
    }

    pub(crate) fn plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        self.plans.values()
    }

    /// A gate per participant for one of `shards` shards; their shares add up to the limit or a little more.
    pub(crate) fn gates(&self, shards: usize) -> Vec<Gate> {
        self.participants.iter().map(|known| Gate::new(known.calls_max.div_ceil(shards))).collect()
    }
}
