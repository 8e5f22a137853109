//! Connections.
//!
//! Owns the listener, the limits of connections and the graceful end. Promises that a client that sends
//! nothing, or half a head, holds a place for a bounded time and stops nobody else. Does not know what is
//! served.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::guard::Guard;
use crate::limits::{CLOSE_TIME_MAX, CONNECTIONS_MAX, HANDSHAKE_TIME_MAX, HEAD_BYTES_MAX, HEAD_TIME_MAX};
use crate::routes;
use crate::tls::Tls;

/// A bound listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    guard: Guard,
    tls: Option<Tls>,
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has the port.
    #[error("port {} is in use: stop the program that has it, or choose another port", .0.port())]
    InUse(SocketAddr),
    /// The system says no.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Server {
    /// Takes the port.
    ///
    /// # Errors
    /// When it is taken, or not allowed.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let io = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AddrInUse => BindError::InUse(address),
            _ => BindError::Io { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        Ok(Self { listener, address, guard: Guard::new(None, address), tls: None })
    }

    /// Asks for this token before every route.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { guard: Guard::new(Some(token), self.address), ..self }
    }

    /// Speaks TLS, and nothing else.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves what the application brings, [completed](routes::complete), until `stop` resolves; then takes
    /// no further connection, lets `drain` end what is under way, and closes.
    pub async fn run(self, router: Router, stop: impl Future<Output = ()>, drain: impl Future<Output = ()>) {
        let service = TowerToHyperService::new(self.guard.before(routes::complete(router)));
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&self.listener, &places) => accepted,
                Some(_) = connections.join_next() => continue,
            };
            let (stream, place) = accepted;
            // Small answers are sent immediately: the other side waits for them.
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%error, "a connection keeps its delay");
            }
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(HEAD_BYTES_MAX);
            let (service, watcher) = (service.clone(), graceful.watcher());
            match &self.tls {
                None => {
                    let connection = watcher.watch(http.serve_connection(TokioIo::new(stream), service));
                    connections.spawn(async move {
                        ended(connection.await);
                        drop(place);
                    });
                }
                Some(tls) => {
                    let handshake = tls.acceptor().accept(stream);
                    connections.spawn(async move {
                        match tokio::time::timeout(HANDSHAKE_TIME_MAX, handshake).await {
                            Ok(Ok(stream)) => {
                                ended(
                                    watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await,
                                );
                            }
                            Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
                            Err(_) => debug!("a TLS handshake took too long"),
                        }
                        drop(place);
                    });
                }
            }
        }
        drop(self.listener);
        let closed = graceful.shutdown();
        let mut closed = std::pin::pin!(closed);
        tokio::select! {
            () = drain => {
                // What was waited for has its answer now; a client that does not take it is not waited for.
                let _ = tokio::time::timeout(CLOSE_TIME_MAX, closed).await;
            }
            () = &mut closed => {}
        }
        connections.shutdown().await;
    }
}

fn ended(result: hyper::Result<()>) {
    if let Err(error) = result {
        debug!(%error, "a connection ended early");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit) {
    /// After a failure to accept (usually: no more file descriptors) others need time to end.
    const REST: Duration = Duration::from_millis(50);
    let place = places.clone().acquire_owned().await.expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}
