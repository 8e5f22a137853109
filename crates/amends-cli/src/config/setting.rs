//! The types that values of the configuration have.
//!
//! Owns how each is written, in a file and as a text (in an environment variable or a flag). Promises that what
//! is shown reads back as the same value, secrets aside. Does not know any key.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use amends_definition::Rate;

use crate::times::parse_span;

/// A value as somebody gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    /// In an environment variable or a flag; or a text in the file.
    Text(String),
    /// A number in the file.
    Number(String),
    /// `true` or `false` in the file.
    Bool(bool),
    /// A list of texts in the file.
    List(Vec<String>),
}

/// A type of values.
pub(super) trait Setting: Sized {
    /// What a value looks like.
    const TAKES: &'static str;
    /// Whether a value is never shown.
    const IS_SECRET: bool = false;
    /// The value; `None` if it is not one.
    fn read(given: &Given) -> Option<Self>;
    /// The value as it stands in a file; empty if there is none.
    fn shown(&self) -> String;
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text, for whoever compares it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// So many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteCount(pub(crate) u64);

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NoticeCause {
    /// A saga waits for an operator.
    Parked,
    /// A saga has completed.
    Completed,
    /// A saga went back, and everything is undone.
    Compensated,
    /// An operator stopped a saga without undo.
    Abandoned,
}

impl NoticeCause {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Parked, "parked"),
        (Self::Completed, "completed"),
        (Self::Compensated, "compensated"),
        (Self::Abandoned, "abandoned"),
    ];

    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(cause, _)| *cause == self);
        found.map_or("", |(_, word)| word)
    }
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn text(given: &Given) -> Option<&str> {
    match given {
        Given::Text(text) => Some(text),
        Given::Number(_) | Given::Bool(_) | Given::List(_) => None,
    }
}

fn number(given: &Given) -> Option<&str> {
    match given {
        Given::Text(text) | Given::Number(text) => Some(text),
        Given::Bool(_) | Given::List(_) => None,
    }
}

impl Setting for IpAddr {
    const TAKES: &'static str = "an IP address, such as 127.0.0.1 or ::";
    fn read(given: &Given) -> Option<Self> {
        text(given)?.parse().ok()
    }
    fn shown(&self) -> String {
        quoted(&self.to_string())
    }
}

macro_rules! numbers {
    ($($type:ty: $takes:literal,)+) => { $(
        impl Setting for $type {
            const TAKES: &'static str = $takes;
            fn read(given: &Given) -> Option<Self> {
                number(given)?.parse().ok()
            }
            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )+ };
}

numbers! {
    u16: "a number from 0 to 65535",
    u32: "a number from 0 to 4294967295",
    usize: "a number",
}

impl Setting for bool {
    const TAKES: &'static str = "true or false";
    fn read(given: &Given) -> Option<Self> {
        match given {
            Given::Bool(value) => Some(*value),
            Given::Text(text) => text.parse().ok(),
            Given::Number(_) | Given::List(_) => None,
        }
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Setting for PathBuf {
    const TAKES: &'static str = "a path";
    fn read(given: &Given) -> Option<Self> {
        text(given).filter(|text| !text.is_empty()).map(Self::from)
    }
    fn shown(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

impl Setting for String {
    const TAKES: &'static str = "a text";
    fn read(given: &Given) -> Option<Self> {
        text(given).filter(|text| !text.is_empty()).map(Self::from)
    }
    fn shown(&self) -> String {
        quoted(self)
    }
}

impl Setting for Secret {
    const TAKES: &'static str = "a text of visible ASCII characters";
    const IS_SECRET: bool = true;
    fn read(given: &Given) -> Option<Self> {
        let visible = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        text(given).filter(visible).map(|text| Self(text.to_owned()))
    }
    fn shown(&self) -> String {
        quoted("(not shown)")
    }
}

impl Setting for Duration {
    const TAKES: &'static str = "a duration: a number and a unit (ms, s, m, h, d), such as 30d";
    fn read(given: &Given) -> Option<Self> {
        parse_span(text(given)?).ok()
    }
    fn shown(&self) -> String {
        let milliseconds = self.as_millis();
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
        let whole =
            units.into_iter().find(|(_, unit)| milliseconds > 0 && milliseconds.is_multiple_of(*unit));
        let (unit, size) = whole.unwrap_or(("s", 1_000));
        quoted(&format!("{}{unit}", milliseconds / size))
    }
}

impl Setting for ByteCount {
    const TAKES: &'static str = "a number of bytes, such as 1048576 or 1MiB";
    fn read(given: &Given) -> Option<Self> {
        let text = number(given)?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let count: u64 = text[..digits].parse().ok()?;
        let unit = match &text[digits..] {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        count.checked_mul(unit).map(Self)
    }
    fn shown(&self) -> String {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match units.into_iter().find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit)) {
            Some((unit, size)) => quoted(&format!("{}{unit}", self.0 / size)),
            None => self.0.to_string(),
        }
    }
}

impl Setting for Rate {
    const TAKES: &'static str = "a number of calls in a time, such as 500/s, 100/m or 10/h";
    fn read(given: &Given) -> Option<Self> {
        let (calls, per) = text(given)?.split_once('/')?;
        let seconds = match per {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return None,
        };
        let calls = calls.parse().ok().filter(|calls| *calls > 0)?;
        Some(Self { calls, per: Duration::from_secs(seconds) })
    }
    fn shown(&self) -> String {
        let per = match self.per.as_secs() {
            60 => "m",
            3_600 => "h",
            _ => "s",
        };
        quoted(&format!("{}/{per}", self.calls))
    }
}

impl Setting for LogFormat {
    const TAKES: &'static str = "text or json";
    fn read(given: &Given) -> Option<Self> {
        match text(given)? {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
    fn shown(&self) -> String {
        quoted(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl Setting for Vec<String> {
    const TAKES: &'static str = "a list of texts; in an environment variable with commas between them";
    fn read(given: &Given) -> Option<Self> {
        match given {
            Given::List(texts) => Some(texts.clone()),
            Given::Text(text) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(parts.map(str::to_owned).collect())
            }
            Given::Number(_) | Given::Bool(_) => None,
        }
    }
    fn shown(&self) -> String {
        let quoted: Vec<String> = self.iter().map(|text| quoted(text)).collect();
        format!("[{}]", quoted.join(", "))
    }
}

impl Setting for Vec<NoticeCause> {
    const TAKES: &'static str = "a list of parked, completed, compensated and abandoned";
    fn read(given: &Given) -> Option<Self> {
        let cause =
            |word: &String| NoticeCause::ALL.iter().find(|(_, known)| known == word).map(|(cause, _)| *cause);
        Vec::<String>::read(given)?.iter().map(cause).collect()
    }
    fn shown(&self) -> String {
        self.iter().map(|cause| cause.as_str().to_owned()).collect::<Vec<_>>().shown()
    }
}

impl<T: Setting> Setting for Option<T> {
    const TAKES: &'static str = T::TAKES;
    const IS_SECRET: bool = T::IS_SECRET;
    fn read(given: &Given) -> Option<Self> {
        T::read(given).map(Some)
    }
    fn shown(&self) -> String {
        self.as_ref().map(Setting::shown).unwrap_or_default()
    }
}
