//! `cargo xtask participants`: the example participants, each against a real server.
//!
//! Owns what every participant in `examples/participants` is held to: a saga that completes, one that is undone, the
//! first answer to a repeated call (also after SIGKILL), an undo that comes first, and signatures. Promises that a
//! language whose tools are missing is named as *not run*, never as passed. Does not install anything.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::cargo;

/// The command line.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this one.
    #[arg(long)]
    only: Option<Language>,
    /// The binary `amends` to try them with, instead of one that is built.
    #[arg(long)]
    amends: Option<PathBuf>,
}

/// A language that there is a participant in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    Rust,
    Go,
    Python,
    Typescript,
    Java,
}

const ALL: [Language; 5] =
    [Language::Rust, Language::Go, Language::Python, Language::Typescript, Language::Java];

/// What came of one language.
enum Verdict {
    Passed,
    /// Its tools are not there.
    NotRun(String),
}

/// How many languages did what.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    not_run: usize,
    failed: usize,
}

impl Tally {
    /// Whether nothing went wrong. What was not run did not.
    pub(crate) fn is_sound(&self) -> bool {
        self.failed == 0
    }
}

/// The secret of the examples, made for them alone.
const SECRET: &str = "whsec_c2VhdHMtb2YtdGhlLWV4YW1wbGUtcGFydGljaXBhbnRz";

/// How long a program may take to listen: a virtual machine on a busy computer.
const START_MAX: Duration = Duration::from_secs(60);

/// Carries out `cargo xtask participants`.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let built = match &arguments.amends {
        Some(path) => Ok(path.clone()),
        None => cargo::build_amends().map_err(|error| error.to_string()),
    };
    match built.and_then(|amends| try_all(&amends, arguments.only)) {
        Ok(tally) if tally.is_sound() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("participants: {why}");
            ExitCode::from(2)
        }
    }
}

/// Tries every participant, or the only one, and prints what came of each.
///
/// # Errors
/// When they could not be tried.
pub(crate) fn try_all(amends: &Path, only: Option<Language>) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for language in ALL.into_iter().filter(|language| only.is_none_or(|only| only == *language)) {
        let name = language.name();
        match language.try_it(amends) {
            Ok(Verdict::Passed) => {
                tally.passed += 1;
                println!("{name}: passed");
            }
            Ok(Verdict::NotRun(why)) => {
                tally.not_run += 1;
                println!("{name}: *not run*: {why}");
            }
            Err(why) => {
                tally.failed += 1;
                println!("{name}: FAILED: {why}");
            }
        }
    }
    let Tally { passed, not_run, failed } = tally;
    println!("{passed} passed, {failed} failed, {not_run} not run");
    Ok(tally)
}

impl Language {
    const fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Go => "Go",
            Self::Python => "Python",
            Self::Typescript => "TypeScript",
            Self::Java => "Java",
        }
    }

    fn try_it(self, amends: &Path) -> Result<Verdict, String> {
        let folder = Folder::new(self.name())?;
        let program = match self.program(&folder.0)? {
            Ok(program) => program,
            Err(missing) => return Ok(Verdict::NotRun(missing)),
        };
        let mut scene = Scene::set(amends, &folder.0, program)?;
        scene.a_saga_completes_and_one_is_undone("BookSeats")?;
        if self == Self::Go {
            scene.a_saga_completes_and_one_is_undone("BookSeatsSlowly")?;
        }
        scene.the_same_key_gets_the_first_answer()?;
        scene.an_undo_that_comes_first_blocks_the_action()?;
        scene.what_is_not_signed_is_not_done()?;
        Ok(Verdict::Passed)
    }

    /// The program with its first arguments, or what is missing to run it.
    fn program(self, folder: &Path) -> Result<Result<Vec<String>, String>, String> {
        let sources = cargo::workspace_root().join("examples/participants");
        let source = |path: &str| sources.join(path).to_string_lossy().into_owned();
        let built = folder.join("participant").to_string_lossy().into_owned();
        let missing = |tool: &str| Ok(Err(format!("`{tool}` is not installed")));
        match self {
            Self::Rust => {
                let built = cargo::build_example("amends-participant", "seats");
                Ok(Ok(vec![built.map_err(|error| error.to_string())?.to_string_lossy().into_owned()]))
            }
            Self::Go if version("go", "version").is_none() => missing("go"),
            Self::Go => {
                call("go", &["build", "-o", &built, &source("go/participant.go")])?;
                Ok(Ok(vec![built]))
            }
            Self::Python if version("python3", "--version").is_none() => missing("python3"),
            Self::Python => Ok(Ok(vec!["python3".to_owned(), source("python/participant.py")])),
            Self::Typescript => typescript(&sources.join("typescript"), &built),
            Self::Java => match version("java", "-version").as_deref().and_then(first_number) {
                None => missing("java"),
                Some(major) if major < 17 => Ok(Err(format!("Java {major} is too old, it takes 17"))),
                Some(_) => Ok(Ok(vec!["java".to_owned(), source("java/Participant.java")])),
            },
        }
    }
}

/// Node itself runs TypeScript from 22.18 on; before, a compiler has to be there.
fn typescript(sources: &Path, built: &str) -> Result<Result<Vec<String>, String>, String> {
    let Some(node) = version("node", "--version") else {
        return Ok(Err("`node` is not installed".to_owned()));
    };
    let mut numbers =
        node.trim_start_matches('v').split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let node_version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if node_version >= (22, 18) {
        let source = sources.join("participant.ts").to_string_lossy().into_owned();
        return Ok(Ok(vec!["node".to_owned(), source]));
    }
    let compiler = sources.join("node_modules/.bin/tsc");
    if !compiler.exists() {
        return Ok(Err(format!(
            "Node {} does not run TypeScript by itself (22.18 does); `npm install` in examples/participants/typescript brings its compiler",
            node.trim()
        )));
    }
    let project = sources.to_string_lossy();
    call(&compiler.to_string_lossy(), &["--project", &project, "--outDir", built])?;
    fs::write(Path::new(built).join("package.json"), r#"{"type":"module"}"#).map_err(text)?;
    Ok(Ok(vec!["node".to_owned(), format!("{built}/participant.js")]))
}

/// What a tool says of its version; `None`: it is not there. Java says it on the wrong stream.
fn version(tool: &str, flag: &str) -> Option<String> {
    let output = Command::new(tool).arg(flag).stdin(Stdio::null()).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    output.status.success().then(|| String::from_utf8_lossy(&said).trim().to_owned())
}

fn first_number(text: &str) -> Option<u32> {
    text.split(|letter: char| !letter.is_ascii_digit()).find(|part| !part.is_empty())?.parse().ok()
}

fn call(program: &str, arguments: &[&str]) -> Result<(), String> {
    let status =
        Command::new(program).args(arguments).status().map_err(|error| format!("{program}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{program} {}`: {status}", arguments.join(" "))) }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// A folder for one language, which goes away with this.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self, String> {
        let path = env::temp_dir().join(format!("amends-participants-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("definitions")).map_err(text)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with this.
struct Process(Child);

impl Process {
    fn start(program: &[String], more: &[String]) -> Result<Self, String> {
        let [first, rest @ ..] = program else { return Err("no program".to_owned()) };
        let started = Command::new(first)
            .args(rest)
            .args(more)
            .env("AMENDS_SECRET_SEATS", SECRET)
            .env_remove("AMENDS_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        started.map(Self).map_err(|error| format!("{first}: {error}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: nothing is tidied up.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server, and a participant.
struct Scene {
    program: Vec<String>,
    state: String,
    port: u16,
    server: String,
    participant: Option<Process>,
    _server: Process,
    agent: ureq::Agent,
}

/// An answer: its status and its body.
type Said = (u16, String);

impl Scene {
    fn set(amends: &Path, folder: &Path, program: Vec<String>) -> Result<Self, String> {
        let (port, server_port) = (free_port()?, free_port()?);
        let definitions = folder.join("definitions");
        let source = cargo::workspace_root().join("examples/participants/book-seats.yaml");
        let source = fs::read_to_string(source).map_err(text)?.replace(":7000", &format!(":{port}"));
        fs::write(definitions.join("1.yaml"), &source).map_err(text)?;
        let slow =
            source.replace("BookSeats", "BookSeatsSlowly").replace("/reservations,", "/reservations/slowly,");
        fs::write(definitions.join("2.yaml"), slow).map_err(text)?;
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let serve = ["serve", "--port", &server_port.to_string()].map(str::to_owned);
        let places =
            ["--data".to_owned(), path(folder.join("data")), "--definitions".to_owned(), path(definitions)];
        let amends = [path(amends.to_owned())];
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)));
        let mut scene = Self {
            program,
            state: path(folder.join("state")),
            port,
            server: format!("http://127.0.0.1:{server_port}"),
            participant: None,
            _server: Process::start(&amends, &[&serve[..], &places[..]].concat())?,
            agent: config.build().into(),
        };
        scene.start_participant()?;
        scene.wait_for(&format!("{}/ready", scene.server))?;
        Ok(scene)
    }

    /// Starts it, again if it ran: then after a SIGKILL.
    fn start_participant(&mut self) -> Result<(), String> {
        drop(self.participant.take());
        let more = [self.port.to_string(), self.state.clone()];
        self.participant = Some(Process::start(&self.program, &more)?);
        self.wait_for(&format!("http://127.0.0.1:{}/seats", self.port))
    }

    fn wait_for(&self, url: &str) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let answer = self.agent.get(url).call().map(|answer| answer.status().as_u16());
            match answer {
                Ok(200) => return Ok(()),
                _ if began.elapsed() < START_MAX => std::thread::sleep(Duration::from_millis(50)),
                Ok(status) => return Err(format!("{url} answers {status}")),
                Err(error) => return Err(format!("{url}: {error}")),
            }
        }
    }

    fn left(&self) -> Result<i64, String> {
        let url = format!("http://127.0.0.1:{}/seats", self.port);
        let answer = self.agent.get(url).call().map_err(text)?.body_mut().read_to_string().map_err(text)?;
        let answer: Value = serde_json::from_str(&answer).map_err(text)?;
        answer["left"].as_i64().ok_or_else(|| format!("no number of seats in {answer}"))
    }

    fn saga(&self, definition: &str, first_row: u32, second_row: u32) -> Result<(u16, Value), String> {
        let body = json!({
            "definition": definition,
            "input": { "first_row": first_row, "second_row": second_row },
        });
        let mut answer = self
            .agent
            .post(format!("{}/v1/sagas", self.server))
            .content_type("application/json")
            .header("Prefer", "wait=30")
            .send(body.to_string())
            .map_err(text)?;
        let said = answer.body_mut().read_to_string().map_err(text)?;
        let said = serde_json::from_str(&said).map_err(|error| format!("{error} in {said}"))?;
        Ok((answer.status().as_u16(), said))
    }

    fn a_saga_completes_and_one_is_undone(&self, definition: &str) -> Result<(), String> {
        let before = self.left()?;
        let (status, saga) = self.saga(definition, 1, 1)?;
        require(status == 201 && saga["status"] == "completed", "a saga should complete", &saga)?;
        require(self.left()? == before - 2, "a completed saga takes its seats", &saga)?;
        let (status, saga) = self.saga(definition, 1, 50)?;
        let is_undone = status == 409 && saga["failed_step"] == "SecondRow";
        require(is_undone, "a refused step should undo its saga", &saga)?;
        require(saga.to_string().contains("sold_out"), "the participant's own code is in the answer", &saga)?;
        require(self.left()? == before - 2, "an undone saga takes no seats", &saga)
    }

    fn the_same_key_gets_the_first_answer(&mut self) -> Result<(), String> {
        let before = self.left()?;
        let asked = |scene: &Self, seats: u32, key: &str| {
            scene.call("/reservations", key, &json!({ "seats": seats }).to_string(), Some(SECRET))
        };
        let taken = asked(self, 1, "probe-1/Row/action")?;
        require(taken.0 == 200, "a call of ours is carried out", &taken)?;
        let refused = asked(self, 99, "probe-2/Row/action")?;
        require(refused.0 == 422, "too many seats are refused", &refused)?;
        let conflict = asked(self, 2, "probe-1/Row/action")?;
        let is_conflict = conflict.0 == 409 && conflict.1.contains("payload_conflict");
        require(is_conflict, "another payload under a key is a conflict", &conflict)?;
        self.start_participant()?;
        let again = asked(self, 1, "probe-1/Row/action")?;
        require(again == taken, "the same key gets the first answer after SIGKILL", &(&again, &taken))?;
        let again = asked(self, 99, "probe-2/Row/action")?;
        require(again == refused, "a refusal is a first answer too", &(&again, &refused))?;
        require(self.left()? == before - 1, "a repeat takes no seats", &taken)?;
        for _ in 0..2 {
            let undone = self.call("/reservations/cancel", "probe-1/Row/compensation", "", Some(SECRET))?;
            require(undone.0 == 200, "an undo succeeds, and so does its repeat", &undone)?;
        }
        require(self.left()? == before, "an undo gives the seats back", &before)
    }

    fn an_undo_that_comes_first_blocks_the_action(&mut self) -> Result<(), String> {
        let before = self.left()?;
        let undone = self.call("/reservations/cancel", "probe-3/Row/compensation", "", Some(SECRET))?;
        require(undone.0 == 200, "an undo of what was never seen succeeds", &undone)?;
        let late = self.call("/reservations", "probe-3/Row/action", r#"{"seats":1}"#, Some(SECRET))?;
        let is_refused = (400..500).contains(&late.0) && late.1.contains("undone");
        require(is_refused, "an action that comes after its undo is refused", &late)?;
        require(self.left()? == before, "an action that comes after its undo takes no seats", &late)?;
        let round = self.call("/reservations", "probe-3/Row/action/2", r#"{"seats":1}"#, Some(SECRET))?;
        require(round.0 == 200, "another round is another call", &round)
    }

    fn what_is_not_signed_is_not_done(&self) -> Result<(), String> {
        let before = self.left()?;
        let other = Some("whsec_YW5vdGhlciBzZWNyZXQgdGhhbiB0aGF0IG9mIHRoZSBzZWF0cw==");
        for secret in [None, other] {
            let said = self.call("/reservations", "probe-4/Row/action", r#"{"seats":1}"#, secret)?;
            require(said.0 == 401, "a call without a signature of ours is answered 401", &said)?;
        }
        require(self.left()? == before, "an unsigned call takes no seats", &before)
    }

    /// A call as the server makes it.
    fn call(&self, path: &str, key: &str, body: &str, secret: Option<&str>) -> Result<Said, String> {
        let mut request = self
            .agent
            .post(format!("http://127.0.0.1:{}{path}", self.port))
            .content_type("application/json")
            .header("Idempotency-Key", key);
        if let Some(secret) = secret {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(text)?.as_secs();
            let secret = STANDARD.decode(secret.trim_start_matches("whsec_")).map_err(text)?;
            let mut mac = Hmac::<Sha256>::new_from_slice(&secret).map_err(text)?;
            mac.update(format!("{key}.{now}.{body}").as_bytes());
            // As while a secret is replaced: one that is not known comes first.
            let signatures = format!("v1,AAAA v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
            request = request
                .header("webhook-id", key)
                .header("webhook-timestamp", now.to_string())
                .header("webhook-signature", signatures);
        }
        let mut answer = request.send(body).map_err(|error| format!("{path}: {error}"))?;
        let said = answer.body_mut().read_to_string().map_err(text)?;
        Ok((answer.status().as_u16(), said))
    }
}

fn require(holds: bool, rule: &str, seen: &impl std::fmt::Debug) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{rule}, but: {seen:?}")) }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(text)?;
    listener.local_addr().map(|address| address.port()).map_err(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_java_is_found_in_what_it_says() {
        assert_eq!(first_number("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(first_number("java"), None);
    }
}
