//! The writer, the readers and what they promise about the disk.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use amends_participant::database::{Database, Format, OnFatal, OpenError, WriteError};
use amends_participant::limits::{BATCH_JOBS_MAX, LOCK_WAIT_MAX, QUEUE_JOBS_MAX, READERS_MAX};
use amends_participant::{Answer, BarrierError, CallKey, DataError, Delivery, Refusal, Savepoint, barrier};
use rusqlite::Connection;

const APPLICATION_ID: i32 = 77;

fn format(version: i32) -> Format {
    Format {
        application_id: APPLICATION_ID,
        version,
        create: Box::new(|connection| {
            barrier::install(connection)?;
            connection.execute_batch(
                "CREATE TABLE parents (id INTEGER PRIMARY KEY);
                 CREATE TABLE effects (
                     what TEXT NOT NULL,
                     parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED
                 )",
            )
        }),
    }
}

fn never_fatal() -> OnFatal {
    Arc::new(|message| panic!("fatal: {message}"))
}

fn open(path: &Path) -> Database {
    Database::open(path, format(1), never_fatal()).unwrap()
}

fn temporary() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("service.db");
    (dir, path)
}

fn insert(connection: &Connection, what: &str) -> Result<(), BarrierError> {
    connection.execute("INSERT INTO effects (what) VALUES (?1)", [what])?;
    Ok(())
}

fn effects(database: &Database) -> i64 {
    database.read(|c| Ok(c.query_row("SELECT count(*) FROM effects", [], |row| row.get(0))?)).unwrap()
}

fn key(transaction: &str) -> CallKey {
    format!("{transaction}/Pay/action").parse().unwrap()
}

/// Queues `work` and hands out its result.
fn submit<T: Send + 'static>(
    database: &Database,
    work: impl FnOnce(&Connection) -> Result<T, BarrierError> + Send + 'static,
) -> Receiver<Result<T, WriteError>> {
    let (answered, answer) = mpsc::channel();
    database.submit(|savepoint| work(savepoint), move |result| drop(answered.send(result)));
    answer
}

fn wait<T>(answer: &Receiver<T>) -> T {
    answer.recv_timeout(Duration::from_secs(60)).expect("every write is answered")
}

/// Keeps the writer busy until the sender is used or dropped.
fn hold(database: &Database) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (started, starts) = mpsc::channel();
    database.submit(
        move |_| {
            started.send(()).unwrap();
            let _ = released.recv();
            Ok(())
        },
        |_| {},
    );
    wait(&starts);
    release
}

#[test]
fn writes_that_come_together_share_one_commit() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let held = hold(&database);
    let answers: Vec<_> = (0..500).map(|n| submit(&database, move |c| insert(c, &n.to_string()))).collect();
    drop(held);
    for answer in &answers {
        wait(answer).unwrap();
    }
    // Everything that queued while the first write was carried out goes with it.
    assert_eq!(database.commits(), 1);
    assert_eq!(effects(&database), 500);
}

#[test]
fn a_commit_takes_no_more_writes_than_its_limit() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let held = hold(&database);
    let answers: Vec<_> = (0..BATCH_JOBS_MAX).map(|_| submit(&database, |_| Ok(()))).collect();
    drop(held);
    for answer in &answers {
        wait(answer).unwrap();
    }
    // The write that held the writer counts too.
    assert_eq!(database.commits(), 2);
}

#[test]
fn an_answer_comes_only_when_others_can_see_the_write() {
    let (_dir, path) = temporary();
    let database = Arc::new(open(&path));
    let (seen, sees) = mpsc::channel();
    let other = Arc::clone(&database);
    database.submit(
        |c| insert(c, "a"),
        move |result| {
            result.unwrap();
            seen.send(effects(&other)).unwrap();
        },
    );
    assert_eq!(wait(&sees), 1);
}

#[test]
fn a_write_that_fails_or_panics_takes_only_its_own_part_along() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let held = hold(&database);
    let before = submit(&database, |c| insert(c, "before"));
    let failing = submit(&database, |c| -> Result<(), _> {
        insert(c, "failing")?;
        c.execute("INSERT INTO no_such_table VALUES (1)", [])?;
        Ok(())
    });
    let panicking = submit(&database, |c| -> Result<(), _> {
        insert(c, "panicking")?;
        panic!("a bug")
    });
    let after = submit(&database, |c| insert(c, "after"));
    drop(held);
    wait(&before).unwrap();
    assert!(matches!(wait(&failing), Err(WriteError::Job(BarrierError::Data(DataError::Database(_))))));
    assert!(matches!(wait(&panicking), Err(WriteError::Panicked(message)) if message == "a bug"));
    wait(&after).unwrap();
    assert_eq!(effects(&database), 2);
}

#[test]
fn a_full_queue_says_so_at_once() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let held = hold(&database);
    let queued: Vec<_> = (0..QUEUE_JOBS_MAX).map(|_| submit(&database, |_| Ok(()))).collect();
    let refused = submit(&database, |c| insert(c, "too much"));
    assert!(matches!(refused.try_recv(), Ok(Err(WriteError::QueueFull { .. }))));
    drop(held);
    for answer in &queued {
        wait(answer).unwrap();
    }
    assert_eq!(effects(&database), 0);
}

#[test]
fn without_space_the_whole_batch_is_rolled_back_and_the_writer_goes_on() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let limit_pages = |c: &Connection, pages: u32| {
        c.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).map_err(BarrierError::from)
    };
    let held = hold(&database);
    let before = submit(&database, |c| insert(c, "before"));
    let large = submit(&database, move |c| {
        limit_pages(c, 1)?;
        insert(c, &"x".repeat(1_000_000))
    });
    let after = submit(&database, |c| insert(c, "after"));
    drop(held);
    for answer in [before, large, after] {
        let error = wait(&answer).unwrap_err();
        assert!(matches!(error, WriteError::NoSpace { .. }), "{error}");
    }
    assert_eq!(effects(&database), 0);
    wait(&submit(&database, move |c| limit_pages(c, 1_000_000))).unwrap();
    wait(&submit(&database, |c| insert(c, "again"))).unwrap();
    assert_eq!(effects(&database), 1);
}

/// Field case C: after five seconds the write failed, and an opening too.
#[test]
fn a_lock_of_another_program_is_waited_for_however_long_it_lasts() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let shell = Connection::open(&path).unwrap();
    let hold = || shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    hold();
    let waiting = submit(&database, |c| insert(c, "a"));
    let behind = submit(&database, |c| insert(c, "b"));
    assert!(waiting.recv_timeout(LOCK_WAIT_MAX + Duration::from_millis(200)).is_err(), "it waits");
    assert_eq!(effects(&database), 0);
    shell.execute_batch("ROLLBACK").unwrap();
    wait(&waiting).unwrap();
    wait(&behind).unwrap();
    drop(database);

    hold();
    let (opened, opens) = mpsc::channel();
    let opening = std::thread::spawn(move || opened.send(open(&path)).unwrap());
    assert!(opens.recv_timeout(LOCK_WAIT_MAX + Duration::from_millis(200)).is_err(), "it waits");
    shell.execute_batch("ROLLBACK").unwrap();
    assert_eq!(effects(&wait(&opens)), 2);
    opening.join().unwrap();
}

#[test]
fn a_database_that_is_closed_while_another_program_holds_a_lock_says_that_nothing_was_written() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let shell = Connection::open(&path).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = submit(&database, |c| insert(c, "a"));
    drop(database);
    assert!(matches!(wait(&waiting), Err(WriteError::RolledBack { .. })));
}

#[test]
fn a_failed_commit_is_fatal_once_and_answers_nothing_as_success() {
    let (_dir, path) = temporary();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let on_fatal: OnFatal = Arc::new(move |message| tell.lock().unwrap().push(message.to_owned()));
    let database = Database::open(&path, format(1), on_fatal).unwrap();
    let held = hold(&database);
    let sound = submit(&database, |c| insert(c, "sound"));
    // A deferred foreign key is judged by the commit alone: the one error of a commit that can be had without
    // a broken disk.
    let orphan = submit(&database, |c| {
        c.execute("INSERT INTO effects VALUES ('orphan', 1)", []).map(|_| ()).map_err(BarrierError::from)
    });
    drop(held);
    for answer in [sound, orphan] {
        let error = wait(&answer).unwrap_err();
        assert!(matches!(error, WriteError::OutcomeUnknown { .. }), "{error}");
    }
    let later = submit(&database, |c| insert(c, "later"));
    assert!(matches!(wait(&later), Err(WriteError::Closed)));
    drop(database);
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("service.db"), "{told:?}");
}

#[test]
fn dropping_finishes_what_is_queued_and_empties_the_log() {
    let (_dir, path) = temporary();
    let database = open(&path);
    effects(&database);
    let held = hold(&database);
    let answers: Vec<_> = (0..10).map(|_| submit(&database, |c| insert(c, "a"))).collect();
    drop(held);
    drop(database);
    for answer in &answers {
        wait(answer).unwrap();
    }
    assert!(!path.with_extension("db-wal").exists());
    assert_eq!(effects(&open(&path)), 10);
}

#[test]
fn the_last_owner_may_drop_the_database_inside_an_answer() {
    let (_dir, path) = temporary();
    let database = Arc::new(open(&path));
    let (dropped, drops) = mpsc::channel();
    let held = hold(&database);
    let inner = Arc::clone(&database);
    database.submit(
        |c| insert(c, "a"),
        move |_| {
            drop(inner);
            dropped.send(()).unwrap();
        },
    );
    drop(database);
    drop(held);
    wait(&drops);
}

#[test]
fn a_refusal_takes_back_its_own_write_of_the_batch_and_is_remembered() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let call = |saga, decision: Result<(), Refusal>| {
        let (answered, answer) = mpsc::channel();
        let work = move |savepoint: &Savepoint<'_>| {
            let key = key(saga);
            barrier::action_in(savepoint, Delivery::new(&key, "Pay", b"a"), 5, |c| {
                c.execute("INSERT INTO effects (what) VALUES (?1)", [saga])?;
                Ok(decision.map(|()| b"done".to_vec()))
            })
        };
        database.submit(work, move |result| drop(answered.send(result)));
        answer
    };
    let refusal = || Refusal::new("no", "not this one");
    let release = hold(&database);
    let together = [call("one", Ok(())), call("two", Err(refusal())), call("three", Ok(()))];
    drop(release);
    let [one, two, three] = together.map(|answer| wait(&answer).unwrap());
    assert_eq!((one, three), (Answer::Completed(b"done".to_vec()), Answer::Completed(b"done".to_vec())));
    assert_eq!(two, Answer::Refused(refusal()));
    assert_eq!(effects(&database), 2);
    assert_eq!(wait(&call("two", Ok(()))).unwrap(), Answer::Refused(refusal()));
    assert_eq!(effects(&database), 2);
}

/// A refusal takes back all of its savepoint: another call in it would be taken back after it was answered.
#[test]
fn a_second_call_in_one_write_is_an_error() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let (answered, answer) = mpsc::channel();
    let work = |savepoint: &Savepoint<'_>| {
        let (first, second) = (key("one"), key("two"));
        barrier::action_in(savepoint, Delivery::new(&first, "Pay", b"a"), 5, |c| {
            insert(c, "first").map_err(|_| DataError::damaged("a test", "the insert failed"))?;
            Ok(Ok(b"done".to_vec()))
        })?;
        let refused = || Err(Refusal::new("no", "not this one"));
        barrier::action_in(savepoint, Delivery::new(&second, "Pay", b"a"), 5, |_| Ok(refused()))
    };
    database.submit(work, move |result| drop(answered.send(result)));
    let error = wait(&answer).unwrap_err();
    assert!(matches!(error, WriteError::Job(BarrierError::SavepointUsed { .. })), "{error}");
    assert_eq!(effects(&database), 0);
}

#[test]
fn an_unclean_stop_loses_no_answer() {
    let (dir, path) = temporary();
    let database = open(&path);
    let act = |c: &Connection| {
        let key = key("saga-1");
        barrier::action(c, Delivery::new(&key, "Pay", b"a"), 5, |c| {
            c.execute("INSERT INTO effects (what) VALUES ('acted')", [])?;
            Ok(Ok(b"first".to_vec()))
        })
    };
    wait(&submit(&database, act)).unwrap();

    let copy = dir.path().join("copy");
    let reopened = open(&copy_while_open(&path, &copy));
    assert_eq!(wait(&submit(&reopened, act)).unwrap(), Answer::Completed(b"first".to_vec()));
    assert_eq!(effects(&reopened), 1);
}

/// A call that is repeated may find its effect already, and is answered without a commit: then nothing else
/// would flush it.
#[test]
fn what_a_kill_left_in_the_log_is_written_again_before_anybody_is_answered() {
    let (dir, path) = temporary();
    let database = open(&path);
    wait(&submit(&database, |c| insert(c, "one"))).unwrap();
    let copy = copy_while_open(&path, &dir.path().join("dead"));
    let log = copy.with_extension("db-wal");
    let long_ago = SystemTime::UNIX_EPOCH;
    let changed_at = || std::fs::metadata(&log).unwrap().modified().unwrap();
    std::fs::File::options().write(true).open(&log).unwrap().set_modified(long_ago).unwrap();
    let before = std::fs::read(&log).unwrap();
    let again = open(&copy);
    assert!(changed_at() > long_ago);
    assert_eq!(std::fs::read(&log).unwrap(), before, "it holds what it held");
    assert_eq!(effects(&again), 1);
}

#[test]
fn a_look_sees_one_moment_and_writes_go_on_beside_it() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let count = |c: &Connection| -> Result<i64, DataError> {
        Ok(c.query_row("SELECT count(*) FROM effects", [], |row| row.get(0))?)
    };
    let seen = database.read(|c| {
        let before = count(c)?;
        wait(&submit(&database, |c| insert(c, "beside"))).unwrap();
        Ok((before, count(c)?))
    });
    assert_eq!(seen.unwrap(), (0, 0));
    assert_eq!(effects(&database), 1);
}

#[test]
fn a_look_cannot_write_and_gives_its_reader_back_when_it_panics() {
    let (_dir, path) = temporary();
    let database = open(&path);
    for _ in 0..=READERS_MAX {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            database.read(|_| -> Result<(), DataError> { panic!("a bug") })
        }));
        assert!(panicked.is_err());
    }
    let written = database.read(|c| Ok(c.execute("INSERT INTO effects (what) VALUES ('a')", [])?));
    assert!(matches!(written, Err(DataError::Database(_))));
    assert_eq!(effects(&database), 0);
}

#[test]
fn more_looks_than_readers_wait_for_each_other() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let look = |c: &Connection| -> Result<i64, DataError> {
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        let found = c.query_row("SELECT count(*) FROM effects", [], |row| row.get(0))?;
                        inside.fetch_sub(1, Ordering::SeqCst);
                        Ok(found)
                    };
                    assert_eq!(database.read(look).unwrap(), 0);
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= u32::try_from(READERS_MAX).unwrap());
}

#[test]
fn each_commit_is_flushed_and_space_can_be_given_back() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let settings = submit(&database, |c| {
        let value = |name: &str| c.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let journal: String = c.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok((journal, value("synchronous")?, value("auto_vacuum")?, value("application_id")?))
    });
    const FULL: i64 = 2;
    const INCREMENTAL: i64 = 2;
    assert_eq!(wait(&settings).unwrap(), ("wal".to_owned(), FULL, INCREMENTAL, i64::from(APPLICATION_ID)));
}

#[test]
fn the_log_is_carried_over_before_it_grows_long() {
    let (_dir, path) = temporary();
    let database = open(&path);
    for _ in 0..40 {
        wait(&submit(&database, |c| insert(c, &"x".repeat(1_000_000)))).unwrap();
    }
    let log = std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
    assert!(log < 10_000_000, "{log} bytes");
    let file = std::fs::metadata(&path).unwrap().len();
    assert!(file > 30_000_000, "{file} bytes");
}

#[test]
fn retention_gives_space_back() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let answer = "x".repeat(1000);
    let acted = submit(&database, move |c| {
        for n in 0..1500 {
            let key = key(&n.to_string());
            barrier::action(c, Delivery::new(&key, "Pay", b""), 10, |_| Ok(Ok(answer.clone().into_bytes())))?;
        }
        Ok(())
    });
    wait(&acted).unwrap();
    let pages =
        || database.read(|c| Ok(c.query_row("PRAGMA page_count", [], |r| r.get::<_, i64>(0))?)).unwrap();
    let before = pages();
    let removed = [(); 3].map(|()| {
        let (answered, answer) = mpsc::channel();
        database.forget_before(20, move |result| drop(answered.send(result)));
        wait(&answer).unwrap()
    });
    assert_eq!(removed, [1000, 500, 0]);
    assert!(pages() < before / 10, "{before} pages became {}", pages());
}

#[test]
fn damage_met_by_a_write_is_told_with_its_file() {
    let (_dir, path) = temporary();
    let database = open(&path);
    let met =
        submit(&database, |_| -> Result<(), _> { Err(DataError::damaged("table t", "unreadable").into()) });
    let text = wait(&met).unwrap_err().to_string();
    assert!(text.contains("damaged") && text.contains("service.db: table t"), "{text}");
}

#[test]
fn a_file_of_a_newer_release_is_refused_with_the_reason() {
    let (_dir, path) = temporary();
    drop(Database::open(&path, format(2), never_fatal()).unwrap());
    let error = Database::open(&path, format(1), never_fatal()).unwrap_err();
    assert!(matches!(error, OpenError::OtherVersion { found: 2, supported: 1, .. }));
    assert!(error.to_string().contains("format 2") && error.to_string().contains("service.db"), "{error}");
}

#[test]
fn a_database_of_something_else_is_refused() {
    let (_dir, path) = temporary();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let error = Database::open(&path, format(1), never_fatal()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { found: 0, expected: APPLICATION_ID, .. }), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_damaged() {
    let (_dir, path) = temporary();
    std::fs::write(&path, "these are not the bytes you are looking for".repeat(200)).unwrap();
    assert_damaged(&path);
}

#[test]
fn malformed_pages_are_found_when_the_file_is_opened() {
    let (_dir, path) = temporary();
    let database = open(&path);
    for n in 0..1000 {
        drop(submit(&database, move |c| insert(c, &n.to_string())));
    }
    drop(database);
    let sound = std::fs::read(&path).unwrap();
    for page in 1..sound.len() / 4096 {
        let mut bytes = sound.clone();
        bytes[page * 4096] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
        assert_damaged(&path);
    }
    std::fs::write(&path, &sound[..sound.len() - 4096]).unwrap();
    assert_damaged(&path);
}

#[test]
fn an_emptied_file_with_a_log_is_damaged_not_new() {
    let (dir, path) = temporary();
    let database = open(&path);
    wait(&submit(&database, |c| insert(c, "a"))).unwrap();
    let copy = copy_while_open(&path, &dir.path().join("copy"));
    std::fs::write(&copy, "").unwrap();
    assert_damaged(&copy);
    std::fs::remove_file(&copy).unwrap();
    assert_damaged(&copy);
}

#[test]
fn a_file_cut_off_anywhere_is_damaged_not_new_or_shorter() {
    let (_dir, path) = temporary();
    let database = open(&path);
    for n in 0..50 {
        wait(&submit(&database, move |c| insert(c, &n.to_string()))).unwrap();
    }
    drop(database);
    let whole = std::fs::read(&path).unwrap();
    for length in [1, 15, 99, 100, 512, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_damaged(&path);
    }
}

/// Damage anywhere in the log either is reported, or loses nothing but the end that a power cut could have
/// taken too.
#[test]
fn a_log_broken_before_its_last_commits_is_damaged() {
    const COMMITS: usize = 12;
    let (dir, path) = temporary();
    let database = open(&path);
    let mut ends = Vec::new();
    // Somebody who reads keeps the log from being copied into the file and begun anew.
    let copy = database.read(|reader| {
        reader.query_row("SELECT count(*) FROM effects", [], |_| Ok(()))?;
        for n in 0..COMMITS {
            wait(&submit(&database, move |c| insert(c, &n.to_string()))).unwrap();
            ends.push(std::fs::metadata(path.with_extension("db-wal")).unwrap().len() as usize);
        }
        Ok(copy_while_open(&path, &dir.path().join("copy")))
    });
    let copy = copy.unwrap();
    let log = copy.with_extension("db-wal");
    let (file, sound) = (std::fs::read(&copy).unwrap(), std::fs::read(&log).unwrap());
    let restore = |bytes: &[u8]| {
        std::fs::write(&copy, &file).unwrap();
        std::fs::write(&log, bytes).unwrap();
        let _ = std::fs::remove_file(copy.with_extension("db-shm"));
    };
    // Up to the last transaction but one everything is found; the stride is prime, so that it meets every
    // part of a frame.
    for at in (0..ends[COMMITS - 3]).step_by(487) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        restore(&bytes);
        assert_damaged(&copy);
    }
    // A log cut off anywhere is what a power cut leaves: it opens, with the commits that are whole.
    for end in (32..sound.len()).step_by(4999) {
        restore(&sound[..end]);
        let whole = ends.iter().filter(|commit_end| **commit_end <= end).count();
        match Database::open(&copy, format(1), never_fatal()) {
            Ok(database) => assert_eq!(effects(&database), i64::try_from(whole).unwrap()),
            Err(error) => panic!("cut at {end}: {error}"),
        }
    }
}

#[test]
fn what_a_rolled_back_write_left_in_the_log_is_no_damage() {
    let (dir, path) = temporary();
    let database = open(&path);
    wait(&submit(&database, |c| insert(c, "before"))).unwrap();
    // More than the page cache holds, so that part of it reaches the log before it is rolled back.
    let large = submit(&database, |c| -> Result<(), _> {
        for _ in 0..8 {
            insert(c, &"x".repeat(1_000_000))?;
        }
        Err(DataError::damaged("a record", "unreadable").into())
    });
    assert!(wait(&large).is_err());
    let log = std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
    assert!(log > 4_000_000, "{log} bytes");
    wait(&submit(&database, |c| insert(c, "after"))).unwrap();
    let copy = copy_while_open(&path, &dir.path().join("copy"));
    assert_eq!(effects(&open(&copy)), 2);
}

/// Field case E: it opened as it was at the last checkpoint, without a word.
#[test]
fn a_copy_without_its_log_is_refused_as_incomplete() {
    let (dir, path) = temporary();
    let database = open(&path);
    for _ in 0..3 {
        wait(&submit(&database, |c| insert(c, "a"))).unwrap();
    }
    let copy = dir.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    for _ in 0..2 {
        let error = Database::open(&copy, format(1), never_fatal()).unwrap_err();
        assert!(matches!(error, OpenError::Incomplete(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains("incomplete") && text.contains("copy.db-wal"), "{text}");
    }
    drop(database);
    std::fs::copy(&path, &copy).unwrap();
    assert_eq!(effects(&open(&copy)), 3, "closed in good order it is whole");
}

#[test]
fn a_copy_that_sqlite_made_is_taken_when_somebody_says_that_it_is_complete() {
    let (dir, path) = temporary();
    let database = open(&path);
    wait(&submit(&database, |c| insert(c, "a"))).unwrap();
    wait(&submit(&database, |c| insert(c, "b"))).unwrap();
    let copy = dir.path().join("copy.db");
    let shell = Connection::open(&path).unwrap();
    shell.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    assert!(Database::open(&copy, format(1), never_fatal()).is_err());
    std::fs::write(dir.path().join("copy.db-open"), "").unwrap();
    for _ in 0..2 {
        assert_eq!(effects(&open(&copy)), 2);
    }
}

#[test]
fn a_file_whose_owner_was_killed_is_whole_whoever_tidies_up() {
    let (dir, path) = temporary();
    let database = open(&path);
    wait(&submit(&database, |c| insert(c, "a"))).unwrap();
    wait(&submit(&database, |c| insert(c, "b"))).unwrap();
    let dead = |name: &str| {
        let copy = copy_while_open(&path, &dir.path().join(name));
        std::fs::copy(path.with_extension("db-open"), copy.with_extension("db-open")).unwrap();
        copy
    };
    // The next owner, which may have nothing to write.
    let copy = dead("owner");
    for _ in 0..3 {
        assert_eq!(effects(&open(&copy)), 2);
    }
    // A shell, which copies the log into the file and removes it.
    let copy = dead("shell");
    let shell = Connection::open(&copy).unwrap();
    assert_eq!(shell.query_row("SELECT count(*) FROM effects", [], |row| row.get::<_, i64>(0)).unwrap(), 2);
    drop(shell);
    assert!(!copy.with_extension("db-wal").exists());
    for _ in 0..3 {
        assert_eq!(effects(&open(&copy)), 2);
    }
}

#[test]
fn a_file_keeps_its_generation() {
    let (_dir, path) = temporary();
    let database = open(&path);
    assert_eq!(database.generation(), 0);
    let (answered, answer) = mpsc::channel();
    database.set_generation(7, move |result| answered.send(result).unwrap());
    wait(&answer).unwrap();
    drop(database);
    assert_eq!(open(&path).generation(), 7);
}

/// What a kill leaves: the files as they are, without a close.
fn copy_while_open(path: &Path, to: &Path) -> PathBuf {
    std::fs::create_dir(to).unwrap();
    let copy = to.join("service.db");
    std::fs::copy(path, &copy).unwrap();
    std::fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
    copy
}

fn assert_damaged(path: &Path) {
    let error = Database::open(path, format(1), never_fatal()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("damaged") && text.contains("service.db") && text.contains("backup"), "{text}");
}
