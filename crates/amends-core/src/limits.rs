//! The named limits of core, in one place.

use std::time::Duration;

/// Steps in one definition. Invariants are checked over all steps after every event, so this bounds their cost.
pub const STEPS_MAX: usize = 1_000;

/// Characters in the name of a definition, step, participant or operation.
pub const NAME_CHARACTERS_MAX: usize = 128;

/// How long a participant may say *pending* before the step is in doubt.
pub const PENDING_SECONDS_MAX: Duration = Duration::from_secs(3600);
