//! The rules of the four services, as their callers meet them.

use std::sync::mpsc;
use std::time::Duration;

use amends_participant::{Answer, ROW_FORGOTTEN, UNDONE};
use amends_shop::ids::OrderId;
use amends_shop::messages::{
    ConfirmOrder, InventoryReserved, PaymentProcessed, ProcessPayment, ScheduleShipment, ShipmentScheduled,
};
use amends_shop::money::Money;
use amends_shop::operation::{Operation, ServiceName};
use amends_shop::service::{CallError, Form, ServiceCall};
use amends_shop::stock::Stock;
use serde_json::json;

use crate::shop::{Shop, key, order, reservation};

fn payment(minor: i64) -> ProcessPayment {
    ProcessPayment { order_id: OrderId::from("ord_1"), amount: Money::from_minor(minor) }
}

fn is_random_id(id: &str, prefix: &str) -> bool {
    id.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() >= 26 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[test]
fn an_order_costs_the_exact_sum_of_its_lines_and_is_pending() {
    let shop = Shop::new();
    let created = shop.create("s1", &[("product_1", 2, 9_999), ("product_2", 3, 1)]);
    assert_eq!(created.total, Money::from_minor(20_001));
    assert!(is_random_id(created.order_id.as_str(), "ord_"));
    let view = shop.services.order(&created.order_id).unwrap().unwrap();
    assert_eq!((view.status.as_str(), view.total, view.items.len()), ("pending", created.total, 2));
}

#[test]
fn the_order_service_itself_refuses_what_is_no_order() {
    let shop = Shop::new();
    let nobody = amends_shop::messages::CreateOrder { user_id: "".into(), ..order(&[("p", 1, 1)]) };
    let half = i64::MAX / 2 + 1;
    let cases = [
        (nobody, "empty_user_id"),
        (order(&[]), "empty_order"),
        (order(&[("p", 0, 1)]), "quantity_not_positive"),
        (order(&[("p", 1, 0)]), "price_not_positive"),
        (order(&[("p", i64::MAX, 2)]), "overflow"),
        (order(&[("p", 1, half), ("p", 1, half)]), "overflow"),
    ];
    for (index, (order, code)) in cases.iter().enumerate() {
        assert_eq!(shop.refused(Operation::CreateOrder, &format!("s{index}"), order).code, *code);
    }
    let garbled = shop.try_call(Operation::CreateOrder, "s", b"{\"user_id\":".to_vec()).unwrap();
    assert!(matches!(garbled, Answer::Refused(refusal) if refusal.code == "invalid_payload"));
    assert_eq!(shop.services.ledger().unwrap().orders["pending"], 0);
}

#[test]
fn a_confirmed_order_stays_confirmed_until_it_is_cancelled_and_then_for_good() {
    let shop = Shop::new();
    let order_id = shop.create("s1", &[("product_1", 1, 100)]).order_id;
    let status = || shop.services.order(&order_id).unwrap().unwrap().status.as_str();
    let confirm = ConfirmOrder { order_id: order_id.clone() };
    shop.done::<()>(Operation::ConfirmOrder, "s1", &confirm);
    assert_eq!(status(), "confirmed");
    shop.done::<()>(Operation::ConfirmOrder, "s2", &confirm);
    assert_eq!(shop.undo(Operation::CancelOrder, "s1"), Answer::Completed(b"null".to_vec()));
    assert_eq!(status(), "cancelled");
    assert_eq!(shop.refused(Operation::ConfirmOrder, "s3", &confirm).code, "order_cancelled");
    let unknown = ConfirmOrder { order_id: OrderId::from("ord_none") };
    assert_eq!(shop.refused(Operation::ConfirmOrder, "s4", &unknown).code, "unknown_order");
}

#[test]
fn a_payment_of_exactly_the_limit_is_fine_and_one_cent_more_is_refused() {
    let shop = Shop::new();
    let paid: PaymentProcessed = shop.done(Operation::ProcessPayment, "s1", &payment(1_000_000));
    assert!(is_random_id(paid.payment_id.as_str(), "pay_"));
    assert!(is_random_id(paid.transaction_id.as_str(), "txn_"));
    let refusal = shop.refused(Operation::ProcessPayment, "s2", &payment(1_000_001));
    assert_eq!(refusal.code, "amount_over_limit");
    assert_eq!(refusal.message, "the amount 10000.01 is over the limit of 10000");
    assert_eq!(shop.refused(Operation::ProcessPayment, "s3", &payment(0)).code, "amount_not_positive");
    assert_eq!(shop.services.ledger().unwrap().captured, 1_000_000);
}

#[test]
fn a_refund_gives_back_what_this_saga_paid_and_nothing_else() {
    let shop = Shop::new();
    let _: PaymentProcessed = shop.done(Operation::ProcessPayment, "s1", &payment(500));
    let _: PaymentProcessed = shop.done(Operation::ProcessPayment, "s2", &payment(700));
    shop.undo(Operation::RefundPayment, "s1");
    shop.undo(Operation::RefundPayment, "s1");
    let ledger = shop.services.ledger().unwrap();
    assert_eq!((ledger.captured, ledger.refunded), (1_200, 500));
    assert_eq!((ledger.payments["completed"], ledger.payments["refunded"]), (1, 1));
}

#[test]
fn too_little_stock_is_refused_with_what_there_is_and_what_it_takes() {
    let shop = Shop::with(&"product_1=3".parse::<Stock>().unwrap());
    let lines = [("product_1", 5, 0)];
    let refusal =
        shop.refused(Operation::ReserveInventory, "s1", &reservation(&OrderId::from("ord_1"), &lines));
    assert_eq!(refusal.code, "insufficient_stock");
    assert_eq!(refusal.message, "insufficient stock: have 3, need 5");
    let details: serde_json::Value = serde_json::from_slice(&refusal.details.unwrap()).unwrap();
    assert_eq!(details, json!({"product_id": "product_1", "have": 3, "need": 5}));
}

#[test]
fn all_lines_are_reserved_or_none() {
    let shop = Shop::new();
    let order_id = OrderId::from("ord_1");
    let before = shop.services.inventory().unwrap();
    for (saga, lines, code) in [
        ("s1", vec![("product_1", 1, 0), ("product_2", 51, 0)], "insufficient_stock"),
        ("s2", vec![("product_1", 1, 0), ("product_9", 1, 0)], "unknown_product"),
        ("s3", vec![("product_1", 1, 0), ("product_2", 0, 0)], "quantity_not_positive"),
        ("s4", vec![], "empty_order"),
    ] {
        let refusal = shop.refused(Operation::ReserveInventory, saga, &reservation(&order_id, &lines));
        assert_eq!(refusal.code, code);
        assert_eq!(shop.services.inventory().unwrap(), before);
    }
}

#[test]
fn repeated_product_lines_add_up() {
    let shop = Shop::new();
    let order_id = OrderId::from("ord_1");
    let too_much = [("product_2", 30, 0), ("product_1", 1, 0), ("product_2", 21, 0)];
    let refusal = shop.refused(Operation::ReserveInventory, "s1", &reservation(&order_id, &too_much));
    assert_eq!(refusal.message, "insufficient stock: have 50, need 51");
    let all = [("product_2", 30, 0), ("product_1", 1, 0), ("product_2", 20, 0)];
    let reserved: InventoryReserved =
        shop.done(Operation::ReserveInventory, "s2", &reservation(&order_id, &all));
    assert!(is_random_id(reserved.reservation_id.as_str(), "res_"));
    let product_2 = shop.services.inventory().unwrap().products.swap_remove(1);
    assert_eq!((product_2.start, product_2.free, product_2.reserved), (50, 0, 50));
    let overflowing = [("product_1", i64::MAX, 0), ("product_1", 1, 0)];
    let refusal = shop.refused(Operation::ReserveInventory, "s3", &reservation(&order_id, &overflowing));
    assert_eq!(refusal.code, "overflow");
}

#[test]
fn a_release_puts_every_line_back_once() {
    let shop = Shop::new();
    let before = shop.services.inventory().unwrap();
    let lines = [("product_2", 30, 0), ("product_1", 1, 0), ("product_2", 20, 0)];
    let _: InventoryReserved =
        shop.done(Operation::ReserveInventory, "s1", &reservation(&OrderId::from("ord_1"), &lines));
    assert_ne!(shop.services.inventory().unwrap(), before);
    shop.undo(Operation::ReleaseReservation, "s1");
    shop.undo(Operation::ReleaseReservation, "s1");
    assert_eq!(shop.services.inventory().unwrap(), before);
    let ledger = shop.services.ledger().unwrap();
    assert_eq!((ledger.reservations["reserved"], ledger.reservations["released"]), (0, 1));
}

#[test]
fn the_stock_counts_at_the_first_start_only() {
    let shop = Shop::with(&"a=1,b=2".parse::<Stock>().unwrap());
    let before = shop.services.inventory().unwrap();
    assert_eq!(before.products[1].product_id.as_str(), "b");
    drop(shop.services);
    let services = crate::shop::open(shop.dir.path(), &Stock::usual());
    assert_eq!(services.inventory().unwrap(), before);
}

#[test]
fn a_shipment_leaves_in_a_day_and_can_be_cancelled() {
    let shop = Shop::new();
    let payload = ScheduleShipment { order_id: OrderId::from("ord_1") };
    let shipment: ShipmentScheduled = shop.done(Operation::ScheduleShipment, "s1", &payload);
    assert!(is_random_id(shipment.shipment_id.as_str(), "shp_"));
    assert!(is_random_id(shipment.tracking_number.as_str(), "TRK"));
    assert_eq!(shipment.scheduled_date, "2026-11-24T08:00:00Z");
    shop.undo(Operation::CancelShipment, "s1");
    let ledger = shop.services.ledger().unwrap();
    assert_eq!((ledger.shipments["scheduled"], ledger.shipments["cancelled"]), (0, 1));
}

#[test]
fn a_repeated_call_gets_the_first_answer_and_takes_no_second_effect() {
    let shop = Shop::new();
    let first = shop.call(Operation::ProcessPayment, "s1", &payment(500));
    assert_eq!(shop.call(Operation::ProcessPayment, "s1", &payment(500)), first);
    assert_eq!(shop.services.ledger().unwrap().captured, 500);
    let conflict = shop
        .try_call(Operation::ProcessPayment, "s1", serde_json::to_vec(&payment(501)).unwrap())
        .unwrap_err();
    assert!(conflict.is_conflict(), "{conflict}");
}

#[test]
fn an_undo_before_its_action_succeeds_and_the_late_action_is_refused() {
    let shop = Shop::new();
    for (undo, action) in [
        (Operation::CancelOrder, Operation::CreateOrder),
        (Operation::RefundPayment, Operation::ProcessPayment),
        (Operation::ReleaseReservation, Operation::ReserveInventory),
        (Operation::CancelShipment, Operation::ScheduleShipment),
    ] {
        assert_eq!(shop.undo(undo, "s1"), Answer::Completed(b"null".to_vec()));
        assert_eq!(shop.refused(action, "s1", &json!({})).code, UNDONE);
    }
    let ledger = shop.services.ledger().unwrap();
    let records = [&ledger.orders, &ledger.payments, &ledger.reservations, &ledger.shipments];
    assert!(records.iter().all(|counts| counts.values().all(|count| *count == 0)), "{ledger:?}");
}

#[test]
fn an_undo_of_a_payment_that_was_answered_and_is_not_there_is_refused() {
    let shop = Shop::new();
    let (answered, answer) = mpsc::channel();
    let call = ServiceCall {
        operation: Operation::RefundPayment,
        key: key(Operation::RefundPayment, "s1"),
        in_doubt: false,
        payload: "{}".into(),
        form: Form::Inside,
    };
    shop.services.call(call, move |result| drop(answered.send(result)));
    let answer = answer.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
    assert!(matches!(&answer, Answer::Refused(no) if no.code == ROW_FORGOTTEN), "{answer:?}");
}

#[test]
fn an_answered_call_survives_a_restart() {
    let shop = Shop::new();
    let order_id = shop.place("s1", &[("product_1", 2, 10_000)]);
    let before = shop.services.order(&order_id).unwrap();
    let first = shop.call(Operation::ProcessPayment, "s2", &payment(500));
    let Shop { services, dir } = shop;
    drop(services);
    let shop = Shop { services: crate::shop::open(dir.path(), &Stock::usual()), dir };
    assert_eq!(shop.services.order(&order_id).unwrap(), before);
    assert_eq!(shop.call(Operation::ProcessPayment, "s2", &payment(500)), first);
}

#[test]
fn a_call_to_the_wrong_service_says_whose_it_is() {
    let shop = Shop::new();
    let (answered, answer) = mpsc::channel();
    let call = ServiceCall {
        operation: Operation::RefundPayment,
        key: key(Operation::RefundPayment, "s1"),
        in_doubt: true,
        payload: "{}".into(),
        form: Form::Inside,
    };
    shop.services.service(ServiceName::Order).call(call, move |result| drop(answered.send(result)));
    let error = answer.recv_timeout(Duration::from_secs(60)).unwrap().unwrap_err();
    assert!(matches!(error, CallError::WrongService { owner: ServiceName::Payment, .. }), "{error}");
}

#[test]
fn calls_that_come_together_share_their_commits() {
    const CALLS: u64 = 400;
    let shop = Shop::new();
    let database = shop.services.service(ServiceName::Payment).database();
    let (release, released) = mpsc::channel::<()>();
    database.submit(
        move |_| {
            let _ = released.recv();
            Ok(())
        },
        |_| {},
    );
    let (answered, answers) = mpsc::channel();
    for saga in 0..CALLS {
        let call = ServiceCall {
            operation: Operation::ProcessPayment,
            key: key(Operation::ProcessPayment, &saga.to_string()),
            in_doubt: false,
            payload: serde_json::to_vec(&payment(100)).unwrap().into(),
            form: Form::Inside,
        };
        let answered = answered.clone();
        shop.services.call(call, move |result| answered.send(result.is_ok()).unwrap());
    }
    drop(release);
    for _ in 0..CALLS {
        assert!(answers.recv_timeout(Duration::from_secs(60)).unwrap());
    }
    assert!(database.commits() <= 3, "{} commits for {CALLS} calls", database.commits());
    assert_eq!(shop.services.ledger().unwrap().captured, 100 * i64::try_from(CALLS).unwrap());
}

#[test]
fn every_operation_is_found_by_its_name() {
    for operation in Operation::ALL {
        assert_eq!(Operation::named(operation.as_str()), Some(operation));
    }
    assert_eq!(Operation::named("createorder"), None);
}
