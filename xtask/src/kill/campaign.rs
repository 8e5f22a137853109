//! The campaign: load, kill, restart, again and again, and the check at the end.
//!
//! Owns the loop of rounds and the instants of the kills.
//! Promises that a seed brings back every decision of the clients and every instant of a kill, as far as a real
//! process repeats itself; and that a campaign in which nothing was acknowledged never counts as passed.
//! Does not print its result: that is the report's. Start reading at `Plan::run`.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::check::Held;
use super::client::Load;
use super::crew::Bell;
use super::order::OrderKey;
use super::process::{Launch, NotUp, Server, panic_in};
use super::random::{Random, Seed, Stream};
use super::record::{Record, Tally};
use super::settle::Settle;
use super::violation::{Kind, Violation, Violations};

/// What a campaign is to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The `amends` that is killed.
    pub(crate) binary: PathBuf,
    /// How often it is killed under load.
    pub(crate) rounds: u32,
    /// What decisions and instants come from.
    pub(crate) seed: Seed,
    /// How many clients post at once.
    pub(crate) clients: u16,
    /// The data directory; a fresh temporary one when there is none.
    pub(crate) data: Option<PathBuf>,
    /// Whether a temporary directory stays even if all is well.
    pub(crate) keeps_data: bool,
    /// The deliberately broken variant, in a build that has some.
    pub(crate) sabotage: Option<String>,
    /// When everything is checked.
    pub(crate) checks: Checks,
}

/// When everything is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checks {
    /// After the last round.
    AtTheEnd,
    /// After each round.
    AfterEachRound,
}

/// How a campaign went.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The figures.
    pub(crate) summary: Summary,
    /// What was found wrong.
    pub(crate) violations: Violations,
    /// Where the data is, if it was kept.
    pub(crate) kept: Option<PathBuf>,
}

/// The figures of a campaign.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    /// What brings it back.
    pub(crate) seed: Seed,
    /// Rounds played.
    pub(crate) rounds: u32,
    /// Kills, those during start-up included.
    pub(crate) kills: u32,
    /// What the clients counted.
    pub(crate) tally: Tally,
    /// What the shop held at the end, if it could be looked at.
    pub(crate) held: Option<Held>,
    /// The longest time from a start after a kill to the first healthy answer.
    pub(crate) worst_restart: Duration,
    /// How long it all took.
    pub(crate) took: Duration,
}

/// Why a campaign says nothing.
#[derive(Debug)]
pub(crate) struct CouldNotRun(pub(crate) String);

impl Plan {
    /// Carries it out.
    ///
    /// # Errors
    /// The campaign could not be run, which says nothing about the product.
    pub(crate) fn run(&self) -> Result<Outcome, CouldNotRun> {
        let began = Instant::now();
        let place = Place::prepare(self.data.as_deref())?;
        let log = place.work.path().join("demo.log");
        let launch = Launch::new(&self.binary, &place.data, log.clone(), self.sabotage.as_deref())
            .map_err(|error| CouldNotRun(format!("no free port on 127.0.0.1: {error}")))?;
        let mut campaign = Campaign {
            plan: self,
            launch,
            record: Mutex::new(Record::new(self.clients)),
            violations: Mutex::new(Violations::default()),
            kills: 0,
            worst_restart: Duration::ZERO,
            held: None,
        };
        let rounds = campaign.play()?;
        if let Ok(Some(panic)) = panic_in(&log) {
            campaign.note(Violation::new(Kind::Panicked, log.display().to_string(), "no panic", panic));
        }
        let tally = campaign.record().tally();
        let violations = campaign.violations.into_inner().expect("nobody panics while holding it");
        if violations.is_empty() && tally.completed + tally.compensated == 0 {
            return Err(CouldNotRun(
                "no order was acknowledged in any round, so nothing was proved".to_owned(),
            ));
        }
        let summary = Summary {
            seed: self.seed,
            rounds,
            kills: campaign.kills,
            tally,
            held: campaign.held,
            worst_restart: campaign.worst_restart,
            took: began.elapsed(),
        };
        let kept = place.leave(self.keeps_data || !violations.is_empty());
        Ok(Outcome { summary, violations, kept })
    }
}

/// A campaign under way.
struct Campaign<'a> {
    plan: &'a Plan,
    launch: Launch,
    record: Mutex<Record>,
    violations: Mutex<Violations>,
    kills: u32,
    worst_restart: Duration,
    held: Option<Held>,
}

impl Campaign<'_> {
    /// Plays the rounds until one finds something, lets everything come to rest, and says how many were played.
    fn play(&mut self) -> Result<u32, CouldNotRun> {
        let mut progress = Progress::new(self.plan.rounds);
        for round in 0..self.plan.rounds {
            self.play_round(round)?;
            if self.plan.checks == Checks::AfterEachRound {
                self.settle(round)?;
            }
            progress.after(round + 1, self.record().tally());
            // Whatever comes after a violation is no longer the product's normal life, and would bury the finding.
            if self.has_found_something() {
                break;
            }
        }
        progress.end();
        let rounds = progress.played;
        if self.plan.checks == Checks::AtTheEnd {
            self.settle(rounds)?;
        }
        Ok(rounds)
    }

    fn play_round(&mut self, round: u32) -> Result<(), CouldNotRun> {
        let Some(mut server) = self.start()? else { return Ok(()) };
        let mut random = Random::new(self.plan.seed, Stream::Round { round });
        self.repeat_some(round);
        let lifetime = drawn(&mut random, LOAD_MILLISECONDS);
        self.load(round, &mut server, lifetime)?;
        self.kill(server)?;
        let again = match random.below(100) {
            ..TWICE_BELOW => 2,
            TWICE_BELOW..ONCE_BELOW => 1,
            _ => 0,
        };
        for _ in 0..again {
            self.kill_during_start(drawn(&mut random, START_MILLISECONDS))?;
        }
        Ok(())
    }

    /// Starts the process and waits until it is up; none if a kill left something it does not come up on.
    fn start(&mut self) -> Result<Option<Server>, CouldNotRun> {
        let mut server = self.launch.start().map_err(|error| self.cannot_start(&error))?;
        match server.wait_until_up() {
            Ok(took) => {
                if self.kills > 0 {
                    self.worst_restart = self.worst_restart.max(took);
                }
                Ok(Some(server))
            }
            Err(why @ NotUp::Unwatched(_)) => Err(CouldNotRun(why.to_string())),
            Err(why @ (NotUp::Exited(_) | NotUp::TooSlow)) => {
                let got = format!("{why}; it wrote:\n{}", server.last_words());
                if self.kills == 0 {
                    return Err(CouldNotRun(format!("`{}` did not come up: {got}", self.launch.typed())));
                }
                self.note(Violation::new(Kind::DidNotRestart, self.launch.typed(), "it comes up", got));
                Ok(None)
            }
        }
    }

    /// Repeats a sample of answered keys right after the restart.
    fn repeat_some(&self, round: u32) {
        let mut random = Random::new(self.plan.seed, Stream::Sample { round });
        let keys: Vec<OrderKey> = self.record().sample(SAMPLE_KEYS, &mut random);
        // Whatever hinders it is noted as a violation, and that ends the rounds.
        let _ = self.settlement(round).repeat(&keys);
    }

    /// Lets the clients post for that long. They are called off just before the kill, so that an answer which does
    /// not come before is told from one that dies with the process.
    fn load(&self, round: u32, server: &mut Server, lifetime: Duration) -> Result<(), CouldNotRun> {
        let load = Load {
            port: self.launch.port(),
            seed: self.plan.seed,
            round,
            clients: self.plan.clients,
            record: &self.record,
            violations: &self.violations,
            bell: Bell::default(),
            lost: Mutex::new(Vec::new()),
        };
        let ended = load.run(|| {
            load.bell.wait(lifetime);
            let ended = server.exit_status();
            load.bell.ring();
            // Now, and not after the clients have gone: those who wait for an answer must not get it.
            server.strike().and(ended)
        });
        match ended.map_err(|error| cannot_kill(&error))? {
            Some(status) => {
                let got = format!("{status}; it wrote:\n{}", server.last_words());
                self.note(Violation::new(
                    Kind::ExitedByItself,
                    format!("round {round}"),
                    "it lives until killed",
                    got,
                ));
            }
            None => {
                let lost = load.lost.into_inner().expect("nobody panics while holding it");
                self.violations.lock().expect("nobody panics while holding it").extend(lost);
            }
        }
        Ok(())
    }

    fn kill(&mut self, server: Server) -> Result<(), CouldNotRun> {
        server.kill().map_err(|error| cannot_kill(&error))?;
        self.kills += 1;
        Ok(())
    }

    /// Starts the process and kills it that much later, up or not.
    fn kill_during_start(&mut self, lifetime: Duration) -> Result<(), CouldNotRun> {
        let mut server = self.launch.start().map_err(|error| self.cannot_start(&error))?;
        thread::sleep(lifetime);
        if let Some(status) = server.exit_status().map_err(|error| cannot_kill(&error))? {
            let got = format!("it ended by itself ({status}); it wrote:\n{}", server.last_words());
            self.note(Violation::new(Kind::DidNotRestart, self.launch.typed(), "it comes up", got));
        }
        self.kill(server)
    }

    /// Starts the process once more, lets everything come to rest, checks it, and stops the process.
    fn settle(&mut self, round: u32) -> Result<(), CouldNotRun> {
        let Some(mut server) = self.start()? else { return Ok(()) };
        self.held = self.settlement(round).run().ok();
        if let Some(status) = server.exit_status().map_err(|error| cannot_kill(&error))? {
            let got = format!("{status}; it wrote:\n{}", server.last_words());
            self.note(Violation::new(
                Kind::ExitedByItself,
                "after the last kill",
                "it lives until killed",
                got,
            ));
        }
        server.kill().map_err(|error| cannot_kill(&error))
    }

    fn settlement(&self, round: u32) -> Settle<'_> {
        Settle {
            port: self.launch.port(),
            seed: self.plan.seed,
            round,
            clients: self.plan.clients,
            record: &self.record,
            violations: &self.violations,
        }
    }

    fn cannot_start(&self, error: &io::Error) -> CouldNotRun {
        CouldNotRun(format!("`{}` could not be started: {error}", self.launch.typed()))
    }

    fn has_found_something(&self) -> bool {
        !self.violations.lock().expect("nobody panics while holding it").is_empty()
    }

    fn note(&self, violation: Violation) {
        self.violations.lock().expect("nobody panics while holding it").add(violation);
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().expect("nobody panics while holding the record")
    }
}

fn cannot_kill(error: &io::Error) -> CouldNotRun {
    CouldNotRun(format!("the process could not be watched or killed: {error}"))
}

fn drawn(random: &mut Random, milliseconds: std::ops::RangeInclusive<u64>) -> Duration {
    // To the microsecond: a kill must be able to fall between any two instructions.
    Duration::from_micros(random.within(milliseconds.start() * 1_000..=milliseconds.end() * 1_000))
}

/// Where the campaign keeps things.
struct Place {
    work: TempDir,
    data: PathBuf,
}

impl Place {
    fn prepare(wanted: Option<&Path>) -> Result<Place, CouldNotRun> {
        let work = tempfile::Builder::new()
            .prefix("amends-kill-")
            .tempdir()
            .map_err(|error| CouldNotRun(format!("no temporary directory: {error}")))?;
        let data = wanted.map_or_else(|| work.path().join("data"), Path::to_owned);
        // Orders of an earlier campaign would all be strange ones.
        if fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_some()) {
            let hint = "name one that is empty or does not exist yet";
            return Err(CouldNotRun(format!("the data directory {} is not empty: {hint}", data.display())));
        }
        Ok(Place { work, data })
    }

    /// Goes, and leaves the directory behind if wanted: the data and everything the process wrote.
    fn leave(self, keeps: bool) -> Option<PathBuf> {
        keeps.then(|| self.work.keep())
    }
}

/// Says on standard error how far the campaign is: in place on a terminal, in a plain line now and then elsewhere.
struct Progress {
    rounds: u32,
    played: u32,
    is_terminal: bool,
}

impl Progress {
    fn new(rounds: u32) -> Progress {
        Progress { rounds, played: 0, is_terminal: io::stderr().is_terminal() }
    }

    fn after(&mut self, played: u32, tally: Tally) {
        self.played = played;
        let orders = tally.completed + tally.compensated;
        let line = format!("round {played} of {}, {orders} orders acknowledged", self.rounds);
        // Progress that cannot be shown is no reason to stop.
        let _ = if self.is_terminal {
            write!(io::stderr(), "\r{line}")
        } else if played.is_multiple_of(PLAIN_LINE_ROUNDS) {
            writeln!(io::stderr(), "{line}")
        } else {
            Ok(())
        };
    }

    fn end(&self) {
        if self.is_terminal && self.played > 0 {
            let _ = writeln!(io::stderr());
        }
    }
}

/// How long the process lives under load. Short, so that it is often killed while recovering; long enough for whole sagas.
const LOAD_MILLISECONDS: std::ops::RangeInclusive<u64> = 20..=400;
/// When a start is cut short: a start takes some tens of milliseconds, recovery included.
const START_MILLISECONDS: std::ops::RangeInclusive<u64> = 0..=80;
/// Rounds followed by two kills during start-up.
const TWICE_BELOW: u64 = 8;
/// Up to here: rounds followed by one.
const ONCE_BELOW: u64 = TWICE_BELOW + 22;
/// Answered keys that are asked for again after each restart.
const SAMPLE_KEYS: usize = 50;
/// Rounds between two plain lines of progress.
const PLAIN_LINE_ROUNDS: u32 = 50;
