//! Some of a saga's steps.
//!
//! Owns [`StepSet`]: one bit for each step that a definition may have, in place. Promises to allocate
//! nothing: every event asks which steps are through. Does not know an order: the definition does.

use crate::attempt::StepIndex;
use crate::limits::STEPS_MAX;

const WORDS: usize = STEPS_MAX.div_ceil(u64::BITS as usize);

/// A set of steps of one definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct StepSet([u64; WORDS]);

impl StepSet {
    pub(crate) fn insert(&mut self, step: StepIndex) {
        let (word, bit) = place(step);
        self.0[word] |= bit;
    }

    pub(crate) fn insert_all(&mut self, others: &Self) {
        for (word, other) in self.0.iter_mut().zip(others.0) {
            *word |= other;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    pub(crate) fn contains(&self, step: StepIndex) -> bool {
        let (word, bit) = place(step);
        self.0[word] & bit != 0
    }
}

const fn place(step: StepIndex) -> (usize, u64) {
    (step.at() / u64::BITS as usize, 1 << (step.at() % u64::BITS as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_step_have_a_place_each() {
        let ends = [0, STEPS_MAX - 1].map(|at| StepIndex(u16::try_from(at).unwrap()));
        let mut set = StepSet::default();
        for step in ends {
            assert!(!set.contains(step));
            set.insert(step);
            assert!(set.contains(step));
        }
        let others = (1..STEPS_MAX - 1).map(|at| StepIndex(u16::try_from(at).unwrap()));
        assert!(!others.into_iter().any(|step| set.contains(step)));
    }
}
