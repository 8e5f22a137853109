//! How an engine runs, apart from what it runs.

use std::thread;
use std::time::Duration;

use amends_core::SizeLimits;

use crate::limits::{LIVE_MAX, SHARDS_MAX};

/// How an engine runs, apart from what it runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Live transactions held in memory; further starts are turned away.
    pub live_max: usize,
    /// Shards, each with a task of its own: a processor each, up to a few.
    pub shards: usize,
    /// How long ended transactions are kept; `None`: for ever.
    pub retention: Option<Duration>,
    /// How much a transaction may hold.
    pub sizes: SizeLimits,
    /// Releases calls before their records are durable, for the crash campaign to catch.
    #[cfg(feature = "sabotage")]
    pub sabotage_early_effects: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            live_max: LIVE_MAX,
            shards: thread::available_parallelism().map_or(1, |cores| cores.get().min(SHARDS_MAX)),
            retention: None,
            sizes: SizeLimits::default(),
            #[cfg(feature = "sabotage")]
            sabotage_early_effects: false,
        }
    }
}
