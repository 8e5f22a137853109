//! The named limits of core, in one place.

use std::time::Duration;

/// Steps in one definition. Invariants are checked over all steps after every event, so this bounds their
/// cost.
pub const STEPS_MAX: usize = 1_000;

/// Characters in the name of a definition, step, participant, operation, mapping or signal.
pub const NAME_CHARACTERS_MAX: usize = 128;

/// The longest sleep, limit or rest that a definition may name: a hundred years.
pub const SPAN_MAX: Duration = Duration::from_secs(36_500 * 24 * 3_600);

/// How long a participant may say *working* before the step is in doubt.
pub const WORKING_MAX: Duration = Duration::from_secs(3_600);

/// The soonest that a participant which says *working* is asked again, whatever it wishes: each time costs
/// two records.
pub const ASK_AGAIN_MIN: Duration = Duration::from_millis(100);

/// By how much longer it rests each time before it is asked again: the records of a wait grow with the square
/// root of its length, and a week of *working* takes some ten thousand of them instead of millions.
pub const ASK_AGAIN_LONGER: Duration = Duration::from_millis(10);

/// The longest rest between two attempts, whatever the participant (`Retry-After`) or the policy asks for: a
/// header must not put a saga to sleep for years.
pub const REST_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Bytes of one payload, unless configured otherwise. An output above it parks its saga.
pub const PAYLOAD_BYTES_MAX: u64 = 1 << 20;

/// Bytes of all records of one saga, unless configured otherwise: they are read together, and archived as one
/// value.
pub const SAGA_BYTES_MAX: u64 = 64 << 20;

/// Bytes of a code, and of an operator's name.
pub const CODE_BYTES_MAX: usize = 256;

/// Bytes of a message for people: of a refusal, of an unknown outcome, or of an operator's reason. What
/// participants say beyond it is cut off; operators are asked for less.
pub const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// Bytes of a refusal's details. Longer ones are left out, for the refusal stands.
pub const DETAILS_BYTES_MAX: usize = 64 << 10;

/// Signals that are kept for waits that have not come yet.
pub const SIGNALS_KEPT_MAX: usize = 100;

/// Bytes of a signal's idempotency key.
pub const SIGNAL_KEY_BYTES_MAX: usize = 255;

/// Bytes of a verb's idempotency key.
pub const VERB_KEY_BYTES_MAX: usize = 255;

/// Verbs whose keys one transaction remembers, the newest ones.
pub const VERB_KEYS_KEPT_MAX: usize = 1_000;

/// Elements of a step that runs once for each.
pub const ELEMENTS_MAX: usize = 1_000;

/// Sagas within sagas, the outermost included.
pub const DEPTH_MAX: usize = 8;

/// By how much a participant that calls back to say that it works must move its limit for that to be recorded.
pub const HEARTBEAT_MIN: Duration = Duration::from_secs(1);

/// How far the clock must have gone back for it to matter: less than this comes of drift between two ways to
/// measure time.
pub const CLOCK_SET_BACK_MIN: Duration = Duration::from_secs(1);
