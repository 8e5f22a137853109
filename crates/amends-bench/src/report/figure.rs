//! A figure in the document.
//!
//! Owns how the median and the spread of several runs are written: under the figure's own key, and that with `_min` and
//! `_max`. For `serialize_with`, in rows that flatten their figures.

use serde::Serializer;
use serde::ser::SerializeMap;

use crate::runs::Spread;

/// A figure with a fraction.
pub(crate) fn write<S: Serializer>(key: &str, spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    write_as(key, spread, to, |figure| figure)
}

/// A figure that is not always known.
pub(crate) fn write_if_known<S: Serializer>(
    key: &str,
    spread: Option<&Spread>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match spread {
        Some(spread) => write(key, spread, to),
        None => {
            let mut map = to.serialize_map(Some(1))?;
            map.serialize_entry(key, &())?;
            map.end()
        }
    }
}

/// A figure that programs read as a whole number. Between two runs in the middle there may be a half.
pub(crate) fn write_whole<S: Serializer>(key: &str, spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    write_as(key, spread, to, |figure| figure.round() as u64)
}

fn write_as<S: Serializer, F: serde::Serialize>(
    key: &str,
    spread: &Spread,
    to: S,
    form: impl Fn(f64) -> F,
) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(3))?;
    map.serialize_entry(key, &form(spread.median))?;
    map.serialize_entry(&format!("{key}_min"), &form(spread.min))?;
    map.serialize_entry(&format!("{key}_max"), &form(spread.max))?;
    map.end()
}
