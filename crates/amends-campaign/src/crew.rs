//! Several clients at work concurrently.
//!
//! Owns the threads of a campaign and the bell that calls them off.
//! Promises that no thread outlives the call that started it, and that a waiting thread hears the bell
//! immediately. Does not know what the work is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::http::Shop;
use super::scene::Scene;

/// Calls everybody off, once.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    is_rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.is_rung.lock().expect("nobody panics while holding the bell") = true;
        self.rings.notify_all();
    }

    pub(crate) fn is_rung(&self) -> bool {
        *self.is_rung.lock().expect("nobody panics while holding the bell")
    }

    pub(crate) fn wait(&self, most: Duration) {
        let is_rung = self.is_rung.lock().expect("nobody panics while holding the bell");
        let waited = self.rings.wait_timeout_while(is_rung, most, |is_rung| !*is_rung);
        drop(waited.expect("nobody panics while holding the bell"));
    }
}

/// Does `work` for every item on a thread for each client, each with its own way to the shop; stops early
/// when the bell rings.
pub(crate) fn for_each<T: Sync>(scene: &Scene, items: &[T], bell: &Bell, work: impl Fn(&Shop, &T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..usize::from(scene.clients).min(items.len()) {
            scope.spawn(|| {
                let shop = scene.shop();
                while !bell.is_rung()
                    && let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    work(&shop, item);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(clients: u16) -> Scene {
        Scene::new(1, "1".parse().unwrap(), clients)
    }

    #[test]
    fn every_item_is_worked_on_once() {
        let items: Vec<AtomicUsize> = (0..100).map(|_| AtomicUsize::new(0)).collect();
        for_each(&scene(8), &items, &Bell::default(), |_, item| {
            item.fetch_add(1, Ordering::Relaxed);
        });
        assert!(items.iter().all(|item| item.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn nothing_is_begun_after_the_bell() {
        let bell = Bell::default();
        let done = AtomicUsize::new(0);
        for_each(&scene(1), &[(); 100], &bell, |_, ()| {
            if done.fetch_add(1, Ordering::Relaxed) == 9 {
                bell.ring();
            }
        });
        assert_eq!(done.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn who_waits_hears_the_bell() {
        let bell = Bell::default();
        thread::scope(|scope| {
            scope.spawn(|| bell.wait(Duration::from_secs(3_600)));
            bell.ring();
        });
        assert!(bell.is_rung());
    }
}
