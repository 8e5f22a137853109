//! The text of a definition, and the name in it.
//!
//! Owns where texts come from. Promises that the text is passed on as it is. Does not understand definitions:
//! the server reads them, and compares the name in the text with the one it was sent under.

use std::io::Read;

use crate::failure::Failure;
use crate::input::file_text;

/// What the place is called, and the text.
pub(super) fn read(file: &str) -> Result<(String, String), Failure> {
    if file != "-" {
        return Ok((file.to_owned(), file_text(file)?));
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(format!("the standard input cannot be read: {error}")))?;
    Ok(("<stdin>".to_owned(), text))
}

/// The name that the text gives its saga.
pub(super) fn name(place: &str, text: &str) -> Result<String, Failure> {
    let found = if text.trim_start().starts_with('{') { in_json(text) } else { in_yaml(text) };
    found.ok_or_else(|| {
        Failure::new(format!("{place} does not say which saga it defines"))
            .next("a definition has a line `saga: NAME` that is not indented")
    })
}

fn in_json(text: &str) -> Option<String> {
    /// Only what is needed: the rest is the server's.
    #[derive(serde::Deserialize)]
    struct Named {
        saga: String,
    }
    serde_json::from_str::<Named>(text).ok().map(|named| named.saga)
}

fn in_yaml(text: &str) -> Option<String> {
    let lines = text.lines().map(|line| line.trim_start_matches('\u{feff}'));
    let value = lines.filter_map(|line| line.strip_prefix("saga")?.trim_start().strip_prefix(':')).next()?;
    let value = value.trim();
    let name = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next()?,
        _ => value.split(" #").next()?.trim_end(),
    };
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_the_key_saga_at_the_top() {
        for text in [
            "# saga: Other\nsaga: Trip   # the newest\nsteps:\n  - saga: Child\n",
            "\u{feff}saga : 'Trip'\r\n",
            "steps: []\nsaga: \"Trip\"",
            "  {\"steps\": [], \"saga\": \"Trip\"}",
        ] {
            assert_eq!(name("x", text).unwrap(), "Trip", "{text}");
        }
        for text in ["", "steps:\n  - saga: Child\n", "saga:\n", "{\"saga\": 7}", "sagas: Trip"] {
            assert!(name("x", text).is_err(), "{text}");
        }
    }
}
