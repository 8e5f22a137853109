//! A shard: one synchronous state machine over many transactions.
//!
//! Owns the transactions in memory, the agenda of their timers and the gates before their participants.
//! Promises the one rule: a call leaves, and a reply is given, only after the records behind it are durable;
//! and that the same inputs in the same order give the same outputs. Does not know a runtime, socket, clock
//! or disk, nor what a transaction's mode is: production, tests and the simulation drive this very type.
//! Start reading at [`Shard::handle`].

mod children;
mod gates;
mod in_flight;
pub mod input;
mod live;
mod loading;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use amends_core::{
    AttemptId, ChildStands, Command, Effect, End, Facts, Moment, Outcome, OwedCall, Partition, Partitions,
    Reason, Rejected, Standing, Time, Transaction, TransactionId,
};
use amends_journal::record::{self, Record};
use amends_journal::{Append, AppendAnswer, Conflict, Epoch, Expected, IdHash, NewTransaction, Presence};

use crate::leases::Leases;
use crate::limits::{NO_SPACE_RETRY, READ_RETRY, SLEEP_AT_LEAST};
use crate::participant::gate::{Gate, Places};
use crate::participant::shared_gate::Pass;
use crate::shard::gates::{Begun, begin};
use crate::shard::in_flight::{Appending, InFlight};
use crate::shard::input::{Found, Input, Order, Output, Quarantine, Reply, Start, Ticket, Until};
use crate::shard::live::{Backlog, Live, UnderWay};
use crate::shard::loading::{Loading, Loads};

/// Many transactions, driven by inputs.
#[derive(Debug)]
pub struct Shard<T> {
    // Looked up, never iterated: its order must not be seen.
    live: HashMap<TransactionId, Box<Live<T>>, IdHash>,
    appending: Appending<T>,
    loads: Loads<T>,
    agenda: BTreeSet<(Time, TransactionId)>,
    /// Which of the engine's shards this is: places at the gates are shared.
    number: usize,
    gates: Vec<Gate>,
    leases: Arc<Leases>,
    /// Partitions that another coordinator has taken since.
    lost: Partitions,
    /// Children that are about to exist.
    starting: Vec<TransactionId>,
    /// What is wanted of children that are about to exist, or cannot be read, and when to try again.
    waiting: Vec<(Time, Order)>,
    output: Output<T>,
    /// Releases calls before their records are durable, for the crash campaign to catch.
    #[cfg(any(test, feature = "sabotage"))]
    pub sabotage_early_effects: bool,
}

impl<T: Ticket> Shard<T> {
    /// A shard without transactions.
    #[must_use]
    pub fn new(places: &[Places], number: usize, leases: Arc<Leases>) -> Self {
        Self {
            live: HashMap::default(),
            appending: Appending::new(),
            loads: Loads::new(),
            agenda: BTreeSet::new(),
            number,
            gates: places.iter().map(|places| Gate::new(places.clone(), number)).collect(),
            leases,
            lost: Partitions::NONE,
            starting: Vec::new(),
            waiting: Vec::new(),
            output: Output::new(),
            #[cfg(any(test, feature = "sabotage"))]
            sabotage_early_effects: false,
        }
    }

    /// Takes one input in. Ask [`Shard::take_output`] and [`Shard::wake_at`] again afterwards.
    pub fn handle(&mut self, input: Input<T>, moment: Moment) {
        match input {
            Input::Start(start) => self.start(start, moment),
            Input::Ask { ticket, id, until } => self.enqueue(id, Backlog::Ask { ticket, until }, moment),
            Input::Command { ticket, id, command } => {
                self.enqueue(id, Backlog::Command { ticket: Some(ticket), command }, moment);
            }
            Input::Order(order) => self.order(order, moment),
            Input::Told { id, command } => self.enqueue(id, Backlog::own(command), moment),
            Input::Answered { id, attempt, outcome } => self.answered(id, attempt, outcome, moment),
            Input::Appended(answers) => {
                for answer in answers {
                    self.appended(answer, moment);
                }
            }
            Input::Loaded { id, found } => self.loaded(id, found, moment),
            Input::Recovered { id, found } => self.recovered(id, found, moment),
            Input::RecoveryDone => self.loads.recovery_done(),
            Input::Awaken { id } => self.ensure_loaded(id),
            Input::Gates(places) => self.set_gates(&places, moment),
            Input::LookAtGate(gate) => self.look_at_gate(gate.0, moment),
            Input::Tick => self.tick(moment),
        }
    }

    /// Everything wanted since the last call. Empty until the next [`Shard::handle`].
    pub fn take_output(&mut self) -> Output<T> {
        std::mem::replace(&mut self.output, Output::new())
    }

    /// When to give the next [`Input::Tick`]; may become earlier or later with each [`Shard::handle`].
    #[must_use]
    pub fn wake_at(&self) -> Time {
        let due = self.agenda.first().map(|(due, _)| *due);
        let orders = self.waiting.iter().map(|(due, _)| *due).min();
        let gates = Some(self.gates_open_at());
        let timers = [due, self.appending.retry_at, self.loads.retry_at, gates, orders];
        timers.into_iter().flatten().min().unwrap_or(Time::NEVER)
    }

    /// Transactions in memory, those that are about to exist included.
    #[must_use]
    pub fn population(&self) -> usize {
        self.live.len() + self.appending.starts
    }

    /// Transactions that are being read.
    #[must_use]
    pub fn reading(&self) -> usize {
        self.loads.len()
    }

    /// Under which the transaction's partition is held. Under the one for partitions that are not, every
    /// append is fenced.
    fn epoch_of(&self, id: TransactionId) -> Epoch {
        const NOT_HELD: Epoch = Epoch(0);
        if self.is_held(id) { self.leases.epoch(id).unwrap_or(NOT_HELD) } else { NOT_HELD }
    }

    fn is_held(&self, id: TransactionId) -> bool {
        !self.lost.contains(Partition::of(id))
    }

    /// The transaction's partition belongs to another coordinator, which goes on with it.
    fn lose(&mut self, id: TransactionId) {
        self.lost.insert(Partition::of(id));
        self.output.fenced.push(id);
    }

    fn start(&mut self, start: Start<T>, moment: Moment) {
        let definition = &start.runnable.definition;
        let origin = start.origin.as_deref().cloned().unwrap_or_default();
        let (tags, parent) = (origin.tags.clone(), origin.parent.as_ref().map(|parent| parent.id));
        let (transaction, facts) =
            Transaction::start(start.id, definition.clone(), start.input.clone(), origin, moment);
        let new = NewTransaction {
            mode: transaction.mode(),
            definition: definition.name().clone(),
            version: definition.version(),
            id_given: start.id_given,
            key: start.key.clone(),
            fingerprint: start.fingerprint,
            tags,
            parent,
        };
        let standing = transaction.standing();
        let mut live = Live::new(transaction, start.runnable.clone(), 1, standing);
        live.standing = live.standing_from(moment.now);
        self.output.appends.push(Append {
            id: start.id,
            epoch: self.epoch_of(start.id),
            expected: Expected::from(new),
            record: record::encode(start.id, 1, &Record { at: moment.now, facts }),
            at: moment.now,
            standing: live.standing,
        });
        #[cfg(any(test, feature = "sabotage"))]
        self.break_the_rule(&live);
        self.appending.start(start, live);
    }

    /// Has something done with a transaction that must be in memory for it.
    fn enqueue(&mut self, id: TransactionId, item: Backlog<T>, moment: Moment) {
        match self.live.get_mut(&id) {
            Some(live) => {
                if live.appending || !live.backlog.is_empty() {
                    live.backlog.push_back(item);
                } else {
                    self.work_off(id, item, moment);
                }
                self.advance(id, moment);
            }
            None => self.load(id).questions.push(item),
        }
    }

    fn load(&mut self, id: TransactionId) -> &mut Loading<T> {
        self.loads.of(id, &mut self.output.loads)
    }

    /// Sees to it that a transaction that owes something is in memory.
    fn ensure_loaded(&mut self, id: TransactionId) {
        if !self.live.contains_key(&id) {
            self.load(id).is_wanted = true;
        }
    }

    /// A page of recovery may be older than what happened since it was read: to a transaction that is, or
    /// was, in memory.
    fn recovered(&mut self, id: TransactionId, found: Found, moment: Moment) {
        if self.live.contains_key(&id) || self.loads.is_under_way(id) || self.loads.has_left(id) {
            return self.ensure_loaded(id);
        }
        self.place(id, found, true, Vec::new(), moment);
    }

    fn loaded(&mut self, id: TransactionId, found: Found, moment: Moment) {
        let Loading { is_wanted, is_outdated, questions } = self.loads.done(id);
        if let Some(live) = self.live.get_mut(&id) {
            // It was started, or recovered, while it was read: memory is newer.
            live.backlog.extend(questions);
            return self.advance(id, moment);
        }
        if is_outdated {
            let loading = self.load(id);
            loading.is_wanted = is_wanted;
            loading.questions = questions;
            return;
        }
        self.place(id, found, is_wanted, questions, moment);
    }

    /// Puts a transaction that was read into memory, if it is needed there.
    fn place(
        &mut self,
        id: TransactionId,
        found: Found,
        is_wanted: bool,
        questions: Vec<Backlog<T>>,
        moment: Moment,
    ) {
        let (orders, mut questions): (Vec<_>, Vec<_>) =
            questions.into_iter().partition(|item| matches!(item, Backlog::Order(_)));
        match found {
            Found::Nothing => {
                self.reply_all(questions, || Reply::NotFound);
                if let Some(order) = newest(orders) {
                    self.order_absent(order, moment);
                }
            }
            Found::Removed => {
                self.reply_all(questions, || Reply::Removed { id });
                self.tell_of_unreadable(newest(orders));
            }
            Found::Failed { why } => {
                if let Some(order) = newest(orders) {
                    self.postpone(order, moment);
                }
                self.reply_all(questions, || Reply::Failed { why: why.clone() });
                if is_wanted {
                    self.loads.retry(id, moment.now.after(READ_RETRY));
                }
            }
            Found::Unreadable { why, judged_by } => {
                if let Some(records) = judged_by {
                    let epoch = self.epoch_of(id);
                    self.output.quarantines.push(Quarantine { id, records, epoch, why: why.clone() });
                }
                self.reply_all(questions, || Reply::Unreadable { id, why: why.clone() });
                self.tell_of_unreadable(newest(orders));
            }
            Found::Transaction { transaction, sequence, runnable, standing } => {
                let is_command = |item: &Backlog<T>| matches!(item, Backlog::Command { ticket: Some(_), .. });
                let is_answer = |item: &Backlog<T>| matches!(item, Backlog::Command { ticket: None, .. });
                questions.extend(orders);
                let is_order = |item: &Backlog<T>| matches!(item, Backlog::Order(_));
                let is_commanded = questions.iter().any(|item| is_command(item) || is_order(item));
                let is_answered = questions.iter().any(is_answer);
                let is_only_looked_at =
                    questions.iter().all(|item| matches!(item, Backlog::Ask { until: Until::Now, .. }));
                let stays = match transaction.standing() {
                    _ if !self.is_held(id) => false,
                    Standing::Ended(_) => is_commanded,
                    // What is certain is recorded, and not asked for again when an operator sends the rest on.
                    Standing::Parked => is_commanded || is_answered,
                    Standing::Active(_) | Standing::Asleep { .. } => is_wanted || !is_only_looked_at,
                };
                if !self.is_held(id) && !is_only_looked_at {
                    return self.reply_all(questions, || Reply::Fenced);
                }
                if !stays {
                    let state = || Reply::State { transaction: transaction.clone(), sequence };
                    return self.reply_all(questions, state);
                }
                let mut live = Live::new(*transaction, runnable, sequence, standing);
                // An answer first: recovery takes the call for one that is not answered.
                let (answers, others): (Vec<_>, Vec<_>) = questions.into_iter().partition(is_answer);
                live.backlog.extend(answers);
                if !live.transaction.standing().is_ended() {
                    live.backlog.push_back(Backlog::own(Command::Recover));
                }
                live.backlog.extend(others);
                self.live.insert(id, Box::new(live));
                self.advance(id, moment);
            }
        }
    }

    fn reply_all(&mut self, items: impl IntoIterator<Item = Backlog<T>>, reply: impl Fn() -> Reply) {
        for item in items {
            match item {
                Backlog::Ask { ticket, .. } | Backlog::Command { ticket: Some(ticket), .. } => {
                    self.output.replies.push((ticket, reply()));
                }
                Backlog::Command { ticket: None, .. } | Backlog::Order(_) => {}
            }
        }
    }

    fn answered(&mut self, id: TransactionId, attempt: AttemptId, outcome: Outcome, moment: Moment) {
        let Some(live) = self.live.get_mut(&id) else {
            // It rests, or sleeps: its places at the gates were given back when it left memory. What is
            // certain counts all the same, however late it comes.
            match outcome {
                Outcome::Completed { .. }
                | Outcome::CompletedTooLarge { .. }
                | Outcome::Refused(_)
                | Outcome::Conflict { .. }
                    if self.is_held(id) =>
                {
                    self.load(id).questions.push(Backlog::own(Command::Answer { attempt, outcome }));
                }
                Outcome::Completed { .. }
                | Outcome::CompletedTooLarge { .. }
                | Outcome::Refused(_)
                | Outcome::Conflict { .. }
                | Outcome::Working { .. }
                | Outcome::Unknown { .. } => {}
            }
            return;
        };
        let place = live.under_way.iter().position(|other| other.call.attempt == attempt);
        let removed = place.map(|at| live.under_way.swap_remove(at));
        let gate = live.runnable.participant(attempt.call).0;
        let had_place = removed.filter(|under_way| under_way.deadline.is_some());
        if let Some(UnderWay { pass, .. }) = had_place {
            self.leave(gate, pass, Some(&outcome), moment);
        }
        self.enqueue(id, Backlog::own(Command::Answer { attempt, outcome }), moment);
        if had_place.is_some() {
            self.let_in(gate, moment);
        }
    }

    fn appended(&mut self, answer: AppendAnswer, moment: Moment) {
        match self.appending.answered() {
            InFlight::Start { start, live } => self.start_decided(*start, live, answer, moment),
            InFlight::Further { append } => self.further_decided(append, answer, moment),
        }
    }

    fn start_decided(&mut self, start: Start<T>, live: Box<Live<T>>, answer: AppendAnswer, moment: Moment) {
        let Start { ticket, until, id, fingerprint, order, .. } = start;
        if let Some(order) = order {
            return self.child_decided(*order, live, answer, moment);
        }
        let ticket = ticket.expect("whoever starts no child asks for it");
        let reply = match answer {
            AppendAnswer::Committed => {
                // Recovery, or somebody who knew the id, may have had it read before this answer came: then
                // memory has gone on from there.
                self.live.entry(id).or_insert(live);
                return self.enqueue(id, Backlog::Ask { ticket, until }, moment);
            }
            AppendAnswer::Conflict(Conflict::Exists(entry)) => {
                let is_same = fingerprint.is_some() && entry.fingerprint == fingerprint;
                match entry.presence {
                    _ if !is_same => Reply::KeyReused { id: entry.id },
                    Presence::Kept => Reply::Exists { id: entry.id },
                    Presence::Removed => Reply::Removed { id: entry.id },
                }
            }
            AppendAnswer::Fenced => {
                self.lose(id);
                Reply::Fenced
            }
            AppendAnswer::NoSpace => Reply::NoSpace,
            AppendAnswer::TooLarge { bytes } => {
                Reply::Failed { why: format!("a first record of {bytes} bytes is too large") }
            }
            AppendAnswer::Conflict(Conflict::Sequence(_)) | AppendAnswer::Unknown => {
                // It may have been started: the journal is asked, and if it was, it goes on.
                self.loads.outdate(id);
                self.ensure_loaded(id);
                return self.enqueue(id, Backlog::Ask { ticket, until }, moment);
            }
        };
        self.output.replies.push((ticket, reply));
    }

    fn further_decided(&mut self, append: Append, answer: AppendAnswer, moment: Moment) {
        let id = append.id;
        match answer {
            AppendAnswer::Committed => {
                let live = self.live.get_mut(&id).expect(IN_MEMORY);
                live.sequence += 1;
                live.appending = false;
                let was_parked = std::mem::replace(&mut live.standing, append.standing) == Standing::Parked;
                let is_freed = was_parked && !live.is_at_rest();
                let freed = live.transaction.parent().filter(|_| is_freed).map(|parent| parent.id);
                for ticket in std::mem::take(&mut live.on_commit) {
                    let state = state_of(live);
                    self.output.replies.push((ticket, state));
                }
                if let Some(parent) = freed {
                    self.tell(parent, id, ChildStands::UnderWay);
                }
                self.advance(id, moment);
            }
            AppendAnswer::NoSpace => self.appending.retry(append, moment.now.after(NO_SPACE_RETRY)),
            AppendAnswer::Fenced => {
                // Whoever owns it now goes on with it: nothing is sent from here, and nothing read.
                let live = self.forget(id, moment);
                for ticket in live.on_commit.into_iter().chain(live.waiters) {
                    self.output.replies.push((ticket, Reply::Fenced));
                }
                self.reply_all(live.backlog, || Reply::Fenced);
                self.lose(id);
            }
            AppendAnswer::TooLarge { bytes } => {
                let why = format!("its records would have {bytes} bytes, more than the journal takes");
                self.quarantine(id, None, &why, moment);
            }
            AppendAnswer::Conflict(_) | AppendAnswer::Unknown => {
                // Memory is wrong, or may be: what the journal has is true.
                let live = self.forget(id, moment);
                for ticket in live.on_commit {
                    let why = "nobody knows whether this was recorded: look at the transaction, and repeat it if need be";
                    self.output.replies.push((ticket, Reply::Failed { why: why.to_owned() }));
                }
                let waiting =
                    live.waiters.into_iter().map(|ticket| Backlog::Ask { ticket, until: Until::Rest });
                let asked = |item: &Backlog<T>| match item {
                    Backlog::Command { ticket, .. } => ticket.is_some(),
                    Backlog::Ask { .. } | Backlog::Order(_) => true,
                };
                let waiting: Vec<Backlog<T>> =
                    waiting.chain(live.backlog.into_iter().filter(asked)).collect();
                self.ensure_loaded(id);
                self.load(id).questions.extend(waiting);
            }
        }
    }

    /// Works the backlog off as far as durable state goes, then lets the transaction rest or begins what it
    /// owes.
    fn advance(&mut self, id: TransactionId, moment: Moment) {
        loop {
            let Some(live) = self.live.get_mut(&id) else { return };
            if live.appending {
                return;
            }
            match live.backlog.pop_front() {
                Some(item) => self.work_off(id, item, moment),
                None => break,
            }
        }
        let live = self.in_memory(id);
        // A transaction that waits for a participant keeps no room for what comes later.
        live.backlog.shrink_to_fit();
        if live.is_at_rest() {
            self.let_rest(id, moment);
        } else if let Some(until) = live.may_sleep_until(moment.now) {
            self.forget(id, moment);
            let earliest = self.output.sleeps_until.map_or(until, |other| other.min(until));
            self.output.sleeps_until = Some(earliest);
        } else {
            self.send_what_is_owed(id, moment);
            self.schedule(id, moment);
        }
    }

    fn let_rest(&mut self, id: TransactionId, moment: Moment) {
        let mut live = self.forget(id, moment);
        self.tell_parent(&live.transaction);
        if live.transaction.standing() == Standing::Ended(End::Abandoned) {
            self.abandon_children(&live.transaction);
        }
        let last = live.waiters.pop();
        for ticket in std::mem::take(&mut live.waiters) {
            self.output.replies.push((ticket, state_of(&live)));
        }
        // Most often it is the only one: the state is given away, not copied.
        if let Some(ticket) = last {
            let Live { transaction, sequence, .. } = live;
            self.output.replies.push((ticket, Reply::State { transaction: Box::new(transaction), sequence }));
        }
    }

    fn work_off(&mut self, id: TransactionId, item: Backlog<T>, moment: Moment) {
        let live = self.live.get_mut(&id).expect(IN_MEMORY);
        match item {
            Backlog::Ask { ticket, until } => {
                if until == Until::Now || live.is_at_rest() {
                    let state = state_of(live);
                    self.output.replies.push((ticket, state));
                } else {
                    live.wait(ticket);
                }
            }
            Backlog::Order(order) => self.follow_order(id, &order, moment),
            Backlog::Command { ticket, command } => match handle(&mut live.transaction, command, moment) {
                Ok(Ok(facts)) if facts.is_empty() => {
                    if let Some(ticket) = ticket {
                        let state = state_of(live);
                        self.output.replies.push((ticket, state));
                    }
                }
                Ok(Ok(facts)) => {
                    live.on_commit.extend(ticket);
                    self.append(id, facts, moment);
                }
                Ok(Err(rejected)) => {
                    let ticket = ticket.expect("only what somebody asked for is rejected");
                    self.output.replies.push((ticket, Reply::Rejected(rejected)));
                }
                Err(why) => self.quarantine(id, ticket, &why, moment),
            },
        }
    }

    fn append(&mut self, id: TransactionId, facts: Facts, moment: Moment) {
        let epoch = self.epoch_of(id);
        let live = self.in_memory(id);
        live.appending = true;
        let append = Append {
            id,
            epoch,
            expected: Expected::Sequence(live.sequence),
            record: record::encode(id, live.sequence + 1, &Record { at: moment.now, facts }),
            at: moment.now,
            standing: live.standing_from(moment.now),
        };
        self.output.appends.push(append.clone());
        self.appending.further(append);
        #[cfg(any(test, feature = "sabotage"))]
        if self.sabotage_early_effects {
            let live = self.live.remove(&id).expect("whoever appends has the transaction");
            self.break_the_rule(&live);
            self.live.insert(id, live);
        }
    }

    /// Begins the effects that are owed and not under way. Their records are durable here.
    fn send_what_is_owed(&mut self, id: TransactionId, moment: Moment) {
        let live = self.live.get_mut(&id).expect("whoever sends has the transaction");
        assert!(!live.appending, "no effect leaves before its fact is durable");
        let Live { transaction, runnable, under_way, backlog, told, .. } = &mut **live;
        // What queues for what is not owed any more would keep the transaction from sleep.
        if under_way.iter().any(|call| call.deadline.is_none()) {
            under_way.retain(|call| {
                call.deadline.is_some() || transaction.owed().any(|effect| effect.id() == call.id())
            });
        }
        let mut wanted = Vec::new();
        let mut queues_at = None;
        let mut left = None;
        for effect in transaction.owed() {
            if under_way.iter().any(|other| other.id() == effect.id()) {
                continue;
            }
            match effect {
                Effect::Call(call) => {
                    let gate = runnable.participant(call.attempt.call).0;
                    let (deadline, pass) =
                        match begin(transaction, runnable, call, &mut self.gates, &mut self.output, moment) {
                            Begun::Sent(deadline, pass) => (Some(deadline), pass),
                            Begun::Queued => {
                                queues_at = Some(gate);
                                (None, Pass::PLAIN)
                            }
                            Begun::Unmade(why) => {
                                left = Some(gate);
                                backlog
                                    .push_back(Backlog::own(Command::Unmade { attempt: call.attempt, why }));
                                continue;
                            }
                        };
                    // Most transactions have one call at a time: room for more would be half of what they
                    // take.
                    under_way.reserve_exact(1);
                    under_way.push(UnderWay { call, deadline, pass });
                }
                Effect::Child(child) => {
                    match told.iter_mut().find(|(id, _)| *id == child.id) {
                        Some((_, want)) if *want == child.want => continue,
                        Some((_, want)) => *want = child.want,
                        None => told.push((child.id, child.want)),
                    }
                    wanted.push(child);
                }
            }
        }
        for child in wanted {
            self.want(id, child);
        }
        let is_to_advance = !self.in_memory(id).backlog.is_empty();
        if let Some(gate) = queues_at {
            self.tidy_queue(gate);
        }
        if let Some(gate) = left {
            self.let_in(gate, moment);
        }
        if is_to_advance {
            self.advance(id, moment);
        }
    }

    /// Notes when to look at the transaction again.
    fn schedule(&mut self, id: TransactionId, moment: Moment) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let attempts = live.under_way.iter().filter_map(|under_way| under_way.deadline).min();
        let mut due = live.transaction.wake_at().min(attempts.unwrap_or(Time::NEVER));
        if matches!(live.standing, Standing::Asleep { .. }) {
            // Most likely it is here only because somebody waits: they may give up, and nobody says so.
            due = due.min(moment.now.after(SLEEP_AT_LEAST));
        }
        // Never immediately: a moment that changes nothing must not spin.
        let due = due.max(moment.now.after(Duration::from_millis(1)));
        // One that has become later is left: the transaction is looked at one time too often, which is rarer than
        // a step.
        if due < live.agenda_at {
            self.agenda.remove(&(live.agenda_at, id));
            live.agenda_at = due;
            self.agenda.insert((due, id));
        }
    }

    fn tick(&mut self, moment: Moment) {
        for append in self.appending.due(moment.now) {
            self.output.appends.push(append.clone());
            self.appending.further(append);
        }
        self.take_up_orders(moment);
        for id in self.loads.due(moment.now) {
            self.ensure_loaded(id);
        }
        while let Some((due, id)) = self.agenda.first().copied()
            && due <= moment.now
        {
            self.agenda.pop_first();
            self.look_at(id, moment);
        }
        self.look_at_gates(moment);
    }

    /// A moment has come that the transaction waits for: an attempt's limit, or its own.
    fn look_at(&mut self, id: TransactionId, moment: Moment) {
        let live = self.in_memory(id);
        live.agenda_at = Time::NEVER;
        let mut overdue = Vec::new();
        live.under_way.retain(|under_way| {
            let is_over = under_way.deadline.is_some_and(|deadline| deadline <= moment.now);
            if is_over {
                overdue.push(*under_way);
            }
            !is_over
        });
        let runnable = live.runnable.clone();
        for UnderWay { call: OwedCall { attempt, limit, .. }, pass, .. } in overdue.iter().copied() {
            let message = format!("no answer within {} ms", limit.as_millis());
            let outcome = Outcome::unknown(Reason::TIMED_OUT, message);
            self.leave(runnable.participant(attempt.call).0, pass, Some(&outcome), moment);
            self.in_memory(id).backlog.push_back(Backlog::own(Command::Answer { attempt, outcome }));
        }
        self.in_memory(id).backlog.push_back(Backlog::own(Command::Wake));
        self.advance(id, moment);
        for under_way in overdue {
            self.let_in(runnable.participant(under_way.call.attempt.call).0, moment);
        }
    }

    /// Parks a transaction whose state has turned out to be wrong.
    fn quarantine(&mut self, id: TransactionId, ticket: Option<T>, why: &str, moment: Moment) {
        let epoch = self.epoch_of(id);
        let live = self.forget(id, moment);
        self.tell_parent_of_quarantine(&live.transaction);
        let records = live.sequence;
        self.output.quarantines.push(Quarantine { id, records, epoch, why: why.to_owned() });
        for ticket in ticket.into_iter().chain(live.waiters).chain(live.on_commit) {
            self.output.replies.push((ticket, Reply::Unreadable { id, why: why.to_owned() }));
        }
        self.reply_all(live.backlog, || Reply::Unreadable { id, why: why.to_owned() });
    }

    /// Takes a transaction out of memory. Its calls keep no place at the gates.
    fn forget(&mut self, id: TransactionId, moment: Moment) -> Live<T> {
        let mut live = *self.live.remove(&id).expect("whoever forgets has the transaction");
        self.loads.left(id);
        self.agenda.remove(&(live.agenda_at, id));
        for under_way in std::mem::take(&mut live.under_way) {
            if under_way.deadline.is_some() {
                let gate = live.runnable.participant(under_way.call.attempt.call).0;
                self.leave(gate, under_way.pass, None, moment);
                self.let_in(gate, moment);
            }
        }
        live
    }

    fn in_memory(&mut self, id: TransactionId) -> &mut Live<T> {
        self.live.get_mut(&id).expect(IN_MEMORY)
    }

    /// What the crash campaign must catch: calls leave before their record is durable.
    #[cfg(any(test, feature = "sabotage"))]
    fn break_the_rule(&mut self, live: &Live<T>) {
        if !self.sabotage_early_effects {
            return;
        }
        for effect in live.transaction.owed().filter(|effect| !live.is_under_way(effect.id())) {
            let Effect::Call(call) = effect else { continue };
            let payload = live.runnable.payload(&live.transaction, call.attempt.call);
            let payload = payload.expect("a build that breaks the rule has sound payloads");
            let participant = live.runnable.participant(call.attempt.call);
            self.output
                .calls
                .push((participant, gates::call_of(&live.transaction, &live.runnable, call, payload)));
        }
    }
}

/// What was wanted last of a child: it stands for what was wanted before.
fn newest<T>(orders: Vec<Backlog<T>>) -> Option<Order> {
    orders.into_iter().next_back().and_then(|item| match item {
        Backlog::Order(order) => Some(*order),
        Backlog::Command { .. } | Backlog::Ask { .. } => None,
    })
}

const IN_MEMORY: &str = "whoever has the id here has the transaction in memory";

/// What a command leads to; the transaction is then ahead of the journal. A broken invariant stops this one,
/// not the others.
fn handle(
    transaction: &mut Transaction,
    command: Command,
    moment: Moment,
) -> Result<Result<Facts, Rejected>, String> {
    let decided = catch_unwind(AssertUnwindSafe(|| transaction.handle(command, moment)));
    decided.map_err(|panic| {
        let what = panic.downcast_ref::<String>().map(String::as_str);
        let what = what.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
        format!("an invariant does not hold: {what}")
    })
}

fn state_of<T>(live: &Live<T>) -> Reply {
    Reply::State { transaction: Box::new(live.transaction.clone()), sequence: live.sequence }
}
