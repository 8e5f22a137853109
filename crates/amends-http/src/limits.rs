//! The named limits of calls over HTTP, in one place.

use std::time::Duration;

/// Bytes of an answer's body that are read, unless `HttpOptions` says otherwise. Of a 2xx a larger body parks its
/// saga, for the effect stands; any other answer is unknown then.
pub const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// How long a connection to a participant may take to be made; the attempt's own limit holds beside it.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long a connection is kept that nobody uses. Shorter than the 5 s after which common servers close one on
/// their side: a request that meets such a close is an unknown outcome.
pub const IDLE_CONNECTION_KEPT: Duration = Duration::from_secs(4);

/// Connections to one address that are kept while nobody uses them.
pub const IDLE_CONNECTIONS_MAX: usize = 512;

/// Bytes of an answer's head.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 64 << 10;

/// Headers of an answer.
pub const RESPONSE_HEADERS_MAX: usize = 100;

/// Characters of a participant's own words in the message of an outcome that it did not word for that.
pub const WORDS_QUOTED_MAX: usize = 300;

/// Bytes of a signing secret, once decoded (Standard Webhooks).
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Secrets, or bearers, of one participant: two are valid while one is replaced.
pub const SECRETS_MAX: usize = 2;
