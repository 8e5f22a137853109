//! Server-Sent Events, as bytes come.
//!
//! Owns the format (WHATWG HTML, section 9.2): lines, fields, frames. Promises that it reads the same
//! whatever the pieces are in which the bytes come, and that a frame is bounded. Does not open connections.

use crate::limits::EVENT_BYTES_MAX;

/// One frame with data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The last id seen, in this frame or before.
    pub(crate) id: Option<String>,
    pub(crate) data: String,
}

/// A frame has more bytes than are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Reads frames.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// Whether the byte before was a carriage return, whose line feed does not end another line.
    after_return: bool,
    /// The id of the frame that has not ended yet, or of the one before.
    id: Option<String>,
    /// The id of the last frame that has ended: where a stream goes on when it is opened anew.
    id_ended: Option<String>,
    data: String,
    has_data: bool,
    begun: bool,
}

impl Parser {
    /// Takes bytes in and gives the frames that they end.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, TooLong> {
        let mut frames = Vec::new();
        for byte in bytes {
            let ends_line = match byte {
                b'\n' if self.after_return => {
                    self.after_return = false;
                    continue;
                }
                b'\r' => {
                    self.after_return = true;
                    true
                }
                b'\n' => true,
                _ => false,
            };
            if *byte != b'\r' {
                self.after_return = false;
            }
            if !ends_line {
                self.line.push(*byte);
                if self.line.len() + self.data.len() > EVENT_BYTES_MAX {
                    return Err(TooLong);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            self.end_of_line(&String::from_utf8_lossy(&line), &mut frames);
        }
        Ok(frames)
    }

    /// Where to go on.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.id_ended.as_deref()
    }

    /// Goes on after this id; a frame that was cut off is forgotten.
    pub(crate) fn after(id: Option<String>) -> Self {
        Self { id: id.clone(), id_ended: id, ..Self::default() }
    }

    fn end_of_line(&mut self, line: &str, frames: &mut Vec<Frame>) {
        let line = if self.begun { line } else { line.trim_start_matches('\u{feff}') };
        self.begun = true;
        if line.is_empty() {
            self.id_ended.clone_from(&self.id);
            let data = std::mem::take(&mut self.data);
            if std::mem::take(&mut self.has_data) {
                frames.push(Frame { id: self.id.clone(), data });
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            // Comments (an empty field), `event`, `retry`, and what the format may get.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: Option<&str>, data: &str) -> Frame {
        Frame { id: id.map(str::to_owned), data: data.to_owned() }
    }

    #[test]
    fn frames_are_the_same_whatever_pieces_they_come_in() {
        let text =
            "\u{feff}: hello\r\n\r\nid: 1\ndata: a\ndata:  b\n\nevent: x\rdata\r\rid\n:\ndata: ü\r\n\r\n";
        let expected = [frame(Some("1"), "a\n b"), frame(Some("1"), ""), frame(Some(""), "ü")];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                found.extend(parser.take(piece).unwrap());
            }
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_frame_that_is_cut_off_is_not_given() {
        let mut parser = Parser::default();
        assert_eq!(parser.take(b"id: 7\ndata: a\n\nid: 8\ndata: {\"half").unwrap(), [frame(Some("7"), "a")]);
        assert_eq!(parser.last_id(), Some("7"));
        let mut parser = Parser::after(parser.last_id().map(str::to_owned));
        assert_eq!(parser.take(b"data: b\n\n").unwrap(), [frame(Some("7"), "b")]);
    }

    #[test]
    fn a_frame_without_end_is_an_error() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1 << 20];
        let ended = (0..=EVENT_BYTES_MAX >> 20).find_map(|_| parser.take(&piece).err());
        assert_eq!(ended, Some(TooLong));
    }
}
