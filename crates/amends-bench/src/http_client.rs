//! A light HTTP client.
//!
//! Owns one connection that stays open, and one request at a time on it. Promises to cost little beside what
//! it measures: the client that waits for the answer drives the connection, without a task of its own. Does
//! not judge answers.

use std::net::SocketAddr;
use std::pin::{Pin, pin};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection to a server.
pub(super) struct HttpClient {
    host: String,
    requests: SendRequest<Full<Bytes>>,
    connection: Pin<Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The connection was not accepted.
    #[error("cannot connect to {address}")]
    Connect {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// The connection broke, or carried something else than HTTP.
    #[error("the connection failed")]
    Exchange(#[from] hyper::Error),
    /// The server closed the connection, as one does that is stopping.
    #[error("the server closed the connection")]
    Closed,
}

impl HttpClient {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self, HttpError> {
        let failed = |source| HttpError::Connect { address, source };
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { host: address.to_string(), requests, connection: Box::pin(connection) })
    }

    /// Sends JSON and waits for the whole answer.
    pub(super) async fn post(&mut self, path: &str, json: Bytes) -> Result<(StatusCode, Bytes), HttpError> {
        let request = Request::post(path)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(json))
            .expect("our own paths and addresses are sound");
        let requests = &mut self.requests;
        let mut exchange = pin!(async {
            requests.ready().await?;
            let (head, body) = requests.send_request(request).await?.into_parts();
            Ok((head.status, body.collect().await?.to_bytes()))
        });
        tokio::select! {
            biased;
            answered = &mut exchange => answered,
            ended = &mut self.connection => match ended {
                Ok(()) => Err(HttpError::Closed),
                Err(error) => Err(error.into()),
            },
        }
    }
}
