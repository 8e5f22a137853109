//! The edge: HTTP around an engine.
//!
//! Owns connections and their limits, problem documents (RFC 9457) with their pages, and the JSON of a saga. Promises
//! that every error has a stable code and says what to do, and that a slow or broken client costs a bounded amount.
//! Does not know any application: the shop brings its own routes. Start reading at [`serve::Server`].

pub mod body;
pub mod errors;
pub mod limits;
pub mod problem;
pub mod process;
pub mod request;
pub mod saga_json;
pub mod serve;

pub use problem::Problem;
