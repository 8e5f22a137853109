//! How connections to participants are made.
//!
//! Owns the check of each address at the moment a connection is made to it: of one that stands in a URL, and of those
//! that a name turns out to have. Promises that nothing is sent to an address that is not allowed, also when a name
//! leads elsewhere than it did. No proxy, no redirect, nothing from the environment. Does not know requests.

use std::error::Error;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{io, vec};

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::hosts::{AllowedHosts, literal};
use crate::limits::CONNECT_LIMIT;

/// Looks a name up. Blocks.
pub type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

type BoxError = Box<dyn Error + Send + Sync>;

/// Makes connections to allowed addresses.
#[derive(Clone)]
pub(crate) struct Connector {
    allowed: Arc<AllowedHosts>,
    tcp: HttpConnector<Resolver>,
}

impl Connector {
    pub(crate) fn new(allowed: Arc<AllowedHosts>, lookup: Lookup) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver { allowed: allowed.clone(), lookup });
        // TLS comes on top of it.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_LIMIT));
        Self { allowed, tcp }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let host = url.host().unwrap_or_default();
        // No name, so nobody looks it up.
        if let Some(address) = literal(host)
            && let Err(error) = self.allowed.judge(host, address)
        {
            return Box::pin(async move { Err(error.into()) });
        }
        let connecting = self.tcp.call(url);
        Box::pin(async move { connecting.await.map_err(Into::into) })
    }
}

/// Gives of a name's addresses those that are allowed.
#[derive(Clone)]
struct Resolver {
    allowed: Arc<AllowedHosts>,
    lookup: Lookup,
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { allowed, lookup } = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::task::spawn_blocking(move || lookup(name.as_str())).await??;
            let mut refused = None;
            let mut addresses = Vec::new();
            for address in found {
                match allowed.judge(&host, address) {
                    // The port is set by whoever connects.
                    Ok(()) => addresses.push(SocketAddr::new(address, 0)),
                    Err(error) => refused = Some(error),
                }
            }
            match refused {
                Some(error) if addresses.is_empty() => Err(error.into()),
                Some(_) | None => Ok(addresses.into_iter()),
            }
        })
    }
}

/// Looks names up as every program of this machine does.
pub(crate) fn system_lookup() -> Lookup {
    use std::net::ToSocketAddrs;
    Arc::new(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
}
