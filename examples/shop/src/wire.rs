//! What the services are asked over HTTP, where it is not what they are asked inside a program.
//!
//! Owns the bodies that carry amounts or quantities. Promises that amounts are numbers with at most two decimals, read
//! exactly, and that what the shop's own call takes the services take too: `2.0` is a quantity, further fields
//! are skipped. Does not have the rules of the business, which are the same either way.

use amends_participant::Refusal;
use serde::Serialize;

use crate::ids::{OrderId, ProductId};
use crate::messages::{self, CreateOrder, Line, ProcessPayment, ReserveInventory};
use crate::money::{self, Money, MoneyError};
use crate::order_request::{Fields, OrderRequest, RequestError};

/// The order that was made.
#[derive(Debug, Serialize)]
pub(crate) struct OrderCreated {
    order_id: OrderId,
    #[serde(with = "money::outside")]
    total: Money,
}

impl From<messages::OrderCreated> for OrderCreated {
    fn from(messages::OrderCreated { order_id, total }: messages::OrderCreated) -> OrderCreated {
        OrderCreated { order_id, total }
    }
}

/// `{"user_id", "items": [{"product_id", "quantity", "price"}]}`, as the shop itself is sent it.
pub(crate) fn create_order(body: &[u8]) -> Result<CreateOrder, Refusal> {
    OrderRequest::parse(body).map(OrderRequest::into_order).map_err(|error| refusal(&error))
}

/// `{"order_id", "amount"}`.
pub(crate) fn process_payment(body: &[u8]) -> Result<ProcessPayment, Refusal> {
    let read = || {
        let mut fields = Fields::of_body(body)?;
        let order_id = OrderId::from(fields.take("order_id", "a text")?.text()?);
        let amount = fields.take("amount", "a number")?.number("a number")?;
        let amount = Money::parse(amount).map_err(|error| of_amount(error, "amount".to_owned()))?;
        Ok(ProcessPayment { order_id, amount })
    };
    read().map_err(|error| refusal(&error))
}

/// `{"order_id", "lines": [{"product_id", "quantity"}]}`; the items of an order will do as lines.
pub(crate) fn reserve_inventory(body: &[u8]) -> Result<ReserveInventory, Refusal> {
    let read = || {
        let mut fields = Fields::of_body(body)?;
        let order_id = OrderId::from(fields.take("order_id", "a text")?.text()?);
        let lines = fields.take("lines", "an array")?.elements()?;
        let lines = lines.into_iter().map(|line| {
            let mut fields = Fields::of(line.raw, &line.path)?;
            let product_id = ProductId::from(fields.take("product_id", "a text")?.text()?);
            let quantity = fields.take("quantity", "an integer")?.integer()?;
            let quantity = quantity.judge(|| format!("{}.quantity", line.path))?;
            Ok(Line { product_id, quantity })
        });
        Ok(ReserveInventory { order_id, lines: lines.collect::<Result<_, RequestError>>()? })
    };
    read().map_err(|error| refusal(&error))
}

fn of_amount(error: MoneyError, path: String) -> RequestError {
    match error {
        MoneyError::TooManyDecimals => RequestError::TooManyDecimals { path },
        MoneyError::Overflow => RequestError::Overflow { path },
        MoneyError::NotAboveZero => RequestError::PriceNotPositive { path },
        MoneyError::NotANumber => {
            RequestError::WrongType { path, expected: "a number", found: "something else" }
        }
    }
}

fn refusal(error: &RequestError) -> Refusal {
    Refusal::new(error.code(), error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_and_quantities_by_value() {
        let payment = process_payment(br#"{"order_id": "ord_1", "amount": 0.29, "note": 1}"#).unwrap();
        assert_eq!(payment.amount, Money::from_minor(29));
        let body = br#"{"order_id": "ord_1", "lines": [{"product_id": "a", "quantity": 2.0, "price": 1}]}"#;
        let lines = reserve_inventory(body).unwrap().lines;
        assert_eq!(lines, [Line { product_id: "a".into(), quantity: 2 }]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_place() {
        for (code, word, refused) in [
            ("too_many_decimals", "amount", process_payment(br#"{"order_id": "o", "amount": 0.001}"#).err()),
            ("missing_field", "amount", process_payment(br#"{"order_id": "o"}"#).err()),
            ("not_json", "JSON", process_payment(b"").err()),
            (
                "quantity_not_positive",
                "lines[0].quantity",
                reserve_inventory(br#"{"order_id": "o", "lines": [{"product_id": "a", "quantity": 0}]}"#)
                    .err(),
            ),
            ("empty_order", "items", create_order(br#"{"user_id": "u", "items": []}"#).err()),
        ] {
            let refusal = refused.unwrap();
            assert_eq!(refusal.code, code);
            assert!(refusal.message.contains(word), "{refusal:?}");
        }
    }
}
