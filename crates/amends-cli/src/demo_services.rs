//! The four services of `amends demo --services`: processes that are started, watched and started again.
//!
//! Owns the four child processes. Promises that they end with this process, however it ends: each watches a
//! pipe that only this process holds open. Promises that one that dies is started again on the same port, and
//! that both are said. Does not know what they do: [`crate::demo_service`] is what each of them runs. Start
//! reading at [`Supervised::start`].

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use amends_shop::apart::Addresses;
use amends_shop::operation::ServiceName;

use crate::process::{complain, say};

/// The rest before a process that lived for a while is started again.
const REST_MIN: Duration = Duration::from_millis(50);
/// The longest rest: a service that does not start is tried again this often.
const REST_MAX: Duration = Duration::from_secs(5);
/// A process that lived this long did start well.
const LIFE_MIN: Duration = Duration::from_millis(200);

/// How the services are started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// Directory of the shop's data.
    pub(crate) data: PathBuf,
    /// The first of four ports; 0: any that are free.
    pub(crate) first_port: u16,
    /// The stock as the command line says it.
    pub(crate) stock: Option<String>,
    /// Further arguments for each of them.
    pub(crate) arguments: Vec<String>,
}

/// The four processes.
pub(crate) struct Supervised {
    watchers: Vec<Watcher>,
    addresses: Addresses,
}

/// One process, and the thread that waits for its end.
struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    is_stopping: bool,
    /// The pipe whose end tells the process that it is left alone.
    input: Option<ChildStdin>,
}

/// A process that answers.
struct Running {
    child: Child,
    address: SocketAddr,
    process: u32,
}

impl Supervised {
    /// Starts all four, and waits until they answer.
    ///
    /// # Errors
    /// When one does not start; the others are stopped then.
    pub(crate) fn start(launch: &Launch) -> Result<Supervised, String> {
        // Side by side: each makes a database at its first start.
        let started: Vec<Result<(Watcher, SocketAddr), String>> = std::thread::scope(|scope| {
            let starting = ServiceName::ALL.map(|name| scope.spawn(move || watch(launch, name)));
            starting.map(|thread| thread.join().expect("starting a process does not panic")).into()
        });
        let mut watchers = Vec::new();
        let mut addresses = Vec::new();
        let mut failed = None;
        for started in started {
            match started {
                Ok((watcher, address)) => {
                    watchers.push(watcher);
                    addresses.push(address);
                }
                Err(why) => failed = failed.or(Some(why)),
            }
        }
        if let Some(why) = failed {
            stop(&mut watchers);
            return Err(why);
        }
        let [order, payment, inventory, shipping] = addresses[..] else {
            unreachable!("there are four services")
        };
        Ok(Supervised { watchers, addresses: Addresses { order, payment, inventory, shipping } })
    }

    /// Where they are. A process that is started again is there as well.
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Lets them end in good order, and waits until they have.
    pub(crate) fn stop(mut self) {
        stop(&mut self.watchers);
    }
}

fn stop(watchers: &mut [Watcher]) {
    for watcher in watchers.iter() {
        let mut state = watcher.shared.lock();
        state.is_stopping = true;
        state.input = None;
        watcher.shared.changed.notify_all();
    }
    for watcher in watchers {
        if let Some(thread) = watcher.thread.take() {
            // A watcher that panicked has said so.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, unless or until the services are to stop; says whether they are.
    fn rest(&self, most: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), most, |state| !state.is_stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_stopping
    }
}

/// Starts one process and the thread that watches it.
fn watch(launch: &Launch, name: ServiceName) -> Result<(Watcher, SocketAddr), String> {
    let state = Mutex::new(State { is_stopping: false, input: None });
    let shared = Arc::new(Shared { state, changed: Condvar::new() });
    let place = ServiceName::ALL.iter().position(|other| *other == name).expect("it is one of them");
    let place = u16::try_from(place).expect("there are four");
    let port = match launch.first_port {
        0 => 0,
        first => first.checked_add(place).ok_or("the ports end at 65535: choose a lower --services-port")?,
    };
    let running = launch.spawn(name, port, &shared)?;
    let address = running.address;
    say(&format!("The {name} service is open: http://{address}  (process {})", running.process));
    let thread = {
        let (shared, launch) = (Arc::clone(&shared), launch.clone());
        std::thread::spawn(move || keep_running(&launch, name, running, &shared))
    };
    Ok((Watcher { shared, thread: Some(thread) }, address))
}

/// Waits for the end of a process, and starts it again, until the services are to stop.
fn keep_running(launch: &Launch, name: ServiceName, first: Running, shared: &Arc<Shared>) {
    let port = first.address.port();
    let mut running = Some(first);
    let mut rest = REST_MIN;
    loop {
        let began = Instant::now();
        let ended = match running.take() {
            Some(mut running) => describe(running.child.wait()),
            None => "it did not start".to_owned(),
        };
        if shared.lock().is_stopping {
            return;
        }
        rest = if began.elapsed() >= LIFE_MIN { REST_MIN } else { REST_MAX.min(rest * 2) };
        say(&format!("The {name} service has ended ({ended}). It is started again."));
        if shared.rest(rest) {
            return;
        }
        match launch.spawn(name, port, shared) {
            Ok(again) => {
                say(&format!(
                    "The {name} service is open again: http://{}  (process {})",
                    again.address, again.process
                ));
                running = Some(again);
            }
            Err(why) => complain(&why),
        }
    }
}

impl Launch {
    /// Starts a process, and waits until it says where it is.
    fn spawn(&self, name: ServiceName, port: u16, shared: &Shared) -> Result<Running, String> {
        let program = std::env::current_exe()
            .map_err(|error| format!("this program does not know where its file is: {error}"))?;
        let mut child = self
            .command(&program, name, port)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        {
            let mut state = shared.lock();
            // When they are to stop, the pipe is closed here, and the process ends as soon as it looks.
            state.input = if state.is_stopping { None } else { input };
        }
        let mut line = String::new();
        let said = output.map(|output| BufReader::new(output).read_line(&mut line));
        let found = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        match (said, found.and_then(|address| address.parse().ok())) {
            (Some(Ok(_)), Some(address)) => {
                let process = child.id();
                Ok(Running { child, address, process })
            }
            _ => {
                let ended = describe(child.wait());
                Err(format!("the {name} service did not start ({ended}): what it says is above"))
            }
        }
    }

    fn command(&self, program: &Path, name: ServiceName, port: u16) -> Command {
        let mut command = Command::new(program);
        command.args(["demo-service", name.as_str(), "--until-input-closes", "--port", &port.to_string()]);
        command.arg("--data").arg(&self.data);
        if let Some(stock) = &self.stock {
            command.args(["--stock", stock]);
        }
        command.args(&self.arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C in a terminal is for this process: it ends its sagas first, and then the services.
        command.process_group(0);
        command
    }
}

fn describe(ended: std::io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}
