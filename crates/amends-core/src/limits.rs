//! The named limits of core, in one place.

use std::time::Duration;

/// Steps in one definition. Invariants are checked over all steps after every event, so this bounds their cost.
pub const STEPS_MAX: usize = 1_000;

/// Characters in the name of a definition, step, participant or operation.
pub const NAME_CHARACTERS_MAX: usize = 128;

/// How long a participant may say *pending* before the step is in doubt.
pub const PENDING_SECONDS_MAX: Duration = Duration::from_secs(3600);

/// The soonest that a participant which says *pending* is asked again, whatever it wishes: each time costs two records.
pub const ASK_AGAIN_MIN: Duration = Duration::from_millis(100);

/// The longest rest between two attempts, whatever the participant (`Retry-After`) or the policy asks for: a header
/// must not put a saga to sleep for years.
pub const REST_MAX: Duration = Duration::from_secs(24 * 3600);
