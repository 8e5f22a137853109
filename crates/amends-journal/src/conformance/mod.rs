//! The suite that every backend passes.
//!
//! Owns one check for each promise of [`Journal`], named as the claim it proves. A backend's tests call
//! [`run`] with a way to open an empty journal, with a feed. Promises to panic with the claim's name when one does not
//! hold. Does not look at durability, locking or damage: those are each store's own, and tested beside it.

/// Makes a list of checks from functions, each named as its claim.
macro_rules! suite {
    ($($claim:ident),+ $(,)?) => {
        pub(super) const CHECKS: &[$crate::conformance::Check] = &[$((stringify!($claim), $claim)),+];
    };
}

mod appends;
mod feed;
mod ownership;
mod reads;
mod starts;
mod upkeep;

use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use amends_core::{
    DefinitionName, End, Mode, Partition, Partitions, Standing, Standings, Time, TransactionId, Way,
};
use bytes::Bytes;

use crate::{
    Append, AppendAnswer, Conflict, Count, Cursor, Epoch, Expected, Filter, Fingerprint, Journal, KeyEntry,
    Loaded, NewTransaction, Presence, StartKey, Stored, Tags, Timer,
};

/// A claim and its proof, which gets an empty journal.
pub type Check = (&'static str, fn(&dyn Journal));

/// Every check of the suite.
#[must_use]
pub fn checks() -> Vec<Check> {
    [appends::CHECKS, starts::CHECKS, reads::CHECKS, upkeep::CHECKS, feed::CHECKS, ownership::CHECKS].concat()
}

/// Runs every check, each against a journal of its own.
///
/// # Panics
/// When a claim does not hold; its name has been printed.
pub fn run(open: &dyn Fn() -> Box<dyn Journal>) {
    for (claim, check) in checks() {
        println!("conformance: {claim}");
        check(open().as_ref());
    }
}

/// Submits a batch as the owner of every transaction in it, and waits for its answers.
///
/// # Panics
/// When the journal cannot be owned, or drops the batch without answering.
pub fn submit(journal: &dyn Journal, batch: Vec<Append>) -> Vec<AppendAnswer> {
    submit_as_it_is(journal, owned(journal, batch))
}

/// The same appends, under the epochs of their owner.
///
/// # Panics
/// When the journal cannot be owned.
pub fn owned(journal: &dyn Journal, mut batch: Vec<Append>) -> Vec<Append> {
    let wanted: Partitions = batch.iter().map(|append| Partition::of(append.id)).collect();
    let leases = journal.acquire(&wanted).expect(WRITABLE);
    for append in &mut batch {
        let partition = Partition::of(append.id);
        let lease = leases.iter().find(|lease| lease.partition == partition);
        append.epoch = lease.expect("a journal with one coordinator gives what is wanted").epoch;
    }
    batch
}

/// Submits a batch and waits for its answers.
///
/// # Panics
/// When the journal drops the batch without answering.
pub fn submit_as_it_is(journal: &dyn Journal, batch: Vec<Append>) -> Vec<AppendAnswer> {
    let (answer, answers) = channel();
    journal.submit(
        batch,
        Box::new(move |all| {
            // The receiver waits right below.
            let _ = answer.send(all);
        }),
    );
    answers.recv().expect("every batch is answered")
}

/// Nobody holds anything under it: [`submit`] puts the right one in its place.
pub const NOBODY: Epoch = Epoch(0);

const READABLE: &str = "the journal can be read";
const WRITABLE: &str = "the journal can be written";

const FORWARD: Standing = Standing::Active(Way::Forward);
const BACK: Standing = Standing::Active(Way::Back);
const PARKED: Standing = Standing::Parked;
const COMPLETED: Standing = Standing::Ended(End::Completed);
const COMPENSATED: Standing = Standing::Ended(End::Compensated);
const ABANDONED: Standing = Standing::Ended(End::Abandoned);

fn id(number: u8) -> TransactionId {
    TransactionId::from_bytes((u128::from(number) << 120 | u128::from(number)).to_be_bytes())
}

fn at(milliseconds: u64) -> Time {
    Time::from_milliseconds(milliseconds)
}

fn fingerprint(number: u8) -> Fingerprint {
    Fingerprint([number; 32])
}

fn payload(transaction: TransactionId, sequence: u64) -> Bytes {
    Bytes::from(format!("record {sequence} of {transaction}"))
}

/// What the engine makes: an id of its own, no key.
fn plain(definition: &str, version: u32) -> NewTransaction {
    NewTransaction {
        mode: Mode::Saga,
        definition: DefinitionName::new(definition),
        version,
        id_given: false,
        key: None,
        fingerprint: None,
        tags: Tags::new(),
        parent: None,
    }
}

/// What a caller chose: an id, and perhaps a key.
fn chosen(key: Option<&str>, input: u8) -> NewTransaction {
    NewTransaction {
        id_given: true,
        key: key.map(|key| StartKey(key.to_owned())),
        fingerprint: Some(fingerprint(input)),
        ..plain("Test", 1)
    }
}

fn start_of(transaction: TransactionId, new: NewTransaction) -> Append {
    Append {
        id: transaction,
        epoch: NOBODY,
        expected: Expected::from(new),
        record: payload(transaction, 1),
        at: at(1),
        standing: FORWARD,
    }
}

fn next_of(transaction: TransactionId, sequence: u64) -> Append {
    Append {
        id: transaction,
        epoch: NOBODY,
        expected: Expected::Sequence(sequence),
        record: payload(transaction, sequence + 1),
        at: at(1 + sequence),
        standing: FORWARD,
    }
}

impl Append {
    fn becoming(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    fn asleep_until(self, until: Time) -> Self {
        self.becoming(Standing::Asleep { way: Way::Forward, until })
    }

    fn at(self, at: Time) -> Self {
        Self { at, ..self }
    }
}

/// Submits one append and expects it to be committed.
fn commit(journal: &dyn Journal, append: Append) {
    assert_eq!(submit(journal, vec![append]), [AppendAnswer::Committed]);
}

/// Starts a plain transaction.
fn start(journal: &dyn Journal, number: u8) -> TransactionId {
    commit(journal, start_of(id(number), plain("Test", 1)));
    id(number)
}

/// Starts a plain transaction and ends it with its second record, at this time.
fn start_and_end(journal: &dyn Journal, number: u8, ended: Time) -> TransactionId {
    let transaction = start(journal, number);
    commit(journal, next_of(transaction, 1).becoming(COMPLETED).at(ended));
    transaction
}

fn conflict_of(journal: &dyn Journal, append: Append) -> Conflict {
    match submit(journal, vec![append]).as_slice() {
        [AppendAnswer::Conflict(conflict)] => conflict.clone(),
        other => panic!("a conflict was expected, not {other:?}"),
    }
}

fn exists(id: TransactionId, fingerprint: Option<Fingerprint>) -> Conflict {
    Conflict::Exists(KeyEntry { id, fingerprint, presence: Presence::Kept })
}

fn removed(id: TransactionId, fingerprint: Option<Fingerprint>) -> Conflict {
    Conflict::Exists(KeyEntry { id, fingerprint, presence: Presence::Removed })
}

fn load(journal: &dyn Journal, id: TransactionId) -> Loaded {
    journal.load(id).expect(READABLE)
}

/// Sleeping transactions whose timer is due.
fn due(journal: &dyn Journal, until: Time, limit: usize) -> Vec<(Time, TransactionId)> {
    let due =
        journal.timers_due(&Partitions::ALL, Timer::before(Time::default()), until, limit).expect(READABLE);
    due.into_iter().map(|(timer, transaction)| (timer.at, transaction)).collect()
}

/// When the first transaction wakes.
fn next_timer(journal: &dyn Journal) -> Option<Time> {
    due(journal, Time::NEVER, 1).first().map(|(at, _)| *at)
}

fn loaded(journal: &dyn Journal, transaction: TransactionId) -> Stored {
    load(journal, transaction).stored().expect("the transaction is there")
}

fn count(journal: &dyn Journal, standing: Option<Standing>, definition: Option<&str>) -> u64 {
    exactly(journal, &filter(standing, definition))
}

fn exactly(journal: &dyn Journal, filter: &Filter) -> u64 {
    let Count { count, exact } = journal.count(filter).expect(READABLE);
    assert!(exact, "so few are counted exactly, whatever is asked for: {filter:?}");
    count
}

fn filter(standing: Option<Standing>, definition: Option<&str>) -> Filter {
    let standings = standing.map_or(Standings::ALL, |standing| Standings::NONE.with(standing.kind()));
    Filter { definition: definition.map(DefinitionName::new), standings, ..Filter::default() }
}

/// The ids of a whole list, read in pages of `limit`.
fn listed(journal: &dyn Journal, filter: &Filter, limit: usize) -> Vec<TransactionId> {
    let mut ids = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let page = journal.list(filter, cursor, limit).expect(READABLE);
        assert!(page.items.len() <= limit, "a page keeps to its limit");
        ids.extend(page.items.iter().map(|transaction| transaction.id));
        cursor = page.next;
        if cursor.is_none() {
            return ids;
        }
    }
}

/// The ids of all transactions that owe something, each once and in order, read in pages of `limit`.
fn recoverable(journal: &dyn Journal, limit: usize) -> Vec<TransactionId> {
    let mut ids = BTreeSet::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let page = journal.recoverable(&Partitions::ALL, cursor, limit).expect(READABLE);
        assert!(page.items.len() <= limit, "a page keeps to its limit");
        ids.extend(page.items.iter().map(|transaction| transaction.id));
        cursor = page.next;
        if cursor.is_none() {
            return ids.into_iter().collect();
        }
    }
}
