//! Appends that were handed out and are not answered.
//!
//! Owns their order, and those that met a full disk and are tried again. Promises that each answer meets the
//! append it is for: the journal answers in order. Does not write.

use std::collections::VecDeque;

use amends_core::Time;
use amends_journal::Append;

use crate::shard::input::Start;
use crate::shard::live::Live;

#[derive(Debug)]
pub(crate) struct Appending<T> {
    in_order: VecDeque<InFlight<T>>,
    /// How many of these are starts.
    pub(crate) starts: usize,
    /// Appends that met a full disk, and when to try them again.
    without_space: Vec<Append>,
    pub(crate) retry_at: Option<Time>,
}

#[derive(Debug)]
pub(crate) enum InFlight<T> {
    /// With the transaction as it is once that is durable.
    Start {
        start: Box<Start<T>>,
        live: Box<Live<T>>,
    },
    Further {
        append: Append,
    },
}

impl<T> Appending<T> {
    pub(crate) fn new() -> Self {
        Self { in_order: VecDeque::new(), starts: 0, without_space: Vec::new(), retry_at: None }
    }

    pub(crate) fn start(&mut self, start: Start<T>, live: Live<T>) {
        self.starts += 1;
        self.in_order.push_back(InFlight::Start { start: Box::new(start), live: Box::new(live) });
    }

    pub(crate) fn further(&mut self, append: Append) {
        self.in_order.push_back(InFlight::Further { append });
    }

    /// The append that was just answered.
    pub(crate) fn answered(&mut self) -> InFlight<T> {
        let first = self.in_order.pop_front().expect("the journal answers each append once, in order");
        match first {
            InFlight::Start { .. } => self.starts -= 1,
            InFlight::Further { .. } => {}
        }
        first
    }

    /// Nothing was written for want of space, and the condition still holds: the same record is tried again.
    pub(crate) fn retry(&mut self, append: Append, at: Time) {
        self.without_space.push(append);
        self.retry_at = Some(self.retry_at.map_or(at, |other| other.min(at)));
    }

    /// Those to be tried again, if it is time.
    pub(crate) fn due(&mut self, now: Time) -> Vec<Append> {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            return std::mem::take(&mut self.without_space);
        }
        Vec::new()
    }
}
