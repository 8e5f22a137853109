//! The arguments of `amends bench`.
//!
//! Owns the flags, their limits and their defaults. Promises that a run that begins makes sense: no zero
//! clients, no unknown part. Does not look at the disk: that is `place.rs`.

use std::path::PathBuf;

use amends_engine::limits::LIVE_MAX;
use clap::builder::ArgPredicate;
use clap::{Args, ValueEnum};

use super::history::History;
use super::load::Load;
use super::memory::Held;
use super::sagas::Ids;

/// Concurrent clients, at most: each has one saga under way, and the engine holds no more.
const CLIENTS_MAX: i64 = 20_000;
const _: () = assert!(CLIENTS_MAX as usize <= LIVE_MAX, "the engine turns none of our clients away");

/// Arrivals a second, at most: more than one thread can let come.
const RATE_MAX: i64 = 1_000_000;

/// One measurement takes an hour at most.
const SECONDS_MAX: i64 = 3_600;

/// More runs make no median better.
const RUNS_MAX: i64 = 100;

/// Sagas in flight, at most: about the memory of a large machine.
const IN_FLIGHT_MAX: i64 = 10_000_000;

/// Sagas that wait, at most: ten times what one looks for.
const WAITING_MAX: i64 = 10_000_000;

/// Finished sagas, at most: more than most disks hold.
const FINISHED_MAX: u64 = 1_000_000_000;

const EXIT_CODES: &str = "\
Exit codes:
  0    measured
  1    a measurement failed
  2    bad arguments, or the data directory or a file to compare with cannot be used
  130  interrupted; what was written has been removed

The disk is measured with appends of the size that the sagas of the same run made. `share_of_disk` is what the
sagas got out of it: sagas per second, times appends per saga, divided by the bare appends per second.
`share_of_floor` is the orders per second over HTTP, divided by what the same clients get from a handler that
does nothing on the same server. `share_of_bare` is the calls per second that sagas over HTTP make, divided by what
as many clients make that only call.

A closed loop shows what the machine can do at most. An open loop (--rate) shows how long an arrival at a
random moment waits: arrivals are a Poisson process, the same in every run. A row says `kept_up: false` if more
than 1 % of what arrived, and more than arrives in 0.1 s, was left over at the end; its latencies then only grow
with the length of the run.";

/// Measure this machine: sagas per second, latency and recovery, next to the disk's own limit.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to measure; all but history when left out
    #[arg(value_enum, value_name = "WORKLOAD")]
    workloads: Vec<Measurement>,
    /// How many clients run concurrently, each starting its next saga when the last one has ended. With
    /// --rate: how many sagas run concurrently at most, 512 by default
    #[arg(long, value_delimiter = ',', default_value = "1,64,512", value_name = "N,…",
          default_value_if("rates", ArgPredicate::IsPresent, "512"),
          value_parser = clap::value_parser!(u32).range(1..=CLIENTS_MAX))]
    clients: Vec<u32>,
    /// Start so many sagas a second, whether those before have ended or not: an open loop, at each rate in
    /// turn. A saga that finds all clients busy waits in line; its latency counts from its intended start
    #[arg(long = "rate", value_delimiter = ',', value_name = "N,…",
          value_parser = clap::value_parser!(u32).range(1..=RATE_MAX))]
    rates: Vec<u32>,
    /// How long each measurement counts, after a warm-up of one second
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=SECONDS_MAX))]
    pub(super) seconds: u32,
    /// How often each measurement is made, on a fresh directory each time; the figures are medians then
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=RUNS_MAX))]
    pub(super) repeat: u32,
    /// The same as WORKLOAD, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WORKLOAD,…", conflicts_with = "workloads")]
    only: Vec<Measurement>,
    /// How many sagas are under way when the process is killed, for recovery
    #[arg(long, value_delimiter = ',', default_value = "10000,100000", value_name = "N,…",
          value_parser = clap::value_parser!(u32).range(1..=IN_FLIGHT_MAX))]
    in_flight: Vec<u32>,
    /// How many sagas are live, for memory
    #[arg(long, default_value_t = 200_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=IN_FLIGHT_MAX))]
    live: u32,
    /// How many finished sagas the directory is filled with, for history
    #[arg(long, default_value_t = 1_000_000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=FINISHED_MAX))]
    finished: u64,
    /// What callers choose, for history: nothing, random ids, or random idempotency keys
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "made,given,keyed",
        value_name = "WHAT,…"
    )]
    ids: Vec<Ids>,
    /// How many sagas wait for a day, for memory
    #[arg(long, default_value_t = 100_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=WAITING_MAX))]
    waiting: u32,
    /// Where to measure: a directory of its own is made there and removed afterwards [default: the current
    /// directory, unless that lies in memory]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Compare with an earlier run: a file with what --output json printed. A change counts only if it is
    /// larger than what the runs of either differ by, or than a fifth where there was but one
    #[arg(long, value_name = "FILE")]
    pub(super) compare: Option<PathBuf>,
    /// Compare that run with the one in this file instead, and measure nothing
    #[arg(long, value_name = "FILE", requires = "compare",
          conflicts_with_all = ["workloads", "only", "clients", "rates", "seconds", "repeat", "in_flight",
                               "live", "waiting", "finished", "ids", "data"])]
    pub(super) with: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Measurement {
    /// Bare appends to a file, flushed in groups
    Disk,
    /// Sagas of four steps that complete
    Ok,
    /// Sagas whose third step refuses: two compensations run
    Undo,
    /// Orders over HTTP at the shop, beside a handler that does nothing
    Shop,
    /// Sagas whose four steps are calls over HTTP, beside bare calls
    Http,
    /// Going on with what was under way when the process was killed
    Recovery,
    /// How much memory an idle program takes, how much live sagas, and how much sagas that wait for a day
    Memory,
    /// Sagas in a directory full of finished ones, beside an empty one. Filling it takes time (a million
    /// sagas: about 20 seconds) and space (700 bytes each). Measured with the largest number of --clients
    History,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Table,
    /// One JSON document
    Json,
}

impl Arguments {
    /// What is to be measured.
    pub(super) fn measurements(&self) -> Vec<Measurement> {
        let asked = if self.workloads.is_empty() { &self.only } else { &self.workloads };
        if !asked.is_empty() {
            return asked.clone();
        }
        Measurement::value_variants().iter().copied().filter(|part| *part != Measurement::History).collect()
    }

    /// The numbers of clients, each once.
    pub(super) fn clients(&self) -> Vec<u32> {
        each_once(&self.clients)
    }

    /// How the sagas' load comes: an open loop of each rate once, or the closed loop.
    pub(super) fn loads(&self) -> Vec<Load> {
        if self.rates.is_empty() {
            return vec![Load::Closed];
        }
        each_once(&self.rates).into_iter().map(|rate| Load::Open { rate: f64::from(rate) }).collect()
    }

    /// How many sagas there are to take memory.
    pub(super) const fn held(&self) -> Held {
        Held { live: self.live, waiting: self.waiting }
    }

    /// How much history, for each kind of ids once.
    pub(super) fn histories(&self) -> Vec<History> {
        each_once(&self.ids).into_iter().map(|ids| History { finished: self.finished, ids }).collect()
    }

    /// The numbers of sagas in flight, each once.
    pub(super) fn in_flight(&self) -> Vec<u32> {
        each_once(&self.in_flight)
    }
}

fn each_once<T: Copy + PartialEq>(all: &[T]) -> Vec<T> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(one) {
            once.push(*one);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        bench: Arguments,
    }

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Line::try_parse_from(std::iter::once("bench").chain(line.split_whitespace())).map(|line| line.bench)
    }

    #[test]
    fn the_flags_are_sound() {
        Line::command().debug_assert();
    }

    #[test]
    fn without_flags_everything_is_measured() {
        let args = parse("").unwrap();
        assert_eq!(
            args.measurements(),
            [
                Measurement::Disk,
                Measurement::Ok,
                Measurement::Undo,
                Measurement::Shop,
                Measurement::Http,
                Measurement::Recovery,
                Measurement::Memory
            ]
        );
        assert_eq!(args.clients(), [1, 64, 512]);
        assert_eq!(args.in_flight(), [10_000, 100_000]);
        assert_eq!((args.seconds, args.repeat, args.output), (10, 1, Output::Table));
    }

    #[test]
    fn the_flags_of_the_contract_are_taken() {
        let args = parse(
            "--clients 1,64,64 --seconds 3 --repeat 5 --only disk,ok --in-flight 5,7 --data /somewhere --output json",
        )
        .unwrap();
        assert_eq!(args.measurements(), [Measurement::Disk, Measurement::Ok]);
        assert_eq!(args.clients(), [1, 64]);
        assert_eq!(args.in_flight(), [5, 7]);
        assert_eq!((args.seconds, args.repeat, args.output), (3, 5, Output::Json));
        assert_eq!(args.data, Some(PathBuf::from("/somewhere")));
        assert_eq!(parse("undo").unwrap().measurements(), [Measurement::Undo]);
        assert_eq!(parse("shop").unwrap().measurements(), [Measurement::Shop]);
    }

    #[test]
    fn a_rate_makes_the_loop_an_open_one_with_clients_as_its_bound() {
        let args = parse("--rate 20000,5,5").unwrap();
        assert_eq!(args.loads(), [Load::Open { rate: 20_000.0 }, Load::Open { rate: 5.0 }]);
        assert_eq!(args.clients(), [512]);
        assert_eq!(parse("--rate 5 --clients 7,9").unwrap().clients(), [7, 9]);
        assert_eq!(parse("").unwrap().loads(), [Load::Closed]);
    }

    #[test]
    fn two_files_are_compared_without_a_measurement_of_ones_own() {
        let args = parse("--compare old.json --with new.json --output json").unwrap();
        assert_eq!((args.compare, args.with), (Some("old.json".into()), Some("new.json".into())));
        let args = parse("ok --compare old.json --seconds 3").unwrap();
        assert_eq!((args.compare, args.with), (Some("old.json".into()), None));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_exit_code_two() {
        for line in [
            "--clients 0",
            "--clients 1,0",
            "--clients 20001",
            "--clients many",
            "--seconds 0",
            "--seconds 3601",
            "--repeat 0",
            "--repeat 101",
            "--rate 0",
            "--rate 1000001",
            "--rate fast",
            "--with new.json",
            "--compare old.json --with new.json ok",
            "--compare old.json --with new.json --seconds 3",
            "--only disk,ftp",
            "--only ok undo",
            "--in-flight 0",
            "--output xml",
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn an_unknown_part_names_those_there_are() {
        let message = parse("--only ftp").unwrap_err().to_string();
        for part in ["disk", "ok", "undo", "shop", "http", "recovery"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
