//! The named limits of the journal, in one place.

use std::time::Duration;

/// Appends that go into one transaction. Far more than clients can have under way at once, yet few enough that one
/// commit stays in the range of tens of milliseconds, which everything in it waits for.
pub const APPENDS_PER_TRANSACTION_MAX: usize = 4_096;

/// Bytes of records that go into one transaction: bounds what the write-ahead log grows by at once.
pub const BYTES_PER_TRANSACTION_MAX: usize = 16 << 20;

/// Appends that wait for the writer before `submit` blocks: four transactions' worth.
pub const QUEUE_APPENDS_MAX: usize = 4 * APPENDS_PER_TRANSACTION_MAX;

/// Bytes of records that wait for the writer before `submit` blocks.
pub const QUEUE_BYTES_MAX: usize = 4 * BYTES_PER_TRANSACTION_MAX;

/// Maintenance jobs (retention, definitions, quarantine) that wait for the writer before the next one blocks.
pub const QUEUE_JOBS_MAX: usize = 1_024;

/// Bytes of one live saga's records that the writer keeps in memory, so that the saga's end needs no read. What is
/// larger is read back instead: a saga of many large payloads must not cost its size in memory twice.
pub const KEPT_BYTES_PER_SAGA_MAX: usize = 64 << 10;

/// Connections for reading, at most. Reads are short; more would fight the writer for the processor.
pub const READERS_MAX: usize = 4;

/// How long a lock that another program holds on the database (a backup, a curious `sqlite3`) is waited for.
pub const BUSY_WAIT_MAX: Duration = Duration::from_secs(10);

/// The writer's page cache, in KiB. It grows only with use; the pages of live sagas and the right-hand edges of the
/// archive's indexes fit many times over.
pub const WRITER_CACHE_KIB: i64 = 32 << 10;

/// One reader's page cache, in KiB.
pub const READER_CACHE_KIB: i64 = 4 << 10;

/// Pages in the write-ahead log from which on it is copied into the database. Measured (docs/storage): below 4096 the
/// copying costs a tenth of the throughput, far above 16384 one copy stalls the writer for tens of milliseconds.
pub const CHECKPOINT_PAGES: u32 = 4_096;

/// What is left of the write-ahead log's file after a copy, in bytes. Not below what [`CHECKPOINT_PAGES`] fill:
/// a log that is overwritten in place flushes in half the time of one that grows.
pub const WAL_KEPT_BYTES_MAX: i64 = 64 << 20;

const _: () = assert!(CHECKPOINT_PAGES as i64 * 4_096 < WAL_KEPT_BYTES_MAX, "a full log is not cut off");

/// Up to this size (database and write-ahead log) the whole database is checked when it is opened: about 0.1 s.
pub const QUICK_CHECK_BYTES_MAX: u64 = 32 << 20;

/// Free pages that are left in the database for the next sagas before retention gives any back to the file system.
pub const FREE_PAGES_KEPT: i64 = 1_024;

/// Pages that one step of retention gives back to the file system at most.
pub const PAGES_GIVEN_BACK_PER_SWEEP_MAX: i64 = 512;

/// How long an answer about free disk space stays good: one `statvfs` per start would show in the throughput.
pub const SPACE_LOOKED_AT_EVERY: Duration = Duration::from_millis(50);

/// Free space below which the disk counts as low, unless the options say otherwise: enough to finish what is under
/// way (a full queue, and the checkpoint of a full log) without running dry.
pub const DISK_RESERVE_BYTES: u64 = 16 << 20;
