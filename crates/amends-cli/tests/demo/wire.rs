//! HTTP/1.1 as bytes on a socket.
//!
//! Owns one connection and the reading of answers. Promises that whatever is sent is sent as it is, also when
//! it is no HTTP, and that an answer which is no sound HTTP is an error. Does not hang: each read has a
//! limit.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use amends_api::Problem;
use serde_json::Value;

/// How long the server may be silent. Longer than its own limits, so that those are what is seen.
const SILENCE_MAX: Duration = Duration::from_secs(50);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A text member.
    pub(crate) fn member(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no text {name}: {}", self.text())).to_owned()
    }

    /// The code of a problem document, which a client reads as the server's own type.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some(Problem::MEDIA_TYPE), "{}", self.text());
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        for text in [&problem.page, &problem.title, &problem.detail] {
            assert!(!text.is_empty(), "{}", self.text());
        }
        let kind = problem.kind().unwrap_or_else(|| panic!("no kind: {}", self.text()));
        assert_eq!(kind.status(), self.status, "{}", self.text());
        problem.code.to_string()
    }
}

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The sending side, for another thread.
    pub(crate) fn writer(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// Says that nothing more will come.
    pub(crate) fn end(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<Answer> {
        self.send(&request(method, path, headers, body))?;
        self.answer(method)
    }

    /// The next answer, to a request of this method.
    pub(crate) fn answer(&mut self, method: &str) -> io::Result<Answer> {
        loop {
            let answer = self.any_answer(method)?;
            if answer.status != 100 {
                return Ok(answer);
            }
        }
    }

    /// The next answer, `100 Continue` included.
    pub(crate) fn any_answer(&mut self, method: &str) -> io::Result<Answer> {
        let head = loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break self.unread.drain(..end + 4).collect::<Vec<u8>>();
            }
            self.more()?;
        };
        let (status, headers) = parse_head(&head)?;
        let mut answer = Answer { status, headers, body: Vec::new() };
        if method != "HEAD" && status >= 200 && status != 204 && status != 304 {
            let length = answer.header("content-length").ok_or_else(|| no_http("no length"))?;
            let length: usize = length.parse().map_err(|_| no_http("length"))?;
            while self.unread.len() < length {
                self.more()?;
            }
            answer.body = self.unread.drain(..length).collect();
        }
        Ok(answer)
    }

    /// Whether the server ended the connection without a further byte.
    pub(crate) fn is_ended(&mut self) -> bool {
        self.unread.is_empty() && self.more().is_err_and(|error| error.kind() == ErrorKind::UnexpectedEof)
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        let read = loop {
            match self.stream.read(&mut buffer) {
                // A read with a limit ends so when the process was stopped and goes on.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        match read {
            0 if self.unread.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            0 => Err(no_http("cut off")),
            read => {
                self.unread.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}

/// A request with a length where there is a body.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: shop\r\n").into_bytes();
    for (name, value) in headers {
        request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if let Some(body) = body {
        request.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body.unwrap_or_default());
    request
}

fn parse_head(head: &[u8]) -> io::Result<(u16, Vec<(String, String)>)> {
    let head = std::str::from_utf8(head).map_err(|_| no_http("text"))?;
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().unwrap_or("");
    let status = first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').ok_or_else(|| no_http(line))?;
        Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Ok((status.ok_or_else(|| no_http(first))?, headers.collect::<io::Result<_>>()?))
}

fn no_http(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("this is no sound HTTP: {what:?}"))
}
