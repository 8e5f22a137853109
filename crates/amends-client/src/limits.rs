//! How long and how often the client waits, and how much it reads.
//!
//! Owns the numbers. Does not know what is asked.

use std::time::Duration;

/// How long it may take to connect.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// How long an answer may take, beyond what the call itself waits for.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// Bytes of one answer: a page of a thousand sagas with large payloads fits.
pub const ANSWER_BYTES_MAX: usize = 256 << 20;

/// How often one call is sent, when it is safe to repeat it and nobody said otherwise.
pub const SENDINGS_MAX: u32 = 5;

/// The rest before the first repeat; it doubles.
pub const REST_FIRST: Duration = Duration::from_millis(100);

/// The longest rest before a repeat, also when the server asks for a longer one: then its answer is given to
/// the caller.
pub const REST_MAX: Duration = Duration::from_secs(10);

/// How long a stream of events may be silent before it is opened anew. Servers send a comment far more often.
pub const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How often a stream of events is opened in vain before that is an error.
pub const RECONNECTIONS_MAX: u32 = 10;

/// Bytes of one event.
pub const EVENT_BYTES_MAX: usize = 8 << 20;

/// How long a connection that is not used is kept: less than servers keep it.
pub const IDLE_CONNECTION_KEPT: Duration = Duration::from_secs(20);

/// How long a server may take for a backup.
pub const BACKUP_TIME_MAX: Duration = Duration::from_secs(3_600);
