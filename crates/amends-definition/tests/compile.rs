//! What a text becomes: a definition, or findings with a picture.

use amends_definition::{Given, RenderedWhat, compile};
use expect_test::{Expect, expect};

fn findings(text: &str, expected: Expect) {
    let shown = match compile(text) {
        Ok(_) => "no findings".to_owned(),
        Err(findings) => findings.to_string(),
    };
    expected.assert_eq(&shown);
}

const SHOP: &str = r#"
saga: PlaceOrder
input:
  type: object
  required: [user_id, items]
timeout: 2m
retry: { attempts: 4, first: 200ms, factor: 2, max: 30s }     # actions; full jitter always
compensation_retry: { attempts: 100, first: 200ms, factor: 2, max: 5m }
participants:
  orders:   { url: "http://127.0.0.1:8081", timeout: 2s, concurrency: 64 }
  payments: { url: "http://127.0.0.1:8082", timeout: 5s, rate: 500/s, secret: AMENDS_SECRET_PAYMENTS }
  shipping: { url: "http://127.0.0.1:8083" }
steps:
  - name: CreateOrder
    action:       { call: orders,   post: /orders,  body: { user_id: "${input.user_id}", items: "${input.items}" } }
    compensation: { call: orders,   post: /orders/cancel, body: { saga: "${saga.id}" }, as: CancelOrder }     # works without `output`
  - name: ProcessPayment
    action:       { call: payments, post: /payments, body: { order_id: "${steps.CreateOrder.output.order_id}", amount: "${input.amount}" } }
    compensation: { call: payments, post: /payments/refund, body: { saga: "${saga.id}" }, as: RefundPayment }
    refuse_on: [card_declined]        # business codes that are final whatever the status, 2xx aside
  - name: ScheduleShipment
    action: { call: shipping, put: "/shipments/${steps.CreateOrder.output.order_id}", query: { express: "${input.express}" }, headers: { X-Tenant: "t-${input.user_id}" } }
    compensation: none
pivot: ScheduleShipment
"#;

fn rendered(text: &str, input: &str, outputs: &[(&str, &str)]) -> String {
    let document = compile(text).unwrap_or_else(|findings| panic!("{findings}"));
    let given = Given {
        id: "01890000-0000-7000-8000-000000000000".to_owned(),
        started_at: "2026-11-30T10:00:00.000Z".to_owned(),
        input: input.as_bytes().to_vec(),
        outputs: outputs
            .iter()
            .map(|(step, output)| ((*step).to_owned(), output.as_bytes().to_vec()))
            .collect(),
    };
    let mut shown = String::new();
    for rendered in document.render(&given) {
        shown.push_str(&format!("# {}", rendered.step));
        match rendered.what {
            RenderedWhat::Call { direction, participant, operation, url, request } => {
                shown.push_str(&format!(" {} {participant} {operation} {url}\n", direction.as_str()));
                match request {
                    Ok(request) => shown.push_str(&String::from_utf8_lossy(&request.encode())),
                    Err(why) => shown.push_str(&format!("fails: {why}")),
                }
            }
            RenderedWhat::Child { definition, input } => match input {
                Ok(input) => {
                    shown.push_str(&format!(" starts {definition}\n{}", String::from_utf8_lossy(&input)))
                }
                Err(why) => shown.push_str(&format!(" fails: {why}")),
            },
            other => shown.push_str(&format!(" {other:?}")),
        }
        shown.push('\n');
    }
    shown
}

#[test]
fn the_contract_s_example_is_a_definition() {
    findings(SHOP, expect!["no findings"]);
    let input = r#"{"user_id": "u 1/2", "items": [ {"sku":"a",  "qty":1.0} ], "amount": 12345678901234567890.10, "express": true}"#;
    expect![[r##"
        # CreateOrder action orders CreateOrder http://127.0.0.1:8081/orders
        POST /orders

        {"user_id":"u 1/2","items":[ {"sku":"a",  "qty":1.0} ]}
        # CreateOrder compensation orders CancelOrder http://127.0.0.1:8081/orders/cancel
        POST /orders/cancel

        {"saga":"01890000-0000-7000-8000-000000000000"}
        # ProcessPayment action payments ProcessPayment http://127.0.0.1:8082/payments
        POST /payments

        {"order_id":"o/7","amount":12345678901234567890.10}
        # ProcessPayment compensation payments RefundPayment http://127.0.0.1:8082/payments/refund
        POST /payments/refund

        {"saga":"01890000-0000-7000-8000-000000000000"}
        # ScheduleShipment action shipping ScheduleShipment http://127.0.0.1:8083/shipments/o%2F7?express=true
        PUT /shipments/o%2F7?express=true
        x-tenant: t-u 1/2


    "##]]
    .assert_eq(&rendered(SHOP, input, &[("CreateOrder", r#"{"order_id":"o/7"}"#)]));
    expect![[r##"
        # CreateOrder action orders CreateOrder http://127.0.0.1:8081/orders
        POST /orders

        {"user_id":"u 1/2","items":[ {"sku":"a",  "qty":1.0} ]}
        # CreateOrder compensation orders CancelOrder http://127.0.0.1:8081/orders/cancel
        POST /orders/cancel

        {"saga":"01890000-0000-7000-8000-000000000000"}
        # ProcessPayment action payments ProcessPayment http://127.0.0.1:8082/payments
        POST /payments

        {"order_id":"${steps.CreateOrder.output.order_id}","amount":12345678901234567890.10}
        # ProcessPayment compensation payments RefundPayment http://127.0.0.1:8082/payments/refund
        POST /payments/refund

        {"saga":"01890000-0000-7000-8000-000000000000"}
        # ScheduleShipment action shipping ScheduleShipment http://127.0.0.1:8083/shipments/${steps.CreateOrder.output.order_id}?express=true
        PUT /shipments/${steps.CreateOrder.output.order_id}?express=true
        x-tenant: t-u 1/2


    "##]].assert_eq(&rendered(SHOP, input, &[]));
}

#[test]
fn keys_are_known_once_and_in_their_place() {
    findings(
        "saga: A\ntimeuot: 2m\nsteps:\n  - name: B\n    body: 1\n    sleep: 2\n    sleep: 3s\n    afterr: []\n",
        expect![[r#"
            error[unknown_key]: `timeuot` is not a key of the definition
             --> 2:1
              |
            2 | timeuot: 2m
              | ^^^^^^^
              = help: did you mean `timeout`?

            error[misplaced_key]: `body` does not stand in a step
             --> 5:5
              |
            5 |     body: 1
              |     ^^^^
              = help: it is a key of a call

            error[duration]: 2 has no unit
             --> 6:12
              |
            6 |     sleep: 2
              |            ^
              = help: did you mean `2s`? A duration is a number and one of `ms`, `s`, `m`, `h`, `d`, such as `30s`

            error[duplicate_key]: `sleep` is given twice: first in line 6
             --> 7:5
              |
            7 |     sleep: 3s
              |     ^^^^^
              = help: remove one of the two

            error[unknown_key]: `afterr` is not a key of a step
             --> 8:5
              |
            8 |     afterr: []
              |     ^^^^^^
              = help: did you mean `after`?"#]],
    );
}
