//! Facts as they happen.
//!
//! Owns [`Events`]: a stream that opens itself anew where it broke off. Promises neither a gap nor a repeat,
//! as long as the server keeps the facts. Does not understand them.

use std::collections::VecDeque;
use std::time::Duration;

use amends_api::Fact;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::client::{Ask, Client, get};
use crate::error::ClientError;
use crate::limits::{ANSWER_TIME_MAX, RECONNECTIONS_MAX, REST_FIRST, REST_MAX, SILENCE_MAX};
use crate::sse::{Frame, Parser};

/// A stream of facts.
#[derive(Debug)]
pub struct Events {
    client: Client,
    path: Vec<String>,
    parser: Parser,
    open: Option<Incoming>,
    /// Frames that came together with the one that was given last.
    waiting: VecDeque<Frame>,
    failures: u32,
    ended: bool,
}

impl Events {
    pub(crate) fn new(client: Client, path: Vec<String>, after: Option<String>) -> Self {
        Self {
            client,
            path,
            parser: Parser::after(after),
            open: None,
            waiting: VecDeque::new(),
            failures: 0,
            ended: false,
        }
    }

    /// The next fact; `None` when there will be none. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the server refuses, or could not be reached again and again; then the stream has ended.
    pub async fn next(&mut self) -> Option<Result<Fact, ClientError>> {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                return Some(self.fact(&frame));
            }
            if self.ended {
                return None;
            }
            let more = match self.open.as_mut() {
                Some(body) => tokio::time::timeout(SILENCE_MAX, body.frame()).await,
                None => match self.reopen().await {
                    Ok(()) => continue,
                    Err(error) => {
                        self.ended = true;
                        return Some(Err(error));
                    }
                },
            };
            match more {
                Ok(Some(Ok(frame))) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    let Ok(frames) = self.parser.take(&bytes) else {
                        self.ended = true;
                        return Some(Err(self.not_amends("an event without end")));
                    };
                    self.failures = 0;
                    self.waiting.extend(frames);
                }
                // Broken, ended or silent: the server says whether there is more.
                Ok(Some(Err(_)) | None) | Err(_) => self.open = None,
            }
        }
    }

    /// Opens the stream where it broke off. With nothing left it has ended.
    async fn reopen(&mut self) -> Result<(), ClientError> {
        let last_id = self.parser.last_id().map(str::to_owned);
        self.parser = Parser::after(last_id.clone());
        let mut rest = REST_FIRST;
        loop {
            if self.failures > 0 {
                tokio::time::sleep(rest).await;
                rest = (rest * 2).min(REST_MAX);
            }
            let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
            let mut headers = vec![("accept", "text/event-stream".to_owned())];
            headers.extend(last_id.clone().map(|id| ("last-event-id", id)));
            let ask = Ask { headers, ..get(&path) };
            let error = match self.client.open(&ask, ANSWER_TIME_MAX).await {
                Ok(response) if response.status().as_u16() == 204 => {
                    self.ended = true;
                    return Ok(());
                }
                // A stream that ends again and again without a single byte counts as a failure too.
                Ok(response) if self.failures <= RECONNECTIONS_MAX => {
                    self.failures += 1;
                    self.open = Some(response.into_body());
                    return Ok(());
                }
                Ok(_) => self.not_amends("a stream of events that ends without an event"),
                Err(error) => error,
            };
            self.failures += 1;
            if self.failures > RECONNECTIONS_MAX || error.rest(Duration::ZERO).is_none() {
                return Err(error);
            }
        }
    }

    fn fact(&self, frame: &Frame) -> Result<Fact, ClientError> {
        serde_json::from_str(&frame.data)
            .map_err(|error| self.not_amends(&format!("an event that is not one ({error})")))
    }

    fn not_amends(&self, why: &str) -> ClientError {
        ClientError::NotAmends { server: self.client.server().to_owned(), why: why.to_owned() }
    }
}
