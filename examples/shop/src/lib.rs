//! The reference application: four services that share no transaction, and what can be seen of them.
//!
//! Owns the services order, payment, inventory and shipping, each with a database of its own behind the barrier.
//! Promises that a repeated call gets the first answer and takes effect once, and that an answer is on disk before it is given.
//! Does not know sagas or HTTP: who calls a service, when and why is decided elsewhere.
//! Start reading at [`services::Services`] for the whole and at [`payment`] for the smallest service.

pub mod audit;
pub mod cursor;
mod decimal;
pub mod ids;
pub mod inventory;
pub mod limits;
pub mod messages;
pub mod money;
pub mod operation;
pub mod order;
pub mod order_request;
pub mod payment;
mod records;
pub mod service;
pub mod services;
pub mod shipping;
mod status;
pub mod stock;
pub mod surroundings;
mod undo;
pub mod views;
