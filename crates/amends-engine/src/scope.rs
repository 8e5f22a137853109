//! The tasks of an engine.
//!
//! Owns them: none outlives the scope. Promises that a task that panics does not die in silence, with others waiting for it for
//! ever: the whole engine then stops, and says so. What is durable goes on at the next start.

use std::sync::Arc;
use std::thread;

use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tracing::error;

pub(crate) struct Scope {
    tasks: JoinSet<()>,
    broken: Arc<Notify>,
}

/// Tells when the task that holds it panics.
struct Watched {
    name: &'static str,
    broken: Arc<Notify>,
}

impl Scope {
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), broken: Arc::default() }
    }

    /// Runs a task until it ends, or the scope does.
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let watched = Watched { name, broken: self.broken.clone() };
        self.tasks.spawn(async move {
            let _watched = watched;
            task.await;
        });
    }

    /// Resolves when a task has panicked.
    pub(crate) fn broken(&self) -> impl Future<Output = ()> + Send + use<> {
        let broken = self.broken.clone();
        async move { broken.notified().await }
    }

    /// Ends every task where it is.
    pub(crate) fn abort(&mut self) {
        self.tasks.abort_all();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if thread::panicking() {
            error!(task = self.name, "a task of the engine panicked: the engine stops; start it again");
            self.broken.notify_one();
        }
    }
}

/// Ends every task and waits until they have. May be given up and called again.
pub(crate) async fn shut_down(scope: &Mutex<Scope>) {
    let mut scope = scope.lock().await;
    scope.tasks.shutdown().await;
}
