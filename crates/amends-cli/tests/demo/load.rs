//! Clients that place orders until they are told to stop, and remember what they were answered.
//!
//! Owns the memory of what was acknowledged. Promises that each order has a key of its own, so that it can be
//! asked for again. Does not judge the shop's books.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::shop::{Shop, order};
use crate::wire::Wire;

/// What was answered, by key.
#[derive(Default)]
pub(crate) struct Acknowledged(Mutex<BTreeMap<String, (String, u16, String)>>);

impl Acknowledged {
    /// Places orders from many clients at once, while `disturb` runs; it is told how many have been answered,
    /// and the clients end when it has ended or nobody answers them.
    pub(crate) fn while_placing<T>(
        &self,
        shop: &Shop,
        name: &str,
        clients: usize,
        disturb: impl FnOnce(&AtomicUsize) -> T,
    ) -> T {
        let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let address = shop.address();
        std::thread::scope(|scope| {
            for client in 0..clients {
                let (done, answered) = (&done, &answered);
                scope.spawn(move || {
                    let Ok(mut wire) = Wire::to(address) else { return };
                    for number in 0.. {
                        if done.load(Ordering::Relaxed) {
                            return;
                        }
                        let key = format!("{name}-{client}-{number}");
                        let body = body(number);
                        let headers = [("idempotency-key", key.as_str())];
                        let call = wire.call("POST", "/orders", &headers, Some(body.as_bytes()));
                        let Ok(answer) = call else { return };
                        if matches!(answer.status, 201 | 409) {
                            let answer = (body, answer.status, answer.text());
                            assert!(self.0.lock().unwrap().insert(key, answer).is_none());
                            answered.fetch_add(1, Ordering::Release);
                        }
                    }
                });
            }
            let result = disturb(&answered);
            done.store(true, Ordering::Relaxed);
            result
        })
    }

    /// Asks for every order again: the answers must be the same, word for word.
    pub(crate) fn check(&self, shop: &Shop) {
        let mut wire = shop.wire();
        for (key, (body, status, text)) in &*self.0.lock().unwrap() {
            let headers = [("idempotency-key", key.as_str())];
            let again = wire.call("POST", "/orders", &headers, Some(body.as_bytes())).unwrap();
            assert_eq!((again.status, again.text()), (*status, text.clone()), "{key}");
        }
    }
}

/// Waits until so many have been answered.
pub(crate) fn until(answered: &AtomicUsize, count: usize) {
    while answered.load(Ordering::Acquire) < count {
        std::thread::yield_now();
    }
}

fn body(number: usize) -> String {
    match number % 8 {
        0 => order("nothing", "1", "1"),
        1 => order("product_1", "1", "20000"),
        few => order("product_1", &few.to_string(), "3.25"),
    }
}
