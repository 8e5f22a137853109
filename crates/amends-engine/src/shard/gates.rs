//! Calls at the gates.
//!
//! Owns how a call that is owed gets its place, waits for one, and gives it back. Promises that a call which waits is
//! sent only if it is still owed when its turn comes, with its record durable. Does not decide who may begin: the gate
//! does ([`crate::participant::gate`]).

use amends_core::{
    AttemptId, Command, EffectId, Moment, Outcome, OwedCall, Time, Transaction, TransactionId,
};
use bytes::Bytes;

use crate::limits::QUEUE_SLACK;
use crate::participant::gate::{Gate, Places};
use crate::participant::shared_gate::{Pass, Wakes};
use crate::participant::{Call, ParticipantIndex};
use crate::registry::Runnable;
use crate::shard::Shard;
use crate::shard::input::{Output, Ticket};
use crate::shard::live::{Backlog, Live, UnderWay};

/// What became of a call that is owed.
pub(super) enum Begun {
    /// It was sent, and its limit passes then.
    Sent(Time, Pass),
    /// It waits for a place at its gate.
    Queued,
    /// Its payload could not be made; nothing was sent.
    Unmade(String),
}

impl<T: Ticket> Shard<T> {
    /// Participants came, or their limits changed.
    pub(super) fn set_gates(&mut self, places: &[Places], moment: Moment) {
        for (at, places) in places.iter().enumerate() {
            match self.gates.get_mut(at) {
                Some(gate) => gate.set_places(places.clone()),
                None => self.gates.push(Gate::new(places.clone(), self.number)),
            }
            self.look_at_gate(at, moment);
        }
    }

    /// The first moment at which some that queue may begin.
    pub(super) fn gates_open_at(&self) -> Time {
        self.gates.iter().map(Gate::opens_at).min().unwrap_or(Time::NEVER)
    }

    /// Lets those in whose moment has come.
    pub(super) fn look_at_gates(&mut self, moment: Moment) {
        for gate in 0..self.gates.len() {
            if self.gates[gate].opens_at() <= moment.now {
                self.look_at_gate(gate, moment);
            }
        }
    }

    /// Lets in who may begin by now.
    pub(super) fn look_at_gate(&mut self, gate: usize, moment: Moment) {
        if gate < self.gates.len() {
            let wakes = self.gates[gate].look(moment.now);
            self.output.wake(gate, wakes);
            self.let_in(gate, moment);
        }
    }

    /// Gives a call's place back; whoever calls this lets others in afterwards.
    pub(super) fn leave(&mut self, gate: usize, pass: Pass, outcome: Option<&Outcome>, moment: Moment) {
        let wakes = self.gates[gate].leave(pass, outcome, moment.now);
        self.output.wake(gate, wakes);
    }

    /// Gives free places to those who queue.
    pub(super) fn let_in(&mut self, gate: usize, moment: Moment) {
        while let Some(pass) = self.gates[gate].place_for_next() {
            if !self.send_next(gate, pass, moment) {
                let wakes = self.gates[gate].give_back(pass, moment.now);
                self.output.wake(gate, wakes);
            }
        }
    }

    /// Sends the first call of the queue that is still owed.
    fn send_next(&mut self, gate: usize, pass: Pass, moment: Moment) -> bool {
        while let Some((id, attempt)) = self.gates[gate].next() {
            // It may have been given up while it queued.
            let Some(live) = self.live.get_mut(&id) else { continue };
            let queues = |other: &UnderWay| other.call.attempt == attempt && other.deadline.is_none();
            let Some(at) = live.under_way.iter().position(queues) else { continue };
            let Live { transaction, runnable, appending, under_way, backlog, .. } = &mut **live;
            let call = under_way[at].call;
            let name = EffectId::Call(attempt);
            if *appending || !transaction.owed().any(|owed| owed.id() == name) {
                // If it still is after the append, it queues anew.
                under_way.swap_remove(at);
                continue;
            }
            match send(transaction, runnable, call, &mut self.output, moment) {
                Ok(deadline) => {
                    under_way[at] = UnderWay { call, deadline: Some(deadline), pass };
                    self.schedule(id, moment);
                    return true;
                }
                Err(why) => {
                    under_way.swap_remove(at);
                    backlog.push_back(Backlog::own(Command::Unmade { attempt, why }));
                    self.advance(id, moment);
                    self.schedule(id, moment);
                }
            }
        }
        false
    }

    /// Forgets attempts in a queue that were given up while a participant was left alone: memory is bounded by
    /// what is live.
    pub(super) fn tidy_queue(&mut self, gate: usize) {
        if self.gates[gate].queue_length() > QUEUE_SLACK + 2 * self.live.len() {
            let live = &self.live;
            self.gates[gate].keep(|id: TransactionId, attempt: AttemptId| {
                live.get(&id).is_some_and(|live| {
                    live.under_way
                        .iter()
                        .any(|other| other.call.attempt == attempt && other.deadline.is_none())
                })
            });
        }
    }
}

impl<T> Output<T> {
    pub(super) fn wake(&mut self, gate: usize, shards: Wakes) {
        self.wakes.extend(shards.into_iter().map(|shard| (shard, ParticipantIndex(gate))));
    }
}

/// Sends a call if its gate has a place; has it queue there otherwise.
pub(super) fn begin<T>(
    transaction: &Transaction,
    runnable: &Runnable,
    call: OwedCall,
    gates: &mut [Gate],
    output: &mut Output<T>,
    moment: Moment,
) -> Begun {
    let place = runnable.participant(call.attempt.call).0;
    let gate = &mut gates[place];
    let Some(pass) = gate.ask(transaction.id(), call.attempt, moment.now) else {
        return Begun::Queued;
    };
    match send(transaction, runnable, call, output, moment) {
        Ok(deadline) => Begun::Sent(deadline, pass),
        Err(why) => {
            let wakes = gate.give_back(pass, moment.now);
            output.wake(place, wakes);
            Begun::Unmade(why)
        }
    }
}

/// Sends a call that has a place; when its limit passes. `Err`: its payload could not be made, and nothing was sent.
fn send<T>(
    transaction: &Transaction,
    runnable: &Runnable,
    call: OwedCall,
    output: &mut Output<T>,
    moment: Moment,
) -> Result<Time, String> {
    let payload = runnable.payload(transaction, call.attempt.call)?;
    let (bytes, limit) = (payload.len() as u64, moment.sizes.payload_bytes_max);
    if bytes > limit {
        return Err(format!("the payload would have {bytes} bytes; {limit} are allowed"));
    }
    let participant = runnable.participant(call.attempt.call);
    output.calls.push((participant, call_of(transaction, runnable, call, payload)));
    Ok(moment.now.after(call.limit))
}

pub(super) fn call_of(
    transaction: &Transaction,
    runnable: &Runnable,
    call: OwedCall,
    payload: Bytes,
) -> Call {
    let OwedCall { attempt, in_doubt, limit } = call;
    let definition = runnable.definition.clone();
    let trace = transaction.trace().map(str::to_owned);
    Call { transaction: transaction.id(), definition, attempt, in_doubt, limit, payload, trace }
}
