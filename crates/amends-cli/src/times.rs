//! Times and spans as people write and read them.
//!
//! Owns their forms. Promises that a time that cannot be read is shown as it came. Times are UTC, as on the
//! wire.

use std::time::Duration;

use jiff::Timestamp;

/// How long something took, or takes so far; empty if that cannot be said.
pub(crate) fn took(started_at: Option<&str>, finished_at: Option<&str>, now: Timestamp) -> String {
    let read = |text: &str| text.parse::<Timestamp>().ok();
    let Some(started_at) = started_at.and_then(read) else { return String::new() };
    let ended_at = match finished_at {
        Some(text) => match read(text) {
            Some(time) => time,
            None => return String::new(),
        },
        None => now,
    };
    span(Duration::try_from(ended_at.duration_since(started_at)).unwrap_or(Duration::ZERO))
}

/// A span with as many digits as matter.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{}ms", span.as_millis()),
        1..60 => format!("{seconds}.{}s", span.subsec_millis() / 100),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A time of the wire, for a table: `2026-11-30 10:33:55`.
pub(crate) fn shown(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => time.to_owned(),
    }
}

/// The time of day with milliseconds, for facts that follow each other.
pub(crate) fn of_day(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time.strftime("%H:%M:%S%.3f").to_string(),
        Err(_) => time.to_owned(),
    }
}

/// A span that somebody wrote: a number and `ms`, `s`, `m`, `h` or `d`.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text:?} is not a duration: write a number and a unit (ms, s, m, h, d), such as 30s");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let milliseconds = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)
}

/// A moment that somebody wrote: RFC 3339, or a span before now (`2h`). As on the wire.
pub(crate) fn parse_moment(text: &str) -> Result<String, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(format!("{time:.3}"));
    }
    let before = parse_span(text).map_err(|_| {
        format!("{text:?} is not a time: write 2026-11-30T10:00:00Z, or how long ago, such as 2h")
    })?;
    let time = Timestamp::now().checked_sub(before).map_err(|_| format!("{text:?} is too long ago"))?;
    Ok(format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_with_its_unit_and_shown_short() {
        for (text, expected) in [
            ("0s", "0ms"),
            ("12ms", "12ms"),
            ("1500ms", "1.5s"),
            ("90s", "1m 30s"),
            ("25h", "1d 01h"),
            ("61m", "1h 01m"),
        ] {
            assert_eq!(span(parse_span(text).unwrap()), expected);
        }
        for text in ["", "5", "s", "-1s", "1.5s", "1 s", "1w", "99999999999999999999d"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        assert_eq!(parse_moment("2026-11-30T10:00:00Z").unwrap(), "2026-11-30T10:00:00.000Z");
        assert!(parse_moment("2h").unwrap().ends_with('Z'));
        assert!(parse_moment("yesterday").unwrap_err().contains("2h"));
    }

    #[test]
    fn what_cannot_be_read_is_shown_as_it_came() {
        let now = "2026-11-30T10:00:01Z".parse().unwrap();
        assert_eq!(took(Some("2026-11-30T10:00:00.500Z"), None, now), "500ms");
        assert_eq!(took(Some("?"), None, now), "");
        assert_eq!(
            (shown("?"), shown("2026-11-30T10:00:00.5Z")),
            ("?".to_owned(), "2026-11-30 10:00:00".to_owned())
        );
    }
}
