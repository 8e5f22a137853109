//! One text out of a JSON object.
//!
//! Owns [`text_field`]: what a signal that refuses says of why. Promises an answer or none, never a panic,
//! whatever the bytes are: whoever takes signals in has seen to it that they are JSON. Does not parse anything
//! else: core computes nothing from payloads.

/// The text of this field of an object.
pub(crate) fn text_field(object: &[u8], name: &str) -> Option<String> {
    let mut rest = Scan { text: std::str::from_utf8(object).ok()?, at: 0 };
    rest.expect('{')?;
    if rest.expect('}').is_some() {
        return None;
    }
    loop {
        let key = rest.string()?;
        rest.expect(':')?;
        if key == name {
            return rest.string();
        }
        rest.skip_value()?;
        rest.expect(',')?;
    }
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn expect(&mut self, expected: char) -> Option<()> {
        (self.peek()? == expected).then(|| self.at += expected.len_utf8())
    }

    fn next(&mut self) -> Option<char> {
        let next = self.text[self.at..].chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn string(&mut self) -> Option<String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                other => text.push(other),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.hex()?;
                let code = if (0xD800..0xDC00).contains(&first) {
                    (self.next()? == '\\' && self.next()? == 'u').then_some(())?;
                    0x1_0000 + ((first - 0xD800) << 10) + self.hex()?.checked_sub(0xDC00)?
                } else {
                    first
                };
                char::from_u32(code)?
            }
            other => other,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    /// Passes a value by: strings are passed whole, brackets are counted.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                '"' => drop(self.string()?),
                ',' | '}' | ']' if depth == 0 => return Some(()),
                bracket => {
                    self.next()?;
                    match bracket {
                        '{' | '[' => depth += 1,
                        '}' | ']' => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_among_other_values_and_its_escapes_are_read() {
        let body =
            br#" { "n": [1, {"code": "inner"}], "s": "a}\"", "code" : "no\u00fc\ud83d\ude00\n", "x": 1 } "#;
        assert_eq!(text_field(body, "code").as_deref(), Some("no\u{fc}\u{1f600}\n"));
        assert_eq!(text_field(body, "s").as_deref(), Some("a}\""));
        assert_eq!(text_field(body, "detail"), None);
        assert_eq!(text_field(body, "x"), None, "a number is no text");
        for odd in [&b"{}"[..], b"", b"[1]", b"{\"code\"", b"{\"code\":\"\\ud83d\"}", b"{\"a\":1]", b"\xff"] {
            assert_eq!(text_field(odd, "code"), None);
        }
    }
}
