//! Every kind of disagreement, made by hand: a check that cannot fail checks nothing.

use serde_json::json;

use super::*;
use crate::order::Fate;

/// A small shop that is in order: one confirmed order, one refused by payment, one for which stock was short.
struct Shop {
    seed: Seed,
    claims: Vec<Claim>,
    orders: Vec<Value>,
    inventory: Value,
    ledger: Value,
    rest: SagaRest,
}

/// The order in `Shop::orders` that stands.
const CONFIRMED: usize = 0;
/// The one that was refunded and cancelled.
const REFUNDED: usize = 2;

impl Shop {
    fn in_order() -> Shop {
        let seed = "1".parse().unwrap();
        let mut shop = Shop {
            seed,
            claims: Vec::new(),
            orders: Vec::new(),
            inventory: Value::Null,
            ledger: Value::Null,
            rest: SagaRest::NotParked,
        };
        let confirmed = shop.place(Fate::Completes, None);
        shop.place(Fate::RefusedByPayment, Some("ProcessPayment"));
        let refunded = shop.place(Fate::DependsOnStock, Some("ReserveInventory"));
        let lines: Vec<Value> =
            confirmed.quantities().iter().map(|(id, n)| json!({"product_id": id, "quantity": n})).collect();
        shop.orders[CONFIRMED]["payment"] = json!({"id": "pay_1", "status": "completed"});
        shop.orders[CONFIRMED]["reservation"] = json!({"id": "res_1", "status": "reserved", "lines": lines});
        shop.orders[CONFIRMED]["shipment"] =
            json!({"id": "shp_1", "status": "scheduled", "tracking_number": "TRK1"});
        shop.orders[REFUNDED]["payment"] = json!({"id": "pay_2", "status": "refunded"});
        let products: Vec<Value> = Product::ALL
            .iter()
            .map(|product| {
                let (start, reserved) =
                    (product.stock_at_start(), confirmed.quantities().get(product.id()).copied().unwrap_or(0));
                json!({"product_id": product.id(), "start": start, "free": start - reserved, "reserved": reserved})
            })
            .collect();
        shop.inventory = json!({"products": products});
        shop.ledger = json!({
            "orders": {"confirmed": 1, "cancelled": 2, "pending": 0},
            "captured": confirmed.total().0 + refunded.total().0,
            "refunded": refunded.total().0,
            "confirmed_total": confirmed.total().0,
            "payments": {"completed": 1, "refunded": 1},
            "reservations": {"reserved": 1},
            "shipments": {"scheduled": 1},
            "live_sagas": 0,
            "parked_sagas": 0,
        });
        shop
    }

    /// Places an order of that fate, cancelled if a step failed, and lets its client know.
    fn place(&mut self, fate: Fate, failed_step: Option<&str>) -> Order {
        let number = self.orders.len();
        let first = u32::try_from(number * 1_000).unwrap();
        let order = (first..)
            .map(|sequence| Order::of(self.seed, OrderKey { client: 0, sequence }))
            .find(|order| order.fate == fate)
            .unwrap();
        let id = OrderId(format!("ord_{number}").into());
        let saga = SagaId(format!("saga_{number}").into());
        let mut view: Value = serde_json::from_str(&order.body()).unwrap();
        view["id"] = json!(&*id.0);
        view["saga_id"] = json!(&*saga.0);
        view["total"] = serde_json::from_str(&order.total().to_string()).unwrap();
        view["status"] = json!(if failed_step.is_some() { "cancelled" } else { "confirmed" });
        self.orders.push(view);
        let end = ClaimedEnd::Known(match failed_step {
            None => End::Completed { order: id },
            Some(step) => End::Compensated { order: Some(id), failed_step: step.to_owned(), code: None },
        });
        self.claims.push(Claim { key: order.key, saga: Some(saga), end });
        order
    }

    /// The confirmed order, as if its saga had been parked before it could be confirmed.
    fn park(&mut self) {
        self.orders[CONFIRMED]["status"] = json!("pending");
        self.claims[CONFIRMED].end = ClaimedEnd::Parked;
        self.ledger["orders"] = json!({"pending": 1, "cancelled": 2});
        self.ledger["confirmed_total"] = json!(0);
        self.ledger["parked_sagas"] = json!(1);
        self.rest = SagaRest::Parked;
    }

    fn kinds(self) -> Vec<Kind> {
        let mut check = Check::new(self.seed, self.claims);
        for order in &self.orders {
            match serde_json::from_value(order.clone()) {
                Ok(view) => check.order(&view, self.rest),
                Err(error) => check.unreadable("order", error.to_string()),
            }
        }
        let inventory = serde_json::from_value(self.inventory).unwrap();
        let ledger = serde_json::from_value(self.ledger).unwrap();
        let (_, violations) = check.finish(&inventory, &ledger);
        violations.by_kind().map(|(kind, _)| kind).collect()
    }
}

/// What is found once `break_it` has been at a shop that was in order.
fn found(break_it: impl FnOnce(&mut Shop)) -> Vec<Kind> {
    let mut shop = Shop::in_order();
    break_it(&mut shop);
    shop.kinds()
}

fn add(figure: &mut Value, difference: i64) {
    *figure = json!(figure.as_i64().unwrap() + difference);
}

#[test]
fn a_shop_in_order_has_no_violation() {
    assert_eq!(found(|_| {}), []);
}

#[test]
fn a_parked_saga_may_leave_a_paid_order_pending() {
    assert_eq!(found(Shop::park), []);
}

#[test]
fn a_pending_order_whose_saga_is_not_parked_is_found() {
    let kinds = found(|shop| {
        shop.park();
        shop.rest = SagaRest::NotParked;
    });
    assert_eq!(kinds, [Kind::PendingNotParked]);
}

#[test]
fn a_parked_saga_the_ledger_does_not_know_is_found() {
    let kinds = found(|shop| {
        shop.park();
        shop.ledger["parked_sagas"] = json!(0);
    });
    assert_eq!(kinds, [Kind::LedgerDiffers]);
}

#[test]
fn two_keys_with_one_saga_are_found() {
    let kinds = found(|shop| {
        shop.claims[1].saga = shop.claims[0].saga.clone();
        shop.orders[1]["saga_id"] = shop.orders[0]["saga_id"].clone();
    });
    assert_eq!(kinds, [Kind::SagaShared]);
}

#[test]
fn an_acknowledged_order_that_is_gone_is_found() {
    let kinds = found(|shop| {
        shop.orders.remove(1);
        shop.ledger["orders"]["cancelled"] = json!(1);
    });
    assert_eq!(kinds, [Kind::OrderMissing, Kind::OrderCountDiffers]);
}

#[test]
fn an_order_that_contradicts_its_answer_is_found() {
    let kinds = found(|shop| {
        shop.claims[1].end = ClaimedEnd::Known(End::Completed { order: OrderId("ord_1".into()) })
    });
    assert_eq!(kinds, [Kind::OrderContradictsAnswer]);
    let kinds = found(|shop| shop.orders[1]["id"] = json!("ord_9"));
    assert_eq!(kinds, [Kind::OrderContradictsAnswer]);
    let kinds = found(|shop| {
        let failed_step = "CreateOrder".to_owned();
        shop.claims[1].end = ClaimedEnd::Known(End::Compensated { order: None, failed_step, code: None });
    });
    assert_eq!(kinds, [Kind::OrderContradictsAnswer, Kind::OrderCountDiffers]);
}

#[test]
fn an_order_that_names_another_saga_is_found() {
    assert_eq!(found(|shop| shop.orders[1]["saga_id"] = json!("saga_9")), [Kind::OrderNamesOtherSaga]);
}

#[test]
fn an_order_nobody_posted_is_found() {
    let kinds = found(|shop| {
        let mut strange = shop.orders[1].clone();
        strange["user_id"] = json!("user_123");
        strange["id"] = json!("ord_9");
        shop.orders.push(strange);
        shop.ledger["orders"]["cancelled"] = json!(3);
    });
    assert_eq!(kinds, [Kind::StrangeOrder, Kind::OrderCountDiffers]);
}

#[test]
fn a_second_order_for_one_key_is_found() {
    let kinds = found(|shop| {
        let mut second = shop.orders[1].clone();
        second["id"] = json!("ord_9");
        second["saga_id"] = json!("saga_9");
        shop.orders.push(second);
        shop.ledger["orders"]["cancelled"] = json!(3);
    });
    let expected =
        [Kind::OrderContradictsAnswer, Kind::OrderNamesOtherSaga, Kind::SecondOrder, Kind::OrderCountDiffers];
    assert_eq!(kinds, expected);
}

#[test]
fn an_order_that_is_not_what_was_posted_is_found() {
    let kinds = found(|shop| shop.orders[1]["items"][0]["quantity"] = json!(77));
    assert_eq!(kinds, [Kind::OrderDiffersFromPosted]);
    let kinds = found(|shop| shop.orders[1]["items"] = json!([]));
    assert_eq!(kinds, [Kind::OrderDiffersFromPosted]);
    let kinds = found(|shop| shop.orders[1]["total"] = json!(0.01));
    assert_eq!(kinds, [Kind::OrderDiffersFromPosted]);
}

#[test]
fn another_number_of_orders_is_found() {
    let kinds = found(|shop| shop.ledger["orders"]["cancelled"] = json!(3));
    assert_eq!(kinds, [Kind::OrderCountDiffers, Kind::LedgerDiffers]);
}

#[test]
fn stock_that_does_not_add_up_is_found() {
    let scarce = |shop: &mut Shop| shop.inventory["products"][1].take();
    let kinds = found(|shop| add(&mut shop.inventory["products"][1]["free"], -1));
    assert_eq!(kinds, [Kind::StockBroken]);
    let kinds = found(|shop| {
        add(&mut shop.inventory["products"][1]["free"], 501 - 500 - 502);
        add(&mut shop.inventory["products"][1]["reserved"], 501);
    });
    assert_eq!(kinds, [Kind::StockBroken, Kind::ReservedDiffers], "negative stock adds up and is wrong");
    let kinds = found(|shop| add(&mut shop.inventory["products"][1]["start"], 1));
    assert_eq!(kinds, [Kind::StockBroken]);
    let kinds = found(|shop| {
        let mut stock = scarce(shop);
        stock["product_id"] = json!("product_9");
        stock["start"] = json!(0);
        stock["free"] = json!(0);
        stock["reserved"] = json!(0);
        shop.inventory["products"][1] = stock;
    });
    assert_eq!(kinds, [Kind::StockBroken]);
}

#[test]
fn a_reservation_twice_in_the_books_is_found() {
    let kinds = found(|shop| {
        add(&mut shop.inventory["products"][0]["free"], -2);
        add(&mut shop.inventory["products"][0]["reserved"], 2);
    });
    assert_eq!(kinds, [Kind::ReservedDiffers]);
}

#[test]
fn a_reservation_for_other_lines_is_found() {
    let kinds = found(|shop| {
        shop.orders[REFUNDED]["reservation"] = json!({"id": "res_2", "status": "released", "lines": []});
        shop.ledger["reservations"]["released"] = json!(1);
    });
    assert_eq!(kinds, [Kind::ReservedDiffers]);
}

#[test]
fn money_that_does_not_add_up_is_found() {
    assert_eq!(found(|shop| add(&mut shop.ledger["captured"], 1)), [Kind::MoneyBroken, Kind::LedgerDiffers]);
    assert_eq!(found(|shop| add(&mut shop.ledger["refunded"], 1)), [Kind::MoneyBroken, Kind::LedgerDiffers]);
    assert_eq!(found(|shop| add(&mut shop.ledger["confirmed_total"], 1)), [Kind::LedgerDiffers]);
}

#[test]
fn a_second_payment_that_was_given_back_shows_in_the_ledger() {
    let kinds = found(|shop| {
        add(&mut shop.ledger["captured"], 100);
        add(&mut shop.ledger["refunded"], 100);
        add(&mut shop.ledger["payments"]["refunded"], 1);
    });
    assert_eq!(kinds, [Kind::LedgerDiffers]);
}

#[test]
fn a_count_the_orders_do_not_imply_is_found() {
    for (table, status) in
        [("payments", "completed"), ("reservations", "reserved"), ("shipments", "scheduled")]
    {
        assert_eq!(
            found(|shop| add(&mut shop.ledger[table][status], 1)),
            [Kind::LedgerDiffers],
            "{table} more"
        );
        assert_eq!(
            found(|shop| shop.ledger[table][status] = json!(0)),
            [Kind::LedgerDiffers],
            "{table} fewer"
        );
        let without = |shop: &mut Shop| shop.ledger[table].as_object_mut().unwrap().remove(status).is_some();
        assert_eq!(found(|shop| assert!(without(shop))), [Kind::LedgerDiffers], "{table} none");
    }
    assert_eq!(found(|shop| shop.ledger["live_sagas"] = json!(1)), [Kind::LedgerDiffers]);
}

#[test]
fn a_confirmed_order_without_all_that_belongs_to_it_is_found() {
    type Break = fn(&mut Value);
    let breaks: [(&str, Break); 6] = [
        ("payment gone", |order| order["payment"] = Value::Null),
        ("payment refunded", |order| order["payment"]["status"] = json!("refunded")),
        ("reservation released", |order| order["reservation"]["status"] = json!("released")),
        ("reservation lacks a line", |order| order["reservation"]["lines"] = json!([])),
        ("shipment cancelled", |order| order["shipment"]["status"] = json!("cancelled")),
        ("nothing to follow it by", |order| order["shipment"]["tracking_number"] = json!("")),
    ];
    for (name, break_it) in breaks {
        let kinds = found(|shop| break_it(&mut shop.orders[CONFIRMED]));
        assert!(kinds.contains(&Kind::ConfirmedIncomplete), "{name}: {kinds:?}");
    }
}

#[test]
fn a_cancelled_order_with_something_in_force_is_found() {
    type Break = fn(&mut Value);
    let breaks: [(&str, Break); 3] = [
        ("payment", |order| order["payment"]["status"] = json!("completed")),
        ("reservation", |order| {
            order["reservation"] = json!({"id": "res_2", "status": "reserved", "lines": []})
        }),
        ("shipment", |order| {
            order["shipment"] = json!({"id": "shp_2", "status": "scheduled", "tracking_number": "TRK2"});
        }),
    ];
    for (name, break_it) in breaks {
        let kinds = found(|shop| break_it(&mut shop.orders[REFUNDED]));
        assert!(kinds.contains(&Kind::CancelledInForce), "{name}: {kinds:?}");
    }
}

#[test]
fn an_order_that_cannot_be_read_is_found() {
    for (field, value) in [("status", json!("shipped")), ("total", json!("200")), ("total", json!(1.005))] {
        let kinds = found(|shop| shop.orders[1][field] = value);
        assert!(kinds.contains(&Kind::Unreadable), "{field}: {kinds:?}");
    }
}

#[test]
fn an_order_that_looks_different_alone_is_found() {
    let listed = json!({"id": "ord_1", "status": "confirmed"});
    let alone = |status, body: &Value| Answer { status, body: body.to_string().into_bytes().into() };
    assert_eq!(check_alone(&listed, &alone(200, &json!({"status": "confirmed", "id": "ord_1"}))), Ok(()));
    let other = json!({"id": "ord_1", "status": "pending"});
    assert_eq!(check_alone(&listed, &alone(200, &other)).unwrap_err().kind, Kind::ViewsDisagree);
    assert_eq!(check_alone(&listed, &alone(404, &listed)).unwrap_err().kind, Kind::ViewsDisagree);
}

#[test]
fn an_acknowledged_saga_that_is_not_there_is_found() {
    let saga = SagaId("saga_1".into());
    let answer = |status, body: &str| Answer { status, body: body.as_bytes().into() };
    let there = answer(200, r#"{"saga_id":"saga_1","status":"completed","steps":[]}"#);
    assert_eq!(check_saga("k", &saga, &there), Ok(()));
    for other in
        [answer(404, "{}"), answer(200, r#"{"saga_id":"saga_2","status":"completed"}"#), answer(200, "")]
    {
        assert_eq!(check_saga("k", &saga, &other).unwrap_err().kind, Kind::SagaMissing);
    }
}
