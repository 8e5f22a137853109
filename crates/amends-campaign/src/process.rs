//! The process that is killed.
//!
//! Owns one `amends demo` at a time, its port, those of its services, and what they write to their standard error.
//! Promises that no process outlives its handle by more than a moment (services notice that it is gone), and that what it wrote since its start can be shown.
//! Does not speak to the shop beyond asking whether it is up, and to a service beyond asking which process it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use super::http::Shop;
use super::order::stock_argument;

/// How the process is started, each time the same.
#[derive(Debug)]
pub(crate) struct Launch {
    binary: PathBuf,
    arguments: Vec<String>,
    port: u16,
    /// The first of the services' ports, if they are processes of their own.
    services: Option<u16>,
    log: PathBuf,
}

/// Where the services run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Services {
    /// In the process of the coordinator.
    Inside,
    /// In processes of their own.
    Apart,
}

impl Launch {
    /// A demo of that binary on that data directory; `log` takes its standard error.
    pub(crate) fn new(
        binary: &Path,
        data: &Path,
        log: PathBuf,
        services: Services,
        sabotage: Option<&str>,
    ) -> io::Result<Launch> {
        let first = match services {
            Services::Inside => free_ports(1)?,
            Services::Apart => free_ports(1 + SERVICES)?,
        };
        let (port, services) = match services {
            Services::Inside => (first, None),
            Services::Apart => (first, Some(first + 1)),
        };
        let data = data.to_string_lossy().into_owned();
        let mut arguments: Vec<String> =
            ["demo", "--port", &port.to_string(), "--data", &data, "--stock", &stock_argument()]
                .map(str::to_owned)
                .into();
        if let Some(services) = services {
            arguments.extend(["--services".to_owned(), "--services-port".to_owned(), services.to_string()]);
        }
        arguments.extend(sabotage.into_iter().flat_map(|name| ["--sabotage".to_owned(), name.to_owned()]));
        Ok(Launch { binary: binary.to_owned(), arguments, port, services, log })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The command as a person would type it.
    pub(crate) fn typed(&self) -> String {
        format!("{} {}", self.binary.display(), self.arguments.join(" "))
    }

    /// Starts the process and does not wait for it to be up.
    pub(crate) fn start(&self) -> io::Result<Server> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let log_start = log.metadata()?.len();
        let child = Command::new(&self.binary)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let started = Instant::now();
        let services = self.services.map_or(Vec::new(), |first| (first..first + SERVICES).collect());
        let (log, shop) = (self.log.clone(), Shop::at(self.port));
        Ok(Server { child, log, log_start, started, shop, services })
    }
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    log_start: u64,
    started: Instant,
    shop: Shop,
    /// The ports of the services that are processes of their own.
    services: Vec<u16>,
}

/// What a service says of itself.
#[derive(Debug, Deserialize)]
struct About {
    process: u32,
}

/// Why the process did not come up.
#[derive(Debug)]
pub(crate) enum NotUp {
    Exited(ExitStatus),
    TooSlow,
    Unwatched(io::Error),
}

impl std::fmt::Display for NotUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotUp::Exited(status) => write!(f, "it ended by itself ({status})"),
            NotUp::TooSlow => write!(f, "GET /health did not answer 200 within {START_LIMIT:?}"),
            NotUp::Unwatched(error) => write!(f, "it could not be watched: {error}"),
        }
    }
}

impl Server {
    /// Waits until `GET /health` answers 200, and says how long that took from the start.
    pub(crate) fn wait_until_up(&mut self) -> Result<Duration, NotUp> {
        loop {
            if self.shop.is_healthy() {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.exit_status().map_err(NotUp::Unwatched)? {
                return Err(NotUp::Exited(status));
            }
            if self.started.elapsed() > START_LIMIT {
                return Err(NotUp::TooSlow);
            }
            thread::sleep(HEALTH_INTERVAL);
        }
    }

    pub(crate) fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills it where it stands (SIGKILL).
    pub(crate) fn strike(&mut self) -> io::Result<()> {
        // Killing one that has ended by itself is no error.
        self.child.kill()
    }

    /// How many services are processes of their own.
    pub(crate) fn services(&self) -> usize {
        self.services.len()
    }

    /// Kills one of the services where it stands (SIGKILL), and says whether there was one: it may be about to
    /// start again.
    pub(crate) fn strike_service(&self, place: usize) -> bool {
        let about = Shop::at(self.services[place]).view::<About>("/health");
        let process = about.ok().and_then(|about| i32::try_from(about.process).ok()).and_then(Pid::from_raw);
        // One that has ended meanwhile is no error, and no kill.
        process.is_some_and(|process| kill_process(process, Signal::KILL).is_ok())
    }

    /// Kills it if that has not happened yet, and waits until it is gone, so that its port and locks are
    /// free.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        self.end()
    }

    /// What it wrote since it was started: the last few kilobytes.
    pub(crate) fn last_words(&self) -> String {
        match tail(&self.log, self.log_start) {
            Ok(text) if text.trim().is_empty() => "(it wrote nothing)".to_owned(),
            Ok(text) => text,
            Err(error) => format!("(what it wrote cannot be read: {error})"),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.strike()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be killed, and a campaign that fails has said so
        // already.
        let _ = self.end();
    }
}

/// Whether any process that wrote to that log panicked.
pub(crate) fn panic_in(log: &Path) -> io::Result<Option<String>> {
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    Ok(text.find("panicked at").map(|place| {
        let start = text[..place].rfind('\n').map_or(0, |end| end + 1);
        text[start..].chars().take(LAST_WORDS_BYTES_MAX).collect()
    }))
}

fn tail(log: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    let most = u64::try_from(LAST_WORDS_BYTES_MAX).expect("a small constant");
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(most))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The first of so many ports in a row that are free.
///
/// They lie below the range that outgoing connections get theirs from. A port of that range may be given to
/// the very client that knocks while the process is down; the connection then meets itself, and the port is
/// taken.
fn free_ports(count: u16) -> io::Result<u16> {
    let range = u32::from(PORT_LAST - PORT_FIRST) + 1;
    let mut last_error = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..PORT_ATTEMPTS {
        // Not from the seed: two campaigns with one seed would meet on one port.
        let drawn = getrandom::u32().map_err(io::Error::other)? % range;
        let port = PORT_FIRST + u16::try_from(drawn).expect("below the number of ports");
        let bound: io::Result<Vec<TcpListener>> =
            (port..port + count).map(|port| TcpListener::bind(("127.0.0.1", port))).collect();
        match bound {
            Ok(_) => return Ok(port),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

/// How many services the shop has.
const SERVICES: u16 = 4;
/// How long a start may take, recovery included.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often the process is asked whether it is up; also how exactly restart times are measured.
const HEALTH_INTERVAL: Duration = Duration::from_millis(1);
/// How much of what a process wrote is shown.
const LAST_WORDS_BYTES_MAX: usize = 4 << 10;
/// The first port tried; below it are well-known services.
const PORT_FIRST: u16 = 20_000;
/// The last port tried: Linux gives out 32768 and above, macOS and Windows 49152 and above.
const PORT_LAST: u16 = 31_999;
/// How many ports are tried before giving up.
const PORT_ATTEMPTS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell command in the place of the demo.
    fn shell(directory: &Path, script: &str) -> Launch {
        Launch {
            binary: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            port: free_ports(1).unwrap(),
            services: None,
            log: directory.join("log"),
        }
    }

    #[test]
    fn a_process_that_ends_at_once_is_not_up_and_its_last_words_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let mut server = shell(directory.path(), "echo damaged >&2; exit 3").start().unwrap();
        let Err(NotUp::Exited(status)) = server.wait_until_up() else {
            panic!("a process that ended was up")
        };
        assert_eq!(status.code(), Some(3));
        assert_eq!(server.last_words(), "damaged\n");
    }

    #[test]
    fn last_words_are_those_of_this_start_only() {
        let directory = tempfile::tempdir().unwrap();
        for word in ["first", "second"] {
            let mut server = shell(directory.path(), &format!("echo {word} >&2")).start().unwrap();
            assert!(server.wait_until_up().is_err());
            assert_eq!(server.last_words(), format!("{word}\n"));
        }
    }

    #[test]
    fn a_killed_process_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let mut server = shell(directory.path(), "exec sleep 600").start().unwrap();
        assert!(server.exit_status().unwrap().is_none());
        server.kill().unwrap();
    }

    #[test]
    fn a_panic_is_found_in_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        fs::write(&log, "all is well\n").unwrap();
        assert_eq!(panic_in(&log).unwrap(), None);
        fs::write(&log, "all is well\nthread 'shard' panicked at shard.rs:1:\nno\n").unwrap();
        assert_eq!(panic_in(&log).unwrap().unwrap(), "thread 'shard' panicked at shard.rs:1:\nno\n");
    }

    #[test]
    fn the_demo_is_started_on_its_port_and_data_with_stock() {
        let data = Path::new("/data");
        let launch =
            Launch::new(Path::new("amends"), data, "log".into(), Services::Inside, Some("no-barrier"))
                .unwrap();
        let port = launch.port();
        let stock = "product_1=1000000000,product_2=500,product_3=1000000000";
        assert_eq!(
            launch.typed(),
            format!("amends demo --port {port} --data /data --stock {stock} --sabotage no-barrier")
        );
    }
}
