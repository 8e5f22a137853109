//! The named limits of the journal on SQLite, in one place.

use std::time::Duration;

/// Appends that share one flush. Far more than clients can have under way together, yet few enough that one
/// group stays in the range of tens of milliseconds, which everything in it waits for.
pub const APPENDS_PER_GROUP_MAX: usize = 4_096;

/// Bytes of records that share one flush: bounds what one write of the log takes.
pub const BYTES_PER_GROUP_MAX: usize = 16 << 20;

/// Appends that wait for the committer before `submit` blocks: four groups.
pub const QUEUE_APPENDS_MAX: usize = 4 * APPENDS_PER_GROUP_MAX;

/// Bytes of records that wait for the committer before `submit` blocks.
pub const QUEUE_BYTES_MAX: usize = 4 * BYTES_PER_GROUP_MAX;

/// Maintenance jobs (retention, definitions, quarantine) that wait for the committer before the next one
/// blocks.
pub const QUEUE_JOBS_MAX: usize = 1_024;

/// Bytes of the log at most, while the database cannot take it in: with a full disk, or when it falls behind.
pub const LOG_BYTES_MAX: u64 = 64 << 20;

/// Bytes of the log after which the database is brought up to it. The more there are, the more transactions
/// have ended meanwhile and cost one row, and the longer a list waits that must see them.
pub const SETTLE_BYTES: usize = 2 << 20;

/// How long a record may be in the log alone.
pub const SETTLE_AFTER: Duration = Duration::from_secs(1);

/// Whoever asks what only the database can answer has it brought up to the log immediately if so few
/// transactions are behind.
pub const SETTLE_IMMEDIATELY_MAX: usize = 1_000;

/// Otherwise at most so often: each time, transactions are written that are about to end, and would have cost
/// one row then. Somebody who reads page after page would have it done a hundred times a second.
pub const SETTLE_WHEN_ASKED_EVERY: Duration = Duration::from_millis(50);

/// How long the committer looks for another append before it goes to sleep: one client comes back after some
/// 30 µs.
pub const LINGER_FOR: Duration = Duration::from_micros(50);

/// After a group of more appends it does not look: with many clients a larger group is worth more than an
/// early one.
pub const LINGER_AFTER_MAX: usize = 4;

/// How many chances to look it passes over at most, when it has looked in vain again and again.
pub const LINGERS_PASSED_OVER_MAX: u32 = 63;

/// How long a transaction that waits for somebody, and that the database has all of, stays known to the
/// committer. Then it is looked up when it goes on, which costs a tenth of what a step does.
pub const KNOWN_FOR: Duration = Duration::from_secs(2);

/// How long a round waits for space before it is tried again.
pub const NO_SPACE_RETRY: Duration = Duration::from_millis(200);

/// Bytes of the buffer for archived records that are kept from one transaction to the next.
pub const ARCHIVE_BUFFER_KEPT_BYTES: usize = 64 << 10;

/// Names (ids that callers chose, idempotency keys) that are put into their index together. With ten million
/// in the index some twenty fall on one of its pages, each of which is written twice. Those that wait are
/// read when the journal is opened, one and a half times as many at most.
pub const NAMES_INDEXED_TOGETHER: usize = 800_000;

/// Connections for reading, at most. Reads are short; more would fight the committer for the processor.
pub const READERS_MAX: usize = 4;

/// Prepared statements that a reading connection keeps: more than there are queries, so none is prepared
/// twice.
pub const STATEMENTS_KEPT: usize = 64;

/// How long a reader waits for a lock that another program holds. Readers meet none but those of a program
/// that wants the database for itself.
pub const BUSY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Bytes of a database page. Measured with 512 clients: pages of 8 KiB cost the settler a quarter less time
/// for each transaction than pages of 4 KiB, since archived ones fill them better and trees split more
/// rarely; with one client, a tenth more.
pub const PAGE_BYTES: u32 = 8 << 10;

/// The settler's page cache, in KiB. Measured: with 32 MiB a commit spends a fifth of its time going through
/// the cache (SQLite looks for pages behind the database's end whenever a page was split); what does not fit
/// is still in the system's cache.
pub const SETTLER_CACHE_KIB: u32 = 8 << 10;

/// The page cache of each connection that looks up whether a name was used before, in KiB (one of the
/// committer's, and [`READERS_MAX`] at most of those who submit): the inner pages of the index stay in it, so
/// that a look at a random name reads one page and not two.
pub const LOOKUP_CACHE_KIB: u32 = 4 << 10;

/// One reader's page cache, in KiB.
pub const READER_CACHE_KIB: u32 = 1 << 10;

/// Pages in the WAL from which on it is copied into the database (16 MiB). Measured: from a
/// quarter of this the copying costs a tenth of the throughput, and the more there is, the longer one copy
/// stalls all.
pub const CHECKPOINT_PAGES: u32 = 2_048;

/// What is left of the WAL's file after a copy, in bytes. Well above what [`CHECKPOINT_PAGES`]
/// fill: one that is overwritten in place flushes in half the time of one that grows.
pub const WAL_KEPT_BYTES_MAX: i64 = 64 << 20;

const _: () =
    assert!(CHECKPOINT_PAGES as i64 * (PAGE_BYTES as i64) < WAL_KEPT_BYTES_MAX, "a full WAL is not cut off");

/// Up to this size (database and WAL) the whole database is checked when it is opened: about 0.1
/// s.
pub const QUICK_CHECK_BYTES_MAX: u64 = 32 << 20;

/// Free pages that are left in the database for the next transactions before retention gives any back to the
/// file system.
pub const FREE_PAGES_KEPT: i64 = 512;

/// Pages that one step of retention gives back to the file system at most.
pub const PAGES_GIVEN_BACK_PER_SWEEP_MAX: i64 = 256;

/// How long an answer about free disk space stays good: one `statvfs` per start would show in the throughput.
pub const SPACE_LOOKED_AT_EVERY: Duration = Duration::from_millis(50);

/// Free space below which the disk counts as low, unless the options say otherwise: enough to finish what is
/// under way (a full queue, and the checkpoint of a full log) without running dry.
pub const DISK_RESERVE_BYTES: u64 = 16 << 20;

/// Transactions that one page of a list, or one count, looks up to see whether they match, before it lets go
/// and says that there may be more: some 5 µs each.
pub const LIST_LOOKED_AT_MAX: usize = 10_000;

/// Numbers that are read together when some of them may not match.
pub const LIST_BATCH_MIN: usize = 512;

/// So few that stand as a filter says are looked at one by one for a tag; with more, those with the tag are
/// looked at for how they stand.
pub const TAGGED_OR_STANDING_MAX: u64 = 1_000;

/// Facts that a feed keeps, for whoever asks for one: an hour of 1,000 sagas a second, some 100 MB.
pub const FEED_FACTS_KEPT: u64 = 40_000_000;

/// Records at the end of the feed that stay in memory although the database has them (some 60 bytes each):
/// whoever follows it closely asks no database.
pub const FEED_ENTRIES_AT_HAND: usize = 16_384;

/// Records in a row of the feed, at most: a reader takes a row as a whole.
pub const FEED_ROW_ENTRIES_MAX: usize = 2_048;

/// Rows of an import that are committed together: what is not whole is removed anyway.
pub const IMPORT_ROWS_TOGETHER: u64 = 20_000;

/// What a check says about a damaged journal, at most, before it stops counting them up.
pub const FINDINGS_MAX: usize = 100;
