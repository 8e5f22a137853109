//! Bulk jobs: one verb for many sagas.
//!
//! Owns the jobs of a server, what is stored of each, and the task that carries it out. Promises that a job is about
//! the sagas that matched when it was accepted, that a job which was accepted goes on after a kill, and that a saga
//! gets the verb once: each has the job's id as its idempotency key. Stores a job as two files, what is to be done
//! and how far it is; without a folder jobs are as long-lived as the process. Does not choose the sagas.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use amends_api::{Bulk, BulkStatus, VerbName};
use amends_core::{By, TransactionId, Verb, VerbKey};
use amends_engine::{Engine, OperateError, ReadError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tracing::{error, warn};

use crate::limits::{BULK_NOTED_EVERY, BULK_RETRY_AFTER};

/// The jobs of a server.
#[derive(Clone)]
pub(crate) struct Jobs {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    folder: Option<PathBuf>,
    known: Mutex<BTreeMap<String, Job>>,
}

#[derive(Debug)]
struct Job {
    order: Arc<Order>,
    progress: Progress,
    task: Option<JoinHandle<()>>,
}

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// The job's id.
    pub(crate) id: String,
    /// The caller's idempotency key.
    pub(crate) key: Option<String>,
    /// Tells a repeat from another request under the same key.
    pub(crate) fingerprint: [u8; 32],
    /// What to do.
    pub(crate) verb: VerbName,
    /// Why.
    pub(crate) reason: String,
    /// Who.
    pub(crate) by: String,
    /// The sagas.
    pub(crate) sagas: Vec<String>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    next: usize,
    done: u64,
    refused: u64,
}

/// Why jobs cannot be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// The folder or a file cannot be read or written.
    #[error("bulk jobs in {}: {source}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("the bulk job {} is damaged: {why}; move the file away to start without it", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Jobs {
    /// The jobs in this folder; those that are not finished go on.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read.
    pub(crate) fn open(engine: Engine, folder: Option<PathBuf>) -> Result<Self, JobsError> {
        let mut known = BTreeMap::new();
        if let Some(folder) = &folder {
            fs::create_dir_all(folder).map_err(|source| JobsError::Io { path: folder.clone(), source })?;
            let io = |source| JobsError::Io { path: folder.clone(), source };
            for entry in fs::read_dir(folder).map_err(io)? {
                let path = entry.map_err(io)?.path();
                if path.extension().is_some_and(|extension| extension == ORDER) {
                    let order: Order = read(&path)?;
                    let progress_path = path.with_extension(PROGRESS);
                    let progress =
                        if progress_path.exists() { read(&progress_path)? } else { Progress::default() };
                    known.insert(order.id.clone(), Job { order: Arc::new(order), progress, task: None });
                }
            }
        }
        let jobs = Self { inner: Arc::new(Inner { engine, folder, known: Mutex::new(known) }) };
        let ids: Vec<String> = jobs.lock().keys().cloned().collect();
        ids.iter().for_each(|id| jobs.go_on(id));
        Ok(jobs)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Job>> {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job that was started with this key: with the same request, or with another.
    pub(crate) fn by_key(&self, key: &str, fingerprint: &[u8; 32]) -> Option<Result<Bulk, String>> {
        let known = self.lock();
        let job = known.values().find(|job| job.order.key.as_deref() == Some(key))?;
        Some(if job.order.fingerprint == *fingerprint { Ok(job.shown()) } else { Err(job.order.id.clone()) })
    }

    /// The job of this id.
    pub(crate) fn find(&self, id: &str) -> Option<Bulk> {
        self.lock().get(id).map(Job::shown)
    }

    /// Stores a job, durably, and begins it.
    pub(crate) async fn accept(&self, order: Order) -> Result<Bulk, JobsError> {
        let order = Arc::new(order);
        if let Some(folder) = self.inner.folder.clone() {
            let stored = order.clone();
            let path = folder.join(&stored.id).with_extension(ORDER);
            let lost =
                JobsError::Io { path: path.clone(), source: io::Error::other("the write was given up") };
            tokio::task::spawn_blocking(move || write(&path, &*stored)).await.map_err(|_| lost)??;
        }
        let job = Job { order: order.clone(), progress: Progress::default(), task: None };
        let shown = job.shown();
        self.lock().insert(order.id.clone(), job);
        self.go_on(&order.id);
        Ok(shown)
    }

    /// Begins a job's task, unless it is finished.
    fn go_on(&self, id: &str) {
        let mut known = self.lock();
        let Some(job) = known.get_mut(id).filter(|job| job.progress.next < job.order.sagas.len()) else {
            return;
        };
        let runner =
            Runner { jobs: Arc::downgrade(&self.inner), order: job.order.clone(), progress: job.progress };
        job.task = Some(tokio::spawn(runner.run(self.inner.engine.clone(), self.inner.folder.clone())));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let known = self.known.get_mut().unwrap_or_else(PoisonError::into_inner);
        known.values().filter_map(|job| job.task.as_ref()).for_each(JoinHandle::abort);
    }
}

impl Job {
    fn shown(&self) -> Bulk {
        let is_finished = self.progress.next >= self.order.sagas.len();
        Bulk {
            id: self.order.id.clone(),
            verb: self.order.verb,
            status: if is_finished { BulkStatus::Finished } else { BulkStatus::Running },
            total: self.order.sagas.len() as u64,
            done: self.progress.done,
            refused: self.progress.refused,
        }
    }
}

/// Carries one job out.
struct Runner {
    jobs: std::sync::Weak<Inner>,
    order: Arc<Order>,
    progress: Progress,
}

/// What became of one saga.
enum Told {
    Done,
    Refused,
    /// The server stops: the job goes on when it runs again.
    Stop,
}

impl Runner {
    async fn run(mut self, engine: Engine, folder: Option<PathBuf>) {
        while self.progress.next < self.order.sagas.len() {
            match self.tell(&engine, &self.order.sagas[self.progress.next]).await {
                Told::Done => self.progress.done += 1,
                Told::Refused => self.progress.refused += 1,
                Told::Stop => return,
            }
            self.progress.next += 1;
            let is_last = self.progress.next == self.order.sagas.len();
            if is_last || self.progress.next.is_multiple_of(BULK_NOTED_EVERY) {
                self.note(folder.as_deref()).await;
            }
            let Some(inner) = self.jobs.upgrade() else { return };
            let jobs = Jobs { inner };
            if let Some(job) = jobs.lock().get_mut(&self.order.id) {
                job.progress = self.progress;
            }
        }
    }

    async fn tell(&self, engine: &Engine, saga: &str) -> Told {
        let Ok(id) = saga.parse::<TransactionId>() else { return Told::Refused };
        let order = &self.order;
        let verb = match order.verb {
            VerbName::Cancel => Verb::Cancel,
            VerbName::Retry => Verb::RETRY,
            VerbName::Pause => Verb::Pause,
            VerbName::Resume => Verb::Resume,
            VerbName::Reverse => Verb::Reverse,
            VerbName::Skip | VerbName::Resolve | VerbName::Abandon => return Told::Refused,
        };
        let key = format!("bulk/{}", order.id);
        let fingerprint = Sha256::digest(key.as_bytes()).into();
        let by = By {
            key: Some(VerbKey { key, fingerprint }),
            ..By::new(order.by.as_str(), order.reason.as_str())
        };
        loop {
            match engine.operate(id, verb.clone(), by.clone()).await {
                Ok(_) => return Told::Done,
                Err(OperateError::Read(ReadError::Stopping)) => return Told::Stop,
                Err(OperateError::Read(ReadError::Full | ReadError::NotOwner | ReadError::Journal(_))) => {
                    tokio::time::sleep(BULK_RETRY_AFTER).await;
                }
                Err(
                    OperateError::NotFound
                    | OperateError::OutputNotJson
                    | OperateError::DuplicateName(_)
                    | OperateError::Rejected(_)
                    | OperateError::Erased
                    | OperateError::Read(ReadError::Removed { .. } | ReadError::Unreadable { .. }),
                ) => return Told::Refused,
            }
        }
    }

    /// Notes how far the job is. What is not noted is done once more after a kill, and changes nothing then.
    async fn note(&self, folder: Option<&Path>) {
        let Some(folder) = folder else { return };
        let path = folder.join(&self.order.id).with_extension(PROGRESS);
        let progress = self.progress;
        match tokio::task::spawn_blocking(move || write(&path, &progress)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, job = %self.order.id, "how far a bulk job is could not be noted"),
            Err(error) => error!(%error, "a bulk job's progress was not written"),
        }
    }
}

/// What the files of orders and of progress end with.
const ORDER: &str = "order";
const PROGRESS: &str = "progress";

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, JobsError> {
    let text = fs::read(path).map_err(|source| JobsError::Io { path: path.to_owned(), source })?;
    let damaged = |why: String| JobsError::Damaged { path: path.to_owned(), why };
    let (sum, body) = text.split_at_checked(65).ok_or_else(|| damaged("it is cut short".to_owned()))?;
    let expected = hex(&Sha256::digest(body));
    if sum.strip_suffix(b"\n") != Some(expected.as_bytes()) {
        return Err(damaged("its checksum is another".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| damaged(error.to_string()))
}

/// Writes a file whole, with its checksum, or not at all.
fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), JobsError> {
    let io = |source| JobsError::Io { path: path.to_owned(), source };
    let body = serde_json::to_vec(value).map_err(|error| io(error.into()))?;
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside).map_err(io)?;
    file.write_all(hex(&Sha256::digest(&body)).as_bytes()).map_err(io)?;
    file.write_all(b"\n").map_err(io)?;
    file.write_all(&body).map_err(io)?;
    file.sync_all().map_err(io)?;
    fs::rename(&beside, path).map_err(io)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
