//! Which definitions run here, and who carries out their steps.
//!
//! Owns the map from names to checked definitions and participants. Promises that every step of a registered
//! definition has a participant. Does not change once the engine runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_core::{Definition, DefinitionName, StepIndex};

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
}

impl Registry {
    /// # Errors
    /// Names the step and the participant that nobody registered.
    pub(crate) fn new(
        definitions: Vec<Definition>,
        participants: Vec<Registered>,
    ) -> Result<Self, (String, String)> {
        let mut plans = BTreeMap::new();
        for definition in definitions {
            let places: Result<Vec<ParticipantIndex>, (String, String)> = definition
                .spec()
                .steps
                .iter()
                .map(|step| {
                    let place = participants.iter().position(|known| known.name == step.participant);
                    place.map(ParticipantIndex).ok_or_else(|| (step.name.clone(), step.participant.clone()))
                })
                .collect();
            let key = (definition.name().clone(), definition.version());
            let plan = Plan { definition: Arc::new(definition), participants: places? };
            plans.insert(key, Arc::new(plan));
        }
        Ok(Self { participants, plans })
    }

    pub(crate) fn plan(&self, name: &DefinitionName, version: u32) -> Option<&Arc<Plan>> {
        self.plans.get(&(name.clone(), version))
    }

    /// The newest version of this name.
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
