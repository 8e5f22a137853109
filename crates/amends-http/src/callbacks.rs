//! Where participants call back.
//!
//! Owns the URL that a call carries as `Amends-Callback`. Does not judge tokens: the engine's key does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use amends_core::{CallId, TransactionId};
use amends_engine::CallbackKey;

/// Where participants call back.
#[derive(Debug, Clone)]
pub struct Callbacks {
    /// What makes the tokens.
    pub key: CallbackKey,
    /// What stands before `/v1/callbacks/…`: how participants reach this server.
    pub public_url: String,
}

impl Callbacks {
    /// At the address that the server listens on; at one of all addresses, on this machine's own.
    #[must_use]
    pub fn at(address: SocketAddr, key: CallbackKey) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self { key, public_url: format!("http://{}", SocketAddr::new(ip, address.port())) }
    }

    /// Where the participant that carries out this call reports.
    #[must_use]
    pub fn url(&self, transaction: TransactionId, call: CallId) -> String {
        let before = self.public_url.trim_end_matches('/');
        format!("{before}/v1/callbacks/{}", self.key.token(transaction, call))
    }
}
