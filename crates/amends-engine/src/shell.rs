//! The asynchronous shell around one shard.
//!
//! Owns the task that feeds a shard and does what it wants: appends to the journal, calls to participants in this
//! process, replies, reads. Promises that every append's answer reaches the shard, and that a participant that panics
//! gives an unknown outcome and harms no other saga. Does not decide anything.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use amends_core::{Outcome, Time, TransactionId};
use amends_journal::{Journal, Quarantined};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::call::{Answer, Call};
use crate::clock::Clock;
use crate::leases::Leases;
use crate::limits::{ABANDON_AFTER, INPUTS_PER_TURN_MAX};
use crate::loader;
use crate::registry::Registry;
use crate::shard::gate::ParticipantIndex;
use crate::shard::input::{Input, Output, Reply};
use crate::shard::{self, Shard};
use crate::sleeper::Alarm;

/// Who asked.
pub(crate) type Ticket = oneshot::Sender<Reply>;

impl shard::input::Ticket for Ticket {
    fn is_given_up(&self) -> bool {
        self.is_closed()
    }
}

/// What reaches a shard's task. The channel has no limit of its own: starts and questions are admitted by count before
/// they are sent, and everything else answers something that the shard itself asked for.
pub(crate) enum Message {
    Input(Input<Ticket>),
    /// Sagas read during recovery; the sender learns when they have been taken in, and how many were not there already.
    Recovered(Vec<Input<Ticket>>, oneshot::Sender<usize>),
    /// Sagas whose timers are due; the sender learns when they are in memory or being read.
    Awaken(Vec<TransactionId>, oneshot::Sender<()>),
    Stop,
}

pub(crate) type Mailbox = mpsc::UnboundedSender<Message>;

/// What all shards of an engine share.
pub(crate) struct Shared {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    /// Tells the sleeper when the first saga wakes.
    pub(crate) alarm: Alarm,
    /// Tells whoever drains the engine that a population changed.
    pub(crate) population_changed: Notify,
}

/// Sagas in memory of one shard, for admission.
#[derive(Debug, Default)]
pub(crate) struct Population {
    /// In the shard, as of its last turn.
    pub(crate) settled: AtomicUsize,
    /// Sent to the shard and not yet taken in.
    pub(crate) queued: AtomicUsize,
    /// Being read for the shard, as of its last turn.
    pub(crate) reading: AtomicUsize,
}

/// One shard's task.
pub(crate) struct Shell {
    pub(crate) shard: Shard<Ticket>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) population: Arc<Population>,
    pub(crate) mailbox: mpsc::WeakUnboundedSender<Message>,
    pub(crate) messages: mpsc::UnboundedReceiver<Message>,
    pub(crate) tasks: JoinSet<()>,
}

impl Shell {
    /// Runs until it is told to stop.
    pub(crate) async fn run(mut self) {
        let mut messages = Vec::with_capacity(INPUTS_PER_TURN_MAX);
        loop {
            let due = self.shared.clock.instant(self.shard.wake_at());
            tokio::select! {
                biased;
                count = self.messages.recv_many(&mut messages, INPUTS_PER_TURN_MAX) => {
                    if count == 0 {
                        return;
                    }
                }
                () = sleep_until(due), if due.is_some() => {}
            }
            if messages.len() < self.shard.population() {
                self.let_others_go_first(&mut messages).await;
            }
            for message in messages.drain(..) {
                match message {
                    Message::Input(input) => {
                        let is_start = matches!(input, Input::Start(_));
                        self.shard.handle(input, self.shared.clock.moment());
                        if is_start {
                            self.population.settled.fetch_add(1, Ordering::Relaxed);
                            self.population.queued.fetch_sub(1, Ordering::Release);
                        }
                    }
                    Message::Recovered(inputs, done) => {
                        let before = self.shard.population();
                        for input in inputs {
                            self.shard.handle(input, self.shared.clock.moment());
                        }
                        // Whoever waits may have given up meanwhile; recovery goes on without them.
                        let _gone = done.send(self.shard.population().saturating_sub(before));
                    }
                    Message::Awaken(sagas, done) => {
                        for saga in sagas {
                            self.shard.handle(Input::Awaken { saga }, self.shared.clock.moment());
                        }
                        self.publish_population();
                        // Without a sleeper the engine is about to stop.
                        let _gone = done.send(());
                    }
                    Message::Stop => return,
                }
            }
            if self.shard.wake_at() <= self.shared.clock.now() {
                self.shard.handle(Input::Tick, self.shared.clock.moment());
            }
            self.carry_out();
            while self.tasks.try_join_next().is_some() {}
        }
    }

    /// Lets every task run that is ready to, and takes in what they sent: answers come in a row, and a turn for each of them would
    /// end in a flush for each. Measured with 64 clients of the shop: a fifth less processor time.
    async fn let_others_go_first(&mut self, messages: &mut Vec<Message>) {
        tokio::task::yield_now().await;
        while messages.len() < INPUTS_PER_TURN_MAX
            && let Ok(message) = self.messages.try_recv()
        {
            messages.push(message);
        }
    }

    /// Tells admission how many sagas are in memory: before the replies leave, so that whoever has the answer of a
    /// saga that has ended finds its place free.
    fn publish_population(&self) {
        self.population.reading.store(self.shard.reading(), Ordering::Relaxed);
        let population = self.shard.population();
        if self.population.settled.swap(population, Ordering::Relaxed) != population && population == 0 {
            self.shared.population_changed.notify_waiters();
        }
    }

    /// Does what the shard wants until it wants nothing more: a participant that answers at once is taken in at once.
    fn carry_out(&mut self) {
        let mut appends = Vec::new();
        loop {
            self.publish_population();
            let mut output = self.shard.take_output();
            if output.is_empty() {
                break;
            }
            appends.append(&mut output.appends);
            for (participant, call) in std::mem::take(&mut output.calls) {
                self.call(participant, call);
            }
            self.carry_out_rest(output);
        }
        if !appends.is_empty() {
            let mailbox = self.mailbox.clone();
            self.shared.journal.submit(
                appends,
                Box::new(move |answers| {
                    // Without a mailbox the engine has stopped: the records are durable, and recovery finds them.
                    if let Some(mailbox) = mailbox.upgrade() {
                        drop(mailbox.send(Message::Input(Input::Appended(answers))));
                    }
                }),
            );
        }
    }

    fn carry_out_rest(&mut self, output: Output<Ticket>) {
        for (ticket, reply) in output.replies {
            // Whoever asked may have gone away.
            drop(ticket.send(reply));
        }
        if !output.loads.is_empty() {
            let shared = self.shared.clone();
            let mailbox = self.mailbox.clone();
            self.tasks.spawn_blocking(move || {
                for saga in output.loads {
                    let found = loader::load(&*shared.journal, &shared.registry, saga);
                    if let Some(mailbox) = mailbox.upgrade() {
                        drop(mailbox.send(Message::Input(Input::Loaded { saga, found })));
                    }
                }
            });
        }
        for (saga, records, why) in output.quarantines {
            error!(%saga, %why, "the saga is parked: its records cannot be read");
            let shared = self.shared.clone();
            let Some(epoch) = shared.leases.epoch(saga) else { continue };
            self.tasks.spawn_blocking(move || match shared.journal.quarantine(saga, records, epoch, &why) {
                Ok(Quarantined::Parked) => {}
                Ok(left_alone @ (Quarantined::MovedOn(_) | Quarantined::Ended | Quarantined::Fenced)) => {
                    info!(%saga, ?left_alone, "the saga was not marked as unreadable: it has changed since");
                }
                Err(error) => error!(%saga, %error, "the saga could not be marked as unreadable"),
            });
        }
        if let Some(time) = output.sleeps_until {
            self.shared.alarm.set(time);
        }
    }

    fn call(&mut self, participant: ParticipantIndex, call: Call) {
        let registered = &self.shared.registry.participants[participant.0];
        let Call { saga, step, direction, attempt, limit, .. } = call;
        let answered = move |outcome| Input::Answered { saga, step, direction, attempt, outcome };
        let made = catch_unwind(AssertUnwindSafe(|| registered.participant.call(call)));
        let mut answer = match made {
            Ok(answer) => Guarded(answer),
            Err(_) => return self.shard.handle(answered(panicked()), self.shared.clock.moment()),
        };
        // Most local participants answer at once or after a wait; the former need no task.
        if let Poll::Ready(outcome) = Pin::new(&mut answer).poll(&mut Context::from_waker(Waker::noop())) {
            return self.shard.handle(answered(outcome), self.shared.clock.moment());
        }
        let mailbox = self.mailbox.clone();
        self.tasks.spawn(async move {
            match tokio::time::timeout(limit.saturating_add(ABANDON_AFTER), answer).await {
                Ok(outcome) => {
                    if let Some(mailbox) = mailbox.upgrade() {
                        drop(mailbox.send(Message::Input(answered(outcome))));
                    }
                }
                Err(_) => warn!(%saga, attempt, "a handler went on long after its limit and was dropped"),
            }
        });
    }
}

async fn sleep_until(due: Option<std::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

fn panicked() -> Outcome {
    Outcome::unknown("panicked", "the participant's handler panicked")
}

/// A future whose panic is an unknown outcome.
struct Guarded(Answer);

impl Future for Guarded {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context)))
            .unwrap_or_else(|_| Poll::Ready(panicked()))
    }
}

/// The moment after which a timer is as good as none; keeps arithmetic on instants sound.
pub(crate) fn is_never(time: Time) -> bool {
    time.milliseconds() >= i64::MAX as u64
}
