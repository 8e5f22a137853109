//! What every journal backend offers, and what it promises.
//!
//! Owns [`Journal`], which is its four parts together, cut as the `conformance` suite is that checks their
//! promises. Does not name any store. Start reading at [`Appends`].

use crate::appends::Appends;
use crate::ownership::Ownership;
use crate::reads::Reads;
use crate::upkeep::Upkeep;

/// A store of transactions: whatever has all four parts.
pub trait Journal: Appends + Reads + Upkeep + Ownership {}

impl<J: Appends + Reads + Upkeep + Ownership + ?Sized> Journal for J {}
