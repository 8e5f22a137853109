//! A client of the server's API, version 1.
//!
//! Owns the way from a call in Rust to HTTP and back, with the shapes of [`amends_api`]. Promises that a call
//! is repeated only where that is safe, and that *nothing was sent*, *the server says no* and *nobody knows*
//! are different errors. Does not hold state: what it answers is what the server said then. Start reading at
//! [`Client`].

mod client;
mod definitions;
mod error;
mod events;
mod filter;
mod journal;
pub mod limits;
mod participants;
mod sagas;
mod sender;
mod sse;
mod transport;

pub use client::{Client, ClientBuildError, ClientBuilder};
pub use error::{ClientError, Refused};
pub use events::Events;
pub use filter::Filter;
pub use sagas::{Wait, new_key};
pub use sender::Sender;
