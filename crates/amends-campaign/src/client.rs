//! The clients of the shop while it is being killed.
//!
//! Owns what a client does with each step: what it posts, how, and what it makes of the answer.
//! Promises to behave as a careful client would: an answer that did not come is unknown, and the same key is
//! posted again with the same body until the answer is there.
//! Does not decide when the process dies.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::answer::{Received, Reply};
use super::crew::Bell;
use super::http::{Lost, Shop};
use super::order::{Fault, Manner, Order, OrderKey};
use super::random::{Random, Stream};
use super::record::{Learnt, Step};
use super::scene::Scene;
use super::violation::{Kind, Violation};

/// The load of one round.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) round: u32,
    /// Calls them off.
    pub(crate) bell: Bell,
    /// Answers that did not come although they had not been called off: wrong if the process lived.
    pub(crate) lost: Mutex<Vec<Violation>>,
}

impl Load<'_> {
    /// Lets all clients post until the bell rings; `meanwhile` runs beside them and has to ring it.
    pub(crate) fn run<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            for client in 0..self.scene.clients {
                scope.spawn(move || self.run_client(client));
            }
            meanwhile()
        })
    }

    fn run_client(&self, client: u16) {
        let shop = self.scene.shop();
        let mut random = Random::new(self.scene.seed, Stream::Client { round: self.round, client });
        while !self.bell.is_rung() {
            let step = self.scene.record().next_step(client, &mut random);
            if let Err(lost) = self.take_step(&shop, client, step, &mut random)
                && !self.bell.is_rung()
            {
                let subject = format!("client {client} in round {}, {step:?}", self.round);
                let violation = Violation::new(Kind::ConnectionLost, subject, "an answer", lost.to_string());
                self.lost.lock().expect("nobody panics while holding it").push(violation);
                self.bell.wait(PAUSE_AFTER_LOSS);
            }
        }
        self.scene.record().lands(client);
    }

    fn take_step(&self, shop: &Shop, client: u16, step: Step, random: &mut Random) -> Result<(), Lost> {
        match step {
            Step::PostNew(key) => {
                let order = self.scene.order(key);
                if let Some(fault) = order.fault_before {
                    let received = shop.post_order(&order.name, &fault.body(&order.name), order.manner)?;
                    self.judge(judge_faulty(&order, fault, &received));
                }
                self.post_own(shop, &order, &order.body(), order.manner)
            }
            Step::PostAgain(key) => {
                let order = self.scene.order(key);
                let manner = manner_of_repeat(random);
                self.post_own(shop, &order, &body_of_repeat(&order, random), manner)
            }
            Step::Join(key) | Step::Repeat(key) => {
                debug_assert!(step != Step::Join(OrderKey { client, ..key }), "nobody joins itself");
                let order = self.scene.order(key);
                let manner = manner_of_repeat(random);
                self.post(shop, &order, &body_of_repeat(&order, random), manner)
            }
            Step::ReuseKey(key) => {
                let order = self.scene.order(key);
                let received = shop.post_order(&order.name, &order.other_body(), Manner::Wait)?;
                self.judge(judge_reuse(&order, &received));
                Ok(())
            }
        }
    }

    /// Posts an order of this client's own, which others may join meanwhile.
    fn post_own(&self, shop: &Shop, order: &Order, body: &str, manner: Manner) -> Result<(), Lost> {
        self.scene.record().takes_off(order.key);
        let posted = self.post(shop, order, body, manner);
        self.scene.record().lands(order.key.client);
        posted
    }

    fn post(&self, shop: &Shop, order: &Order, body: &str, manner: Manner) -> Result<(), Lost> {
        let received = shop.post_order(&order.name, body, manner)?;
        let learnt = self.scene.record().learn(order, &received);
        match learnt {
            Ok(Learnt::End | Learnt::StillOpen) => {}
            // The key stays open, and its client comes back to it.
            Ok(Learnt::ComeAgain(pause)) => self.bell.wait(pause),
            Err(violation) => self.scene.note(violation),
        }
        Ok(())
    }

    fn judge(&self, judged: Result<(), Violation>) {
        judged.unwrap_or_else(|violation| self.scene.note(violation));
    }
}

fn manner_of_repeat(random: &mut Random) -> Manner {
    if random.percent(ASYNC_REPEAT_PERCENT) { Manner::RespondAsync } else { Manner::Wait }
}

fn body_of_repeat(order: &Order, random: &mut Random) -> String {
    if random.percent(REWORDED_PERCENT) { order.body_reworded() } else { order.body() }
}

/// Another body under a key that is taken has to be refused as such.
fn judge_reuse(order: &Order, received: &Received) -> Result<(), Violation> {
    match Reply::read(received) {
        Ok(Reply::KeyReused | Reply::Busy { .. }) => Ok(()),
        Ok(
            Reply::Ended { .. }
            | Reply::Accepted { .. }
            | Reply::Parked { .. }
            | Reply::Faulted { .. }
            | Reply::Invalid,
        ) => Err(unexpected(Kind::KeyReuseAccepted, order, "409 key_reused for another body", received)),
        Err(why) => Err(unexpected(Kind::OutsideContract, order, &why, received)),
    }
}

/// A faulty body has to be refused with the right status.
fn judge_faulty(order: &Order, fault: Fault, received: &Received) -> Result<(), Violation> {
    let expected = format!("{} for {}", fault.status(), fault.body(&order.name));
    match Reply::read(received) {
        Ok(Reply::Busy { .. }) => Ok(()),
        Ok(Reply::Invalid) if received.answer.status == fault.status() => Ok(()),
        Ok(
            Reply::Invalid
            | Reply::KeyReused
            | Reply::Ended { .. }
            | Reply::Accepted { .. }
            | Reply::Parked { .. }
            | Reply::Faulted { .. },
        ) => Err(unexpected(Kind::InvalidAccepted, order, &expected, received)),
        Err(why) => Err(unexpected(Kind::OutsideContract, order, &why, received)),
    }
}

fn unexpected(kind: Kind, order: &Order, expected: &str, received: &Received) -> Violation {
    Violation::new(kind, format!("key {}", order.name), expected, received.answer.to_string())
}

/// How long a client waits after an answer that did not come, before it tries again.
const PAUSE_AFTER_LOSS: Duration = Duration::from_millis(5);
/// Repeats that do not wait for the end, though the first call may have.
const ASYNC_REPEAT_PERCENT: u64 = 15;
/// Repeats that say the same in other words.
const REWORDED_PERCENT: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::tests::received;

    const COMPLETED: &str = r#"{"saga_id":"s1","order_id":"ord_1","status":"completed"}"#;

    fn order() -> Order {
        Order::of("1".parse().unwrap(), OrderKey { client: 0, sequence: 0 })
    }

    #[test]
    fn a_used_key_with_another_body_is_only_ever_refused_as_such() {
        let judge = |status, body| judge_reuse(&order(), &received(status, body)).map_err(|found| found.kind);
        assert_eq!(judge(409, r#"{"code":"key_reused"}"#), Ok(()));
        assert_eq!(judge(201, COMPLETED), Err(Kind::KeyReuseAccepted));
        assert_eq!(judge(202, r#"{"saga_id":"s1","status":"in_progress"}"#), Err(Kind::KeyReuseAccepted));
        assert_eq!(judge(422, "{}"), Err(Kind::KeyReuseAccepted));
        assert_eq!(judge(404, "{}"), Err(Kind::OutsideContract));
    }

    #[test]
    fn a_faulty_body_is_only_ever_refused_with_its_status() {
        let judge = |fault, status, body| {
            judge_faulty(&order(), fault, &received(status, body)).map_err(|found| found.kind)
        };
        assert_eq!(judge(Fault::NoItems, 422, "{}"), Ok(()));
        assert_eq!(judge(Fault::MissingField, 400, "{}"), Ok(()));
        assert_eq!(judge(Fault::NoItems, 400, "{}"), Err(Kind::InvalidAccepted));
        assert_eq!(judge(Fault::NoItems, 201, COMPLETED), Err(Kind::InvalidAccepted));
        assert_eq!(judge(Fault::NoItems, 409, r#"{"code":"key_reused"}"#), Err(Kind::InvalidAccepted));
        assert_eq!(judge(Fault::NoItems, 500, "{}"), Err(Kind::OutsideContract));
    }
}
