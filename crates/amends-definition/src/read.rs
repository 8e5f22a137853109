//! From nodes to what was written: keys and plain values.
//!
//! Owns [`Written`]. Promises that every key was known in its place and every plain value is of its kind.
//! Expressions stay nodes: what they may name is known only when all steps are. Does not compare steps with
//! each other: that is `plan.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use amends_core::limits::{NAME_CHARACTERS_MAX, SPAN_MAX, STEPS_MAX};
use amends_core::saga::definition::OnTimeout;

use crate::keys::{BREAKER, CALL, DEFINITION, PARTICIPANT, RETRY, SECTIONS, STEP, Section, WAIT};
use crate::node::{Entry, Kind, Node};
use crate::request::Method;
use crate::settings::{BreakerSettings, ParticipantSettings, Rate};
use crate::source::{Source, Span, nearest, say};

/// Something with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// A definition as written.
#[derive(Debug)]
pub(crate) struct Written<'n> {
    pub(crate) name: At<String>,
    pub(crate) input: Option<&'n Node>,
    pub(crate) output: Option<&'n Node>,
    pub(crate) sensitive: Vec<At<String>>,
    pub(crate) timeout: Option<At<Duration>>,
    pub(crate) retry: WrittenRetry,
    pub(crate) compensation_retry: WrittenRetry,
    pub(crate) participants: BTreeMap<String, WrittenParticipant>,
    pub(crate) steps: Vec<WrittenStep<'n>>,
    pub(crate) pivot: Option<At<String>>,
}

#[derive(Debug)]
pub(crate) struct WrittenParticipant {
    pub(crate) name: Span,
    pub(crate) settings: ParticipantSettings,
    /// Names of environment variables, in the order written.
    pub(crate) variables: Vec<At<String>>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct WrittenRetry {
    pub(crate) attempts: Option<u32>,
    pub(crate) first: Option<Duration>,
    pub(crate) factor: Option<u32>,
    pub(crate) max: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct WrittenStep<'n> {
    /// Of its name, or of the whole step.
    pub(crate) span: Span,
    pub(crate) name: String,
    pub(crate) after: Option<Vec<At<String>>>,
    pub(crate) when: Option<&'n Node>,
    pub(crate) retry: Option<WrittenRetry>,
    pub(crate) timeout: Option<At<Duration>>,
    pub(crate) retriable: Option<At<bool>>,
    pub(crate) read_only: Option<At<bool>>,
    pub(crate) refuse_on: Vec<String>,
    pub(crate) each: Option<&'n Node>,
    pub(crate) element: Option<At<String>>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) kind: WrittenKind<'n>,
    pub(crate) undo: WrittenUndo<'n>,
    /// Where each key stands.
    pub(crate) places: BTreeMap<&'static str, Span>,
}

#[derive(Debug)]
pub(crate) enum WrittenKind<'n> {
    Call(WrittenCall<'n>),
    Child {
        definition: At<String>,
        input: Option<&'n Node>,
    },
    Sleep(At<Duration>),
    Wait(WrittenWait),
    /// There is a finding.
    Broken,
}

#[derive(Debug)]
pub(crate) enum WrittenUndo<'n> {
    Undeclared,
    None,
    Call(WrittenCall<'n>),
    /// There is a finding.
    Broken,
}

#[derive(Debug)]
pub(crate) struct WrittenCall<'n> {
    pub(crate) participant: At<String>,
    pub(crate) method: Method,
    pub(crate) path: &'n Node,
    pub(crate) body: Option<&'n Node>,
    pub(crate) query: &'n [Entry],
    pub(crate) headers: &'n [Entry],
    pub(crate) operation: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) pending: Option<Duration>,
    pub(crate) retry: Option<WrittenRetry>,
}

#[derive(Debug)]
pub(crate) struct WrittenWait {
    pub(crate) signal: String,
    pub(crate) timeout: Option<At<Duration>>,
    pub(crate) on_timeout: Option<At<OnTimeout>>,
    pub(crate) refused_by: Option<At<String>>,
}

/// Reads a definition; `None`, with findings, when too little of it is there.
pub(crate) fn read<'n>(node: &'n Node, source: &mut Source<'_>) -> Option<Written<'n>> {
    let fields = Fields::of(node, &DEFINITION, source)?;
    let steps = match fields.get("steps").map(|entry| &entry.value) {
        None => Vec::new(),
        // One more than there may be is enough to say so.
        Some(Node { kind: Kind::List(items), .. }) => {
            items.iter().take(STEPS_MAX + 1).filter_map(|item| step(item, source)).collect()
        }
        Some(other) => {
            wrong_kind(other, "a list of steps", source);
            Vec::new()
        }
    };
    Some(Written {
        // Without one there is a finding; the rest is judged all the same.
        name: fields
            .name("saga", source)
            .unwrap_or_else(|| At { value: String::new(), span: fields.span("saga") }),
        input: fields.node("input"),
        output: fields.node("output"),
        sensitive: fields.texts("sensitive", source).unwrap_or_default(),
        timeout: fields.duration("timeout", source),
        retry: fields.retry("retry", source).unwrap_or_default(),
        compensation_retry: fields.retry("compensation_retry", source).unwrap_or_default(),
        participants: participants(&fields, source),
        steps,
        pivot: fields.name("pivot", source),
    })
}

/// The keys of a map that are known in it.
struct Fields<'n> {
    section: &'static Section,
    span: Span,
    entries: BTreeMap<&'static str, &'n Entry>,
}

impl<'n> Fields<'n> {
    fn of(node: &'n Node, section: &'static Section, source: &mut Source<'_>) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            let shown: Vec<String> = section.names().map(|name| format!("`{name}`")).collect();
            let message = format!("{} is a map of keys, not {}", section.name, node.kind.noun());
            source.find(node.span, say("type", message).help(format!("its keys are {}", shown.join(", "))));
            return None;
        };
        let mut known = BTreeMap::new();
        for entry in entries {
            match section.find(&entry.key) {
                Some(key) => {
                    known.entry(key.name).or_insert(entry);
                }
                None if source.is_full() => {}
                None => unknown_key(entry, section, source),
            }
        }
        let fields = Self { section, span: node.span, entries: known };
        for key in section.keys.iter().filter(|key| key.required) {
            if !fields.entries.contains_key(key.name) {
                let said = say("missing_key", format!("{} has no `{}`", section.name, key.name));
                source
                    .find(fields.opening(source), said.help(format!("add `{}: {}`", key.name, key.example)));
            }
        }
        Some(fields)
    }

    /// The first key of the map: what a picture of the whole would begin with.
    fn opening(&self, source: &Source<'_>) -> Span {
        let first = self.entries.values().map(|entry| entry.key_span).min_by_key(|span| span.start);
        let line_end =
            |start: usize| source.text[start..].find('\n').map_or(source.text.len(), |at| start + at);
        first
            .unwrap_or(Span { start: self.span.start, end: line_end(self.span.start.min(source.text.len())) })
    }

    fn get(&self, key: &str) -> Option<&'n Entry> {
        debug_assert!(self.section.find(key).is_some(), "{key} stands in the table of {}", self.section.name);
        self.entries.get(key).copied()
    }

    fn node(&self, key: &str) -> Option<&'n Node> {
        self.get(key).map(|entry| &entry.value)
    }

    fn span(&self, key: &str) -> Span {
        self.get(key).map_or(self.span, |entry| entry.key_span)
    }

    /// A plain text without expressions.
    fn text(&self, key: &str, source: &mut Source<'_>) -> Option<At<String>> {
        plain_text(self.node(key)?, source)
    }

    fn name(&self, key: &str, source: &mut Source<'_>) -> Option<At<String>> {
        name(self.node(key)?, source)
    }

    fn list(&self, key: &str, source: &mut Source<'_>) -> Option<&'n [Node]> {
        let node = self.node(key)?;
        match &node.kind {
            Kind::List(items) => Some(items),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) => {
                wrong_kind(node, "a list", source);
                None
            }
        }
    }

    fn names(&self, key: &str, source: &mut Source<'_>) -> Option<Vec<At<String>>> {
        Some(self.list(key, source)?.iter().filter_map(|item| name(item, source)).collect())
    }

    fn texts(&self, key: &str, source: &mut Source<'_>) -> Option<Vec<At<String>>> {
        Some(self.list(key, source)?.iter().filter_map(|item| plain_text(item, source)).collect())
    }

    fn flag(&self, key: &str, source: &mut Source<'_>) -> Option<At<bool>> {
        let entry = self.get(key)?;
        match &entry.value.kind {
            Kind::Bool(value) => Some(At { value: *value, span: entry.key_span }),
            Kind::Null | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => {
                wrong_kind(&entry.value, "`true` or `false`", source);
                None
            }
        }
    }

    fn count(&self, key: &str, source: &mut Source<'_>) -> Option<u32> {
        let node = self.node(key)?;
        let crate::keys::Value::Count(min, max) = self.section.find(key)?.value else { return None };
        let number = match &node.kind {
            Kind::Number(number) => number.parse::<u32>().ok(),
            Kind::Null | Kind::Bool(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => None,
        };
        let number = number.filter(|number| (min..=max).contains(number));
        if number.is_none() {
            let message = format!("`{key}` is a whole number from {min} to {max}");
            source.find(node.span, say("number", message));
        }
        number
    }

    fn duration(&self, key: &str, source: &mut Source<'_>) -> Option<At<Duration>> {
        duration(self.node(key)?, source)
    }

    /// A limit: a duration that is not nothing.
    fn limit(&self, key: &str, source: &mut Source<'_>) -> Option<At<Duration>> {
        let limit = self.duration(key, source)?;
        if limit.value.is_zero() {
            let said = say("no_limit", format!("a `{key}` of nothing: nothing could ever be done in it"));
            source.find(limit.span, said.help("give it a time, or leave the key out"));
            return None;
        }
        Some(limit)
    }

    fn retry(&self, key: &str, source: &mut Source<'_>) -> Option<WrittenRetry> {
        let fields = Fields::of(self.node(key)?, &RETRY, source)?;
        let retry = WrittenRetry {
            attempts: fields.count("attempts", source),
            first: fields.limit("first", source).map(|at| at.value),
            factor: fields.count("factor", source),
            max: fields.limit("max", source).map(|at| at.value),
        };
        if retry.first.zip(retry.max).is_some_and(|(first, max)| first > max) {
            let said = say("duration", "`first` is longer than `max`, the longest rest");
            source.find(fields.span("first"), said.help("make `max` at least as long"));
        }
        Some(retry)
    }

    fn map(&self, key: &str, source: &mut Source<'_>) -> &'n [Entry] {
        match self.node(key) {
            None => &[],
            Some(Node { kind: Kind::Map(entries), .. }) => entries,
            Some(other) => {
                wrong_kind(other, "a map", source);
                &[]
            }
        }
    }
}

fn unknown_key(entry: &Entry, section: &'static Section, source: &mut Source<'_>) {
    let key = entry.key.as_str();
    let name = section.name;
    if let Some(near) =
        nearest(key, section.names()).filter(|_| SECTIONS.iter().all(|other| other.find(key).is_none()))
    {
        let said = say("unknown_key", format!("`{key}` is not a key of {name}"));
        source.find(entry.key_span, said.help(format!("did you mean `{near}`?")));
        return;
    }
    if std::ptr::eq(section, &raw const PARTICIPANT) && matches!(key, "worker" | "heartbeat") {
        let said = say("unknown_key", format!("`{key}`: participants behind gRPC come with a later release"));
        source.find(entry.key_span, said.help("give a `url`"));
        return;
    }
    let owners: Vec<&str> =
        SECTIONS.iter().filter(|other| other.find(key).is_some()).map(|section| section.name).collect();
    if owners.is_empty() {
        let said = say("unknown_key", format!("`{key}` is not a key of {name}"));
        source.find(entry.key_span, said.nearest(key, section.names()));
    } else {
        let said = say("misplaced_key", format!("`{key}` does not stand in {name}"));
        source.find(entry.key_span, said.help(format!("it is a key of {}", owners.join(" and of "))));
    }
}

fn wrong_kind(node: &Node, wanted: &str, source: &mut Source<'_>) {
    source.find(node.span, say("type", format!("{wanted} belongs here, not {}", node.kind.noun())));
}

fn plain_text(node: &Node, source: &mut Source<'_>) -> Option<At<String>> {
    let Kind::Text(text) = &node.kind else {
        wrong_kind(node, "a text", source);
        return None;
    };
    if text.contains("${") {
        let said = say("expression_place", "no expression can stand here");
        source.find(node.span, said.help("expressions stand in `body`, paths, `query`, `headers`, `when`, `each`, `input` of a sub-saga and `output`"));
        return None;
    }
    if text.is_empty() {
        source.find(node.span, say("type", "an empty text has no meaning here"));
        return None;
    }
    Some(At { value: text.clone(), span: node.span })
}

fn name(node: &Node, source: &mut Source<'_>) -> Option<At<String>> {
    let name = match &node.kind {
        // A name of digits only is still a name.
        Kind::Number(number) => At { value: number.clone(), span: node.span },
        Kind::Null | Kind::Bool(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => {
            plain_text(node, source)?
        }
    };
    judge_name(&name.value, name.span, source).then_some(name)
}

fn judge_name(name: &str, span: Span, source: &mut Source<'_>) -> bool {
    let is_name = !name.is_empty()
        && name.len() <= NAME_CHARACTERS_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !is_name {
        let said = say("name", format!("{name:?} is not a valid name"));
        let help = format!("1 to {NAME_CHARACTERS_MAX} letters (a to z), digits, `_` and `-`");
        source.find(span, said.help(help));
    }
    is_name
}

/// Units of a duration, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

fn duration(node: &Node, source: &mut Source<'_>) -> Option<At<Duration>> {
    let help = "a number and one of `ms`, `s`, `m`, `h`, `d`, such as `30s`";
    let text = match &node.kind {
        Kind::Text(text) => text,
        Kind::Number(number) => {
            let said = say("duration", format!("{number} has no unit"));
            source.find(node.span, said.help(format!("did you mean `{number}s`? A duration is {help}")));
            return None;
        }
        Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => {
            let said = say("duration", format!("a duration belongs here, not {}", node.kind.noun()));
            source.find(node.span, said.help(help));
            return None;
        }
    };
    if text.contains("${") {
        source.find(
            node.span,
            say("expression_place", "no expression can stand here").help(format!("write {help}")),
        );
        return None;
    }
    match parse_duration(text) {
        Ok(value) if value <= SPAN_MAX => Some(At { value, span: node.span }),
        Ok(_) => {
            source.find(
                node.span,
                say("duration", format!("{text} is longer than 36,500d")).help("shorten it"),
            );
            None
        }
        Err(why) => {
            source.find(node.span, say("duration", format!("{text:?} is not a duration: {why}")).help(help));
            None
        }
    }
}

fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("it does not begin with a number");
    }
    let Some((_, unit)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(if unit.is_empty() { "it has no unit" } else { "its unit is not known" });
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') || fraction.len() > 6 {
        return Err("its number cannot be read");
    }
    let whole: u64 = whole.parse().map_err(|_| "its number is too large")?;
    let scale = 10u64.pow(u32::try_from(fraction.len()).unwrap_or(6));
    let parts = fraction.parse::<u64>().map_err(|_| "its number cannot be read")? * unit;
    if !parts.is_multiple_of(scale) {
        return Err("it is not a whole number of milliseconds");
    }
    let millis = whole.checked_mul(*unit).and_then(|millis| millis.checked_add(parts / scale));
    millis.map(Duration::from_millis).ok_or("its number is too large")
}

fn participants(fields: &Fields<'_>, source: &mut Source<'_>) -> BTreeMap<String, WrittenParticipant> {
    let mut participants = BTreeMap::new();
    for entry in fields.map("participants", source) {
        if !judge_name(&entry.key, entry.key_span, source) {
            continue;
        }
        // One with findings is known all the same: its calls are not findings of their own.
        let written = participant(entry, source).unwrap_or(WrittenParticipant {
            name: entry.key_span,
            settings: ParticipantSettings::default(),
            variables: Vec::new(),
        });
        participants.entry(entry.key.clone()).or_insert(written);
    }
    participants
}

fn participant(entry: &Entry, source: &mut Source<'_>) -> Option<WrittenParticipant> {
    let fields = Fields::of(&entry.value, &PARTICIPANT, source)?;
    let url = fields.text("url", source).map(|url| judge_url(url, source)).unwrap_or_default();
    let (secrets, bearers) = (variables(&fields, "secret", source), variables(&fields, "bearer", source));
    let breaker = fields.node("breaker").and_then(|node| breaker(node, source));
    let values = |variables: &[At<String>]| variables.iter().map(|at| at.value.clone()).collect();
    let settings = ParticipantSettings {
        url,
        timeout: fields.limit("timeout", source).map(|at| at.value),
        concurrency: fields.count("concurrency", source),
        rate: rate(&fields, source),
        secrets: values(&secrets),
        bearers: values(&bearers),
        breaker,
    };
    Some(WrittenParticipant { name: entry.key_span, settings, variables: [secrets, bearers].concat() })
}

fn breaker(node: &Node, source: &mut Source<'_>) -> Option<BreakerSettings> {
    let fields = Fields::of(node, &BREAKER, source)?;
    let default = BreakerSettings::default();
    let max = fields.limit("max", source);
    if let Some(at) = &max
        && at.value > default.max
    {
        let said = say("duration", "a breaker probes at least every 30s");
        source.find(at.span, said.help("a participant that is back would be left waiting: 30s is the most"));
    }
    let breaker = BreakerSettings {
        after: fields.count("after", source).unwrap_or(default.after),
        first: fields.limit("first", source).map_or(default.first, |at| at.value),
        max: max.map_or(default.max, |at| at.value),
    };
    if breaker.first > breaker.max {
        source.find(fields.span("first"), say("duration", "`first` is longer than `max`, the longest rest"));
    }
    Some(breaker)
}

fn judge_url(url: At<String>, source: &mut Source<'_>) -> String {
    let At { value, span } = url;
    let rest = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"));
    let wrong = match rest {
        None => Some("it does not begin with `http://` or `https://`"),
        Some(rest) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if host.contains('@') {
                Some("it holds credentials: name an environment variable in `bearer`")
            } else if value.contains(['?', '#']) {
                Some("it has a query or a fragment: those belong to calls")
            } else if !is_authority(host) {
                Some("its host cannot be read")
            } else if !path.bytes().all(|byte| byte.is_ascii_graphic())
                || path.contains("//")
                || has_dots(path)
            {
                Some("its path cannot be read: percent-encode it, without `//`, `.` and `..`")
            } else {
                None
            }
        }
    };
    if let Some(wrong) = wrong {
        source.find(span, say("url", format!("this is not the URL of a participant: {wrong}")));
    }
    value
}

fn has_dots(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// A host, and perhaps a port.
fn is_authority(text: &str) -> bool {
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<std::net::Ipv6Addr>().is_ok()
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        && port.is_none_or(is_port)
}

fn rate(fields: &Fields<'_>, source: &mut Source<'_>) -> Option<Rate> {
    let node = fields.node("rate")?;
    let parsed = match &node.kind {
        Kind::Text(text) => text.split_once('/').and_then(|(calls, per)| {
            let calls = calls.trim().parse::<u32>().ok().filter(|calls| *calls > 0)?;
            let per = match per.trim() {
                "s" => 1,
                "m" => 60,
                "h" => 3_600,
                _ => return None,
            };
            Some(Rate { calls, per: Duration::from_secs(per) })
        }),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::List(_) | Kind::Map(_) => None,
    };
    if parsed.is_none() {
        let said = say("rate", "a rate is a number of calls and a time");
        source.find(node.span, said.help("such as `500/s`, `60/m` or `1000/h`"));
    }
    parsed
}

/// The name of an environment variable, or a list of up to two.
fn variables(fields: &Fields<'_>, key: &str, source: &mut Source<'_>) -> Vec<At<String>> {
    let Some(node) = fields.node(key) else { return Vec::new() };
    let nodes = match &node.kind {
        Kind::List(items) => items.as_slice(),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) => {
            std::slice::from_ref(node)
        }
    };
    if nodes.is_empty() || nodes.len() > 2 {
        let said = say(
            "secret",
            format!("`{key}` names one environment variable, or two while one replaces the other"),
        );
        source.find(node.span, said);
        return Vec::new();
    }
    let mut names = Vec::new();
    for node in nodes {
        let Some(name) = plain_text(node, source) else { continue };
        let is_name = !name.value.starts_with(|c: char| c.is_ascii_digit())
            && name.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_name {
            names.push(name);
        } else {
            // What stands here may be the secret itself: it is not shown.
            let said = say("secret", format!("`{key}` is not the name of an environment variable"));
            source.find(
                name.span,
                said.help("name the variable, such as AMENDS_SECRET_PAYMENTS; never write the secret itself"),
            );
        }
    }
    names
}

fn step<'n>(node: &'n Node, source: &mut Source<'_>) -> Option<WrittenStep<'n>> {
    let fields = Fields::of(node, &STEP, source)?;
    let name = fields.name("name", source);
    let undo = match fields.get("compensation") {
        None => WrittenUndo::Undeclared,
        Some(entry) => match &entry.value.kind {
            Kind::Text(text) if text == "none" => WrittenUndo::None,
            Kind::Map(_) => call(&entry.value, source).map_or(WrittenUndo::Broken, WrittenUndo::Call),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => {
                wrong_kind(&entry.value, "a call, or the word `none`,", source);
                WrittenUndo::Broken
            }
        },
    };
    Some(WrittenStep {
        span: name.as_ref().map_or_else(|| fields.opening(source), |name| name.span),
        name: name.map(|name| name.value).unwrap_or_default(),
        after: fields.names("after", source),
        when: fields.node("when"),
        retry: fields.retry("retry", source),
        timeout: fields.limit("timeout", source),
        retriable: fields.flag("retriable", source),
        read_only: fields.flag("read_only", source),
        refuse_on: fields
            .texts("refuse_on", source)
            .unwrap_or_default()
            .into_iter()
            .map(|at| at.value)
            .collect(),
        each: fields.node("each"),
        element: fields.name("as", source),
        concurrency: fields.count("concurrency", source),
        kind: kind(&fields, source),
        undo,
        places: fields.entries.iter().map(|(key, entry)| (*key, entry.key_span)).collect(),
    })
}

/// The keys that say what a step is.
const KINDS: [&str; 4] = ["action", "saga", "sleep", "wait"];

fn kind<'n>(fields: &Fields<'n>, source: &mut Source<'_>) -> WrittenKind<'n> {
    let given: Vec<&str> = KINDS.into_iter().filter(|key| fields.get(key).is_some()).collect();
    let read = match given.as_slice() {
        ["action"] => fields.node("action").and_then(|node| call(node, source)).map(WrittenKind::Call),
        ["saga"] => fields
            .name("saga", source)
            .map(|definition| WrittenKind::Child { definition, input: fields.node("input") }),
        ["sleep"] => fields.duration("sleep", source).map(WrittenKind::Sleep),
        // "wait"
        [_] => fields.node("wait").and_then(|node| wait(node, source)).map(WrittenKind::Wait),
        [] => {
            let said =
                say("missing_key", "the step does nothing: it has no `action`, `saga`, `sleep` or `wait`");
            source
                .find(fields.opening(source), said.help("add `action: { call: PARTICIPANT, post: /PATH }`"));
            None
        }
        [first, second, ..] => {
            let said = say("misplaced_key", format!("a step has `{first}` or `{second}`, not both"));
            source.find(fields.span(second), said.help("make two steps of it"));
            None
        }
    };
    if fields.get("input").is_some() && given != ["saga"] {
        let said =
            say("misplaced_key", "`input` stands beside `saga`: it is what a sub-saga is started with");
        source.find(fields.span("input"), said.help("what an action sends is its `body`"));
    }
    read.unwrap_or(WrittenKind::Broken)
}

fn wait(node: &Node, source: &mut Source<'_>) -> Option<WrittenWait> {
    let fields = Fields::of(node, &WAIT, source)?;
    let on_timeout = fields.text("on_timeout", source).and_then(|word| {
        let value = match word.value.as_str() {
            "turn_back" => OnTimeout::TurnBack,
            "go_on" => OnTimeout::GoOn,
            other => {
                let said = say("word", format!("`on_timeout` is `turn_back` or `go_on`, not {other:?}"));
                source.find(word.span, said.nearest(other, ["turn_back", "go_on"]));
                return None;
            }
        };
        Some(At { value, span: word.span })
    });
    let refused_by = fields.name("refused_by", source);
    let signal = fields.name("signal", source)?;
    if let Some(refused_by) = refused_by.as_ref().filter(|at| at.value == signal.value) {
        source.find(refused_by.span, say("name", "the same signal cannot both approve and refuse"));
    }
    Some(WrittenWait {
        signal: signal.value,
        timeout: fields.limit("timeout", source),
        on_timeout,
        refused_by,
    })
}

fn call<'n>(node: &'n Node, source: &mut Source<'_>) -> Option<WrittenCall<'n>> {
    let fields = Fields::of(node, &CALL, source)?;
    let methods: Vec<(Method, &str)> = Method::ALL
        .into_iter()
        .filter_map(|method| {
            let key = CALL.names().find(|name| name.eq_ignore_ascii_case(method.as_str()))?;
            fields.get(key).map(|_| (method, key))
        })
        .collect();
    let (method, key) = match methods.as_slice() {
        [one] => *one,
        [] => {
            let said = say("missing_key", "the call has no method");
            let help = "add one of `get`, `post`, `put`, `patch` and `delete` with the path, such as `post: /orders`";
            source.find(fields.opening(source), said.help(help));
            return None;
        }
        [(_, first), (_, second), ..] => {
            let said = say("misplaced_key", format!("a call has `{first}` or `{second}`, not both"));
            source.find(fields.span(second), said);
            return None;
        }
    };
    let body = fields.node("body");
    if body.is_some() && method == Method::Get {
        let said = say("misplaced_key", "a GET has no body");
        source.find(fields.span("body"), said.help("use `query`, or another method"));
    }
    Some(WrittenCall {
        participant: fields.name("call", source)?,
        method,
        path: fields.node(key)?,
        body,
        query: fields.map("query", source),
        headers: fields.map("headers", source),
        operation: fields.name("as", source).map(|name| name.value),
        timeout: fields.limit("timeout", source).map(|at| at.value),
        pending: fields.limit("pending", source).map(|at| at.value),
        retry: fields.retry("retry", source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        let millis = |text: &str| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("200ms"), Ok(200));
        assert_eq!(millis("2s"), Ok(2_000));
        assert_eq!(millis("1.5m"), Ok(90_000));
        assert_eq!(millis("2h"), Ok(7_200_000));
        assert_eq!(millis("36500d"), Ok(36_500 * 86_400_000));
        assert_eq!(millis("0s"), Ok(0));
        for wrong in ["", "2", "s", "2 s", "-2s", "+2s", "2S", "1h30m", "1.5ms", "2.s", ".5s", "1.2.3s", "2w"]
        {
            assert!(millis(wrong).is_err(), "{wrong}");
        }
        assert!(millis("99999999999999999999d").is_err());
    }

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for right in ["localhost", "127.0.0.1:8081", "[::1]:80", "[::1]", "a.b-c:65535", "order_service"] {
            assert!(is_authority(right), "{right}");
        }
        for wrong in ["", ":80", "a:0", "a:99999", "a b", "[::1", "[::1]x", "a:", "ä"] {
            assert!(!is_authority(wrong), "{wrong}");
        }
    }
}
