//! What happens once the last kill is over: everything is asked for again, and the shop is looked at.
//!
//! Owns the order of it: open keys are answered, the sagas come to rest, every answer is repeated, then all
//! is read. Promises that whatever keeps it from the end is itself a finding, and that nothing is waited for
//! without a limit. Does not judge what it reads: that is the check's.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::check::{Check, Held, SagaRest, check_alone, check_saga};
use super::crew::{Bell, for_each};
use super::http::{Shop, ViewError};
use super::order::{Manner, Order, OrderKey};
use super::random::{Random, Stream};
use super::record::Learnt;
use super::scene::Scene;
use super::views::{InventoryView, LedgerView, OrderStatus, OrderView, OrdersPage, SagaView};
use super::violation::{Kind, Violation};

/// A campaign that is to come to rest.
#[derive(Debug)]
pub(crate) struct Settle<'a> {
    pub(crate) scene: &'a Scene,
    /// The round it happens after.
    pub(crate) round: u32,
}

/// Why something could not be looked at; it was noted as a violation.
#[derive(Debug)]
pub(crate) struct Hindered;

impl Settle<'_> {
    /// Lets everything come to its end and checks it.
    pub(crate) fn run(&self) -> Result<Held, Hindered> {
        self.answer_open_keys()?;
        let shop = self.scene.shop();
        self.wait_for_rest(&shop)?;
        let keys = self.scene.record().final_keys();
        self.repeat(&keys)?;
        self.look_for_accepted_sagas()?;
        self.check(&shop)
    }

    /// Posts those keys again and compares the answers word for word.
    pub(crate) fn repeat(&self, keys: &[OrderKey]) -> Result<(), Hindered> {
        let bell = Bell::default();
        for_each(self.scene, keys, &bell, |shop, key| {
            let order = self.scene.order(*key);
            let deadline = Instant::now() + REST_LIMIT;
            self.post_until(shop, &order, deadline, &bell);
        });
        hindered_by(&bell)
    }

    /// Posts every key whose end is unknown until it is known.
    fn answer_open_keys(&self) -> Result<(), Hindered> {
        let keys = self.scene.record().open_keys();
        let bell = Bell::default();
        let deadline = Instant::now() + REST_LIMIT;
        for_each(self.scene, &keys, &bell, |shop, key| {
            self.post_until(shop, &self.scene.order(*key), deadline, &bell);
        });
        hindered_by(&bell)
    }

    /// Posts an order until its end is known; a key that stays without one is a finding.
    fn post_until(&self, shop: &Shop, order: &Order, deadline: Instant, bell: &Bell) {
        let mut losses = 0;
        while !bell.is_rung() {
            let pause = match shop.post_order(&order.name, &order.body(), Manner::Wait) {
                Ok(received) => {
                    losses = 0;
                    let learnt = self.scene.record().learn(order, &received);
                    match learnt {
                        Ok(Learnt::End) => return,
                        Ok(Learnt::StillOpen) => POLL_INTERVAL,
                        Ok(Learnt::ComeAgain(pause)) => pause.max(POLL_INTERVAL),
                        Err(violation) => return self.scene.note(violation),
                    }
                }
                Err(lost) => {
                    losses += 1;
                    if losses == LOSSES_MAX {
                        self.scene.note(found(Kind::ConnectionLost, order, "an answer", lost.to_string()));
                        return bell.ring();
                    }
                    POLL_INTERVAL
                }
            };
            if Instant::now() > deadline {
                let expected = format!("the end within {REST_LIMIT:?}");
                return self.scene.note(found(Kind::Unanswered, order, expected, "none"));
            }
            bell.wait(pause);
        }
    }

    /// Waits until no saga is under way.
    fn wait_for_rest(&self, shop: &Shop) -> Result<(), Hindered> {
        let deadline = Instant::now() + REST_LIMIT;
        loop {
            let ledger: LedgerView = self.view(shop, "/shop/ledger")?;
            if ledger.live_sagas == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                let expected = format!("no live saga within {REST_LIMIT:?}");
                let got = format!("{} live sagas", ledger.live_sagas);
                self.scene.note(Violation::new(Kind::NeverSettled, "GET /shop/ledger", expected, got));
                return Err(Hindered);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn look_for_accepted_sagas(&self) -> Result<(), Hindered> {
        let sagas = self.scene.record().accepted_sagas();
        let bell = Bell::default();
        for_each(self.scene, &sagas, &bell, |shop, (key, saga)| {
            let name = key.name(self.scene.seed);
            match shop.fetch(&format!("/sagas/{saga}")) {
                Ok(answer) => {
                    check_saga(&name, saga, &answer).unwrap_or_else(|violation| self.scene.note(violation))
                }
                Err(lost) => {
                    let expected = format!("GET /sagas/{saga}");
                    self.scene.note(Violation::new(
                        Kind::ConnectionLost,
                        format!("key {name}"),
                        expected,
                        lost.to_string(),
                    ));
                    bell.ring();
                }
            }
        });
        hindered_by(&bell)
    }

    /// Reads everything the shop shows and has it checked.
    fn check(&self, shop: &Shop) -> Result<Held, Hindered> {
        let mut check = Check::new(self.scene.seed, self.scene.record().claims());
        let read = self.read_orders(shop, &mut check).and_then(|()| {
            let inventory: InventoryView = self.view(shop, "/inventory")?;
            let ledger: LedgerView = self.view(shop, "/shop/ledger")?;
            Ok((inventory, ledger))
        });
        let (held, violations) = match read {
            Ok((inventory, ledger)) => {
                let (held, violations) = check.finish(&inventory, &ledger);
                (Ok(held), violations)
            }
            Err(hindered) => (Err(hindered), check.give_up()),
        };
        self.scene.violations().absorb(violations);
        held
    }

    /// Reads all orders, page after page, and some of them alone.
    fn read_orders(&self, shop: &Shop, check: &mut Check) -> Result<(), Hindered> {
        let mut random = Random::new(self.scene.seed, Stream::Sample { round: self.round });
        let mut cursor = None;
        loop {
            let page: OrdersPage = self.view(shop, &page_path(cursor.as_deref()))?;
            for listed in &page.orders {
                self.take_in(shop, check, listed)?;
            }
            self.look_at_some_alone(shop, &page.orders, &mut random)?;
            match page.next_cursor {
                None => return Ok(()),
                // A cursor that does not move would have us read one page without end.
                Some(next) if page.orders.is_empty() || Some(&next) == cursor.as_ref() => {
                    let path = page_path(Some(&next));
                    self.scene.note(Violation::new(Kind::Unreadable, path, "a page further on", "the same"));
                    return Err(Hindered);
                }
                Some(next) => cursor = Some(next),
            }
        }
    }

    fn take_in(&self, shop: &Shop, check: &mut Check, listed: &Value) -> Result<(), Hindered> {
        let order = match serde_json::from_value::<OrderView>(listed.clone()) {
            Ok(order) => order,
            Err(error) => {
                check.unreadable(&format!("GET /shop/orders: {listed}"), error.to_string());
                return Ok(());
            }
        };
        let rest = match order.status {
            OrderStatus::Confirmed | OrderStatus::Cancelled => SagaRest::NotParked,
            OrderStatus::Pending => self.rest_of(shop, &order.saga_id)?,
        };
        check.order(&order, rest);
        Ok(())
    }

    fn rest_of(&self, shop: &Shop, saga: &str) -> Result<SagaRest, Hindered> {
        match shop.view::<SagaView>(&format!("/sagas/{saga}")) {
            Ok(view) if view.status == "failed" => Ok(SagaRest::Parked),
            // A saga that is not there is not parked either: the pending order is the finding.
            Ok(_) | Err(ViewError::Status(_)) => Ok(SagaRest::NotParked),
            Err(error @ (ViewError::Lost(_) | ViewError::Shape(..))) => Err(self.hindered(saga, &error)),
        }
    }

    fn look_at_some_alone(&self, shop: &Shop, page: &[Value], random: &mut Random) -> Result<(), Hindered> {
        for _ in 0..ALONE_PER_PAGE.min(page.len()) {
            let place = random.below(page.len() as u64);
            let listed = &page[usize::try_from(place).expect("an index below a length")];
            // One without an id has been found unreadable already.
            let Some(id) = listed["id"].as_str() else { continue };
            let path = format!("/orders/{id}");
            let alone = shop.fetch(&path).map_err(|lost| self.hindered(&path, &ViewError::Lost(lost)))?;
            check_alone(listed, &alone).unwrap_or_else(|violation| self.scene.note(violation));
        }
        Ok(())
    }

    fn view<T: serde::de::DeserializeOwned>(&self, shop: &Shop, path: &str) -> Result<T, Hindered> {
        shop.view(path).map_err(|error| self.hindered(path, &error))
    }

    fn hindered(&self, path: &str, error: &ViewError) -> Hindered {
        self.scene.note(Violation::new(
            Kind::Unreadable,
            format!("GET {path}"),
            "the view of the contract",
            error.to_string(),
        ));
        Hindered
    }
}

fn hindered_by(bell: &Bell) -> Result<(), Hindered> {
    if bell.is_rung() { Err(Hindered) } else { Ok(()) }
}

fn page_path(cursor: Option<&str>) -> String {
    let cursor = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
    format!("/shop/orders?limit={PAGE_ORDERS}{cursor}")
}

fn found(kind: Kind, order: &Order, expected: impl Into<String>, got: impl Into<String>) -> Violation {
    Violation::new(kind, format!("key {}", order.name), expected, got)
}

/// Within that time everything has to come to rest: beyond the patience of every step's retries.
const REST_LIMIT: Duration = Duration::from_secs(120);
/// How often something that is not yet so is asked for again.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How many answers in a row may fail to come before the process is taken to be gone.
const LOSSES_MAX: u32 = 3;
/// Orders on a page, the most the contract allows.
const PAGE_ORDERS: u32 = 1_000;
/// Orders of each page that are also looked at alone.
const ALONE_PER_PAGE: usize = 20;

#[cfg(test)]
mod tests;
