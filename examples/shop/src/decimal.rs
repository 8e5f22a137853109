//! Exact decimal numbers as JSON writes them.
//!
//! Owns the reading of sign, digits, fraction and exponent. Promises to go by value (`1.50`, `15e-1` and
//! `0.15e1` are the same) and never through a floating-point number. Does not know what is counted.

/// Bounds an exponent far beyond any text's length, so that sums with lengths cannot overflow and still
/// compare right.
const EXPONENT_BOUND: i64 = 1_000_000_000_000_000;

/// Decimal digits that always fit into an `i128`, and one more than an `i64` can have.
const DIGITS_MAX: i64 = 20;

/// `digits × 10^exponent`, negated if `negative`; no digits stand for zero.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    /// Significant ASCII digits, without zeros at either end.
    digits: Vec<u8>,
    exponent: i64,
}

/// Why a number is not an integer multiple of the unit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It has a part smaller than the unit.
    TooFine,
    /// It is beyond an `i64` of units.
    TooLarge,
}

impl Decimal {
    /// Reads a JSON number; nothing if the text is none.
    pub(crate) fn parse(text: &str) -> Option<Decimal> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, is_digits(fraction).then_some(fraction)?),
            None => (mantissa, ""),
        };
        // JSON allows no leading zero.
        if !is_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let all = [whole.as_bytes(), fraction.as_bytes()].concat();
        let end = all.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        let start = all[..end].iter().position(|digit| *digit != b'0').unwrap_or(end);
        let exponent = exponent - length(fraction.as_bytes()) + length(&all[end..]);
        Some(Decimal { negative, digits: all[start..end].to_vec(), exponent })
    }

    /// The number counted in units of `10^-decimals`.
    pub(crate) fn in_units(&self, decimals: u32) -> Result<i64, Unfit> {
        if self.digits.is_empty() {
            return Ok(0);
        }
        let exponent = self.exponent + i64::from(decimals);
        let Ok(zeros) = u64::try_from(exponent) else { return Err(Unfit::TooFine) };
        if length(&self.digits) + exponent > DIGITS_MAX {
            return Err(Unfit::TooLarge);
        }
        let zeros = std::iter::repeat_n(&b'0', usize::try_from(zeros).map_err(|_| Unfit::TooLarge)?);
        let magnitude =
            self.digits.iter().chain(zeros).fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        i64::try_from(if self.negative { -magnitude } else { magnitude }).map_err(|_| Unfit::TooLarge)
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !is_digits(digits) {
        return None;
    }
    let magnitude =
        digits.bytes().fold(0, |sum, digit| EXPONENT_BOUND.min(sum * 10 + i64::from(digit - b'0')));
    Some(if negative { -magnitude } else { magnitude })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn length(digits: &[u8]) -> i64 {
    i64::try_from(digits.len()).expect("a text in memory is shorter than i64::MAX")
}
