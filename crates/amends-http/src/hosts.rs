//! Which addresses calls may go to.
//!
//! Owns [`AllowedHosts`] and the classes of addresses. Promises that an address is judged as the machine that it
//! leads to: an IPv4 address inside an IPv6 one counts as what it is. Does not resolve names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// Hosts besides the public ones: by name, by address or by network.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts {
    names: Vec<String>,
    networks: Vec<IpNet>,
    loopback: bool,
}

/// An entry that is neither a host's name, nor an address, nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} in allowed_hosts is not a host: give a name (`payments.internal`, `*.internal`), an address (`10.1.2.3`) or a network (`10.0.0.0/8`)"
)]
pub struct NotAHost(String);

/// What kind of machine an address leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Public,
    Loopback,
    /// Private, link-local, shared (CGNAT) or unique-local: behind our own walls.
    Internal(&'static str),
    /// Nobody's: unspecified, multicast, broadcast, reserved.
    Nobodys(&'static str),
}

/// Why nothing is sent to an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NotAllowed {
    host: String,
    address: Option<IpAddr>,
    class: Class,
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, class } = self;
        match address {
            Some(address) if address.to_string() != *host => write!(f, "{host} leads to {address}, ")?,
            Some(_) | None => write!(f, "{host} is ")?,
        }
        match class {
            Class::Public => unreachable!("public addresses are allowed"),
            Class::Loopback => f.write_str(
                "a loopback address: those are called only while the server itself listens on loopback, or when `allowed_hosts` lists them",
            ),
            Class::Internal(kind) => {
                write!(f, "{kind}: those are called only when `allowed_hosts` lists the host or its network")
            }
            Class::Nobodys(kind) => write!(f, "{kind}, which is never called"),
        }
    }
}

impl AllowedHosts {
    /// Public hosts, those of the list, and this machine's own if `loopback`.
    ///
    /// # Errors
    /// When an entry is not a host.
    pub fn new<S: AsRef<str>>(
        entries: impl IntoIterator<Item = S>,
        loopback: Loopback,
    ) -> Result<Self, NotAHost> {
        let mut allowed = Self { loopback: loopback == Loopback::Allowed, ..Self::default() };
        for entry in entries {
            let entry = entry.as_ref();
            let bare = entry.trim_start_matches('[').trim_end_matches(']');
            if let Ok(network) = IpNet::from_str(bare) {
                allowed.networks.push(network.trunc());
            } else if let Ok(address) = IpAddr::from_str(bare) {
                allowed.networks.push(address.into());
            } else if is_name(entry.strip_prefix("*.").unwrap_or(entry)) {
                allowed.names.push(entry.to_ascii_lowercase());
            } else {
                return Err(NotAHost(entry.to_owned()));
            }
        }
        Ok(allowed)
    }

    /// Whether a host may be called that a definition names. Names are judged again by their address when they
    /// are called.
    ///
    /// # Errors
    /// Says why it may not.
    pub fn judge_host(&self, host: &str) -> Result<(), NotAllowed> {
        if let Some(address) = literal(host) {
            return self.judge(host, address);
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let is_this_machine = name == "localhost" || name.ends_with(".localhost");
        if is_this_machine && !self.loopback && !self.lists_name(&name) && !self.lists_loopback() {
            return Err(NotAllowed { host: host.to_owned(), address: None, class: Class::Loopback });
        }
        Ok(())
    }

    /// Whether the address that a host turned out to have may be called.
    ///
    /// # Errors
    /// Says why it may not.
    pub fn judge(&self, host: &str, address: IpAddr) -> Result<(), NotAllowed> {
        let seen = innermost(address);
        let class = class_of(seen);
        let is_allowed = match class {
            Class::Public => true,
            Class::Nobodys(_) => false,
            Class::Loopback => self.loopback || self.lists(host, seen),
            Class::Internal(_) => self.lists(host, seen),
        };
        if is_allowed {
            return Ok(());
        }
        Err(NotAllowed { host: host.to_owned(), address: Some(address), class })
    }

    fn lists(&self, host: &str, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address)) || self.lists_name(host)
    }

    fn lists_name(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.names.iter().any(|name| match name.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => *name == host,
        })
    }

    fn lists_loopback(&self) -> bool {
        self.networks.iter().any(|network| network.network().is_loopback())
    }
}

/// Whether this machine's own addresses may be called without being listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// The server itself listens on loopback.
    Allowed,
    /// It listens elsewhere.
    ListedOnly,
}

/// The address that stands where a URL has its host.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    !text.is_empty() && text.split('.').all(is_label)
}

/// The IPv4 address inside an IPv6 one, if there is one that packets may end at.
fn innermost(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let four = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match six.segments() {
        // Mapped, and NAT64.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => four(high, low),
        // Compatible (obsolete); `::` and `::1` are what they are.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => four(high, low),
        // 6to4.
        [0x2002, high, low, ..] => four(high, low),
        // Teredo: the client's address is in the last 32 bits, inverted.
        [0x2001, 0, _, _, _, _, high, low] => four(!high, !low),
        _ => address,
    }
}

fn class_of(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(four) => class_of_v4(four),
        IpAddr::V6(six) => class_of_v6(six),
    }
}

fn class_of_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [0, ..] => Class::Nobodys("an unspecified address"),
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Internal("a private address"),
        [169, 254, ..] => Class::Internal("a link-local address"),
        [100, 64..=127, ..] => Class::Internal("an address of a shared network (CGNAT)"),
        [198, 18..=19, ..] => Class::Internal("an address of a test network"),
        [192, 0, 0, _] => Class::Internal("an address reserved for protocols"),
        [224..=239, ..] => Class::Nobodys("a multicast address"),
        [240..=255, ..] => Class::Nobodys("a reserved or broadcast address"),
        _ => Class::Public,
    }
}

fn class_of_v6(address: Ipv6Addr) -> Class {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Nobodys("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0xfc00..=0xfdff, ..] => Class::Internal("a unique-local address"),
        [0xfe80..=0xfebf, ..] => Class::Internal("a link-local address"),
        [0xfec0..=0xfeff, ..] => Class::Internal("a site-local address"),
        [0x64, 0xff9b, 1, ..] => Class::Internal("an address of a local translator (NAT64)"),
        [0xff00..=0xffff, ..] => Class::Nobodys("a multicast address"),
        _ => Class::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str], loopback: Loopback) -> AllowedHosts {
        AllowedHosts::new(entries, loopback).unwrap()
    }

    const INTERNAL: [&str; 22] = [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "198.18.0.1",
        "192.0.0.8",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2002:a00:1::1",
        "2001:0:1:2:3:4:f5ff:fffe",
        "::ffff:127.0.0.1",
        "127.8.9.1",
    ];

    #[test]
    fn internal_addresses_are_called_only_when_listed() {
        let nothing = allowed(&[], Loopback::ListedOnly);
        for text in INTERNAL {
            let address: IpAddr = text.parse().unwrap();
            assert!(nothing.judge("x", address).is_err(), "{text}");
            assert!(nothing.judge_host(&format!("[{text}]")).is_err() || address.is_ipv4(), "{text}");
            assert!(allowed(&["x"], Loopback::ListedOnly).judge("X.", address).is_ok(), "{text} by name");
            let inner = innermost(address).to_string();
            assert!(
                allowed(&[&inner], Loopback::ListedOnly).judge("y", address).is_ok(),
                "{text} by address"
            );
            assert!(allowed(&["z"], Loopback::ListedOnly).judge("x", address).is_err(), "{text}");
        }
        let network = allowed(&["10.2.0.0/16"], Loopback::ListedOnly);
        assert!(network.judge("x", "10.2.3.4".parse().unwrap()).is_ok());
        assert!(network.judge("x", "10.3.3.4".parse().unwrap()).is_err());
    }

    #[test]
    fn public_addresses_are_called_and_nobodys_never() {
        let all = allowed(&["0.0.0.0/0", "::/0", "x"], Loopback::Allowed);
        for text in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(allowed(&[], Loopback::ListedOnly).judge("x", text.parse().unwrap()).is_ok(), "{text}");
        }
        for text in
            ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1"]
        {
            assert!(all.judge("x", text.parse().unwrap()).is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_is_called_while_the_server_listens_there() {
        for text in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let address = text.parse().unwrap();
            assert!(allowed(&[], Loopback::Allowed).judge("x", address).is_ok(), "{text}");
            assert!(allowed(&[], Loopback::ListedOnly).judge("x", address).is_err(), "{text}");
        }
        assert!(allowed(&[], Loopback::ListedOnly).judge_host("localhost").is_err());
        assert!(allowed(&[], Loopback::ListedOnly).judge_host("a.LocalHost.").is_err());
        assert!(allowed(&[], Loopback::Allowed).judge_host("localhost").is_ok());
        assert!(allowed(&["127.0.0.0/8"], Loopback::ListedOnly).judge_host("localhost").is_ok());
    }

    #[test]
    fn names_are_listed_one_by_one_or_by_their_domain() {
        let some = allowed(&["*.internal", "pay.example"], Loopback::ListedOnly);
        let private = "10.0.0.1".parse().unwrap();
        assert!(some.judge("a.b.internal", private).is_ok());
        assert!(some.judge("internal", private).is_err());
        assert!(some.judge("xinternal", private).is_err());
        assert!(some.judge("PAY.example", private).is_ok());
        assert!(some.judge("no.pay.example", private).is_err());
        for wrong in ["", "a b", "http://a", "a/b", "*", "a..b", "10.0.0.0/33"] {
            assert!(AllowedHosts::new([wrong], Loopback::Allowed).is_err(), "{wrong:?}");
        }
    }
}
