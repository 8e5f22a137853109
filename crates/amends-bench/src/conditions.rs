//! What all measurements of a run have in common.
//!
//! Owns nothing of its own: the place on the disk, the time that counts and the line that a waiting person
//! sees, handed to each measurement as one.

use super::load::Window;
use super::place::Place;
use super::progress::Progress;

/// Under what a measurement is made.
pub(super) struct Conditions {
    pub(super) place: Place,
    pub(super) window: Window,
    pub(super) progress: Progress,
}

#[cfg(test)]
impl Conditions {
    /// Long enough for a few turns.
    pub(super) fn brief(parent: &std::path::Path) -> Self {
        use std::time::Duration;
        Self {
            place: Place::choose(Some(parent)).unwrap(),
            window: Window { warm_up: Duration::from_millis(20), measured: Duration::from_millis(200) },
            progress: Progress::silent(),
        }
    }
}
