//! How fast the journal on disk is, on this machine.
//!
//! Clients in a closed loop run sagas of a few appends each: every client submits its next append when the one before
//! was answered. The clients are divided among a few threads that gather answers and submit batches, as the engine's
//! shards do.
//!
//! ```text
//! cargo run --release -p amends-journal --example journal_load -- [DIRECTORY] [SECONDS] [CLIENTS,…] [APPENDS] [BYTES] [random]
//! ```
//!
//! `random` gives the sagas ids as callers choose them, instead of ids that grow with time. Put DIRECTORY on the disk
//! that is to be measured; it is removed afterwards.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use amends_core::retry::splitmix64;
use amends_core::{DefinitionName, Status, Time, TransactionId};
use amends_journal::{Append, AppendAnswer, Expected, Journal, NewSaga, SqliteJournal, SqliteOptions, Wake};
use bytes::Bytes;

#[derive(Clone)]
struct Load {
    appends: u64,
    record: Bytes,
    has_random_ids: bool,
    until: Instant,
}

/// One saga in a closed loop.
struct Client {
    saga: TransactionId,
    sequence: u64,
    sagas: u64,
    seed: u64,
    submitted: Instant,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument =
        |at: usize, default: &str| arguments.get(at).cloned().unwrap_or_else(|| default.to_owned());
    let directory = PathBuf::from(argument(0, "./journal-load"));
    let (Ok(seconds), Ok(appends), Ok(bytes)) = (
        argument(1, "5").parse::<u64>(),
        argument(3, "5").parse::<u64>(),
        argument(4, "300").parse::<usize>(),
    ) else {
        eprintln!("SECONDS, APPENDS and BYTES are numbers");
        return ExitCode::FAILURE;
    };
    println!("clients  appends/s   sagas/s   p50 µs   p99 µs  appends/commit  writer µs/saga  disk B/saga");
    for clients in argument(2, "1,64,512").split(',') {
        let Ok(clients) = clients.parse::<u64>() else {
            eprintln!("CLIENTS are numbers with commas between");
            return ExitCode::FAILURE;
        };
        let record: Vec<u8> = (0..bytes as u64).map(|n| splitmix64(n) as u8).collect();
        let load = Load {
            appends,
            record: record.into(),
            has_random_ids: arguments.iter().any(|argument| argument == "random"),
            until: Instant::now() + Duration::from_secs(seconds),
        };
        if let Err(why) = measure(&directory.join(clients.to_string()), clients, &load) {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    }
    // Only what this program made.
    let _ = std::fs::remove_dir(&directory);
    ExitCode::SUCCESS
}

fn measure(directory: &Path, clients: u64, load: &Load) -> Result<(), String> {
    let on_fatal = Box::new(|why: String| {
        eprintln!("{why}");
        std::process::exit(1);
    });
    let journal: Arc<dyn Journal> = Arc::new(
        SqliteJournal::open(directory, SqliteOptions::default(), on_fatal)
            .map_err(|error| error.to_string())?,
    );
    let (cpu, began) = (writer_cpu(), Instant::now());
    let shards = clients.min(2);
    let threads: Vec<_> = (0..shards)
        .map(|shard| {
            let (journal, load) = (Arc::clone(&journal), load.clone());
            let numbers: Vec<u64> = (0..clients).filter(|client| client % shards == shard).collect();
            thread::spawn(move || drive(journal.as_ref(), &numbers, &load))
        })
        .collect();
    let mut latencies = Vec::new();
    for thread in threads {
        latencies.extend(thread.join().map_err(|_| "a shard panicked")?);
    }
    let elapsed = began.elapsed().as_secs_f64();
    let cpu = writer_cpu() - cpu;
    let stats = journal.stats();
    drop(journal);
    latencies.sort_unstable();
    let percentile = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    let sagas = stats.appends as f64 / load.appends as f64;
    println!(
        "{clients:>7} {:>10.0} {:>9.0} {:>8} {:>8} {:>15.1} {:>15.1} {:>12.0}",
        stats.appends as f64 / elapsed,
        sagas / elapsed,
        percentile(0.5),
        percentile(0.99),
        stats.appends as f64 / stats.commits as f64,
        cpu.as_secs_f64() * 1e6 / sagas,
        size_of(directory) as f64 / sagas,
    );
    std::fs::remove_dir_all(directory).map_err(|error| error.to_string())
}

type Answers = (Vec<usize>, Vec<AppendAnswer>);

/// Runs some clients until the time is up; the latencies of their appends, in microseconds.
fn drive(journal: &dyn Journal, numbers: &[u64], load: &Load) -> Vec<u64> {
    let (answered, answers): (Sender<Answers>, Receiver<Answers>) = channel();
    let now = Instant::now();
    let mut clients: Vec<Client> = numbers
        .iter()
        .map(|number| Client {
            saga: TransactionId::from_bytes([0; 16]),
            sequence: load.appends,
            sagas: 0,
            seed: number << 32,
            submitted: now,
        })
        .collect();
    let mut latencies = Vec::new();
    let mut due: Vec<usize> = (0..clients.len()).collect();
    let mut under_way = 0;
    loop {
        let now = Instant::now();
        if now < load.until && !due.is_empty() {
            let batch: Vec<Append> = due.iter().map(|client| clients[*client].next(now, load)).collect();
            under_way += due.len();
            let (who, answered) = (std::mem::take(&mut due), answered.clone());
            journal.submit(batch, Box::new(move |all| drop(answered.send((who, all)))));
        }
        if under_way == 0 {
            return latencies;
        }
        due.clear();
        let Ok(first) = answers.recv() else { return latencies };
        let now = Instant::now();
        for (who, all) in std::iter::once(first).chain(answers.try_iter()) {
            assert!(all.iter().all(|answer| *answer == AppendAnswer::Committed), "nothing stands in the way");
            under_way -= who.len();
            for client in who {
                latencies.push(now.duration_since(clients[client].submitted).as_micros() as u64);
                due.push(client);
            }
        }
    }
}

impl Client {
    fn next(&mut self, now: Instant, load: &Load) -> Append {
        self.submitted = now;
        if self.sequence == load.appends {
            self.sequence = 0;
            self.sagas += 1;
            let random = u128::from(splitmix64(self.seed + self.sagas)) << 64
                | u128::from(splitmix64(!self.seed ^ self.sagas));
            self.saga = if load.has_random_ids {
                TransactionId::from_bytes(random.to_be_bytes())
            } else {
                let milliseconds =
                    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
                TransactionId::from_parts(milliseconds, random)
            };
        }
        self.sequence += 1;
        let is_last = self.sequence == load.appends;
        Append {
            saga: self.saga,
            expected: if self.sequence == 1 {
                Expected::New(NewSaga {
                    definition: DefinitionName::new("PlaceOrder"),
                    version: 1,
                    id_given: load.has_random_ids,
                    key: None,
                    fingerprint: None,
                })
            } else {
                Expected::Sequence(self.sequence - 1)
            },
            record: load.record.clone(),
            at: Time::from_milliseconds(1_700_000_000_000 + self.sequence),
            status: match self.sequence {
                1 if !is_last => Some(Status::InProgress),
                _ if is_last => Some(Status::Completed),
                _ => None,
            },
            wake: Wake::Awake,
        }
    }
}

/// Processor time of the journal's thread; zero where the system does not tell.
fn writer_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter(|task| {
            std::fs::read_to_string(task.path().join("comm"))
                .is_ok_and(|name| name.trim() == "amends-journal")
        })
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse().ok())
        .map(Duration::from_nanos)
        .sum()
}

fn size_of(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}
