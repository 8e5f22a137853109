//! A running `amends demo`.
//!
//! Owns the process, its directory and what it prints. Promises that the process is gone when the test is,
//! and that a process which does not end is an error instead of a wait without end. Does not judge answers.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::wire::{Answer, Wire};

/// How long a process may take to end: the grace of `amends demo`, the closing of connections, and a slow
/// machine.
const END_TIME_MAX: Duration = Duration::from_secs(30);

/// An order that goes through.
pub(crate) const ORDER: &str =
    r#"{"user_id": "user_123", "items": [{"product_id": "product_1", "quantity": 2, "price": 100.0}]}"#;

/// An order of one line.
pub(crate) fn order(product: &str, quantity: &str, price: &str) -> String {
    format!(
        r#"{{"user_id": "u", "items": [{{"product_id": "{product}", "quantity": {quantity}, "price": {price}}}]}}"#
    )
}

/// The process.
pub(crate) struct Shop {
    address: SocketAddr,
    pid: Pid,
    /// Behind a lock, so that many threads can be clients of one shop.
    ended: Mutex<mpsc::Receiver<ExitStatus>>,
    stdout: Option<BufReader<ChildStdout>>,
    /// What it said before it was open.
    before: String,
    stderr: File,
    data: PathBuf,
    directory: Option<TempDir>,
}

/// A process that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Shop {
    /// A shop in a new directory.
    pub(crate) fn open() -> Self {
        Self::open_with(&[])
    }

    /// A shop in a new directory, with further arguments.
    pub(crate) fn open_with(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut shop = Self::open_in(&directory.path().join("data"), arguments);
        shop.directory = Some(directory);
        shop
    }

    /// A shop in this directory.
    pub(crate) fn open_in(data: &Path, arguments: &[&str]) -> Self {
        Self::try_open_in(data, arguments).unwrap_or_else(|ended| panic!("it did not start: {ended:?}"))
    }

    /// A shop in this directory, or how its start ended.
    pub(crate) fn try_open_in(data: &Path, arguments: &[&str]) -> Result<Self, Ended> {
        let mut command = demo(data);
        command.args(["--port", "0"]).args(arguments);
        Self::start(command, data)
    }

    /// Starts the command, whose stdout names the address.
    pub(crate) fn start(mut command: Command, data: &Path) -> Result<Self, Ended> {
        let began = Instant::now();
        let stderr = tempfile::tempfile().unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(stderr.try_clone().unwrap()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        // Services that are processes of their own say where they are before the shop does.
        let (mut line, mut before) = (String::new(), String::new());
        while stdout.read_line(&mut line).unwrap() > 0 && !line.starts_with("The shop is open") {
            before.push_str(&std::mem::take(&mut line));
        }
        let pid = Pid::from_child(&child);
        let mut ended = Mutex::new(watch(child));
        let found = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        let Some(address) = found.and_then(|address| address.parse().ok()) else {
            let status =
                ended.get_mut().unwrap().recv_timeout(END_TIME_MAX).expect("a start that says nothing ends");
            stdout.read_to_string(&mut line).unwrap();
            let (stdout, stderr) = (before + &line, read_again(&stderr));
            return Err(Ended { code: status.code(), stdout, stderr, took: began.elapsed() });
        };
        let data = data.to_owned();
        let stdout = Some(stdout);
        Ok(Self { address, pid, ended, stdout, before, stderr, data, directory: None })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a service is that is a process of its own.
    pub(crate) fn service(&self, name: &str) -> SocketAddr {
        let line = self.before.lines().find(|line| line.starts_with(&format!("The {name} service is open")));
        let address = line.and_then(|line| line.split("http://").nth(1)?.split_whitespace().next());
        address.unwrap_or_else(|| panic!("{name} is not in {:?}", self.before)).parse().unwrap()
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn memory_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid.as_raw_nonzero());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub(crate) fn wire(&self) -> Wire {
        Wire::to(self.address).unwrap()
    }

    pub(crate) fn call(&self, method: &str, path: &str) -> Answer {
        self.wire().call(method, path, &[], None).unwrap()
    }

    pub(crate) fn see(&self, path: &str) -> Answer {
        self.call("GET", path)
    }

    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        self.post_with(&[], body)
    }

    pub(crate) fn post_with(&self, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        self.wire().call("POST", "/orders", headers, Some(body.as_ref())).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        read_again(&self.stderr)
    }

    /// Closes the reading end of its stdout.
    pub(crate) fn stop_listening(&mut self) {
        self.stdout = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Ends it as `kill` does; the directory stays as long as the answer does.
    pub(crate) fn stop(self) -> (Ended, Place) {
        self.end(Signal::TERM)
    }

    /// Ends it as a power cut would, but for what the system still has in memory.
    pub(crate) fn kill(self) -> Place {
        self.end(Signal::KILL).1
    }

    pub(crate) fn end(mut self, signal: Signal) -> (Ended, Place) {
        let began = Instant::now();
        self.signal(signal);
        let ended = self.wait(began);
        (ended, Place { data: self.data.clone(), directory: self.directory.take() })
    }

    fn wait(&mut self, began: Instant) -> Ended {
        let status = self
            .ended
            .get_mut()
            .unwrap()
            .recv_timeout(END_TIME_MAX)
            .expect("a process that is asked to ends");
        let mut stdout = String::new();
        if let Some(reader) = &mut self.stdout {
            reader.read_to_string(&mut stdout).unwrap();
        }
        Ended { code: status.code(), stdout, stderr: self.stderr(), took: began.elapsed() }
    }

    /// Waits for it to end by itself.
    pub(crate) fn ended(mut self) -> (Ended, Place) {
        let ended = self.wait(Instant::now());
        (ended, Place { data: self.data.clone(), directory: self.directory.take() })
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Once it has ended, its number may be another's.
        if let Err(mpsc::TryRecvError::Empty) = ended.try_recv() {
            let _ = kill_process(self.pid, Signal::KILL);
            // Until it is gone it holds its directory, which the test may open again at once.
            let _ = ended.recv();
        }
    }
}

/// A data directory without a process.
pub(crate) struct Place {
    pub(crate) data: PathBuf,
    pub(crate) directory: Option<TempDir>,
}

impl Place {
    /// A shop in it again.
    pub(crate) fn open(self) -> Shop {
        let mut shop = Shop::open_in(&self.data, &[]);
        shop.directory = self.directory;
        shop
    }
}

/// The command, free of what the environment says.
pub(crate) fn demo(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amends"));
    command.arg("demo").arg("--data").arg(data).stdin(Stdio::null());
    command.env_remove("AMENDS_PORT").env_remove("AMENDS_DATA").env_remove("AMENDS_LOG");
    command
}

/// Runs a command line that ends by itself.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_amends"));
    command.args(arguments).stdin(Stdio::null());
    command.env_remove("AMENDS_PORT").env_remove("AMENDS_DATA").env_remove("AMENDS_LOG");
    let output = command.envs(environment.iter().copied()).output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        took: began.elapsed(),
    }
}

fn watch(mut child: Child) -> mpsc::Receiver<ExitStatus> {
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        if let Ok(status) = child.wait() {
            // Nobody may want to know any more.
            let _ = sender.send(status);
        }
    });
    ended
}

fn read_again(file: &File) -> String {
    let mut file = file.try_clone().unwrap();
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
