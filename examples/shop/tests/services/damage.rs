//! Stored records that nobody can read are reported as damaged, wherever they are met.

use std::path::Path;

use amends_shop::ids::OrderId;
use amends_shop::messages::ConfirmOrder;
use amends_shop::operation::{Operation, ServiceName};
use amends_shop::services::{Services, ServicesError};
use amends_shop::stock::Stock;
use amends_shop::views::PageLimit;

use crate::shop::{Shop, open_one, try_open};

/// A shop with one order, and `sql` done to one of its files behind its back.
fn tampered(service: ServiceName, sql: &str) -> (Shop, OrderId) {
    let shop = Shop::new();
    let id = shop.place("saga-1", &[("product_1", 2, 100)]);
    let other = rusqlite::Connection::open(shop.dir.path().join(service.file())).unwrap();
    assert!(other.execute(sql, []).unwrap() > 0, "{sql}");
    (shop, id)
}

fn assert_damaged<T: std::fmt::Debug>(found: Result<T, impl std::fmt::Display>, file: &str, what: &str) {
    let text = found.map_err(|error| error.to_string()).expect_err(what);
    assert!(text.contains("damaged") && text.contains(file), "{what}: {text}");
}

#[test]
fn a_view_never_shows_a_default_in_place_of_what_it_cannot_read() {
    for (service, sql) in [
        (ServiceName::Order, "UPDATE orders SET status = 'Confirmed'"),
        (ServiceName::Order, "UPDATE orders SET total = 'much'"),
        (ServiceName::Order, "UPDATE orders SET created_at_ms = 9223372036854775807"),
        (ServiceName::Order, "UPDATE orders SET user_id = x'ff'"),
        (ServiceName::Order, "UPDATE order_items SET quantity = 1.5"),
        (ServiceName::Order, "DELETE FROM order_items"),
        (ServiceName::Payment, "UPDATE payments SET status = ''"),
        (ServiceName::Payment, "UPDATE payments SET amount = 0.5"),
        (ServiceName::Inventory, "UPDATE reservations SET status = 'lost'"),
        (ServiceName::Inventory, "DELETE FROM reservation_lines"),
        (ServiceName::Shipping, "UPDATE shipments SET status = 'sent'"),
        (ServiceName::Shipping, "UPDATE shipments SET scheduled_date_ms = 9223372036854775807"),
    ] {
        let (shop, id) = tampered(service, sql);
        assert_damaged(shop.services.order(&id), service.file(), sql);
        assert_damaged(shop.services.orders(None, PageLimit::USUAL), service.file(), sql);
    }
}

#[test]
fn a_status_nobody_knows_is_not_left_out_of_the_ledger() {
    for (service, table) in [
        (ServiceName::Order, "orders"),
        (ServiceName::Payment, "payments"),
        (ServiceName::Inventory, "reservations"),
        (ServiceName::Shipping, "shipments"),
    ] {
        let (shop, _) = tampered(service, &format!("UPDATE {table} SET status = 'unheard of'"));
        assert_damaged(shop.services.ledger(), service.file(), table);
    }
}

#[test]
fn a_call_that_meets_an_unreadable_record_is_not_answered() {
    let (shop, order_id) = tampered(ServiceName::Order, "UPDATE orders SET status = 'unheard of'");
    let cancel = shop.try_call(Operation::CancelOrder, "saga-1", b"{}".to_vec());
    assert_damaged(cancel, "order.db", "cancel");
    let confirm = serde_json::to_vec(&ConfirmOrder { order_id }).unwrap();
    assert_damaged(shop.try_call(Operation::ConfirmOrder, "saga-2", confirm), "order.db", "confirm");
}

#[test]
fn an_undo_whose_record_vanished_is_damage_not_success() {
    for (service, sql, undo) in [
        (ServiceName::Order, "DELETE FROM orders", Operation::CancelOrder),
        (ServiceName::Payment, "DELETE FROM payments", Operation::RefundPayment),
        (ServiceName::Inventory, "DELETE FROM reservations", Operation::ReleaseReservation),
        (ServiceName::Inventory, "DELETE FROM stock", Operation::ReleaseReservation),
        (ServiceName::Shipping, "DELETE FROM shipments", Operation::CancelShipment),
    ] {
        let (shop, _) = tampered(service, sql);
        assert_damaged(shop.try_call(undo, "saga-1", b"{}".to_vec()), service.file(), sql);
    }
}

fn reopen(dir: &Path) -> Result<Services, ServicesError> {
    try_open(dir, &Stock::usual())
}

#[test]
fn a_lost_or_emptied_file_is_damage_not_a_new_shop() {
    for name in ServiceName::ALL {
        let Shop { services, dir } = Shop::new();
        drop(services);
        let path = dir.path().join(name.file());
        std::fs::write(&path, "").unwrap();
        assert_damaged(reopen(dir.path()), name.file(), "emptied");
        std::fs::remove_file(&path).unwrap();
        assert_damaged(reopen(dir.path()), name.file(), "lost");
    }
}

#[test]
fn exchanged_files_are_noticed() {
    let Shop { services, dir } = Shop::new();
    drop(services);
    std::fs::copy(dir.path().join("order.db"), dir.path().join("payment.db")).unwrap();
    let error = reopen(dir.path()).unwrap_err().to_string();
    assert!(error.contains("payment.db") && error.contains("something else"), "{error}");
}

#[test]
fn a_first_start_that_was_interrupted_is_finished_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    for name in [ServiceName::Order, ServiceName::Payment] {
        drop(open_one(name, dir.path()));
    }
    let services = reopen(dir.path()).unwrap();
    assert_eq!(services.inventory().unwrap().products.len(), 3);
    drop(services);
    reopen(dir.path()).unwrap();
}

/// Field case E: only the databases were copied, and the shop opened with fewer payments than orders.
#[test]
fn a_copy_of_the_databases_alone_is_refused_as_incomplete() {
    let shop = Shop::new();
    shop.place("saga-1", &[("product_1", 2, 100)]);
    let copy = tempfile::tempdir().unwrap();
    let copy_all = |endings: &[&str]| {
        for name in ServiceName::ALL {
            for ending in endings {
                let file = format!("{}{ending}", name.file());
                std::fs::copy(shop.dir.path().join(&file), copy.path().join(&file)).unwrap();
            }
        }
    };
    copy_all(&[""]);
    assert_damaged(reopen(copy.path()), ".db-wal", "without logs and marker");
    copy_all(&["", "-wal"]);
    assert_damaged(reopen(copy.path()), "shop.created", "without the marker");
    std::fs::copy(shop.dir.path().join("shop.created"), copy.path().join("shop.created")).unwrap();
    reopen(copy.path()).unwrap();
}

#[test]
fn a_file_that_is_older_than_the_others_is_named() {
    let Shop { services, dir } = Shop::new();
    drop(services);
    for file in ["order.db", "payment.db", "inventory.db", "shipping.db", "shop.created"] {
        let old = std::fs::read(dir.path().join(file)).unwrap();
        for _ in 0..2 {
            drop(reopen(dir.path()).unwrap());
        }
        let path = dir.path().join(file);
        let new = std::fs::read(&path).unwrap();
        std::fs::write(&path, &old).unwrap();
        let text = reopen(dir.path()).unwrap_err().to_string();
        assert!(text.contains("damaged") && text.contains("older") && text.contains(file), "{text}");
        std::fs::write(&path, new).unwrap();
    }
    reopen(dir.path()).unwrap();
}

#[test]
fn a_marker_that_cannot_be_read_is_damage() {
    let Shop { services, dir } = Shop::new();
    drop(services);
    for content in [&b""[..], b"generation 1\n", b"\xff"] {
        std::fs::write(dir.path().join("shop.created"), content).unwrap();
        assert_damaged(reopen(dir.path()), "shop.created", "marker");
    }
}

#[test]
fn a_fresh_data_directory_is_small() {
    let Shop { services, dir } = Shop::new();
    let bytes: u64 =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 2_000_000, "{bytes} bytes");
    drop(services);
}

/// Everything the views say, as text.
fn told(services: &Services, id: &OrderId) -> Result<[String; 4], String> {
    let text = |error: amends_participant::DataError| error.to_string();
    Ok([
        format!("{:?}", services.order(id).map_err(text)?),
        format!("{:?}", services.orders(None, PageLimit::USUAL).map_err(text)?),
        format!("{:?}", services.inventory().map_err(text)?),
        format!("{:?}", services.ledger().map_err(text)?),
    ])
}

#[test]
fn a_flipped_bit_is_damage_or_changes_nothing_that_is_told() {
    let shop = Shop::new();
    let id = shop.place("saga-1", &[("product_1", 2, 100), ("product_3", 1, 5)]);
    shop.place("saga-2", &[("product_2", 1, 250)]);
    let before = told(&shop.services, &id).unwrap();
    let Shop { services, dir } = shop;
    drop(services);
    let mut found = 0;
    for name in ServiceName::ALL {
        let path = dir.path().join(name.file());
        let sound = std::fs::read(&path).unwrap();
        for at in (0..sound.len()).step_by(101) {
            let mut broken = sound.clone();
            broken[at] ^= 1 << (at % 8);
            std::fs::write(&path, broken).unwrap();
            let after = match try_open(dir.path(), &Stock::usual()) {
                Ok(services) => told(&services, &id),
                Err(error) => Err(error.to_string()),
            };
            match after {
                Ok(after) => assert_eq!(after, before, "{name} at {at}"),
                Err(error) => {
                    assert!(error.contains("damaged"), "{name} at {at}: {error}");
                    found += 1;
                }
            }
            let _none = std::fs::remove_file(path.with_extension("db-wal"));
            let _none = std::fs::remove_file(path.with_extension("db-shm"));
            std::fs::write(&path, &sound).unwrap();
        }
    }
    assert!(found > 20, "only {found} flips were noticed");
}
