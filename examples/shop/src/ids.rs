//! The ids of the shop's records.
//!
//! Owns how they look: a prefix that names the kind, and 128 random bits. Promises that no two collide,
//! whatever the clock says. Does not draw the random bits itself. An order's id begins with its time as well,
//! so that its index grows at one end.

use std::fmt;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

/// Letters of five bits each, in the order of their values.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
/// Letters that 128 bits take.
const RANDOM_LETTERS: u32 = 26;
/// Letters that a time in milliseconds takes until the year 3084.
const TIME_LETTERS: u32 = 9;

macro_rules! text_id {
    ($(#[$doc:meta] $name:ident)*) => {$(
        #[$doc]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> $name {
                $name(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.0.to_sql()
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$name> {
                String::column_result(value).map($name)
            }
        }
    )*};
}

text_id! {
    /// Who ordered.
    UserId
    /// What is sold.
    ProductId
    /// An order, `ord_…`.
    OrderId
    /// A payment, `pay_…`.
    PaymentId
    /// The money's own transaction, `txn_…`.
    TransactionId
    /// A reservation, `res_…`.
    ReservationId
    /// A shipment, `shp_…`.
    ShipmentId
    /// What the parcel carries, `TRK…`.
    TrackingNumber
    /// The saga that a record was made for, as its caller writes it.
    SagaId
}

impl OrderId {
    /// A new id: orders are looked up by it, and random keys would touch a page of their own each.
    pub fn new(now_ms: i64, random: u128) -> OrderId {
        let time = u128::try_from(now_ms).unwrap_or(0);
        OrderId(format!("ord_{}{}", letters(time, TIME_LETTERS), letters(random, RANDOM_LETTERS)))
    }
}

impl PaymentId {
    /// A new id.
    pub fn new(random: u128) -> PaymentId {
        PaymentId(format!("pay_{}", letters(random, RANDOM_LETTERS)))
    }
}

impl TransactionId {
    /// A new id.
    pub fn new(random: u128) -> TransactionId {
        TransactionId(format!("txn_{}", letters(random, RANDOM_LETTERS)))
    }
}

impl ReservationId {
    /// A new id.
    pub fn new(random: u128) -> ReservationId {
        ReservationId(format!("res_{}", letters(random, RANDOM_LETTERS)))
    }
}

impl ShipmentId {
    /// A new id.
    pub fn new(random: u128) -> ShipmentId {
        ShipmentId(format!("shp_{}", letters(random, RANDOM_LETTERS)))
    }
}

impl TrackingNumber {
    /// A new number, in capitals as parcels have them.
    pub fn new(random: u128) -> TrackingNumber {
        TrackingNumber(format!("TRK{}", letters(random, RANDOM_LETTERS).to_ascii_uppercase()))
    }
}

/// The lowest `count` × 5 bits, highest first; what is above them is cut off.
fn letters(bits: u128, count: u32) -> String {
    (0..count).rev().map(|place| char::from(ALPHABET[(bits >> (place * 5)) as usize & 31])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_random_bit_is_in_the_id() {
        let ids: std::collections::BTreeSet<_> = (0..128).map(|bit| PaymentId::new(1 << bit)).collect();
        assert_eq!(ids.len(), 128);
        assert_eq!(PaymentId::new(u128::MAX).as_str(), "pay_7vvvvvvvvvvvvvvvvvvvvvvvvv");
        assert_eq!(TrackingNumber::new(u128::MAX).as_str(), "TRK7VVVVVVVVVVVVVVVVVVVVVVVVV");
    }

    #[test]
    fn later_orders_sort_behind_earlier_ones_and_differ_within_a_moment() {
        let noon = OrderId::new(1_795_000_000_000, 7);
        assert!(noon < OrderId::new(1_795_000_000_001, 0));
        assert_ne!(noon, OrderId::new(1_795_000_000_000, 8));
        assert_ne!(OrderId::new(-5, 1), OrderId::new(-5, 2));
    }
}
