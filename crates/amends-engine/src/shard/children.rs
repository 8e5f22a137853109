//! Transactions that run in the steps of others.
//!
//! Owns how a shard carries out what parents want of their children, and tells parents where their children
//! stand. Promises that a child is started once, whatever is repeated: its id follows from its parent's; that what is
//! wanted is not lost while the child is about to exist, or cannot be read; and that a parent is told whenever
//! its child comes to rest. Does not know what runs where: the shell takes orders and tidings to the shard they
//! are for.

use amends_core::{ChildStands, Command, Reason, Time, TransactionId};
use amends_journal::{AppendAnswer, Conflict, Fingerprint, Presence};

use super::input::{Order, Start, Starting, Ticket, Until};
use super::live::{Backlog, Live};
use super::{Shard, handle};
use crate::limits::{NO_SPACE_RETRY, READ_RETRY};
use amends_core::{Effect, Moment, OwedChild, Transaction};

/// What is compared when an id is given twice: nobody else starts under a child's.
const OF_A_CHILD: Fingerprint = Fingerprint([0xC4; 32]);

impl<T: Ticket> Shard<T> {
    /// Takes in what a parent wants of its child.
    pub(super) fn order(&mut self, order: Order, moment: Moment) {
        let id = order.id;
        // What is wanted now stands for what was wanted before.
        self.waiting.retain(|(_, earlier)| earlier.id != id);
        if self.starting.contains(&id) {
            return self.waiting.push((Time::NEVER, order));
        }
        if self.live.contains_key(&id) {
            return self.enqueue(id, Backlog::Order(Box::new(order)), moment);
        }
        self.load(id).questions.push(Backlog::Order(Box::new(order)));
    }

    /// Does what is wanted of a child that is not there.
    pub(super) fn order_absent(&mut self, order: Order, moment: Moment) {
        if order.want.undo || order.want.abandon {
            // It never was, and never will be: whoever wants this starts it no more.
            let reason = Reason::new(Reason::CANCELLED, "it was never started");
            return self.tell(order.parent, order.id, ChildStands::Compensated { reason });
        }
        let Starting { runnable, origin, input } = match &order.starting {
            Ok(starting) => starting.clone(),
            Err(reason) => {
                let stands = ChildStands::Compensated { reason: reason.clone() };
                return self.tell(order.parent, order.id, stands);
            }
        };
        self.starting.push(order.id);
        self.start(
            Start {
                ticket: None,
                until: Until::Now,
                id: order.id,
                id_given: true,
                runnable,
                input,
                origin: Some(origin),
                key: None,
                fingerprint: Some(OF_A_CHILD),
                order: Some(Box::new(order)),
            },
            moment,
        );
    }

    /// The journal decided a child's start.
    pub(super) fn child_decided(
        &mut self,
        order: Order,
        live: Box<Live<T>>,
        answer: AppendAnswer,
        moment: Moment,
    ) {
        let id = order.id;
        self.starting.retain(|starting| *starting != id);
        match answer {
            AppendAnswer::Committed => {
                self.live.entry(id).or_insert(live);
                self.enqueue(id, Backlog::Order(Box::new(order)), moment);
            }
            AppendAnswer::Conflict(Conflict::Exists(entry)) if entry.presence == Presence::Removed => {
                self.tell(order.parent, id, ChildStands::Parked);
            }
            // It is there already; or it may be, and the journal is asked.
            AppendAnswer::Conflict(_) | AppendAnswer::Unknown => {
                self.loads.outdate(id);
                self.order(order, moment);
            }
            AppendAnswer::Fenced => self.lose(id),
            AppendAnswer::NoSpace => self.waiting.push((moment.now.after(NO_SPACE_RETRY), order)),
            AppendAnswer::TooLarge { bytes } => {
                let message = format!("a first record of {bytes} bytes is too large");
                let reason = Reason::new(Reason::OUTPUT_TOO_LARGE, message);
                self.tell(order.parent, id, ChildStands::Compensated { reason });
            }
        }
        let (now_due, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(due, order)| order.id == id && *due == Time::NEVER);
        self.waiting = waiting;
        let now_due: Vec<(Time, Order)> = now_due;
        for (_, order) in now_due {
            self.order(order, moment);
        }
    }

    /// The journal could not be read: what is wanted is tried again.
    pub(super) fn postpone(&mut self, order: Order, moment: Moment) {
        self.waiting.push((moment.now.after(READ_RETRY), order));
    }

    /// Takes up what was postponed, if it is time.
    pub(super) fn take_up_orders(&mut self, moment: Moment) {
        if self.waiting.iter().all(|(due, _)| *due > moment.now) {
            return;
        }
        let (due, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(due, _)| *due <= moment.now);
        self.waiting = waiting;
        for (_, order) in due {
            self.order(order, moment);
        }
    }

    /// Hands out what a transaction wants of a child.
    pub(super) fn want(&mut self, id: TransactionId, owed: OwedChild) {
        let live = self.in_memory(id);
        match live.transaction.child(&owed) {
            Ok(child) => self.output.orders.push((id, owed, child)),
            // It could be made when the step started, and nothing it is made of has changed since.
            Err(why) => {
                let reason = Reason::new(Reason::EXPRESSION_FAILED, why);
                let stands = ChildStands::Compensated { reason };
                live.backlog.push_back(Backlog::own(Command::Child { child: owed.id, stands }));
            }
        }
    }

    /// An abandoned transaction takes its children with it.
    pub(super) fn abandon_children(&mut self, transaction: &Transaction) {
        for effect in transaction.owed() {
            match effect {
                Effect::Call(_) => {}
                Effect::Child(owed) => {
                    if let Ok(child) = transaction.child(&owed) {
                        self.output.orders.push((transaction.id(), owed, child));
                    }
                }
            }
        }
    }

    /// Tells the parent of a transaction, if it has one, where it stands.
    pub(super) fn tell_parent(&mut self, transaction: &Transaction) {
        if let Some(parent) = transaction.parent() {
            self.tell(parent.id, transaction.id(), transaction.stands());
        }
    }

    /// Tells the parent that nobody can say where its child stands: that takes an operator.
    pub(super) fn tell_parent_of_quarantine(&mut self, transaction: &Transaction) {
        if let Some(parent) = transaction.parent() {
            self.tell(parent.id, transaction.id(), ChildStands::Parked);
        }
    }

    /// Tells the parent that nobody can say where the child stands that it wants something of.
    pub(super) fn tell_of_unreadable(&mut self, order: Option<Order>) {
        if let Some(order) = order {
            self.tell(order.parent, order.id, ChildStands::Parked);
        }
    }

    pub(super) fn tell(&mut self, parent: TransactionId, child: TransactionId, stands: ChildStands) {
        self.output.told.push((parent, Command::Child { child, stands }));
    }

    /// Has a child follow what its parent wants.
    pub(super) fn follow_order(&mut self, id: TransactionId, order: &Order, moment: Moment) {
        let live = self.in_memory(id);
        match handle(&mut live.transaction, Command::Wanted { want: order.want }, moment) {
            Ok(Ok(facts)) if facts.is_empty() => {}
            Ok(Ok(facts)) => self.append(id, facts, moment),
            Ok(Err(_)) => unreachable!("what a parent wants is never rejected"),
            Err(why) => self.quarantine(id, None, &why, moment),
        }
    }
}
