//! What reaches a shard's task.
//!
//! Owns the messages and the handles to send them by. The channel has no limit of its own: starts and
//! questions are admitted by count before they are sent, and everything else answers something that the shard
//! itself asked for.

use amends_core::TransactionId;
use tokio::sync::{mpsc, oneshot};

use crate::shard::input::{self, Input, Reply};

/// Who asked.
pub(crate) type Ticket = oneshot::Sender<Reply>;

impl input::Ticket for Ticket {
    fn is_given_up(&self) -> bool {
        self.is_closed()
    }
}

pub(crate) enum Message {
    Input(Input<Ticket>),
    /// Transactions read during recovery; the sender learns when they are in memory, and how many were not
    /// there already.
    Recovered(Vec<Input<Ticket>>, oneshot::Sender<usize>),
    /// Transactions whose timers are due; the sender learns when they are in memory or being read.
    Awaken(Vec<TransactionId>, oneshot::Sender<()>),
    /// The clock moved: what is waited for may be due.
    ClockMoved,
    Stop,
}

pub(crate) type Mailbox = mpsc::UnboundedSender<Message>;
pub(crate) type WeakMailbox = mpsc::WeakUnboundedSender<Message>;
pub(crate) type Messages = mpsc::UnboundedReceiver<Message>;
