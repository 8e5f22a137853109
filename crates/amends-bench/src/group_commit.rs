//! The bare log: what a journal could do at best.
//!
//! Owns one writer thread over one file. Promises that appends reach the file in the order they came, that
//! everything queued goes out in one write and one flush, without a timer, and that nobody is answered before
//! that flush. Keeps no index and reads nothing: it is the yardstick, not a store.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::Notify;

use super::error::BenchError;
use super::load::LogCounts;

/// What is written to.
pub(super) trait Medium: Send + 'static {
    /// Writes a batch behind the last one.
    fn write(&mut self, batch: &[u8]) -> io::Result<()>;
    /// Returns once everything written is durable.
    fn flush(&mut self) -> io::Result<()>;
}

/// A file that grows with every append.
pub(super) struct Growing(File);

/// A file of a fixed size that is overwritten in place, from its start again at its end: no flush has to wait
/// for the file system to note new blocks.
pub(super) struct Prefilled {
    file: File,
    size: u64,
    at: u64,
}

/// The log. Dropping it writes what is queued and ends the thread.
pub(super) struct GroupCommit {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// One client's end of the log.
pub(super) struct Appender {
    shared: Arc<Shared>,
    flushed: Arc<Notify>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    /// Appends that are durable.
    durable: AtomicU64,
    /// Flushes that came back.
    flushes: AtomicU64,
    failure: OnceLock<String>,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    waiting: Vec<Arc<Notify>>,
    /// Appends ever queued.
    queued: u64,
    writer_sleeps: bool,
    closed: bool,
}

impl Growing {
    pub(super) fn create(path: &Path) -> Result<Self, BenchError> {
        create(path).map(Self)
    }
}

impl Medium for Growing {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        self.0.write_all(batch)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl Prefilled {
    /// Writes `size` zeros, and makes them durable before anything is timed.
    pub(super) fn create(path: &Path, size: u64) -> Result<Self, BenchError> {
        let mut file = create(path)?;
        fill(&mut file, size).map_err(|source| BenchError::File { path: path.to_owned(), source })?;
        Ok(Self { file, size, at: 0 })
    }
}

impl Medium for Prefilled {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        let length = batch.len() as u64;
        if self.at + length > self.size {
            self.at = 0;
        }
        self.file.write_all_at(batch, self.at)?;
        self.at += length;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn create(path: &Path) -> Result<File, BenchError> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.map_err(|source| BenchError::File { path: path.to_owned(), source })
}

fn fill(file: &mut File, size: u64) -> io::Result<()> {
    static BLOCK: [u8; 1 << 16] = [0; 1 << 16];
    for _ in 0..size.div_ceil(BLOCK.len() as u64) {
        file.write_all(&BLOCK)?;
    }
    file.sync_all()
}

impl GroupCommit {
    pub(super) fn start(medium: impl Medium) -> Result<Self, BenchError> {
        let shared = Arc::new(Shared::default());
        let for_thread = shared.clone();
        let writer = std::thread::Builder::new()
            .name("bench-log".to_owned())
            .spawn(move || for_thread.write(medium))
            .map_err(|source| BenchError::Threads { what: "the log's writer", source })?;
        Ok(Self { shared, writer: Some(writer) })
    }

    pub(super) fn appender(&self) -> Appender {
        Appender { shared: self.shared.clone(), flushed: Arc::new(Notify::new()) }
    }

    /// What it has done so far.
    pub(super) fn counts(&self) -> LogCounts {
        LogCounts {
            appends: self.shared.durable.load(Ordering::Acquire),
            flushes: self.shared.flushes.load(Ordering::Acquire),
        }
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.filled.notify_one();
        if let Some(writer) = self.writer.take() {
            // Had it panicked, it would have said so.
            let _ = writer.join();
        }
    }
}

impl Appender {
    /// Returns once the record is durable.
    pub(super) async fn append(&mut self, record: &[u8]) -> Result<(), BenchError> {
        let number = self.shared.push(record, &self.flushed);
        // Counted, since a notice may be left over from an append that was given up.
        while self.shared.durable.load(Ordering::Acquire) < number {
            if let Some(failure) = self.shared.failure.get() {
                return Err(BenchError::Append(failure.clone()));
            }
            self.flushed.notified().await;
        }
        Ok(())
    }
}

impl Shared {
    /// Queues a record; its number, from one.
    fn push(&self, record: &[u8], flushed: &Arc<Notify>) -> u64 {
        let mut queue = self.queue();
        queue.bytes.extend_from_slice(record);
        queue.waiting.push(flushed.clone());
        queue.queued += 1;
        let number = queue.queued;
        let wake = std::mem::take(&mut queue.writer_sleeps);
        drop(queue);
        if wake {
            self.filled.notify_one();
        }
        number
    }

    /// The writer's thread. Two pairs of buffers change places: nothing is allocated per batch.
    fn write(&self, mut medium: impl Medium) {
        let (mut bytes, mut waiting) = (Vec::new(), Vec::new());
        while let Some(queued) = self.take(&mut bytes, &mut waiting) {
            match medium.write(&bytes).and_then(|()| medium.flush()) {
                Ok(()) => {
                    self.flushes.fetch_add(1, Ordering::Release);
                    self.durable.store(queued, Ordering::Release);
                }
                // After a failed flush nobody knows what is on the disk: nothing more is answered.
                Err(error) => drop(self.failure.set(error.to_string())),
            }
            bytes.clear();
            for flushed in waiting.drain(..) {
                flushed.notify_one();
            }
        }
    }

    /// Takes everything queued; how many were queued ever. `None` once the log is closed and all is written.
    fn take(&self, bytes: &mut Vec<u8>, waiting: &mut Vec<Arc<Notify>>) -> Option<u64> {
        let mut queue = self.queue();
        while queue.waiting.is_empty() {
            if queue.closed {
                return None;
            }
            queue.writer_sleeps = true;
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut queue.bytes, bytes);
        std::mem::swap(&mut queue.waiting, waiting);
        Some(queue.queued)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that could panic half-way runs under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;

    /// What the medium was told, in order.
    #[derive(Debug, Clone, Default)]
    struct Told(Arc<Mutex<Vec<String>>>);

    impl Told {
        fn push(&self, what: String) {
            self.0.lock().unwrap().push(what);
        }

        fn take(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    struct Fake {
        told: Told,
        /// Each flush waits for one of these.
        go: std::sync::mpsc::Receiver<io::Result<()>>,
    }

    impl Medium for Fake {
        fn write(&mut self, batch: &[u8]) -> io::Result<()> {
            self.told.push(format!("write {}", String::from_utf8_lossy(batch)));
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            let result = self.go.recv().expect("the test says when");
            self.told.push("flush".to_owned());
            result
        }
    }

    fn fake() -> (GroupCommit, Told, std::sync::mpsc::Sender<io::Result<()>>) {
        let (go, gone) = std::sync::mpsc::channel();
        let told = Told::default();
        let log = GroupCommit::start(Fake { told: told.clone(), go: gone }).unwrap();
        (log, told, go)
    }

    fn block_on<R>(work: impl Future<Output = R>) -> R {
        Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn an_append_is_answered_after_its_flush_and_not_before() {
        let (log, told, go) = fake();
        block_on(async {
            let mut appender = log.appender();
            let mut appending = Box::pin(appender.append(b"a"));
            for _ in 0..100 {
                tokio::select! {
                    biased;
                    _ = &mut appending => panic!("answered before the flush"),
                    () = tokio::task::yield_now() => {}
                }
            }
            assert!(!told.take().contains(&"flush".to_owned()));
            go.send(Ok(())).unwrap();
            appending.await.unwrap();
            assert!(told.take().ends_with(&["flush".to_owned()]));
        });
    }

    #[test]
    fn what_queues_during_a_flush_goes_out_in_order_with_one_flush() {
        let (log, told, go) = fake();
        block_on(async {
            let mut appenders: Vec<Appender> = (0..5).map(|_| log.appender()).collect();
            let mut appending: Vec<_> = appenders
                .iter_mut()
                .zip([b"0", b"1", b"2", b"3", b"4"])
                .map(|(appender, record)| Box::pin(appender.append(record)))
                .collect();
            // The first is queued alone, and the writer is in its flush once it says so.
            poll_once(&mut appending[0]).await;
            while told.0.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            for appending in &mut appending[1..] {
                poll_once(appending).await;
            }
            go.send(Ok(())).unwrap();
            go.send(Ok(())).unwrap();
            for appending in appending {
                appending.await.unwrap();
            }
        });
        assert_eq!(told.take(), ["write 0", "flush", "write 1234", "flush"]);
        assert_eq!(log.counts(), LogCounts { appends: 5, flushes: 2 });
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) {
        std::future::poll_fn(|context| {
            assert!(std::pin::Pin::new(&mut *future).poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }

    #[test]
    fn a_failed_flush_is_never_answered_as_durable() {
        let (log, _, go) = fake();
        go.send(Err(io::Error::other("on purpose"))).unwrap();
        let result = block_on(async { log.appender().append(b"a").await });
        assert!(matches!(result, Err(BenchError::Append(why)) if why == "on purpose"));
    }

    #[test]
    fn the_growing_file_holds_all_and_the_prefilled_one_keeps_its_size() {
        let directory = tempfile::tempdir().unwrap();
        let (growing, prefilled) = (directory.path().join("growing"), directory.path().join("prefilled"));
        const SIZE: u64 = 1 << 16;
        let mut medium = Growing::create(&growing).unwrap();
        let mut ring = Prefilled::create(&prefilled, SIZE).unwrap();
        for batch in [[b'a'; 40_000], [b'b'; 40_000]] {
            medium.write(&batch).unwrap();
            medium.flush().unwrap();
            ring.write(&batch).unwrap();
            ring.flush().unwrap();
        }
        assert_eq!(std::fs::read(&growing).unwrap(), [[b'a'; 40_000], [b'b'; 40_000]].concat());
        let ring = std::fs::read(&prefilled).unwrap();
        assert_eq!((ring.len() as u64, ring[0], ring[40_000]), (SIZE, b'b', 0));
    }
}
