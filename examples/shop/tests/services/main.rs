//! The four services as their callers meet them.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

mod audit;
mod damage;
mod invariants;
mod keys;
mod rules;
mod shop;
mod views;
