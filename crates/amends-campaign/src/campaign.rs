//! The campaign: load, kill, restart, again and again, and the check at the end.
//!
//! Owns the loop of rounds and the instants of the kills.
//! Promises that a seed brings back every decision of the clients and every instant of a kill, as far as a
//! real process repeats itself; and that a campaign in which nothing was acknowledged never counts as passed.
//! Does not print its result: that is the report's. Start reading at `Plan::run`.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::check::Held;
use super::client::Load;
use super::could_not_run::CouldNotRun;
use super::crew::Bell;
use super::order::OrderKey;
use super::place::{Kept, Place};
use super::process::{Launch, NotUp, Server, Services, panic_in};
use super::progress::Progress;
use super::random::{Random, Seed, Stream};
use super::record::Tally;
use super::scene::Scene;
use super::settle::Settle;
use super::violation::{Kind, Violation, Violations};

/// What a campaign is to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) binary: PathBuf,
    /// How often it is killed under load.
    pub(crate) rounds: u32,
    pub(crate) seed: Seed,
    pub(crate) clients: u16,
    /// The data directory; a fresh temporary one when there is none.
    pub(crate) data: Option<PathBuf>,
    /// Whether a temporary directory stays even if all is well.
    pub(crate) keeps_data: bool,
    /// The deliberately broken variant, in a build that has some.
    pub(crate) sabotage: Option<String>,
    pub(crate) checks: Checks,
    /// Whether the services are processes of their own, which are killed as well.
    pub(crate) services: Services,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checks {
    AtTheEnd,
    AfterEachRound,
}

/// How a campaign went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) summary: Summary,
    pub(crate) violations: Violations,
    pub(crate) kept: Option<Kept>,
}

/// The figures of a campaign.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) seed: Seed,
    pub(crate) rounds: u32,
    /// Kills, those during start-up included.
    pub(crate) kills: u32,
    /// Kills of services that are processes of their own.
    pub(crate) service_kills: u32,
    pub(crate) tally: Tally,
    /// What the shop held at the end, if it could be looked at.
    pub(crate) held: Option<Held>,
    /// The longest time from a start after a kill to the first healthy answer.
    pub(crate) worst_restart: Duration,
    pub(crate) took: Duration,
}

impl Plan {
    pub(crate) fn run(&self) -> Result<Outcome, CouldNotRun> {
        let began = Instant::now();
        let place = Place::prepare(self.data.as_deref())?;
        prove_it_starts(&self.launch(&place, &place.trial)?)?;
        let launch = self.launch(&place, &place.data)?;
        let mut campaign = Campaign {
            plan: self,
            scene: Scene::new(launch.port(), self.seed, self.clients),
            launch,
            kills: 0,
            service_kills: 0,
            worst_restart: Duration::ZERO,
            held: None,
        };
        let rounds = campaign.play()?;
        if let Ok(Some(panic)) = panic_in(&place.log) {
            campaign.scene.note(Violation::new(
                Kind::Panicked,
                place.log.display().to_string(),
                "no panic",
                panic,
            ));
        }
        let tally = campaign.scene.record().tally();
        let violations = std::mem::take(&mut *campaign.scene.violations());
        if violations.is_empty() && tally.completed + tally.compensated == 0 {
            return Err(CouldNotRun(
                "no order was acknowledged in any round, so nothing was proved".to_owned(),
            ));
        }
        let summary = Summary {
            seed: self.seed,
            rounds,
            kills: campaign.kills,
            service_kills: campaign.service_kills,
            tally,
            held: campaign.held,
            worst_restart: campaign.worst_restart,
            took: began.elapsed(),
        };
        let kept = place.leave(self.keeps_data || !violations.is_empty());
        Ok(Outcome { summary, violations, kept })
    }

    fn launch(&self, place: &Place, data: &Path) -> Result<Launch, CouldNotRun> {
        Launch::new(&self.binary, data, place.log.clone(), self.services, self.sabotage.as_deref())
            .map_err(|error| CouldNotRun(format!("no free port on 127.0.0.1: {error}")))
    }
}

/// Starts the process once where nothing was ever killed: if it fails there, the campaign cannot be run; if
/// it fails later, a kill did it.
fn prove_it_starts(launch: &Launch) -> Result<(), CouldNotRun> {
    let mut server = launch.start().map_err(|error| cannot_start(launch, &error))?;
    if let Err(why) = server.wait_until_up() {
        let (command, words) = (launch.typed(), server.last_words());
        return Err(CouldNotRun(format!("`{command}` did not come up: {why}; it wrote:\n{words}")));
    }
    server.kill().map_err(|error| cannot_kill(&error))
}

/// A campaign under way.
struct Campaign<'a> {
    plan: &'a Plan,
    launch: Launch,
    scene: Scene,
    kills: u32,
    service_kills: u32,
    worst_restart: Duration,
    held: Option<Held>,
}

impl Campaign<'_> {
    /// Plays the rounds until one finds something, lets everything come to rest, and says how many were
    /// played.
    fn play(&mut self) -> Result<u32, CouldNotRun> {
        let mut progress = Progress::new(self.plan.rounds);
        self.kill_first_starts()?;
        for round in 0..self.plan.rounds {
            self.play_round(round)?;
            if self.plan.checks == Checks::AfterEachRound {
                self.settle(round)?;
            }
            progress.after(round + 1, self.scene.record().tally());
            // Whatever comes after a violation is no longer the product's normal life, and would bury the
            // finding.
            if !self.scene.violations().is_empty() {
                break;
            }
        }
        progress.end();
        let rounds = progress.played();
        if self.plan.checks == Checks::AtTheEnd {
            self.settle(rounds)?;
        }
        Ok(rounds)
    }

    /// Kills the process a few times while it makes its data directory, which happens only once in its life.
    fn kill_first_starts(&mut self) -> Result<(), CouldNotRun> {
        let mut random = Random::new(self.plan.seed, Stream::FirstStarts);
        for _ in 0..random.within(0..=FIRST_STARTS_KILLED_MAX) {
            self.kill_during_start(drawn(&mut random, self.start_milliseconds()))?;
        }
        Ok(())
    }

    fn play_round(&mut self, round: u32) -> Result<(), CouldNotRun> {
        let Some(mut server) = self.start()? else { return Ok(()) };
        let mut random = Random::new(self.plan.seed, Stream::Round { round });
        self.repeat_some(round);
        let lifetime = drawn(&mut random, self.load_milliseconds());
        self.load(round, &mut server, lifetime)?;
        self.kill(server)?;
        let again = match random.below(100) {
            ..TWICE_BELOW => 2,
            TWICE_BELOW..ONCE_BELOW => 1,
            _ => 0,
        };
        for _ in 0..again {
            self.kill_during_start(drawn(&mut random, self.start_milliseconds()))?;
        }
        Ok(())
    }

    fn load_milliseconds(&self) -> RangeInclusive<u64> {
        match self.plan.services {
            Services::Inside => LOAD_MILLISECONDS,
            Services::Apart => LOAD_MILLISECONDS_APART,
        }
    }

    fn start_milliseconds(&self) -> RangeInclusive<u64> {
        match self.plan.services {
            Services::Inside => START_MILLISECONDS,
            Services::Apart => START_MILLISECONDS_APART,
        }
    }

    /// Kills services at random instants of that time, and a few more at its end, when the coordinator is about to be
    /// killed as well. Says how many there were.
    fn strike_services(&self, round: u32, server: &Server, lifetime: Duration, bell: &Bell) -> u32 {
        let count = u64::try_from(server.services()).expect("there are few services");
        if count == 0 {
            bell.wait(lifetime);
            return 0;
        }
        let mut random = Random::new(self.plan.seed, Stream::Services { round });
        let place = |random: &mut Random| usize::try_from(random.below(count)).expect("an index");
        let whole = u64::try_from(lifetime.as_micros()).expect("a round is short");
        let mut instants: Vec<u64> =
            (0..random.within(0..=SERVICES_KILLED_MAX)).map(|_| random.within(0..=whole)).collect();
        instants.sort_unstable();
        let began = Instant::now();
        let mut strikes = 0;
        for instant in instants {
            bell.wait(Duration::from_micros(instant).saturating_sub(began.elapsed()));
            strikes += u32::from(server.strike_service(place(&mut random)));
        }
        bell.wait(lifetime.saturating_sub(began.elapsed()));
        for _ in 0..random.within(0..=TOGETHER_KILLED_MAX) {
            strikes += u32::from(server.strike_service(place(&mut random)));
        }
        strikes
    }

    /// Starts the process and waits until it is up; none if a kill left something it does not come up on.
    fn start(&mut self) -> Result<Option<Server>, CouldNotRun> {
        let mut server = self.launch.start().map_err(|error| cannot_start(&self.launch, &error))?;
        match server.wait_until_up() {
            Ok(took) => {
                self.worst_restart = self.worst_restart.max(took);
                Ok(Some(server))
            }
            Err(why @ NotUp::Unwatched(_)) => Err(CouldNotRun(why.to_string())),
            Err(why @ (NotUp::Exited(_) | NotUp::TooSlow)) => {
                let got = format!("{why}; it wrote:\n{}", server.last_words());
                self.scene.note(Violation::new(Kind::DidNotRestart, self.launch.typed(), "it comes up", got));
                Ok(None)
            }
        }
    }

    /// Repeats a sample of answered keys right after the restart.
    fn repeat_some(&self, round: u32) {
        let mut random = Random::new(self.plan.seed, Stream::Sample { round });
        let keys: Vec<OrderKey> = self.scene.record().sample(SAMPLE_KEYS, &mut random);
        // Whatever hinders it is noted as a violation, and that ends the rounds.
        let _ = self.settlement(round).repeat(&keys);
    }

    /// Lets the clients post for that long. They are called off just before the kill, so that an answer which
    /// does not come before is told from one that dies with the process.
    fn load(&mut self, round: u32, server: &mut Server, lifetime: Duration) -> Result<(), CouldNotRun> {
        let load = Load { scene: &self.scene, round, bell: Bell::default(), lost: Mutex::default() };
        let mut strikes = 0;
        let ended = load.run(|| {
            strikes = self.strike_services(round, server, lifetime, &load.bell);
            let ended = server.exit_status();
            load.bell.ring();
            // Now, and not after the clients have gone: those who wait for an answer must not get it.
            server.strike().and(ended)
        });
        let lost = load.lost.into_inner().expect("nobody panics while holding it");
        self.service_kills += strikes;
        match ended.map_err(|error| cannot_kill(&error))? {
            Some(status) => {
                self.note_exit(server, status, format!("round {round}"));
            }
            None => self.scene.violations().extend(lost),
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
        let mut server = self.launch.start().map_err(|error| cannot_start(&self.launch, &error))?;
        thread::sleep(lifetime);
        if let Some(status) = server.exit_status().map_err(|error| cannot_kill(&error))? {
            let got = format!("it ended by itself ({status}); it wrote:\n{}", server.last_words());
            self.scene.note(Violation::new(Kind::DidNotRestart, self.launch.typed(), "it comes up", got));
        }
        self.kill(server)
    }

    /// Starts the process once more, lets everything come to rest, checks it, and stops the process.
    fn settle(&mut self, round: u32) -> Result<(), CouldNotRun> {
        let Some(mut server) = self.start()? else { return Ok(()) };
        self.held = self.settlement(round).run().ok();
        if let Some(status) = server.exit_status().map_err(|error| cannot_kill(&error))? {
            self.note_exit(&server, status, "after the last kill".to_owned());
        }
        server.kill().map_err(|error| cannot_kill(&error))
    }

    fn settlement(&self, round: u32) -> Settle<'_> {
        Settle { scene: &self.scene, round }
    }

    /// Notes that the process did not live as long as it should.
    fn note_exit(&self, server: &Server, status: ExitStatus, when: String) {
        let got = format!("{status}; it wrote:\n{}", server.last_words());
        self.scene.note(Violation::new(Kind::ExitedByItself, when, "it lives until killed", got));
    }
}

fn cannot_start(launch: &Launch, error: &io::Error) -> CouldNotRun {
    CouldNotRun(format!("`{}` could not be started: {error}", launch.typed()))
}

fn cannot_kill(error: &io::Error) -> CouldNotRun {
    CouldNotRun(format!("the process could not be watched or killed: {error}"))
}

fn drawn(random: &mut Random, milliseconds: RangeInclusive<u64>) -> Duration {
    // To the microsecond: a kill must be able to fall between any two instructions.
    Duration::from_micros(random.within(milliseconds.start() * 1_000..=milliseconds.end() * 1_000))
}

/// How long the process lives under load. Short, so that it is often killed while recovering; long enough for
/// whole sagas.
const LOAD_MILLISECONDS: RangeInclusive<u64> = 20..=400;
/// The same with services that are processes of their own: long enough for one to be killed and to come again.
const LOAD_MILLISECONDS_APART: RangeInclusive<u64> = 50..=1_500;
/// When a start is cut short: a start takes some tens of milliseconds, recovery included.
const START_MILLISECONDS: RangeInclusive<u64> = 0..=80;
/// The same when four services are started as well.
const START_MILLISECONDS_APART: RangeInclusive<u64> = 0..=300;
/// Services that are killed in a round while the coordinator lives.
const SERVICES_KILLED_MAX: u64 = 4;
/// Services that are killed together with it.
const TOGETHER_KILLED_MAX: u64 = 3;
/// How often the process is killed before it was up for the first time.
const FIRST_STARTS_KILLED_MAX: u64 = 3;
/// Rounds followed by two kills during start-up.
const TWICE_BELOW: u64 = 8;
/// Up to here: rounds followed by one.
const ONCE_BELOW: u64 = TWICE_BELOW + 22;
/// Answered keys that are asked for again after each restart.
const SAMPLE_KEYS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(binary: &str) -> Plan {
        Plan {
            binary: binary.into(),
            rounds: 1,
            seed: "1".parse().unwrap(),
            clients: 1,
            data: None,
            keeps_data: false,
            sabotage: None,
            checks: Checks::AtTheEnd,
            services: Services::Inside,
        }
    }

    fn why(plan: &Plan) -> String {
        plan.run().unwrap_err().0
    }

    #[test]
    fn a_binary_that_is_not_there_proves_nothing() {
        let why = why(&plan("/nowhere/amends"));
        assert!(
            why.starts_with("`/nowhere/amends demo --port ") && why.contains("could not be started"),
            "{why}"
        );
    }

    #[test]
    fn a_binary_that_ends_at_once_proves_nothing() {
        let why = why(&plan("false"));
        assert!(why.contains("did not come up: it ended by itself (exit status: 1)"), "{why}");
    }

    #[test]
    fn a_data_directory_in_use_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "mine").unwrap();
        let why = why(&Plan { data: Some(directory.path().to_owned()), ..plan("false") });
        assert!(why.contains("is not empty"), "{why}");
        assert_eq!(std::fs::read_to_string(directory.path().join("file")).unwrap(), "mine");
    }
}
