//! The server without an application: an engine in memory, its routes, and what every error becomes.
//!
//! Owns statuses, codes, headers and shapes. Promises to read answers as a client does: by the types of
//! `amends-api`.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

mod errors;
mod place;
mod requests;
mod routes;
mod sagas;
mod v1;
