//! A shard: one synchronous state machine over many sagas.
//!
//! Owns the sagas in memory, the agenda of their timers and the gates before their participants. Promises the one
//! rule: a call leaves, and a reply is given, only after the records behind it are durable; and that the same inputs in
//! the same order give the same outputs. Does not know a runtime, socket, clock or disk: production, tests and the
//! simulation drive this very type. Start reading at [`Shard::handle`].

#[cfg(test)]
mod asleep;
pub mod gate;
pub mod input;
#[cfg(test)]
mod late_page;
mod live;
#[cfg(test)]
mod simulation;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use amends_core::{
    CallParticipant, Command, Direction, Event, Mode, Moment, Outcome, Reason, Saga, Standing, Status, Time,
    TransactionId,
};
use amends_journal::record::{self, Record};
use amends_journal::{Append, AppendAnswer, Conflict, Epoch, Expected, IdHash, NewTransaction};

use crate::call::Call;
use crate::leases::Leases;
use crate::limits::{NO_SPACE_RETRY, READ_RETRY, SLEEP_AT_LEAST};
use crate::registry::Plan;
use crate::shard::gate::{Attempt, Gate};
use crate::shard::input::{Found, Input, Output, Reply, Start, Ticket, Until};
use crate::shard::live::{Backlog, Live, UnderWay, is_at_rest, is_same_attempt};

/// Many sagas, driven by inputs.
#[derive(Debug)]
pub struct Shard<T> {
    // Looked up, never iterated: its order must not be seen.
    live: HashMap<TransactionId, Box<Live<T>>, IdHash>,
    /// Appends handed out and not answered, in order.
    in_flight: VecDeque<InFlight<T>>,
    /// How many of these are starts.
    starts_in_flight: usize,
    /// Who waits for a saga that is being read.
    loading: HashMap<TransactionId, Loading<T>, IdHash>,
    /// Sagas that left memory while recovery reads: what it brings of them is older than what memory knew.
    left_while_recovering: Option<HashSet<TransactionId, IdHash>>,
    /// Sagas that must be taken up but could not be read, and when to try them again.
    unread: Vec<TransactionId>,
    read_again_at: Time,
    agenda: BTreeSet<(Time, TransactionId)>,
    gates: Vec<Gate>,
    leases: Arc<Leases>,
    /// Appends that met a full disk, and when to try them again.
    without_space: Vec<Append>,
    space_retry_at: Time,
    output: Output<T>,
    /// Releases calls before their records are durable, for the crash campaign to catch.
    #[cfg(any(test, feature = "sabotage"))]
    pub sabotage_early_effects: bool,
}

#[derive(Debug)]
struct Loading<T> {
    /// Whether the saga itself wants to be in memory: its timer is due, or it was there before.
    is_taken_up: bool,
    /// Whether it has been in memory since the read was asked for: what is read may be older than what was told.
    is_outdated: bool,
    questions: Vec<Backlog<T>>,
}

#[derive(Debug)]
enum InFlight<T> {
    /// With the saga as it is once that is durable.
    Start {
        start: Box<Start<T>>,
        live: Box<Live<T>>,
    },
    Further {
        append: Append,
    },
}

impl<T: Ticket> Shard<T> {
    /// A shard without sagas.
    #[must_use]
    pub fn new(gates: Vec<Gate>, leases: Arc<Leases>) -> Self {
        Self {
            live: HashMap::default(),
            in_flight: VecDeque::new(),
            starts_in_flight: 0,
            loading: HashMap::default(),
            left_while_recovering: Some(HashSet::default()),
            unread: Vec::new(),
            read_again_at: Time::NEVER,
            agenda: BTreeSet::new(),
            gates,
            leases,
            without_space: Vec::new(),
            space_retry_at: Time::NEVER,
            output: Output::new(),
            #[cfg(any(test, feature = "sabotage"))]
            sabotage_early_effects: false,
        }
    }

    /// Takes one input in. What follows from it waits in [`Shard::take_output`].
    pub fn handle(&mut self, input: Input<T>, moment: Moment) {
        match input {
            Input::Start(start) => self.start(start, moment),
            Input::Ask { ticket, saga, until } => self.give(saga, Backlog::Ask { ticket, until }, moment),
            Input::Operate { ticket, saga, verb, by } => {
                self.give(saga, Backlog::Operate { ticket, verb, by }, moment);
            }
            Input::Answered { saga, step, direction, attempt, outcome } => {
                let limit = Duration::ZERO;
                let call = CallParticipant { step, direction, attempt, in_doubt: false, limit };
                self.answered(saga, &call, outcome, moment);
            }
            Input::Appended(answers) => {
                for answer in answers {
                    self.appended(answer, moment);
                }
            }
            Input::Loaded { saga, found } => self.loaded(saga, found, moment),
            Input::Recovered { saga, found } => self.recovered(saga, found, moment),
            Input::RecoveryDone => self.left_while_recovering = None,
            Input::Awaken { saga } => self.take_up(saga),
            Input::Tick => self.tick(moment),
        }
    }

    /// Everything wanted since the last call.
    pub fn take_output(&mut self) -> Output<T> {
        std::mem::replace(&mut self.output, Output::new())
    }

    /// When to give the next [`Input::Tick`].
    #[must_use]
    pub fn wake_at(&self) -> Time {
        let due = self.agenda.first().map_or(Time::NEVER, |(due, _)| *due);
        due.min(self.space_retry_at).min(self.read_again_at)
    }

    /// Sagas in memory, those that are about to exist included.
    #[must_use]
    pub fn population(&self) -> usize {
        self.live.len() + self.starts_in_flight
    }

    /// Sagas that are being read.
    #[must_use]
    pub fn reading(&self) -> usize {
        self.loading.len()
    }

    fn start(&mut self, start: Start<T>, moment: Moment) {
        let definition = start.plan.definition.clone();
        let (saga, events) = Saga::start(start.id, definition, start.input.clone(), moment);
        let record = Record { at: moment.now, events };
        self.output.appends.push(Append {
            id: start.id,
            epoch: self.epoch(start.id),
            expected: Expected::New(NewTransaction {
                mode: Mode::Saga,
                definition: saga.definition().name().clone(),
                version: saga.definition().version(),
                id_given: start.id_given,
                key: start.key.clone(),
                fingerprint: start.fingerprint,
            }),
            record: record::encode(start.id, 1, &record),
            at: moment.now,
            standing: saga.status().standing(),
        });
        #[cfg(any(test, feature = "sabotage"))]
        if self.sabotage_early_effects {
            for call in saga.owed_calls() {
                self.output.calls.push((start.plan.participant(call.step), call_of(&saga, &call)));
            }
        }
        self.starts_in_flight += 1;
        let standing = saga.status().standing();
        let live = Box::new(Live::new(saga, start.plan.clone(), 1, standing));
        self.in_flight.push_back(InFlight::Start { start: Box::new(start), live });
    }

    /// Under which its partition is held; what nobody holds is fenced.
    fn epoch(&self, id: TransactionId) -> Epoch {
        self.leases.epoch(id).unwrap_or(Epoch(0))
    }

    /// Does something with a saga that must be in memory for it.
    fn give(&mut self, saga: TransactionId, item: Backlog<T>, moment: Moment) {
        if self.live.contains_key(&saga) {
            self.take_item(saga, item, moment);
        } else {
            self.load(saga).questions.push(item);
        }
    }

    /// Does something with a saga in memory: now, if nothing else is in its way.
    fn take_item(&mut self, id: TransactionId, item: Backlog<T>, moment: Moment) {
        let live = self.live.get_mut(&id).expect("the saga is in memory");
        if live.appending || !live.backlog.is_empty() {
            live.backlog.push_back(item);
        } else {
            self.work_off(id, item, moment);
        }
        self.go_on(id, moment);
    }

    fn load(&mut self, saga: TransactionId) -> &mut Loading<T> {
        self.loading.entry(saga).or_insert_with(|| {
            self.output.loads.push(saga);
            Loading { is_taken_up: false, is_outdated: false, questions: Vec::new() }
        })
    }

    /// Sees to it that a saga that owes something is in memory.
    fn take_up(&mut self, saga: TransactionId) {
        if !self.live.contains_key(&saga) {
            self.load(saga).is_taken_up = true;
        }
    }

    /// A page of recovery may be older than what happened since it was read: to a saga that is, or was, in memory.
    fn recovered(&mut self, saga: TransactionId, found: Found, moment: Moment) {
        let has_left = self.left_while_recovering.as_ref().is_some_and(|left| left.contains(&saga));
        if self.live.contains_key(&saga) || self.loading.contains_key(&saga) || has_left {
            return self.take_up(saga);
        }
        self.take_in(saga, found, true, Vec::new(), moment);
    }

    fn loaded(&mut self, saga: TransactionId, found: Found, moment: Moment) {
        let Loading { is_taken_up, is_outdated, questions } =
            self.loading.remove(&saga).expect("each read is asked for once, and answered once");
        if let Some(live) = self.live.get_mut(&saga) {
            // It was started, or recovered, while it was read: memory is newer.
            live.backlog.extend(questions);
            return self.go_on(saga, moment);
        }
        if is_outdated {
            let loading = self.load(saga);
            loading.is_taken_up = is_taken_up;
            loading.questions = questions;
            return;
        }
        self.take_in(saga, found, is_taken_up, questions, moment);
    }

    fn take_in(
        &mut self,
        saga: TransactionId,
        found: Found,
        is_taken_up: bool,
        questions: Vec<Backlog<T>>,
        moment: Moment,
    ) {
        match found {
            Found::Nothing => self.reply_all(questions, || Reply::NotFound),
            Found::Failed { why } => {
                self.reply_all(questions, || Reply::Failed { why: why.clone() });
                if is_taken_up {
                    self.unread.push(saga);
                    self.read_again_at = self.read_again_at.min(moment.now.after(READ_RETRY));
                }
            }
            Found::Unreadable { why, judged_by } => {
                if let Some(records) = judged_by {
                    self.output.quarantines.push((saga, records, why.clone()));
                }
                self.reply_all(questions, || Reply::Unreadable { saga, why: why.clone() });
            }
            Found::Saga { saga: state, sequence, plan, standing } => {
                let is_operated = questions.iter().any(|item| matches!(item, Backlog::Operate { .. }));
                let is_only_looked_at =
                    questions.iter().all(|item| matches!(item, Backlog::Ask { until: Until::Now, .. }));
                let stays = if is_at_rest(&state) { is_operated } else { is_taken_up || !is_only_looked_at };
                if !stays {
                    return self.reply_all(questions, || Reply::State { saga: state.clone(), sequence });
                }
                let mut live = Live::new(*state, plan, sequence, standing);
                if !live.saga.status().is_ended() {
                    live.backlog.push_back(Backlog::Command(Command::Recover));
                }
                live.backlog.extend(questions);
                self.live.insert(saga, Box::new(live));
                self.go_on(saga, moment);
            }
        }
    }

    fn reply_all(&mut self, items: impl IntoIterator<Item = Backlog<T>>, reply: impl Fn() -> Reply) {
        for item in items {
            match item {
                Backlog::Ask { ticket, .. } | Backlog::Operate { ticket, .. } => {
                    self.output.replies.push((ticket, reply()));
                }
                Backlog::Command(_) => {}
            }
        }
    }

    fn answered(&mut self, saga: TransactionId, call: &CallParticipant, outcome: Outcome, moment: Moment) {
        let Some(live) = self.live.get_mut(&saga) else {
            // It rests, or sleeps: its places at the gates were given back when it left memory. What is certain counts
            // all the same, however late it comes.
            let CallParticipant { step, direction, attempt, .. } = *call;
            match outcome {
                Outcome::Completed { .. } | Outcome::Refused(_) => {
                    let answer = Command::Answer { step, direction, attempt, outcome };
                    self.load(saga).questions.push(Backlog::Command(answer));
                }
                Outcome::Pending { .. } | Outcome::Unknown { .. } => {}
            }
            return;
        };
        let CallParticipant { step, direction, attempt, .. } = *call;
        let place = live.under_way.iter().position(|other| is_same_attempt(&other.call, call));
        let removed = place.map(|at| live.under_way.swap_remove(at));
        let gate = live.plan.participant(step);
        let answer = Command::Answer { step, direction, attempt, outcome };
        self.take_item(saga, Backlog::Command(answer), moment);
        if removed.is_some_and(|under_way| under_way.deadline.is_some()) {
            self.gates[gate.0].leave();
            self.let_in(gate.0, moment);
        }
    }

    /// Gives free places to those who queue.
    fn let_in(&mut self, gate: usize, moment: Moment) {
        while let Some(attempt) = self.gates[gate].next() {
            // It may have been given up while it queued.
            if let Some(live) = self.live.get_mut(&attempt.saga)
                && let Some(call) = live.under_way.iter().map(|under_way| under_way.call).find(|call| {
                    (call.step, call.direction, call.attempt)
                        == (attempt.step, attempt.direction, attempt.number)
                })
                && !live.appending
                && live.saga.owed_calls().any(|owed| is_same_attempt(&owed, &call))
            {
                let deadline =
                    try_call(&live.saga, &live.plan, call, &mut self.gates, &mut self.output, moment);
                let under_way = live.under_way.iter_mut().find(|other| is_same_attempt(&other.call, &call));
                under_way.expect("it was found there").deadline = deadline;
                self.schedule(attempt.saga, moment);
            } else if let Some(live) = self.live.get_mut(&attempt.saga) {
                // Not owed as of now; if it still is after the append, it queues anew.
                live.under_way.retain(|under_way| {
                    let call = &under_way.call;
                    under_way.deadline.is_some()
                        || (call.step, call.direction, call.attempt)
                            != (attempt.step, attempt.direction, attempt.number)
                });
            }
        }
    }

    fn appended(&mut self, answer: AppendAnswer, moment: Moment) {
        let in_flight = self.in_flight.pop_front().expect("the journal answers each append once, in order");
        match in_flight {
            InFlight::Start { start, live } => {
                self.starts_in_flight -= 1;
                self.start_decided(*start, live, answer, moment);
            }
            InFlight::Further { append } => self.further_decided(append, answer, moment),
        }
    }

    fn start_decided(&mut self, start: Start<T>, live: Box<Live<T>>, answer: AppendAnswer, moment: Moment) {
        let Start { ticket, until, id, fingerprint, .. } = start;
        let reply = match answer {
            AppendAnswer::Committed => {
                // Recovery, or somebody who knew the id, may have had it read before this answer came: then memory has
                // gone on from there.
                self.live.entry(id).or_insert(live);
                return self.take_item(id, Backlog::Ask { ticket, until }, moment);
            }
            AppendAnswer::Conflict(Conflict::Exists(entry)) => {
                let same = fingerprint.is_some() && entry.fingerprint == fingerprint;
                if same { Reply::Exists { saga: entry.id } } else { Reply::KeyReused { saga: entry.id } }
            }
            AppendAnswer::NoSpace => Reply::NoSpace,
            AppendAnswer::TooLarge { bytes } => Reply::Failed { why: too_large(bytes) },
            AppendAnswer::Conflict(Conflict::Sequence(_)) | AppendAnswer::Fenced | AppendAnswer::Unknown => {
                // It may have been started: the journal is asked, and if it was, it goes on.
                self.outdate(id);
                self.take_up(id);
                return self.give(id, Backlog::Ask { ticket, until }, moment);
            }
        };
        self.output.replies.push((ticket, reply));
    }

    fn further_decided(&mut self, append: Append, answer: AppendAnswer, moment: Moment) {
        let saga = append.id;
        let live = self.live.get_mut(&saga).expect("a saga stays in memory while its record is on its way");
        match answer {
            AppendAnswer::Committed => {
                live.sequence += 1;
                live.appending = false;
                live.standing = append.standing;
                let tickets = std::mem::take(&mut live.on_commit);
                for ticket in tickets {
                    let reply = Reply::State { saga: Box::new(live.saga.clone()), sequence: live.sequence };
                    self.output.replies.push((ticket, reply));
                }
                self.go_on(saga, moment);
            }
            AppendAnswer::NoSpace => {
                // Nothing was written, and the condition still holds: the same record is tried again.
                self.without_space.push(append);
                self.space_retry_at = self.space_retry_at.min(moment.now.after(NO_SPACE_RETRY));
            }
            AppendAnswer::TooLarge { bytes } => self.quarantine(saga, None, &too_large(bytes), moment),
            AppendAnswer::Conflict(_) | AppendAnswer::Fenced | AppendAnswer::Unknown => {
                // Memory is wrong, or may be: what the journal has is true.
                let live = self.forget(saga, moment);
                for ticket in live.on_commit {
                    let why =
                        "nobody knows whether this was recorded: look at the saga, and repeat it if need be";
                    self.output.replies.push((ticket, Reply::Failed { why: why.to_owned() }));
                }
                let waiting =
                    live.waiters.into_iter().map(|ticket| Backlog::Ask { ticket, until: Until::Rest });
                let waiting: Vec<Backlog<T>> = waiting
                    .chain(live.backlog.into_iter().filter(|item| !matches!(item, Backlog::Command(_))))
                    .collect();
                self.take_up(saga);
                self.load(saga).questions.extend(waiting);
            }
        }
    }

    /// Works the backlog off as far as durable state goes, then lets the saga rest or sends what it owes.
    fn go_on(&mut self, id: TransactionId, moment: Moment) {
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
        let Some(live) = self.live.get_mut(&id) else { return };
        // A saga that waits for a participant keeps no room for what comes later.
        live.backlog.shrink_to_fit();
        if live.is_at_rest() {
            let Live { saga, sequence, mut waiters, .. } = self.forget(id, moment);
            let last = waiters.pop();
            for ticket in waiters {
                let reply = Reply::State { saga: Box::new(saga.clone()), sequence };
                self.output.replies.push((ticket, reply));
            }
            // Most often it is the only one: the state is given away, not copied.
            if let Some(ticket) = last {
                self.output.replies.push((ticket, Reply::State { saga: Box::new(saga), sequence }));
            }
        } else if let Some(timer) = live.standing.until()
            && timer > moment.now
            && timer <= live.saga.wake_at()
            && is_idle(live)
            && !live.is_waited_for()
        {
            self.forget(id, moment);
            let earliest = self.output.sleeps_until.map_or(timer, |other| other.min(timer));
            self.output.sleeps_until = Some(earliest);
        } else {
            self.send_what_is_owed(id, moment);
            self.schedule(id, moment);
        }
    }

    fn work_off(&mut self, id: TransactionId, item: Backlog<T>, moment: Moment) {
        let live = self.live.get_mut(&id).expect("whoever works a backlog off has the saga");
        match item {
            Backlog::Ask { ticket, until } => {
                if until == Until::Now || live.is_at_rest() {
                    let reply = Reply::State { saga: Box::new(live.saga.clone()), sequence: live.sequence };
                    self.output.replies.push((ticket, reply));
                } else {
                    live.wait(ticket);
                }
            }
            Backlog::Command(command) => match decide(&mut live.saga, command, moment) {
                Ok(Ok(events)) if events.is_empty() => {}
                Ok(Ok(events)) => self.append(id, events, moment),
                Ok(Err(rejected)) => unreachable!("only verbs are rejected: {rejected}"),
                Err(why) => self.quarantine(id, None, &why, moment),
            },
            Backlog::Operate { ticket, verb, by } => {
                match decide(&mut live.saga, Command::Operate { verb, by }, moment) {
                    Ok(Ok(events)) => {
                        live.on_commit.push(ticket);
                        self.append(id, events, moment);
                    }
                    Ok(Err(rejected)) => self.output.replies.push((ticket, Reply::Rejected(rejected))),
                    Err(why) => self.quarantine(id, Some(ticket), &why, moment),
                }
            }
        }
    }

    fn append(&mut self, id: TransactionId, events: Vec<Event>, moment: Moment) {
        let epoch = self.epoch(id);
        let live = self.live.get_mut(&id).expect("whoever appends has the saga");
        live.appending = true;
        let append = Append {
            id,
            epoch,
            expected: Expected::Sequence(live.sequence),
            record: record::encode(id, live.sequence + 1, &Record { at: moment.now, events }),
            at: moment.now,
            standing: standing_of(live, moment.now),
        };
        self.output.appends.push(append.clone());
        self.in_flight.push_back(InFlight::Further { append });
        #[cfg(any(test, feature = "sabotage"))]
        if self.sabotage_early_effects {
            let live = &self.live[&id];
            for call in live.saga.owed_calls().filter(|call| !live.is_under_way(call)) {
                self.output.calls.push((live.plan.participant(call.step), call_of(&live.saga, &call)));
            }
        }
    }

    /// Sends the calls that are owed and not under way. Their records are durable here.
    fn send_what_is_owed(&mut self, id: TransactionId, moment: Moment) {
        let live = self.live.get_mut(&id).expect("whoever sends has the saga");
        assert!(!live.appending, "no effect leaves before its fact is durable");
        for call in live.saga.owed_calls() {
            if live.is_under_way(&call) {
                continue;
            }
            let deadline = try_call(&live.saga, &live.plan, call, &mut self.gates, &mut self.output, moment);
            // Most sagas have one call at a time: room for more would be half of what they take.
            live.under_way.reserve_exact(1);
            live.under_way.push(UnderWay { call, deadline });
        }
    }

    /// Notes when to look at the saga again.
    fn schedule(&mut self, id: TransactionId, moment: Moment) {
        let live = self.live.get_mut(&id).expect("whoever schedules has the saga");
        let attempts = live.under_way.iter().filter_map(|under_way| under_way.deadline).min();
        let mut due = live.saga.wake_at().min(attempts.unwrap_or(Time::NEVER));
        if live.standing.until().is_some() {
            // Most likely it is here only because somebody waits: they may give up, and nobody tells.
            due = due.min(moment.now.after(SLEEP_AT_LEAST));
        }
        // Never at once: a moment that changes nothing must not spin.
        let due = due.max(moment.now.after(Duration::from_millis(1)));
        // One that has become later is left: the saga is looked at once too often, which is rarer than a step.
        if due < live.agenda_at {
            self.agenda.remove(&(live.agenda_at, id));
            live.agenda_at = due;
            self.agenda.insert((due, id));
        }
    }

    fn tick(&mut self, moment: Moment) {
        if self.space_retry_at <= moment.now {
            self.space_retry_at = Time::NEVER;
            for append in std::mem::take(&mut self.without_space) {
                self.output.appends.push(append.clone());
                self.in_flight.push_back(InFlight::Further { append });
            }
        }
        if self.read_again_at <= moment.now {
            self.read_again_at = Time::NEVER;
            for saga in std::mem::take(&mut self.unread) {
                self.take_up(saga);
            }
        }
        while let Some((due, id)) = self.agenda.first().copied()
            && due <= moment.now
        {
            self.agenda.pop_first();
            let live = self.live.get_mut(&id).expect("the agenda names sagas in memory");
            live.agenda_at = Time::NEVER;
            let mut overdue = Vec::new();
            live.under_way.retain(|under_way| {
                let is_over = under_way.deadline.is_some_and(|deadline| deadline <= moment.now);
                if is_over {
                    overdue.push(under_way.call);
                }
                !is_over
            });
            for CallParticipant { step, direction, attempt, limit, .. } in overdue.iter().copied() {
                let message = format!("no answer within {} ms", limit.as_millis());
                let outcome = Outcome::unknown(Reason::TIMED_OUT, message);
                live.backlog.push_back(Backlog::Command(Command::Answer {
                    step,
                    direction,
                    attempt,
                    outcome,
                }));
            }
            live.backlog.push_back(Backlog::Command(Command::Wake));
            let gates: Vec<usize> = overdue.iter().map(|call| live.plan.participant(call.step).0).collect();
            self.go_on(id, moment);
            for gate in gates {
                self.gates[gate].leave();
                self.let_in(gate, moment);
            }
        }
    }

    /// Parks a saga whose state has turned out to be wrong.
    fn quarantine(&mut self, id: TransactionId, ticket: Option<T>, why: &str, moment: Moment) {
        let live = self.forget(id, moment);
        self.output.quarantines.push((id, live.sequence, why.to_owned()));
        for ticket in ticket.into_iter().chain(live.waiters).chain(live.on_commit) {
            self.output.replies.push((ticket, Reply::Unreadable { saga: id, why: why.to_owned() }));
        }
        self.reply_all(live.backlog, || Reply::Unreadable { saga: id, why: why.to_owned() });
    }

    /// Takes a saga out of memory. Its calls keep no place at the gates.
    fn forget(&mut self, id: TransactionId, moment: Moment) -> Live<T> {
        let mut live = *self.live.remove(&id).expect("whoever forgets has the saga");
        self.outdate(id);
        if let Some(left) = &mut self.left_while_recovering {
            left.insert(id);
        }
        self.agenda.remove(&(live.agenda_at, id));
        for under_way in std::mem::take(&mut live.under_way) {
            if under_way.deadline.is_some() {
                let gate = live.plan.participant(under_way.call.step).0;
                self.gates[gate].leave();
                self.let_in(gate, moment);
            }
        }
        live
    }

    /// What is being read of the saga, if it is, may be older than what is there now.
    fn outdate(&mut self, saga: TransactionId) {
        if let Some(loading) = self.loading.get_mut(&saga) {
            loading.is_outdated = true;
        }
    }
}

/// What core decides; the saga is then ahead of the journal. A broken invariant stops this saga, not the others.
fn decide(
    saga: &mut Saga,
    command: Command,
    moment: Moment,
) -> Result<Result<Vec<Event>, amends_core::Rejected>, String> {
    let decided = catch_unwind(AssertUnwindSafe(|| saga.decide(command, moment)));
    decided.map_err(|panic| {
        let what = panic.downcast_ref::<String>().map(String::as_str);
        let what = what.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
        format!("an invariant does not hold: {what}")
    })
}

/// Makes a call if its gate has a place, and tells when its limit passes; it queues there otherwise.
fn try_call<T>(
    saga: &Saga,
    plan: &Plan,
    call: CallParticipant,
    gates: &mut [Gate],
    output: &mut Output<T>,
    moment: Moment,
) -> Option<Time> {
    let participant = plan.participant(call.step);
    let CallParticipant { step, direction, attempt: number, .. } = call;
    if !gates[participant.0].enter(Attempt { saga: saga.id(), step, direction, number }) {
        return None;
    }
    output.calls.push((participant, call_of(saga, &call)));
    Some(moment.now.after(call.limit))
}

/// What the journal is to know of where the saga stands: also whether it may leave memory, because there is nothing to do
/// for a good while. That somebody waits for its end is for memory to know, not for the journal.
fn standing_of<T: Ticket>(live: &Live<T>, now: Time) -> Standing {
    let standing = live.saga.status().standing();
    match standing {
        Standing::Active(way) if is_idle(live) => {
            let until = live.saga.wake_at();
            if until >= now.after(SLEEP_AT_LEAST) { Standing::Asleep { way, until } } else { standing }
        }
        Standing::Active(_) | Standing::Asleep { .. } | Standing::Parked | Standing::Ended(_) => standing,
    }
}

fn too_large(bytes: u64) -> String {
    format!("its records would have {bytes} bytes: more than the journal takes of one")
}

/// Whether nothing is to be done for the saga before its timer.
fn is_idle<T: Ticket>(live: &Live<T>) -> bool {
    live.under_way.is_empty() && live.saga.owed_calls().next().is_none()
}

fn call_of(saga: &Saga, call: &CallParticipant) -> Call {
    debug_assert!(saga.status() != Status::Failed, "a parked saga owes no call");
    Call {
        saga: saga.id(),
        definition: saga.definition().clone(),
        step: call.step,
        direction: call.direction,
        attempt: call.attempt,
        in_doubt: call.direction == Direction::Compensation && call.in_doubt,
        limit: call.limit,
        input: saga.input().clone(),
        outputs: saga.steps().iter().map(|run| run.output().cloned()).collect(),
    }
}
