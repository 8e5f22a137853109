//! The page of all keys.
//!
//! Owns [`key_reference`], made from the table in `keys.rs`. Promises a row for every key. Does not explain how
//! they work together: that is `docs/reference/definition.md`.

use crate::keys::{SECTIONS, Section, Value};

/// The page, in Markdown.
#[must_use]
pub fn key_reference() -> String {
    let mut page = String::from(
        "# Keys of a definition\n\nMade by `cargo xtask generate` from the table that the reader itself follows; change it there. \
         How they work\ntogether is in [definition.md](definition.md).\n",
    );
    for section in SECTIONS {
        page +=
            &format!("\n## In {}\n\n| key | holds | meaning | example |\n|---|---|---|---|\n", section.name);
        for key in section.keys {
            let required = if key.required { " (required)" } else { "" };
            let example = format!("{}: {}", key.name, key.example);
            let cells = [
                format!("`{}`{required}", key.name),
                holds(key.value),
                key.doc.to_owned(),
                format!("`{example}`"),
            ];
            page += &format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }
    page
}

fn holds(value: Value) -> String {
    let within = |section: &Section| section.name.trim_start_matches("a ").to_owned();
    match value {
        Value::Name => "a name".to_owned(),
        Value::Names => "a list of names".to_owned(),
        Value::Texts => "a list of texts".to_owned(),
        Value::Places => "a list of paths".to_owned(),
        Value::Count(min, max) => format!("a whole number, {min} to {max}"),
        Value::Flag => "`true` or `false`".to_owned(),
        Value::Duration => "a duration".to_owned(),
        Value::Rate => "a rate".to_owned(),
        Value::Url => "a URL".to_owned(),
        Value::Variables => "a name of an environment variable, or a list of two".to_owned(),
        Value::Word(words) => format!("`{}`", words.join("` or `")),
        Value::Expression => "one expression".to_owned(),
        Value::Template => "any JSON, with expressions".to_owned(),
        Value::Path => "a path, with expressions".to_owned(),
        Value::TextMap => "texts by name, with expressions".to_owned(),
        Value::Schema => "a JSON Schema".to_owned(),
        Value::Section(section) => format!("keys of {}", within(section)),
        Value::Map(section) => format!("by name, keys of {}", within(section)),
        Value::List(section) => format!("a list, each with keys of {}", within(section)),
        Value::Undo => "`none`, or keys of call".to_owned(),
    }
}
