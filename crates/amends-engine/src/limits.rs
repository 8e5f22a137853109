//! The named limits of the engine, in one place.

use std::time::Duration;

/// Live transactions held in memory, unless `Options` says otherwise. Further starts are turned away
/// (`engine_full`): at a few thousand a second this is already a queue of several seconds.
pub const LIVE_MAX: usize = 20_000;

/// Calls to one participant under way together, unless its registration says otherwise. Further calls queue
/// in the shard; that time counts against step and saga limits, not against the attempt's.
pub const CALLS_PER_PARTICIPANT_MAX: usize = 512;

/// Questions about transactions (reads, waits, verbs and signals) that wait for an answer.
pub const QUESTIONS_MAX: usize = 20_000;

/// Inputs that a shard takes in before it hands its appends over: bounds the size of one batch.
pub const INPUTS_PER_TURN_MAX: usize = 1_024;

/// A transaction that owes nothing for longer than this leaves memory until its timer is due. Shorter waits
/// are not worth a row in the timer table and a read.
pub const SLEEP_AT_LEAST: Duration = Duration::from_secs(60);

/// How long a handler in this process may go on after its attempt's limit passed, before it is dropped.
pub const ABANDON_AFTER: Duration = Duration::from_secs(60);

/// Transactions read and handed to the shards first during recovery: few, so that the first goes on
/// immediately.
pub const RECOVERY_FIRST: usize = 100;

/// Transactions read and handed to the shards together during recovery.
pub const RECOVERY_PAGE: usize = 1_000;

/// Transactions looked at in one step of retention: short enough not to be felt by those under way.
pub const RETENTION_PAGE: usize = 1_000;

/// Timers looked at together.
pub const TIMERS_PAGE: usize = 1_000;

/// How long to wait before an append that met a full disk is tried again.
pub const NO_SPACE_RETRY: Duration = Duration::from_millis(500);

/// How long to wait before a transaction that must be loaded, or a page of recovery, is read again after the
/// journal failed.
pub const READ_RETRY: Duration = Duration::from_secs(1);

/// Bytes in an idempotency key.
pub const KEY_BYTES_MAX: usize = 255;

/// Bytes in a transaction's input.
pub const INPUT_BYTES_MAX: usize = 1 << 20;

/// Shards unless the options say otherwise, at most: beyond, the journal's one flush at a time is the limit,
/// and smaller turns only make its batches smaller. Measured on two processors with 512 clients: two shards
/// do a fifth more than one.
pub const SHARDS_MAX: usize = 4;

/// How often the program's clock is compared with the system's.
pub const CLOCK_LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

/// How far back a participant's rate is caught up after nobody looked at its gate: as long as a busy machine keeps a
/// shard from its timers.
pub const CAUGHT_UP: Duration = Duration::from_millis(20);

/// Attempts in the queue of a gate, besides two for each live transaction, before those are taken out that were given
/// up.
pub const QUEUE_SLACK: usize = 64;

/// How often the payloads of a transaction are tried to be erased that moves on meanwhile.
pub const ERASE_TRIES_MAX: usize = 3;
