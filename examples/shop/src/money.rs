//! Money: integer minor units inside, a JSON number with at most two decimals outside.
//!
//! Owns the conversion between the two. Promises that it is exact, in both directions and for every amount an
//! `i64` of minor units holds. Does not know currencies.

use std::fmt;

use crate::decimal::{Decimal, Unfit};

/// Decimals of one amount outside.
const DECIMALS: u32 = 2;
const MINOR_PER_MAJOR: u64 = 100;

/// An amount in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

/// Why a number is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a JSON number.
    #[error("not a number")]
    NotANumber,
    /// The value has a part below one minor unit.
    #[error("more than two decimals")]
    TooManyDecimals,
    /// The value is zero or less.
    #[error("not above zero")]
    NotAboveZero,
    /// The value is beyond what an amount can hold.
    #[error("too large")]
    Overflow,
}

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// An amount given in minor units.
    pub const fn from_minor(minor: i64) -> Money {
        Money(minor)
    }

    /// The amount in minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// Reads an amount from the text of a JSON number, by value: `1.000` and `1e2` are fine, `0.001` is not.
    ///
    /// # Errors
    /// When the text is not a number, or the number not an amount.
    pub fn parse(text: &str) -> Result<Money, MoneyError> {
        let decimal = Decimal::parse(text).ok_or(MoneyError::NotANumber)?;
        decimal.in_units(DECIMALS).map(Money).map_err(|unfit| match unfit {
            Unfit::TooFine => MoneyError::TooManyDecimals,
            Unfit::TooLarge => MoneyError::Overflow,
        })
    }

    /// Reads an amount that must be above zero.
    ///
    /// # Errors
    /// Those of [`Money::parse`], and [`MoneyError::NotAboveZero`].
    pub fn parse_price(text: &str) -> Result<Money, MoneyError> {
        let money = Money::parse(text)?;
        if money > Money::ZERO { Ok(money) } else { Err(MoneyError::NotAboveZero) }
    }

    /// This amount `quantity` times, unless that overflows.
    pub fn times(self, quantity: i64) -> Option<Money> {
        self.0.checked_mul(quantity).map(Money)
    }

    /// The sum, unless it overflows.
    pub fn plus(self, other: Money) -> Option<Money> {
        self.0.checked_add(other.0).map(Money)
    }
}

impl fmt::Display for Money {
    /// Writes a JSON number without trailing zeros: `100`, `99.5`, `99.99`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let (major, minor) = (magnitude / MINOR_PER_MAJOR, magnitude % MINOR_PER_MAJOR);
        match minor {
            0 => write!(f, "{sign}{major}"),
            tenths if tenths % 10 == 0 => write!(f, "{sign}{major}.{}", tenths / 10),
            hundredths => write!(f, "{sign}{major}.{hundredths:02}"),
        }
    }
}

/// For `#[serde(with)]`: an integer of minor units, as the services exchange it.
pub mod minor_units {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Money;

    /// Writes minor units.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(money.minor())
    }

    /// Reads minor units.
    ///
    /// # Errors
    /// When there is no integer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        i64::deserialize(deserializer).map(Money::from_minor)
    }
}

/// For `#[serde(with)]`: a number with at most two decimals, as people see it. Exact only in JSON text.
pub mod outside {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
    use serde_json::value::RawValue;

    use super::Money;

    /// Writes the number's exact text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(money.to_string()).map_err(ser::Error::custom)?.serialize(serializer)
    }

    /// Reads the number's exact text.
    ///
    /// # Errors
    /// When there is no number, or one that is not an amount.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Money::parse(text.get()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prices_go_by_value_not_by_spelling() {
        for (text, minor) in [
            ("100", 10_000),
            ("100.0", 10_000),
            ("1.000", 100),
            ("1e2", 10_000),
            ("1E+2", 10_000),
            ("9999e-2", 9_999),
            ("0.001e1", 1),
            ("99.99", 9_999),
            ("0.1", 10),
            ("0.29", 29),
            ("1.15", 115),
            ("92233720368547758.07", i64::MAX),
            ("9223372036854775807e-2", i64::MAX),
            ("1000000000000000000000000e-24", 100),
        ] {
            assert_eq!(Money::parse_price(text), Ok(Money(minor)), "{text}");
        }
    }

    #[test]
    fn each_kind_of_wrong_price_has_its_own_error() {
        use MoneyError::{NotANumber, NotAboveZero, Overflow, TooManyDecimals};
        for (text, error) in [
            ("0.001", TooManyDecimals),
            ("1e-3", TooManyDecimals),
            ("100.005", TooManyDecimals),
            ("1e-400", TooManyDecimals),
            ("1e-99999999999999999999999", TooManyDecimals),
            ("0", NotAboveZero),
            ("-0.00", NotAboveZero),
            ("0e99999999999999999999999", NotAboveZero),
            ("-1", NotAboveZero),
            ("92233720368547758.08", Overflow),
            ("1e400", Overflow),
            ("1e99999999999999999999999", Overflow),
            ("-1e400", Overflow),
            ("", NotANumber),
            ("-", NotANumber),
            ("+1", NotANumber),
            ("01", NotANumber),
            ("1.", NotANumber),
            (".5", NotANumber),
            ("1e", NotANumber),
            ("1e+", NotANumber),
            ("1e1.0", NotANumber),
            ("0x10", NotANumber),
            ("1,5", NotANumber),
            (" 1", NotANumber),
            ("١", NotANumber),
            ("NaN", NotANumber),
        ] {
            assert_eq!(Money::parse_price(text), Err(error), "{text}");
        }
    }

    #[test]
    fn amounts_are_written_without_trailing_zeros() {
        for (minor, text) in [
            (10_000, "100"),
            (9_950, "99.5"),
            (9_999, "99.99"),
            (5, "0.05"),
            (0, "0"),
            (-5, "-0.05"),
            (i64::MAX, "92233720368547758.07"),
            (i64::MIN, "-92233720368547758.08"),
        ] {
            assert_eq!(Money(minor).to_string(), text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_amount_survives_the_way_out_and_in(minor in any::<i64>()) {
            let text = Money(minor).to_string();
            prop_assert_eq!(Money::parse(&text), Ok(Money(minor)));
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_number());
        }

        #[test]
        fn every_spelling_of_a_number_has_its_exact_value(
            negative in any::<bool>(),
            whole in 0..10_000_000_u64,
            fraction in "[0-9]{0,6}",
            exponent in -8..=8_i32,
            mark in "e|E|e\\+",
        ) {
            let point = if fraction.is_empty() { "" } else { "." };
            let mark = if exponent < 0 { "e" } else { mark.as_str() };
            let sign = if negative { "-" } else { "" };
            let text = format!("{sign}{whole}{point}{fraction}{mark}{exponent}");

            // The value in units of 10^-16, where everything generated here is an integer.
            let digits: i128 = format!("{whole}{fraction}").parse().unwrap();
            let places = 16 + exponent - i32::try_from(fraction.len()).unwrap();
            let scaled = digits * 10_i128.pow(u32::try_from(places).unwrap()) * if negative { -1 } else { 1 };
            let minor = 10_i128.pow(14);
            let expected = if scaled % minor != 0 {
                Err(MoneyError::TooManyDecimals)
            } else {
                i64::try_from(scaled / minor).map(Money).map_err(|_| MoneyError::Overflow)
            };
            prop_assert_eq!(Money::parse(&text), expected, "{}", text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[-+0-9.eE]{0,12}") {
            let is_number = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            let found = Money::parse(&text);
            prop_assert_eq!(found == Err(MoneyError::NotANumber), !is_number, "{} {:?}", text, found);
        }
    }
}
