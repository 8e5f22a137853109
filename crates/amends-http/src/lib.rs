//! Participants behind HTTP.
//!
//! Owns the client that calls them: connections, headers, proofs, and what their answers mean. Promises that a call is
//! sent at most once per attempt, only to hosts that may be called, with nothing of the environment in it; and that an
//! answer which is not certain is *unknown*. Does not decide when something is called: the engine does. Start reading
//! at [`HttpParticipants`], then `outcome.rs`.

mod callbacks;
mod client;
mod connector;
mod credentials;
mod hosts;
pub mod limits;
mod origin;
mod outcome;
mod participant;
mod participants;

pub use callbacks::Callbacks;
pub use connector::Lookup;
pub use credentials::{CredentialsError, SECRET_PREFIX};
pub use hosts::{AllowedHosts, Loopback, NotAHost, NotAllowed};
pub use origin::{Address, AddressError};
pub use outcome::{Body, outcome};
pub use participants::{
    Environment, HttpOptions, HttpOptionsError, HttpParticipants, Override, fixed_lookup,
};
