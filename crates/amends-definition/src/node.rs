//! What a definition's text says, before anybody knows what it means.
//!
//! Owns [`Node`] and its making from YAML or JSON. Promises a place for each part, numbers with all their
//! digits, keys in their order, and every doubled key as a finding. YAML that says more than JSON can
//! (anchors, aliases, tags, several documents) is a finding: nothing a reader cannot see is brought in, and a
//! small text cannot become a large value. Does not know what keys mean.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks};

use crate::limits::{NESTING_MAX, SOURCE_BYTES_MAX};
use crate::source::{Source, Span, say};

/// A value in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    /// As written, and as JSON has it.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Kind {
    /// What it is called to people.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Reads the text; `None` with a finding when it cannot be read.
pub(crate) fn read(source: &mut Source<'_>) -> Option<Node> {
    if source.text.len() > SOURCE_BYTES_MAX {
        let length = source.text.len();
        let said =
            say("too_large", format!("the definition has {length} bytes, more than {SOURCE_BYTES_MAX}"));
        source.find(Span::default(), said.help("split it: sub-sagas are definitions of their own"));
        return None;
    }
    if let Some(at) = source.text.find(is_unreadable) {
        let end = at + source.text[at..].chars().next().map_or(1, char::len_utf8);
        source
            .find(Span { start: at, end }, say("text", "a control character cannot be read here: remove it"));
        return None;
    }
    let text = source.text;
    // What is JSON is read as JSON: YAML forbids some of it, such as tabs and escaped pairs of surrogates.
    let is_json =
        text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let builder = Builder { source, offsets: Offsets::new(text), open: Vec::new(), done: None };
    if is_json { builder.run_json() } else { builder.run() }
}

fn is_unreadable(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || c == '\u{FEFF}'
}

/// From the parser's characters to our bytes.
struct Offsets(Option<Vec<u32>>);

impl Offsets {
    fn new(text: &str) -> Self {
        if text.is_ascii() {
            return Self(None);
        }
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        Self(Some(starts.map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect()))
    }

    fn byte(&self, character: usize) -> usize {
        match &self.0 {
            None => character,
            Some(starts) => starts.get(character).or(starts.last()).map_or(0, |at| *at as usize),
        }
    }
}

/// A list or map that is not closed yet.
enum Open {
    List { start: usize, items: Vec<Node> },
    Map { start: usize, entries: Vec<Entry>, key: Option<(String, Span)>, seen: BTreeMap<String, usize> },
}

struct Builder<'a, 's> {
    source: &'a mut Source<'s>,
    offsets: Offsets,
    open: Vec<Open>,
    done: Option<Node>,
}

impl Builder<'_, '_> {
    fn run(mut self) -> Option<Node> {
        let mut parser = Parser::new_from_str(self.source.text);
        while let Some(next) = parser.next_event() {
            match next {
                Ok((event, marks)) => self.take(event, marks)?,
                Err(error) => {
                    let start = self.offsets.byte(error.marker().index());
                    let said = say("syntax", format!("this is not YAML: {}", error.info()));
                    self.source.find(Span { start, end: start + 1 }, said);
                    return None;
                }
            }
        }
        let done = self.done.take();
        if done.is_none() {
            self.source.find(Span::default(), empty());
        }
        done
    }

    /// Reads what is known to be JSON.
    fn run_json(mut self) -> Option<Node> {
        let text = self.source.text;
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            at += 1;
            match bytes[start] {
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' => {}
                b'{' => {
                    let open = Open::Map { start, entries: Vec::new(), key: None, seen: BTreeMap::new() };
                    self.open(Span { start, end: at }, open)?;
                }
                b'[' => self.open(Span { start, end: at }, Open::List { start, items: Vec::new() })?,
                b'}' | b']' => self.close(at),
                b'"' => {
                    while at < bytes.len() && bytes[at] != b'"' {
                        at += if bytes[at] == b'\\' { 2 } else { 1 };
                    }
                    at = (at + 1).min(bytes.len());
                    let span = Span { start, end: at };
                    let Ok(read) = serde_json::from_str::<String>(&text[start..at]) else {
                        self.source
                            .find(span, say("text", "this text has an escape that stands for no character"));
                        return None;
                    };
                    if self.key_is_due() {
                        self.key(read, span);
                    } else {
                        self.add(Node { span, kind: Kind::Text(read) });
                    }
                }
                _ => {
                    let length = bytes[start..].iter().position(|byte| b" \t\r\n,:]}".contains(byte));
                    at = length.map_or(bytes.len(), |length| start + length);
                    let kind = match &text[start..at] {
                        "null" => Kind::Null,
                        "true" => Kind::Bool(true),
                        "false" => Kind::Bool(false),
                        number => Kind::Number(number.to_owned()),
                    };
                    self.add(Node { span: Span { start, end: at }, kind });
                }
            }
        }
        self.done
    }

    /// Takes an event; `None`, with a finding, when reading cannot go on.
    fn take(&mut self, event: Event<'_>, marks: Marks) -> Option<()> {
        let span =
            Span { start: self.offsets.byte(marks.start.index()), end: self.offsets.byte(marks.end.index()) };
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                if self.done.is_some() {
                    let said = say("several_documents", "a second document begins here");
                    self.source.find(span, said.help("put each definition in a file of its own"));
                    return None;
                }
            }
            Event::Alias(_) => {
                let said = say("alias", "aliases are not read").help("write out what it stands for");
                self.source.find(span, said);
                self.add(Node { span, kind: Kind::Null });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.no_extras(span, anchor, tag.is_some());
                if self.key_is_due() {
                    self.key(text.into_owned(), span);
                } else {
                    let kind = self.scalar(&text, style, span);
                    self.add(Node { span, kind });
                }
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_extras(span, anchor, tag.is_some());
                self.open(span, Open::List { start: span.start, items: Vec::new() })?;
            }
            Event::MappingStart(anchor, tag) => {
                self.no_extras(span, anchor, tag.is_some());
                self.open(
                    span,
                    Open::Map { start: span.start, entries: Vec::new(), key: None, seen: BTreeMap::new() },
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end),
        }
        Some(())
    }

    fn no_extras(&mut self, span: Span, anchor: usize, has_tag: bool) {
        if anchor != 0 {
            let said =
                say("anchor", "anchors are not read").help("remove `&…`, and write out what it stands for");
            self.source.find(span, said);
        }
        if has_tag {
            let said =
                say("tag", "tags are not read").help("remove `!…`; quote a value that is meant as text");
            self.source.find(span, said);
        }
    }

    fn open(&mut self, span: Span, open: Open) -> Option<()> {
        if self.key_is_due() {
            self.source.find(span, say("key", "a key is a text, not a list or a map"));
            return None;
        }
        if self.open.len() >= NESTING_MAX {
            let said = say("too_deep", format!("this is nested deeper than {NESTING_MAX} levels"));
            self.source.find(span, said);
            return None;
        }
        self.open.push(open);
        Some(())
    }

    fn close(&mut self, end: usize) {
        let (start, kind) = match self.open.pop() {
            Some(Open::List { start, items }) => (start, Kind::List(items)),
            Some(Open::Map { start, entries, .. }) => (start, Kind::Map(entries)),
            None => return,
        };
        self.add(Node { span: Span { start, end }, kind });
    }

    fn key_is_due(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    fn key(&mut self, text: String, span: Span) {
        let Some(Open::Map { key, seen, .. }) = self.open.last_mut() else { return };
        if let Some(first) = seen.get(&text) {
            let line = self.source.line_of(*first);
            let said = say("duplicate_key", format!("`{text}` is given twice: first in line {line}"));
            self.source.find(span, said.help("remove one of the two"));
        } else {
            seen.insert(text.clone(), span.start);
        }
        *key = Some((text, span));
    }

    fn add(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.done = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                Some((key, key_span)) => entries.push(Entry { key, key_span, value: node }),
                // An alias as a key: there is a finding already.
                None => *key = Some((String::new(), node.span)),
            },
        }
    }

    /// The core schema of YAML 1.2, where it agrees with JSON.
    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Kind {
        if style != ScalarStyle::Plain {
            return Kind::Text(text.to_owned());
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
            "true" | "True" | "TRUE" => Kind::Bool(true),
            "false" | "False" | "FALSE" => Kind::Bool(false),
            _ if is_json_number(text) => Kind::Number(text.to_owned()),
            _ if is_yaml_number(text) => {
                let said = say("number", format!("{text} is a number in YAML but not in JSON"));
                self.source
                    .find(span, said.help("write it as JSON does, or quote it if it is meant as text"));
                Kind::Null
            }
            _ => Kind::Text(text.to_owned()),
        }
    }
}

fn empty() -> crate::source::Said {
    say("empty", "the text holds no definition").help("begin with `saga: NameOfIt`")
}

/// Whether this is a number as JSON has it.
pub(crate) fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// Whether the core schema of YAML 1.2 reads this as a number.
fn is_yaml_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(hex) = text.strip_prefix("0x") {
        return !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return !octal.is_empty() && octal.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let begins = |text: &str| text.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    (begins(unsigned) || unsigned.strip_prefix('.').is_some_and(begins))
        && unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && unsigned.parse::<f64>().is_ok()
}
