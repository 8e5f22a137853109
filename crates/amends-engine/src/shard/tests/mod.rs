//! Tests that drive a shard by hand, and the simulation.

mod asleep;
mod down;
mod late_page;
mod simulation;
