//! Ctrl-C, and the child process that must not outlive it.
//!
//! Owns the wait for signals and the child at work. Promises that an interrupted run leaves neither its
//! directory nor a process behind, and ends with the exit code of an interruption, whatever fails for want of
//! the directory meanwhile. Lets the measurement block its threads as it likes: it waits on a thread of its
//! own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use amends_server::process::asked_to_stop;
use tokio::runtime::{Builder, Runtime};

use super::stderr::complain;

/// The exit code of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// How often removing is tried: a thread that is just opening something may lay the directory out again.
const REMOVALS_MAX: usize = 10;

/// Longer than a thread needs from making a directory to failing in it.
const COMES_BACK_WITHIN: Duration = Duration::from_millis(20);

/// Signals that are kept from now on, until somebody waits for them.
pub(super) struct Signals<F> {
    runtime: Runtime,
    asked: F,
}

/// The handler, and what it has to tidy up.
pub(super) struct Interruption {
    child: Arc<Mutex<Option<Working>>>,
}

/// A child at work, and the end of its standard input whose closing tells it that we are gone. Kept apart
/// from the child, which would close it as soon as it is waited for.
struct Working {
    child: Child,
    lifeline: Option<ChildStdin>,
}

/// To be called before there is anything to tidy up.
pub(super) fn keep_signals() -> io::Result<Signals<impl Future<Output = ()> + Send + 'static>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let asked = {
        let _entered = runtime.enter();
        asked_to_stop()?
    };
    Ok(Signals { runtime, asked })
}

impl<F: Future<Output = ()> + Send + 'static> Signals<F> {
    /// From here on an interruption removes the directory and ends the process.
    pub(super) fn watch(self, directory: PathBuf) -> io::Result<Interruption> {
        let Self { runtime, asked } = self;
        let child = Arc::new(Mutex::new(None));
        let for_thread = child.clone();
        let wait = move || {
            runtime.block_on(asked);
            tidy_up(&directory, &for_thread)
        };
        thread::Builder::new().name("bench-signals".to_owned()).spawn(wait)?;
        Ok(Interruption { child })
    }
}

/// Never lets go of the child: a thread that asks for it from here on waits for the end of the process.
fn tidy_up(directory: &Path, child: &Mutex<Option<Working>>) -> ! {
    let mut child = lock(child);
    if let Some(working) = child.as_mut() {
        // It may have ended by itself.
        let _ = working.kill();
    }
    if !(0..REMOVALS_MAX).any(|_| remove(directory)) {
        complain(&format!("interrupted; {} could not be removed", directory.display()));
    }
    std::process::exit(INTERRUPTED)
}

/// Whether the directory is gone, and stays so. It gets another name first: then nothing new can be put into
/// it, for threads that still write do so by its old one.
fn remove(directory: &Path) -> bool {
    let aside = directory.with_extension("removed");
    let is_aside = fs::rename(directory, &aside).is_ok();
    let is_removed = fs::remove_dir_all(&aside).is_ok() || !is_aside;
    thread::sleep(COMES_BACK_WITHIN);
    is_removed && !directory.exists() && !aside.exists()
}

impl Interruption {
    /// Returns unless the process is about to end: then what fails is not worth a word.
    pub(super) fn let_pass(&self) {
        drop(lock(&self.child));
    }

    /// Takes charge of a child.
    pub(super) fn own_child(&self, mut child: Child) {
        let lifeline = child.stdin.take();
        *lock(&self.child) = Some(Working { child, lifeline });
    }

    /// Kills the child and waits until it is gone.
    pub(super) fn kill_child(&self) -> io::Result<()> {
        match lock(&self.child).take() {
            Some(mut working) => working.kill(),
            None => Ok(()),
        }
    }

    /// Waits for the child to end by itself.
    pub(super) fn wait_for_child(&self) -> io::Result<ExitStatus> {
        // Not under the lock: the handler must not wait for it. The child ends with us anyway.
        let working = lock(&self.child).take();
        let Working { mut child, lifeline } = working.ok_or_else(|| io::Error::other("it is gone"))?;
        let status = child.wait();
        drop(lifeline);
        status
    }
}

impl Working {
    fn kill(&mut self) -> io::Result<()> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop)
    }
}

fn lock(child: &Mutex<Option<Working>>) -> MutexGuard<'_, Option<Working>> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}
