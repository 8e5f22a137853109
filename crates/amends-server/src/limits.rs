//! The named limits of the server, in one place.

use std::time::Duration;

/// Bytes in a request's body: 1 MiB.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// How much of a body that is too large is read and thrown away, so that its sender sees the answer instead of a reset
/// connection. Beyond it the connection is closed.
pub const BODY_BYTES_DRAINED_MAX: usize = 16 << 20;

/// How long the head of a request may take.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long the body of a request may take.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// Connections at once. Further ones wait in the system's queue until one ends; those that only hold a connection are
/// ended by `HEAD_TIME_MAX`.
pub const CONNECTIONS_MAX: usize = 8_192;

/// How long connections may take to finish after the engine has stopped.
pub const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);
