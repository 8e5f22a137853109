//! JSON that is given on the command line.
//!
//! Owns the three ways to give it: as it is, `@file`, or `-` for the standard input. Promises that it arrives
//! to the byte, and that what is not JSON is said before anything is sent. Does not look into it.

use std::io::Read;

use amends_api::Payload;

use crate::failure::Failure;

/// Reads JSON that was given as the argument of this flag.
pub(crate) fn json(flag: &str, given: &str) -> Result<Payload, Failure> {
    let text = match given {
        "-" => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Failure::new(format!("the standard input cannot be read: {error}")))?;
            text
        }
        _ => match given.strip_prefix('@') {
            Some(file) => file_text(file)?,
            None => given.to_owned(),
        },
    };
    Payload::parse(text.strip_prefix('\u{feff}').unwrap_or(&text)).map_err(|error| {
        Failure::usage(format!("{flag}: {error}")).next(format!(
            "write {flag} '{{\"amount\": 12}}', {flag} @file.json, or {flag} - to read the standard input"
        ))
    })
}

/// The text of a file.
pub(crate) fn file_text(file: &str) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| Failure::new(format!("{file} cannot be read: {error}")))
}
