//! From file, environment and flags to one configuration.
//!
//! Owns the order of the sources (a flag beats the environment, which beats the file, which beats what is
//! usual) and every complaint about them. Promises that all that is wrong is said together, each with where
//! it stands and the nearest key there is, and that no secret is in a complaint. Does not judge what values
//! mean together: [`super::check`] does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::setting::{Given, Setting};
use super::source::Source;
use super::{Config, Key, NotifyConfig, ParticipantConfig, check, shown};
use crate::failure::Failure;

/// The file that is read when it is in the working directory and no other is named.
pub(crate) const FILE: &str = "amends.toml";

/// Environment variables of ours that are no keys.
const NOT_KEYS: [&str; 3] = ["AMENDS_CONFIG", "AMENDS_SERVER", "AMENDS_NO_PROGRESS"];

/// What begins so is a secret that definitions or the configuration name, or comes from Kubernetes, which puts
/// the address of a service called `amends` into the environment of every pod.
const NOT_OURS: [&str; 4] = ["AMENDS_SECRET_", "AMENDS_SERVICE_", "AMENDS_PORT_", "AMENDS_BENCH_"];

/// What a command line says.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// The file to read.
    pub(crate) file: Option<PathBuf>,
    /// Values by key, as texts.
    pub(crate) values: Vec<(&'static str, String)>,
}

/// A configuration, and where each value came from.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) config: Config,
    /// By key; `participants.NAME.key` and `notify.N.key` of those.
    sources: BTreeMap<String, Source>,
}

impl InForce {
    /// Reads everything.
    ///
    /// # Errors
    /// With all that is wrong.
    pub(crate) fn read(
        flags: &Flags,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Failure> {
        let mut environment: BTreeMap<String, String> =
            environment.filter(|(name, _)| name.starts_with("AMENDS_")).collect();
        let mut reading = Reading::default();
        let named = environment.remove("AMENDS_CONFIG").filter(|file| !file.is_empty()).map(PathBuf::from);
        if let Some(path) =
            flags.file.clone().or(named).or_else(|| Path::new(FILE).is_file().then(|| FILE.into()))
        {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                Failure::usage(format!("the configuration {} cannot be read: {error}", path.display()))
            })?;
            reading.file(&path, &text);
        }
        reading.environment(environment);
        for (key, text) in &flags.values {
            let source = Source::Flag(format!("--{}", key.replace(['_', '.'], "-")));
            reading.set(key, &Given::Text(text.clone()), source);
        }
        let Reading { config, sources, mut wrong } = reading;
        if wrong.is_empty() {
            wrong = check::findings(&config, &sources);
        }
        if wrong.is_empty() {
            return Ok(Self { config, sources });
        }
        Err(Failure::usage(format!("the configuration cannot be used:\n  {}", wrong.join("\n  ")))
            .next("`amends serve --print-config` shows what is in force; docs/reference/configuration.md has every key"))
    }

    /// All that is in force, as a file that says where each value came from.
    pub(crate) fn shown(&self) -> String {
        shown::file(&self.config, &self.sources)
    }
}

#[derive(Default)]
struct Reading {
    config: Config,
    sources: BTreeMap<String, Source>,
    wrong: Vec<String>,
}

impl Reading {
    /// Sets a key of [`Config`].
    fn set(&mut self, key: &str, given: &Given, source: Source) {
        let spec = Config::KEYS.iter().find(|spec| spec.name == key);
        let Some(spec) = spec else { unreachable!("keys are looked up before") };
        match self.config.set(key, given) {
            Some(()) => drop(self.sources.insert(key.to_owned(), source)),
            None => self.wrong.push(not_a_value(key, spec, given, &source)),
        }
    }

    fn set_participant(&mut self, name: &str, key: &'static Key, given: &Given, source: Source) {
        let path = format!("participants.{name}.{}", key.name);
        let participant = self.config.participants.entry(name.to_owned()).or_default();
        match participant.set(key.name, given) {
            Some(()) => drop(self.sources.insert(path, source)),
            None => self.wrong.push(not_a_value(&path, key, given, &source)),
        }
    }

    fn set_notify(&mut self, index: usize, key: &'static Key, given: &Given, source: Source) {
        let path = format!("notify.{index}.{}", key.name);
        match self.config.notify[index].set(key.name, given) {
            Some(()) => drop(self.sources.insert(path, source)),
            None => self.wrong.push(not_a_value(&path, key, given, &source)),
        }
    }

    fn file(&mut self, path: &Path, text: &str) {
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(text, span.start));
                self.wrong.push(format!("{}:{line}: this is not TOML: {}", path.display(), error.message()));
                return;
            }
        };
        self.table(&Place { path, text }, "", table.get_ref());
    }

    /// Takes in the top of the file, or one of the tables whose keys are ours.
    fn table(&mut self, place: &Place<'_>, before: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = format!("{before}{}", name.get_ref());
            let source = place.source(name.span().start);
            match (key.as_str(), value.get_ref()) {
                ("limits", DeValue::Table(limits)) => self.table(place, "limits.", limits),
                ("participants", DeValue::Table(participants)) => self.participants(place, participants),
                ("notify", DeValue::Array(entries)) => {
                    for entry in entries {
                        self.notify(place, entry);
                    }
                }
                ("limits" | "participants", _) => {
                    self.wrong.push(format!("{source}: {key} is a table: [{key}]"))
                }
                ("notify", _) => self.wrong.push(format!("{source}: notify is a list of tables: [[notify]]")),
                _ => match (Config::KEYS.iter().find(|spec| spec.name == key), given(value.get_ref())) {
                    (Some(_), Some(given)) => self.set(&key, &given, source),
                    (Some(spec), None) => self.wrong.push(not_takeable(&source, spec, value.get_ref())),
                    (None, _) => {
                        let known = Config::KEYS.iter().map(|spec| spec.name);
                        let all = known.chain(["participants", "notify", "limits"]);
                        self.wrong.push(unknown(&source, "key", &key, all));
                    }
                },
            }
        }
    }

    fn participants(&mut self, place: &Place<'_>, participants: &DeTable<'_>) {
        for (name, value) in participants {
            let DeValue::Table(table) = value.get_ref() else {
                let source = place.source(name.span().start);
                self.wrong
                    .push(format!("{source}: a participant is a table: [participants.{}]", name.get_ref()));
                continue;
            };
            self.config.participants.entry(name.get_ref().to_string()).or_default();
            for (key, value) in table {
                let source = place.source(key.span().start);
                let spec = ParticipantConfig::KEYS.iter().find(|spec| spec.name == key.get_ref().as_ref());
                match (spec, given(value.get_ref())) {
                    (Some(spec), Some(given)) => self.set_participant(name.get_ref(), spec, &given, source),
                    (Some(spec), None) => self.wrong.push(not_takeable(&source, spec, value.get_ref())),
                    (None, _) => {
                        let known = ParticipantConfig::KEYS.iter().map(|spec| spec.name);
                        self.wrong.push(unknown(&source, "key of a participant", key.get_ref(), known));
                    }
                }
            }
        }
    }

    fn notify(&mut self, place: &Place<'_>, entry: &Spanned<DeValue<'_>>) {
        let DeValue::Table(table) = entry.get_ref() else {
            let source = place.source(entry.span().start);
            self.wrong.push(format!("{source}: notify is a list of tables: [[notify]]"));
            return;
        };
        let index = self.config.notify.len();
        self.config.notify.push(NotifyConfig::default());
        for (key, value) in table {
            let source = place.source(key.span().start);
            let spec = NotifyConfig::KEYS.iter().find(|spec| spec.name == key.get_ref().as_ref());
            match (spec, given(value.get_ref())) {
                (Some(spec), Some(given)) => self.set_notify(index, spec, &given, source),
                (Some(spec), None) => self.wrong.push(not_takeable(&source, spec, value.get_ref())),
                (None, _) => {
                    let known = NotifyConfig::KEYS.iter().map(|spec| spec.name);
                    self.wrong.push(unknown(&source, "key of a notice", key.get_ref(), known));
                }
            }
        }
    }

    fn environment(&mut self, environment: BTreeMap<String, String>) {
        for (name, text) in environment {
            // An empty variable is one that is not set: shells and container files cannot unset.
            if text.is_empty() || NOT_KEYS.contains(&name.as_str()) {
                continue;
            }
            let source = Source::Environment(name.clone());
            let given = Given::Text(text);
            if let Some(spec) = Config::KEYS.iter().find(|spec| variable(spec.name) == name) {
                self.set(spec.name, &given, source);
            } else if let Some((participant, spec)) = self.participant_of(&name) {
                self.set_participant(&participant, spec, &given, source);
            } else if let Some((index, spec)) = notify_of(&name) {
                while self.config.notify.len() <= index {
                    self.config.notify.push(NotifyConfig::default());
                }
                self.set_notify(index, spec, &given, source);
            } else if !NOT_OURS.iter().any(|start| name.starts_with(start)) {
                let known: Vec<String> = Config::KEYS.iter().map(|spec| variable(spec.name)).collect();
                let known = known.iter().map(String::as_str).chain(NOT_KEYS);
                self.wrong.push(unknown(&source, "environment variable", &name, known));
            }
        }
    }

    /// The participant and key that a variable like `AMENDS_PARTICIPANTS_PAYMENTS_URL` is about.
    fn participant_of(&self, variable: &str) -> Option<(String, &'static Key)> {
        let rest = variable.strip_prefix("AMENDS_PARTICIPANTS_")?;
        let (name, spec) = ParticipantConfig::KEYS.iter().find_map(|spec| {
            let name = rest.strip_suffix(&spec.name.to_ascii_uppercase())?.strip_suffix('_')?;
            Some((name, spec))
        })?;
        // One that the file names in its own spelling, or else the small letters.
        let in_file = self.config.participants.keys().find(|known| in_variable(known) == name);
        Some((in_file.cloned().unwrap_or_else(|| name.to_ascii_lowercase()), spec))
    }
}

/// Notices that environment variables may name.
const NOTICES_MAX: usize = 32;

/// The notice and key that a variable like `AMENDS_NOTIFY_0_URL` is about.
fn notify_of(variable: &str) -> Option<(usize, &'static Key)> {
    let (index, key) = variable.strip_prefix("AMENDS_NOTIFY_")?.split_once('_')?;
    let index = index.parse().ok().filter(|index| *index < NOTICES_MAX)?;
    let spec = NotifyConfig::KEYS.iter().find(|spec| spec.name.to_ascii_uppercase() == key)?;
    Some((index, spec))
}

/// The environment variable of a key.
pub(crate) fn variable(key: &str) -> String {
    format!("AMENDS_{}", in_variable(key))
}

fn in_variable(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(letter).collect()
}

/// A file and its text.
struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn source(&self, offset: usize) -> Source {
        Source::File { path: self.path.to_owned(), line: line_of(self.text, offset) }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// A value of the file; `None` for those that no key takes.
fn given(value: &DeValue<'_>) -> Option<Given> {
    match value {
        DeValue::String(text) => Some(Given::Text(text.to_string())),
        DeValue::Integer(number) if number.radix() == 10 => {
            Some(Given::Number(number.as_str().replace('_', "")))
        }
        DeValue::Boolean(value) => Some(Given::Bool(*value)),
        DeValue::Array(elements) => {
            let texts = elements.iter().map(|element| element.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<_>>().map(Given::List)
        }
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn not_a_value(path: &str, key: &Key, given: &Given, source: &Source) -> String {
    let shown = match given {
        _ if key.is_secret => "something else".to_owned(),
        Given::Text(text) => format!("{text:?}"),
        Given::Number(text) => text.clone(),
        Given::Bool(value) => value.to_string(),
        Given::List(texts) => texts.shown(),
    };
    format!("{source}: {path} is {shown}, and must be {}", key.takes)
}

/// A kind of value that no key takes.
fn not_takeable(source: &Source, key: &Key, value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{source}: {} is {article} {kind}, and must be {}", key.name, key.takes)
}

fn unknown<'a>(source: &Source, what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    /// Beyond so many slips, or half of a short word, it is another word.
    const SLIPS_MAX: usize = 3;
    let slips_max = SLIPS_MAX.min(name.trim_start_matches("AMENDS_").len() / 2);
    let nearest = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    let hint = match nearest {
        Some((slips, known)) if slips <= slips_max => format!("; did you mean {known}?"),
        Some(_) | None => String::new(),
    };
    match source {
        Source::Environment(_) => format!("there is no {what} {name}{hint}"),
        Source::File { .. } | Source::Flag(_) => format!("{source}: there is no {what} {name:?}{hint}"),
    }
}
