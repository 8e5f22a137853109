//! The reference application: four services that share no transaction, and the saga that carries an order
//! over them.
//!
//! Owns the services order, payment, inventory and shipping, each with a database of its own behind the
//! barrier, the saga `PlaceOrder` ([`saga`]) and the shop's HTTP calls ([`http`]). Promises that a repeated
//! call gets the first answer and takes effect once, and that an answer is on disk before it is given. Does
//! not decide when a saga goes on or back: the engine does. Services know neither sagas nor HTTP. Start
//! reading at [`saga`] for the plan, at [`services::Services`] for the four and at [`payment`] for the
//! smallest.

pub mod apart;
pub mod cursor;
mod decimal;
pub mod directory;
pub mod http;
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
pub mod saga;
pub mod service;
pub mod services;
pub mod setup;
pub mod shipping;
mod status;
pub mod stock;
pub mod surroundings;
mod undo;
pub mod views;
mod wire;
