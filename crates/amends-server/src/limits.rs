//! The named limits of the server, in one place.

use std::time::Duration;

/// Bytes in a request's body: 1 MiB.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Bytes in what a participant reports by calling back: an output that is too large to be stored is taken all the
/// same, for its effect stands, and parks the saga.
pub const CALLBACK_BYTES_MAX: usize = 16 << 20;

/// How much of a body that is too large is read and thrown away, so that its sender sees the answer instead
/// of a reset connection. Beyond it the connection is closed. Reading costs no memory and ends with
/// `BODY_TIME_MAX` at the latest.
pub const BODY_BYTES_DRAINED_MAX: usize = 256 << 20;

/// Bytes in the head of a request, and what one connection buffers at most beside the body. Heads of ours
/// have a few hundred; without this each of many slow senders holds half a MiB.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

/// How long the head of a request may take.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long the body of a request may take.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// Connections open together. Further ones wait in the system's queue until one ends; those that only hold a
/// connection are ended by `HEAD_TIME_MAX`.
pub const CONNECTIONS_MAX: usize = 8_192;

/// How long connections may take to finish after the engine has stopped.
pub const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

/// How long a start is waited for at most (`Prefer: wait=60`): proxies give up on requests soon after that.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// How long a start is waited for unless the caller says otherwise.
pub const WAIT_USUAL: Duration = Duration::from_secs(10);

/// Items on one page of a list.
pub const PAGE_MAX: usize = 1_000;

/// Items on one page of a list unless the caller says otherwise.
pub const PAGE_USUAL: usize = 100;

/// Bytes in an idempotency key.
pub const KEY_BYTES_MAX: usize = 255;

/// Facts in one piece of a stream of events.
pub const STREAM_PIECE_FACTS_MAX: usize = 1_000;

/// How soon a stream looks again for what is new, at first.
pub const STREAM_LOOK_MIN: Duration = Duration::from_millis(25);

/// How long a stream rests at most before it looks again for what is new.
pub const STREAM_LOOK_MAX: Duration = Duration::from_millis(500);

/// How long a stream is silent at most: proxies end connections that say nothing.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);

/// How long a TLS handshake may take.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Records in one piece of the stream of all events.
pub const FEED_PIECE_RECORDS_MAX: usize = 100;

/// Sagas of one bulk job.
pub const BULK_SAGAS_MAX: usize = 100_000;

/// How many sagas of a bulk job are told before it is noted how far it is: so many are told once more after a kill,
/// which changes nothing.
pub const BULK_NOTED_EVERY: usize = 100;

/// How long a bulk job rests when the engine is full.
pub const BULK_RETRY_AFTER: Duration = Duration::from_secs(1);
