//! Every limit of this crate, with its reason.

use std::time::Duration;

/// Most bytes of a transaction's id in a key: what the engine takes as a key of its callers.
pub const TRANSACTION_BYTES_MAX: usize = 255;

/// Most bytes of a step's name in a key: 128 characters of whatever script.
pub const STEP_BYTES_MAX: usize = 512;

/// Longest key of a call, in bytes: both of them at their longest, and what stands between and behind them.
pub const CALL_KEY_BYTES_MAX: usize = TRANSACTION_BYTES_MAX + STEP_BYTES_MAX + 37;

/// Longest answer the barrier stores, in bytes: what the coordinator takes as an output, so that a stored
/// answer can always be sent.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Most writes that wait for the writer thread. Beyond it a write is refused immediately, instead of
/// waiting behind seconds of work.
pub const QUEUE_JOBS_MAX: usize = 8192;

/// Most writes of one transaction: past some hundred the flush is spread thin enough, and a longer batch only
/// delays its first answer.
pub const BATCH_JOBS_MAX: usize = 1024;

/// Most read-only connections: one for a long look (a sum over everything), one so that short looks need not
/// wait for it.
pub const READERS_MAX: usize = 2;

/// Largest file whose pages are all checked when it is opened. The check costs about 1 ms per MiB.
pub const QUICK_CHECK_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Pages in the WAL that set off a checkpoint: SQLite's own default, about 4 MiB. A longer one
/// was measured to make the slowest commits four times as slow for a tenth more throughput.
pub const WAL_PAGES_MAX: u32 = 1000;

/// Size the WAL is cut back to when it starts over: it is normally overwritten in place, which
/// flushes twice as fast as a growing file.
pub const WAL_BYTES_KEPT: u64 = 16 * 1024 * 1024;

/// Page cache of the writing connection in KiB: small, since a machine may run many services; the system's
/// page cache is behind it.
pub const WRITER_CACHE_KIB: u32 = 1024;

/// Page cache of a reading connection in KiB.
pub const READER_CACHE_KIB: u32 = 512;

/// Prepared statements kept by a connection: more than a service's hot path has, so that none is parsed
/// twice.
pub const STATEMENTS_KEPT: usize = 64;

/// How long a look waits for a lock of another program before it fails. A write waits for as long as the lock
/// lasts; this is how much longer when the database is to be closed.
pub const LOCK_WAIT_MAX: Duration = Duration::from_secs(2);

/// Most barrier rows looked at by one step of retention: some milliseconds of the writer's time.
pub const FORGET_ROWS_MAX: usize = 1000;

/// Most free pages given back by one step of retention: about what [`FORGET_ROWS_MAX`] rows took, and a
/// little more.
pub const FREE_PAGES_MAX: u32 = 256;
