//! Work that blocks a thread: reading the journal, and keeping it in order.
//!
//! Owns the count of what runs. Promises that an engine which has stopped holds its journal no more: a task
//! that waits for such work can be dropped, the work itself cannot.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Counts the work of one engine. Clones are handles to the same count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blocking(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    running: AtomicUsize,
    none_left: Notify,
}

/// One piece of work; counted out when dropped.
struct Running(Arc<Count>);

impl Blocking {
    /// Does the work on a thread of its own. What it holds it lets go before it is counted out.
    pub(crate) fn spawn<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        self.0.running.fetch_add(1, Ordering::AcqRel);
        let running = Running(self.0.clone());
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(running);
            result
        })
    }

    /// Until nothing runs.
    pub(crate) async fn none_left(&self) {
        loop {
            let none_left = self.0.none_left.notified();
            if self.0.running.load(Ordering::Acquire) == 0 {
                return;
            }
            none_left.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}
