//! The edge: HTTP around an engine.
//!
//! Owns connections and their limits, the [routes] that every application has, and the way from what the
//! engine says to the shapes and error kinds of [`amends_api`]. Promises that every error has a stable code
//! and says what to do, and that a slow or broken client costs a bounded amount. Does not know any
//! application: the shop brings its own routes. Start reading at [`serve::Server`].

pub mod body;
mod errors;
mod facts;
pub mod guard;
mod jobs;
pub mod limits;
mod masks;
pub mod metrics;
pub mod problem;
pub mod process;
pub mod request;
pub mod routes;
pub mod serve;
pub mod spans;
mod stream;
pub mod tls;
pub mod wire;

pub use problem::Problem;
