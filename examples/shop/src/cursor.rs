//! Where the next page begins, as a text that the client keeps.
//!
//! Owns the spelling: a letter for the kind and a number. Promises that it is safe in a URL as it stands, and
//! that a text that was not made here is an error. Does not promise what it looks like.

use std::fmt;
use std::str::FromStr;

/// The letter of a cursor over orders, so that one over something else is not taken for it.
const ORDERS: char = 'o';

/// A place in the list of all orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrdersCursor(i64);

/// The text is not a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a cursor: use the next_cursor of the page before, or none for the first page")]
pub struct BadCursor {
    /// The text.
    pub text: String,
}

impl OrdersCursor {
    pub(crate) const START: OrdersCursor = OrdersCursor(0);

    pub(crate) fn after(order_number: i64) -> OrdersCursor {
        OrdersCursor(order_number)
    }

    pub(crate) fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for OrdersCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ORDERS}{:x}", self.0)
    }
}

impl FromStr for OrdersCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<OrdersCursor, BadCursor> {
        let number = text.strip_prefix(ORDERS).and_then(|digits| i64::from_str_radix(digits, 16).ok());
        match number.map(OrdersCursor) {
            // Only the one spelling: a sign, a leading zero or a capital was not made here.
            Some(cursor) if cursor.0 > 0 && cursor.to_string() == text => Ok(cursor),
            Some(_) | None => Err(BadCursor { text: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_way_out_and_in() {
        for number in [1, 15, 16, 300_000, i64::MAX] {
            let text = OrdersCursor::after(number).to_string();
            assert_eq!(text.parse(), Ok(OrdersCursor::after(number)));
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
        }
    }

    #[test]
    fn any_other_text_is_an_error() {
        for text in
            ["", "o", "1f", "s1f", "o0", "o01", "o+1", "o-1", "oFF", "o1f ", "offffffffffffffff1", "ö1"]
        {
            assert_eq!(text.parse::<OrdersCursor>(), Err(BadCursor { text: text.to_owned() }));
        }
    }
}
