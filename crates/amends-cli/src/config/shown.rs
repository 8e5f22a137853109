//! What `--print-config` prints.
//!
//! Owns the form: a file that could be used as it is, with the source of each value beside it. Promises that no
//! secret is in it. Does not print.

use std::collections::BTreeMap;

use super::setting::quoted;
use super::source::Source;
use super::{Config, NotifyConfig, ParticipantConfig};

/// All that is in force.
pub(super) fn file(config: &Config, sources: &BTreeMap<String, Source>) -> String {
    let source = |path: &str| sources.get(path).map_or_else(|| "default".to_owned(), ToString::to_string);
    let mut lines = Vec::new();
    let mut table = "";
    for key in Config::KEYS {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != table {
            lines.push((String::new(), String::new()));
            lines.push((format!("[{of}]"), String::new()));
            table = of;
        }
        lines.push(line(name, &config.shown(key.name), source(key.name)));
    }
    for (participant, settings) in &config.participants {
        let name = if is_bare(participant) { participant.clone() } else { quoted(participant) };
        lines.push((String::new(), String::new()));
        lines.push((format!("[participants.{name}]"), String::new()));
        for key in ParticipantConfig::KEYS {
            let source = source(&format!("participants.{participant}.{}", key.name));
            lines.push(line(key.name, &settings.shown(key.name), source));
        }
    }
    for (index, settings) in config.notify.iter().enumerate() {
        lines.push((String::new(), String::new()));
        lines.push(("[[notify]]".to_owned(), String::new()));
        for key in NotifyConfig::KEYS {
            let source = source(&format!("notify.{index}.{}", key.name));
            lines.push(line(key.name, &settings.shown(key.name), source));
        }
    }
    let width =
        lines.iter().map(|(text, _)| text.chars().count()).filter(|width| *width < 60).max().unwrap_or(0);
    let mut file = String::new();
    for (text, source) in lines {
        let line = if source.is_empty() { text } else { format!("{text:<width$}  # {source}") };
        file += line.trim_end();
        file.push('\n');
    }
    file
}

/// A key without a value is there too, as a comment: one sees that it could be set.
fn line(name: &str, value: &str, source: String) -> (String, String) {
    if value.is_empty() {
        (format!("# {name} ="), "not set".to_owned())
    } else {
        (format!("{name} = {value}"), source)
    }
}

fn is_bare(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}
