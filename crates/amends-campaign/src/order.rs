//! The orders the clients post.
//!
//! Owns the mix: what is bought, at which price, how it is asked for, and how such an order may end.
//! Promises that an order follows from the seed and its key alone, so that it never has to be remembered.
//! Does not know what became of an order: that is the record's.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Number;

use super::random::{Random, Seed, Stream};

/// Which order this is: the client that posted it first, and how many it had posted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderKey {
    pub(crate) client: u16,
    pub(crate) sequence: u32,
}

impl OrderKey {
    /// The `Idempotency-Key` it is posted with; the order's `user_id` as well, so that the shop's order leads
    /// back to it.
    pub(crate) fn name(self, seed: Seed) -> String {
        format!("kill-{seed}-{}-{}", self.client, self.sequence)
    }

    /// The key with that name, if this campaign gave it.
    pub(crate) fn named(name: &str, seed: Seed) -> Option<OrderKey> {
        let (client, sequence) = name.strip_prefix(&format!("kill-{seed}-"))?.split_once('-')?;
        let key = OrderKey { client: client.parse().ok()?, sequence: sequence.parse().ok()? };
        // `+1` and `01` parse as numbers too, and are no names of ours.
        (key.name(seed) == name).then_some(key)
    }
}

/// A product of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Product {
    /// One there is always enough of.
    First,
    /// The scarce one, which runs out early in a campaign.
    Scarce,
    /// Another one there is always enough of.
    Third,
}

impl Product {
    pub(crate) const ALL: [Product; 3] = [Product::First, Product::Scarce, Product::Third];

    /// Its `product_id`.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Product::First => "product_1",
            Product::Scarce => "product_2",
            Product::Third => "product_3",
        }
    }

    /// How much of it there is when the campaign begins.
    pub(crate) fn stock_at_start(self) -> i64 {
        match self {
            // More than any campaign can sell, so that a refusal for stock is never right.
            Product::First | Product::Third => 1_000_000_000,
            // A few rounds' worth: after that each order for it is refunded and cancelled.
            Product::Scarce => 500,
        }
    }
}

/// The argument of `--stock`.
pub(crate) fn stock_argument() -> String {
    Product::ALL.map(|product| format!("{}={}", product.id(), product.stock_at_start())).join(",")
}

/// An amount of money in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Money(pub(crate) i64);

impl Money {
    /// The amount a JSON number with at most two decimals stands for.
    pub(crate) fn from_json(number: &Number) -> Option<Money> {
        let text = number.to_string();
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text.as_str()),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let cents: i64 = match decimals.len() {
            0 => 0,
            1 => decimals.parse::<i64>().ok()? * 10,
            2 => decimals.parse().ok()?,
            _ => return None,
        };
        let whole: i64 = whole.parse().ok()?;
        Some(Money(sign * whole.checked_mul(100)?.checked_add(cents)?))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", self.0.abs() / 100, self.0.abs() % 100)
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        Money(amounts.map(|amount| amount.0).sum())
    }
}

/// One line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) product: Product,
    pub(crate) quantity: i64,
    pub(crate) price: Money,
}

/// How an order may end when no step runs out of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing stands against it.
    Completes,
    /// It costs more than the payment service takes.
    RefusedByPayment,
    /// It wants some of the scarce product.
    DependsOnStock,
}

/// Whether the client waits for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Wait,
    RespondAsync,
}

/// A body that has to be refused before anything happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    NoUser,
    NoItems,
    NoQuantity,
    NoPrice,
    NegativePrice,
    ThreeDecimals,
    MissingField,
}

impl Fault {
    const ALL: [Fault; 7] = [
        Fault::NoUser,
        Fault::NoItems,
        Fault::NoQuantity,
        Fault::NoPrice,
        Fault::NegativePrice,
        Fault::ThreeDecimals,
        Fault::MissingField,
    ];

    pub(crate) fn status(self) -> u16 {
        match self {
            Fault::MissingField => 400,
            Fault::NoUser
            | Fault::NoItems
            | Fault::NoQuantity
            | Fault::NoPrice
            | Fault::NegativePrice
            | Fault::ThreeDecimals => 422,
        }
    }

    pub(crate) fn body(self, user: &str) -> String {
        let item = |quantity: &str, price: &str| {
            format!(r#"[{{"product_id":"product_1","quantity":{quantity},"price":{price}}}]"#)
        };
        let (user, items) = match self {
            Fault::NoUser => ("", item("1", "1.00")),
            Fault::NoItems => (user, "[]".to_owned()),
            Fault::NoQuantity => (user, item("0", "1.00")),
            Fault::NoPrice => (user, item("1", "0")),
            Fault::NegativePrice => (user, item("1", "-1.00")),
            Fault::ThreeDecimals => (user, item("1", "1.001")),
            Fault::MissingField => return format!(r#"{{"user_id":"{user}"}}"#),
        };
        format!(r#"{{"user_id":"{user}","items":{items}}}"#)
    }
}

/// One order as it is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) key: OrderKey,
    /// Its `user_id` and `Idempotency-Key`.
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) fate: Fate,
    /// How it is posted for the first time.
    pub(crate) manner: Manner,
    /// What is posted under its key before, and has to leave the key unused.
    pub(crate) fault_before: Option<Fault>,
}

impl Order {
    pub(crate) fn of(seed: Seed, key: OrderKey) -> Order {
        let mut random = Random::new(seed, Stream::Order { client: key.client, sequence: key.sequence });
        let kind = random.below(100);
        let lines = match kind {
            ..OVER_LIMIT_PERCENT => vec![over_limit_line(&mut random)],
            OVER_LIMIT_PERCENT..AT_LIMIT_BELOW => vec![at_limit_line(&mut random)],
            AT_LIMIT_BELOW..SCARCE_BELOW => lines_with(Some(Product::Scarce), &mut random),
            _ => lines_with(None, &mut random),
        };
        let fate = match kind {
            ..OVER_LIMIT_PERCENT => Fate::RefusedByPayment,
            AT_LIMIT_BELOW..SCARCE_BELOW => Fate::DependsOnStock,
            _ => Fate::Completes,
        };
        let manner = if random.percent(ASYNC_PERCENT) { Manner::RespondAsync } else { Manner::Wait };
        let fault_before = random
            .percent(FAULT_PERCENT)
            .then(|| Fault::ALL[usize::try_from(random.below(Fault::ALL.len() as u64)).expect("below 7")]);
        Order { key, name: key.name(seed), lines, fate, manner, fault_before }
    }

    pub(crate) fn body(&self) -> String {
        self.body_of(&self.lines)
    }

    /// The same body in other words: equal as a JSON value, different in every byte that may differ.
    pub(crate) fn body_reworded(&self) -> String {
        let items: Vec<String> = self
            .lines
            .iter()
            .map(|Line { product, quantity, price }| {
                format!(
                    "{{ \"price\": {price}, \"product_id\": \"{}\", \"quantity\": {quantity} }}",
                    product.id()
                )
            })
            .collect();
        format!("{{\n  \"items\": [ {} ],\n  \"user_id\": \"{}\"\n}}\n", items.join(", "), self.name)
    }

    /// A valid body that asks for something else.
    pub(crate) fn other_body(&self) -> String {
        let mut lines = self.lines.clone();
        lines[0].quantity += 1;
        self.body_of(&lines)
    }

    pub(crate) fn total(&self) -> Money {
        self.lines.iter().map(|line| Money(line.price.0 * line.quantity)).sum()
    }

    /// How many of each product, repeated lines added up.
    pub(crate) fn quantities(&self) -> BTreeMap<&'static str, i64> {
        let mut quantities = BTreeMap::new();
        for line in &self.lines {
            *quantities.entry(line.product.id()).or_insert(0) += line.quantity;
        }
        quantities
    }

    fn body_of(&self, lines: &[Line]) -> String {
        let items: Vec<String> = lines
            .iter()
            .map(|Line { product, quantity, price }| {
                format!(r#"{{"product_id":"{}","quantity":{quantity},"price":{price}}}"#, product.id())
            })
            .collect();
        format!(r#"{{"user_id":"{}","items":[{}]}}"#, self.name, items.join(","))
    }
}

/// One to three lines; the two plentiful products make repeated lines common.
fn lines_with(first: Option<Product>, random: &mut Random) -> Vec<Line> {
    let count = random.within(1..=LINES_MAX);
    (0..count)
        .map(|place| {
            let product = match first {
                // Now and then twice in one order: repeated lines must be added up before stock is compared.
                Some(product) if place == 0 || random.percent(30) => product,
                _ if random.percent(50) => Product::First,
                _ => Product::Third,
            };
            Line {
                product,
                quantity: drawn(random, 1..=QUANTITY_MAX),
                price: Money(drawn(random, 1..=PRICE_MAX)),
            }
        })
        .collect()
}

fn at_limit_line(random: &mut Random) -> Line {
    let quantity = [1, 4, 8][usize::try_from(random.below(3)).expect("below 3")];
    Line { product: Product::First, quantity, price: Money(PAYMENT_LIMIT.0 / quantity) }
}

fn over_limit_line(random: &mut Random) -> Line {
    // By a single cent as often as by much.
    let excess = if random.percent(50) { 1 } else { drawn(random, 2..=1_000_000) };
    Line { product: Product::Third, quantity: 1, price: Money(PAYMENT_LIMIT.0 + excess) }
}

fn drawn(random: &mut Random, range: std::ops::RangeInclusive<u64>) -> i64 {
    i64::try_from(random.within(range)).expect("the ranges here are far below i64::MAX")
}

/// What the payment service takes at most, itself included.
const PAYMENT_LIMIT: Money = Money(1_000_000);
const LINES_MAX: u64 = 3;
/// Pieces in a line.
const QUANTITY_MAX: u64 = 3;
/// Price of a piece in minor units.
const PRICE_MAX: u64 = 99_999;
// An ordinary order must never reach the limit by accident, or its fate would be wrong.
const _: () = assert!(LINES_MAX * QUANTITY_MAX * PRICE_MAX < 1_000_000);
/// Orders the payment service refuses.
const OVER_LIMIT_PERCENT: u64 = 6;
/// Up to here: orders of exactly the limit.
const AT_LIMIT_BELOW: u64 = OVER_LIMIT_PERCENT + 2;
/// Up to here: orders for the scarce product.
const SCARCE_BELOW: u64 = AT_LIMIT_BELOW + 15;
/// Orders whose client does not wait.
const ASYNC_PERCENT: u64 = 12;
/// Orders that come with a mistake first.
const FAULT_PERCENT: u64 = 3;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn orders() -> impl Iterator<Item = Order> {
        let seed = "7".parse().unwrap();
        (0..2_000).map(move |sequence| Order::of(seed, OrderKey { client: 3, sequence }))
    }

    #[test]
    fn an_order_follows_from_seed_and_key() {
        assert!(orders().eq(orders()));
    }

    #[test]
    fn a_name_leads_back_to_its_key_and_no_other_name_does() {
        let seed = "42".parse().unwrap();
        let key = OrderKey { client: 3, sequence: 17 };
        assert_eq!(key.name(seed), "kill-42-3-17");
        assert_eq!(OrderKey::named("kill-42-3-17", seed), Some(key));
        for other in ["kill-43-3-17", "kill-42-3", "kill-42-3-017", "kill-42-+3-17", "user_123", ""] {
            assert_eq!(OrderKey::named(other, seed), None, "{other}");
        }
    }

    #[test]
    fn the_fate_of_an_order_follows_from_its_contents() {
        for order in orders() {
            let wants_scarce = order.quantities().contains_key(Product::Scarce.id());
            let expected = match () {
                () if order.total() > PAYMENT_LIMIT => Fate::RefusedByPayment,
                () if wants_scarce => Fate::DependsOnStock,
                () => Fate::Completes,
            };
            assert_eq!(order.fate, expected, "{order:?}");
        }
    }

    #[test]
    fn every_kind_of_order_is_posted() {
        let some = |wanted: &dyn Fn(&Order) -> bool| orders().any(|order| wanted(&order));
        assert!(some(&|order| order.fate == Fate::Completes));
        assert!(some(&|order| order.fate == Fate::DependsOnStock));
        assert!(some(&|order| order.total() == PAYMENT_LIMIT));
        assert!(some(&|order| order.total().0 == PAYMENT_LIMIT.0 + 1));
        assert!(some(&|order| order.manner == Manner::RespondAsync));
        assert!(some(&|order| order.lines.len() == 1));
        assert!(some(&|order| order.lines.len() == 3 && order.quantities().len() == 1));
        for fault in Fault::ALL {
            assert!(some(&|order| order.fault_before == Some(fault)), "{fault:?}");
        }
    }

    #[test]
    fn a_reworded_body_is_the_same_value_and_another_body_is_not() {
        for order in orders().take(200) {
            let value: Value = serde_json::from_str(&order.body()).unwrap();
            assert_ne!(order.body(), order.body_reworded());
            assert_eq!(value, serde_json::from_str::<Value>(&order.body_reworded()).unwrap());
            assert_ne!(value, serde_json::from_str::<Value>(&order.other_body()).unwrap());
            assert_eq!(value["user_id"], order.name);
        }
    }

    #[test]
    fn a_faulty_body_is_json_all_the_same() {
        for fault in Fault::ALL {
            serde_json::from_str::<Value>(&fault.body("user")).unwrap();
        }
    }

    #[test]
    fn money_is_read_to_the_cent() {
        let read = |text: &str| Money::from_json(&serde_json::from_str(text).unwrap()).map(|money| money.0);
        assert_eq!(read("200"), Some(20_000));
        assert_eq!(read("200.0"), Some(20_000));
        assert_eq!(read("0.1"), Some(10));
        assert_eq!(read("19.99"), Some(1_999));
        assert_eq!(read("-0.5"), Some(-50));
        assert_eq!(read("1.005"), None);
        assert_eq!(read("1e300"), None);
        assert_eq!(Money(-50).to_string(), "-0.50");
        assert_eq!(Money(123_405).to_string(), "1234.05");
    }
}
