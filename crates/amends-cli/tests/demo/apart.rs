//! `amends demo --services`: the same shop, with services that are processes of their own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::books;
use crate::shop::{ORDER, Shop, order, run};
use crate::wire::Wire;

/// How long a service may take to end, or to be there again.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(20);

const SERVICES: [&str; 4] = ["order", "payment", "inventory", "shipping"];

fn open() -> Shop {
    Shop::open_with(&["--services"])
}

fn process_of(address: SocketAddr) -> u64 {
    let about = Wire::to(address).unwrap().call("GET", "/health", &[], None).unwrap();
    about.json()["process"].as_u64().unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < CHANGE_TIME_MAX, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What an order came to, without what is different each time.
fn seen(shop: &Shop, body: &str) -> Value {
    let answer = shop.post(body);
    let said = answer.json();
    let saga = said["saga_id"].as_str().map(|id| shop.see(&format!("/sagas/{id}")).json());
    let steps = saga.as_ref().and_then(|saga| saga["steps"].as_array());
    let steps: Vec<Value> = steps
        .into_iter()
        .flatten()
        .map(|step| json!([step["name"], step["status"], step["attempts"], step["error"].is_null()]))
        .collect();
    let order = said["order_id"].as_str().map(|id| shop.see(&format!("/orders/{id}")).json());
    let order = order.map(|order| {
        let part = |name: &str| order[name]["status"].clone();
        json!([order["status"], order["total"], order["items"], part("payment"), part("reservation")])
    });
    json!({
        "status": [answer.status, said["status"]],
        "code": said["code"], "failed_step": said["failed_step"], "reason": said["reason"],
        "saga": saga.map(|saga| json!([saga["status"], saga["reason"], saga["input"]])),
        "steps": steps, "order": order,
    })
}

#[test]
fn services_of_their_own_give_the_same_answers() {
    let (inside, apart) = (Shop::open(), open());
    let lines = |first: &str, second: &str| format!(r#"{{"user_id": "u", "items": [{first}, {second}]}}"#);
    let line = |product: &str, quantity: &str, price: &str| {
        format!(r#"{{"product_id": "{product}", "quantity": {quantity}, "price": {price}, "note": [1]}}"#)
    };
    for body in [
        ORDER.to_owned(),
        order("product_1", "2.0", "1e1"),
        order("product_1", "1", "0.29"),
        order("product_1", "1", "10000.00"),
        order("product_1", "1", "10000.01"),
        order("product_1", "4", "92233720368547758"),
        order("product_2", "500", "1"),
        order("nothing", "1", "1"),
        lines(&line("product_2", "30", "1.10"), &line("product_2", "21", "1")),
        lines(&line("product_2", "20", "1.1"), &line("product_2", "30", "1.001e1")),
        order("product_2", "1", "1"),
        order("product_1", "0", "1"),
        order("product_1", "1", "0.001"),
        order("${input.user_id}", "1", "1"),
        r#"{"user_id": "", "items": []}"#.to_owned(),
        "[]".to_owned(),
    ] {
        assert_eq!(seen(&apart, &body), seen(&inside, &body), "{body}");
    }
    for path in ["/shop/ledger", "/inventory", "/orders/nobody", "/orders/a%2Fb"] {
        let (left, right) = (apart.see(path), inside.see(path));
        assert_eq!((left.status, left.json()), (right.status, right.json()), "{path}");
    }
    assert_eq!(books::check(&apart).len(), books::check(&inside).len());
}

#[test]
fn a_service_that_is_killed_is_started_again_and_every_order_ends() {
    let shop = open();
    assert_eq!(shop.post(ORDER).status, 201);
    for name in SERVICES {
        let address = shop.service(name);
        let process = process_of(address);
        kill_process(Pid::from_raw(i32::try_from(process).unwrap()).unwrap(), Signal::KILL).unwrap();
        // Its attempts may run out while it is away: then the order is taken back, and never half of it.
        let status = shop.post(ORDER).status;
        assert!(matches!(status, 201 | 409), "{name}: {status}");
        until(name, || TcpStream::connect(address).is_ok());
        assert_ne!(process_of(address), process, "{name}");
    }
    until("an order goes through again", || shop.post(ORDER).status == 201);
    books::check(&shop);
}

#[test]
fn the_services_end_with_the_shop_however_it_ends() {
    for signal in [Signal::TERM, Signal::KILL] {
        let shop = open();
        assert_eq!(shop.post(ORDER).status, 201);
        let services = SERVICES.map(|name| shop.service(name));
        let (ended, _place) = shop.end(signal);
        if signal == Signal::TERM {
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
        for address in services {
            until("the service ends", || TcpStream::connect(address).is_err());
        }
    }
}

#[test]
fn what_was_ordered_is_there_after_a_start_on_other_ports() {
    let shop = open();
    assert_eq!(shop.post(ORDER).status, 201);
    let orders = books::check(&shop);
    let place = shop.kill();
    let shop = Shop::open_in(&place.data, &["--services"]);
    assert_eq!(books::check(&shop), orders);
    assert_eq!(shop.post(ORDER).status, 201);
}

#[test]
fn a_port_of_a_service_in_use_is_named() {
    let place = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = place.path().to_str().unwrap();
    let ended = run(&["demo", "--services", "--port", "0", "--services-port", &port, "--data", data], &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for word in [&format!("port {port} is in use"), "order service", "--services-port"] {
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
}

#[test]
fn a_directory_is_of_one_kind() {
    let (_, apart) = open().stop();
    let ended = Shop::try_open_in(&apart.data, &[]).err().expect("its services are apart");
    assert!(ended.code == Some(1) && ended.stderr.contains("--services"), "{ended:?}");
    let (_, inside) = Shop::open().stop();
    let ended = Shop::try_open_in(&inside.data, &["--services"]).err().expect("its services are inside");
    assert!(ended.code == Some(1) && ended.stderr.contains("without --services"), "{ended:?}");
}
