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

/// A definition of these steps, over two participants.
fn with_steps(steps: &str) -> String {
    format!(
        "saga: Test\ntimeout: 2m\nparticipants:\n  a: {{ url: \"http://127.0.0.1:1\" }}\n  b: {{ url: \"http://127.0.0.1:2\" }}\nsteps:\n{steps}"
    )
}

fn in_steps(steps: &str, expected: Expect) {
    findings(&with_steps(steps), expected);
}

#[test]
fn yaml_that_says_more_than_json_is_refused() {
    findings(
        "saga: &a A\nsteps: *a\n",
        expect![[r#"
            error[anchor]: anchors are not read
             --> 1:7
              |
            1 | saga: &a A
              |       ^^^^
              = help: remove `&…`, and write out what it stands for

            error[step_count]: a definition has 1 to 1000 steps, this one has none
             --> 1:7
              |
            1 | saga: &a A
              |       ^^^^

            error[alias]: aliases are not read
             --> 2:8
              |
            2 | steps: *a
              |        ^^
              = help: write out what it stands for

            error[type]: a list of steps belongs here, not nothing
             --> 2:8
              |
            2 | steps: *a
              |        ^^"#]],
    );
    findings(
        "saga: !!str A\nsteps: []\n",
        expect![[r#"
            error[tag]: tags are not read
             --> 1:7
              |
            1 | saga: !!str A
              |       ^^^^^^^
              = help: remove `!…`; quote a value that is meant as text

            error[step_count]: a definition has 1 to 1000 steps, this one has none
             --> 1:7
              |
            1 | saga: !!str A
              |       ^^^^^^^"#]],
    );
    findings(
        "saga: A\n---\nsaga: B\n",
        expect![[r#"
        error[several_documents]: a second document begins here
         --> 2:1
          |
        2 | ---
          | ^^^
          = help: put each definition in a file of its own"#]],
    );
    findings(
        "saga: A\nsteps: [\n",
        expect![[r#"
        error[syntax]: this is not YAML: while parsing a node, did not find expected node content
         --> 3:1
          |
        3 | 
          | ^"#]],
    );
    findings(
        "",
        expect![[r#"
        error[empty]: the text holds no definition
         --> 1:1
          |
        1 | 
          | ^
          = help: begin with `saga: NameOfIt`"#]],
    );
    findings(
        "- a\n",
        expect![[r#"
        error[type]: the definition is a map of keys, not a list
         --> 1:1
          |
        1 | - a
          | ^^^
          = help: its keys are `saga`, `input`, `output`, `sensitive`, `timeout`, `retry`, `compensation_retry`, `participants`, `steps`, `pivot`"#]],
    );
    findings(
        "saga: A\n<<: { steps: [] }\n",
        expect![[r#"
            error[missing_key]: the definition has no `steps`
             --> 1:1
              |
            1 | saga: A
              | ^^^^
              = help: add `steps: [{ name: Pause, sleep: 1s }]`

            error[step_count]: a definition has 1 to 1000 steps, this one has none
             --> 1:7
              |
            1 | saga: A
              |       ^

            error[unknown_key]: `<<` is not a key of the definition
             --> 2:1
              |
            2 | <<: { steps: [] }
              | ^^
              = help: known are `saga`, `input`, `output`, `sensitive`, `timeout`, `retry`, `compensation_retry`, `participants`, `steps`, `pivot`"#]],
    );
    findings(
        "saga: 0x1F\nsteps: 007\n",
        expect![[r#"
            error[step_count]: a definition has 1 to 1000 steps, this one has none
             --> 1:1
              |
            1 | saga: 0x1F
              | ^^^^

            error[number]: 0x1F is a number in YAML but not in JSON
             --> 1:7
              |
            1 | saga: 0x1F
              |       ^^^^
              = help: write it as JSON does, or quote it if it is meant as text

            error[type]: a text belongs here, not nothing
             --> 1:7
              |
            1 | saga: 0x1F
              |       ^^^^

            error[number]: 007 is a number in YAML but not in JSON
             --> 2:8
              |
            2 | steps: 007
              |        ^^^
              = help: write it as JSON does, or quote it if it is meant as text

            error[type]: a list of steps belongs here, not nothing
             --> 2:8
              |
            2 | steps: 007
              |        ^^^"#]],
    );
    findings(
        "{\"saga\": \"A\", \"saga\": \"B\", \"steps\": [{\"name\": \"x\", \"slep\": \"1s\"}]}",
        expect![[r#"
        error[duplicate_key]: `saga` is given twice: first in line 1
         --> 1:15
          |
        1 | {"saga": "A", "saga": "B", "steps": [{"name": "x", "slep": "1s"}]}
          |               ^^^^^^
          = help: remove one of the two

        error[missing_key]: the step does nothing: it has no `action`, `saga`, `sleep` or `wait`
         --> 1:39
          |
        1 | {"saga": "A", "saga": "B", "steps": [{"name": "x", "slep": "1s"}]}
          |                                       ^^^^^^
          = help: add `action: { call: PARTICIPANT, post: /PATH }`

        error[unknown_key]: `slep` is not a key of a step
         --> 1:52
          |
        1 | {"saga": "A", "saga": "B", "steps": [{"name": "x", "slep": "1s"}]}
          |                                                    ^^^^^^
          = help: did you mean `sleep`?"#]],
    );
}

#[test]
fn each_value_is_of_its_kind() {
    findings(
        "saga: Ä b\ntimeout: 40000d\nretry: { attempts: 0, first: 0s, factor: x }\nparticipants:\n  p: { url: \"ftp://x\", rate: 5/d, secret: \"whsec_abc/def\", breaker: { max: 2h }, concurrency: -1 }\n  q: { url: \"http://user:pw@host/\" }\n  r: { worker: x }\nsensitive: [card, steps.X.output.y]\npivot: Sleeep\nsteps:\n  - { name: Sleep, sleep: 1h30m, after: [Slep] }\n  - { name: Sleep, wait: { signal: x, on_timeout: goon, refused_by: x } }\n",
        expect![[r#"
            error[name]: "Ä b" is not a valid name
             --> 1:7
              |
            1 | saga: Ä b
              |       ^^^
              = help: 1 to 128 letters (a to z), digits, `_` and `-`

            error[duration]: 40000d is longer than 36,500d
             --> 2:10
              |
            2 | timeout: 40000d
              |          ^^^^^^
              = help: shorten it

            error[number]: `attempts` is a whole number from 1 to 1000000
             --> 3:20
              |
            3 | retry: { attempts: 0, first: 0s, factor: x }
              |                    ^

            error[no_limit]: a `first` of nothing: nothing could ever be done in it
             --> 3:30
              |
            3 | retry: { attempts: 0, first: 0s, factor: x }
              |                              ^^
              = help: give it a time, or leave the key out

            error[number]: `factor` is a whole number from 1 to 1000
             --> 3:42
              |
            3 | retry: { attempts: 0, first: 0s, factor: x }
              |                                          ^

            error[url]: this is not the URL of a participant: it does not begin with `http://` or `https://`
             --> 5:13
              |
            5 |   p: { url: "ftp://x", rate: 5/d, secret: "whsec_abc/def", breaker: { max: 2h }, concurrency: -1 }
              |             ^^^^^^^^^

            error[rate]: a rate is a number of calls and a time
             --> 5:30
              |
            5 |   p: { url: "ftp://x", rate: 5/d, secret: "whsec_abc/def", breaker: { max: 2h }, concurrency: -1 }
              |                              ^^^
              = help: such as `500/s`, `60/m` or `1000/h`

            error[secret]: `secret` is not the name of an environment variable
             --> 5:43
              |
            5 |   p: { url: "ftp://x", rate: 5/d, secret: "whsec_abc/def", breaker: { max: 2h }, concurrency: -1 }
              |                                           ^^^^^^^^^^^^^^^
              = help: name the variable, such as AMENDS_SECRET_PAYMENTS; never write the secret itself

            error[duration]: a breaker probes at least every 30s
             --> 5:76
              |
            5 |   p: { url: "ftp://x", rate: 5/d, secret: "whsec_abc/def", breaker: { max: 2h }, concurrency: -1 }
              |                                                                            ^^
              = help: a participant that is back would be left waiting: 30s is the most

            error[number]: `concurrency` is a whole number from 1 to 100000
             --> 5:95
              |
            5 | hsec_abc/def", breaker: { max: 2h }, concurrency: -1 }
              |                                                   ^^

            error[url]: this is not the URL of a participant: it holds credentials: name an environment variable in `bearer`
             --> 6:13
              |
            6 |   q: { url: "http://user:pw@host/" }
              |             ^^^^^^^^^^^^^^^^^^^^^^^

            error[missing_key]: a participant has no `url`
             --> 7:6
              |
            7 |   r: { worker: x }
              |      ^^^^^^^^^^^^^
              = help: add `url: "http://127.0.0.1:8081"`

            error[unknown_key]: `worker`: participants behind gRPC come with a later release
             --> 7:8
              |
            7 |   r: { worker: x }
              |        ^^^^^^
              = help: give a `url`

            error[sensitive]: "card" is not a part of input or outputs
             --> 8:13
              |
            8 | sensitive: [card, steps.X.output.y]
              |             ^^^^
              = help: such as `input.card`, `steps.ProcessPayment.output.token` or `output.token`

            error[unknown_step]: there is no step `X`
             --> 8:19
              |
            8 | sensitive: [card, steps.X.output.y]
              |                   ^^^^^^^^^^^^^^^^
              = help: known are `Sleep`, `Sleep`

            error[unknown_step]: there is no step `Sleeep`
             --> 9:8
              |
            9 | pivot: Sleeep
              |        ^^^^^^
              = help: did you mean `Sleep`?

            error[duration]: "1h30m" is not a duration: its unit is not known
              --> 11:27
               |
            11 |   - { name: Sleep, sleep: 1h30m, after: [Slep] }
               |                           ^^^^^
               = help: a number and one of `ms`, `s`, `m`, `h`, `d`, such as `30s`

            error[unknown_step]: there is no step `Slep`
              --> 11:42
               |
            11 |   - { name: Sleep, sleep: 1h30m, after: [Slep] }
               |                                          ^^^^
               = help: did you mean `Sleep`?

            error[duplicate_step]: two steps are named `Sleep`: first in line 11
              --> 12:13
               |
            12 |   - { name: Sleep, wait: { signal: x, on_timeout: goon, refused_by: x } }
               |             ^^^^^
               = help: rename one

            error[no_limit]: the wait has no limit: nobody may ever send the signal
              --> 12:20
               |
            12 |   - { name: Sleep, wait: { signal: x, on_timeout: goon, refused_by: x } }
               |                    ^^^^
               = help: add `timeout: 24h` to it

            error[word]: `on_timeout` is `turn_back` or `go_on`, not "goon"
              --> 12:51
               |
            12 |   - { name: Sleep, wait: { signal: x, on_timeout: goon, refused_by: x } }
               |                                                   ^^^^
               = help: did you mean `go_on`?

            error[name]: the same signal cannot both approve and refuse
              --> 12:69
               |
            12 |   - { name: Sleep, wait: { signal: x, on_timeout: goon, refused_by: x } }
               |                                                                     ^"#]],
    );
}

#[test]
fn a_call_is_checked_before_it_is_made() {
    in_steps(
        "  - name: A\n    action: { call: c, post: orders, headers: { Authorization: x, Host: y, X-Ok: \"ü\", Amends-Step: z } }\n    compensation: { call: a, get: \"/x/../${input.id}\", body: { a: 1 } }\n  - name: B\n    action: { call: a, post: /x, put: /y }\n    compensation: non\n  - name: C\n    action: { call: a, post: \"/x#y\", query: { a: \"\" } }\n    compensation: { call: a, post: \"${input.url}\" }\n  - name: D\n    action: { call: a }\n    compensation: { post: /x }\n",
        expect![[r#"
            error[unknown_participant]: there is no participant `c`
             --> 8:21
              |
            8 |     action: { call: c, post: orders, headers: { Authorization: x, Host: y, X-Ok: "ü", Amends-Step: z
              |                     ^
              = help: known are `a`, `b`

            error[path]: this is not a valid path: it does not begin with `/`
             --> 8:30
              |
            8 |     action: { call: c, post: orders, headers: { Authorization: x, Host: y, X-Ok: "ü", Amends-Step: z
              |                              ^^^^^^
              = help: a path looks like `/orders/${input.order_id}`; parameters can stand in `query`

            error[header]: the header `Authorization` cannot be set
             --> 8:49
              |
            8 |     action: { call: c, post: orders, headers: { Authorization: x, Host: y, X-Ok: "ü", Amends-Step: z
              |                                                 ^^^^^^^^^^^^^
              = help: name an environment variable in the participant's `bearer`

            error[header]: the header `Host` cannot be set
             --> 8:67
              |
            8 |     action: { call: c, post: orders, headers: { Authorization: x, Host: y, X-Ok: "ü", Amends-Step: z
              |                                                                   ^^^^
              = help: Amends sets it, or it belongs to the connection: remove it

            error[header]: this cannot stand in a header: visible ASCII characters, with spaces only between them
             --> 8:82
              |
            8 | ders, headers: { Authorization: x, Host: y, X-Ok: "ü", Amends-Step: z } }
              |                                                   ^^^

            error[header]: the header `Amends-Step` cannot be set
             --> 8:87
              |
            8 |  headers: { Authorization: x, Host: y, X-Ok: "ü", Amends-Step: z } }
              |                                                   ^^^^^^^^^^^
              = help: Amends sets it, or it belongs to the connection: remove it

            error[path]: this is not a valid path: it begins with `//`, or has a segment that is `.` or `..`
             --> 9:35
              |
            9 |     compensation: { call: a, get: "/x/../${input.id}", body: { a: 1 } }
              |                                   ^^^^^^^^^^^^^^^^^^^
              = help: a path looks like `/orders/${input.order_id}`; parameters can stand in `query`

            error[misplaced_key]: a GET has no body
             --> 9:56
              |
            9 |     compensation: { call: a, get: "/x/../${input.id}", body: { a: 1 } }
              |                                                        ^^^^
              = help: use `query`, or another method

            error[misplaced_key]: a call has `post` or `put`, not both
              --> 11:34
               |
            11 |     action: { call: a, post: /x, put: /y }
               |                                  ^^^

            error[type]: a call, or the word `none`, belongs here, not a text
              --> 12:19
               |
            12 |     compensation: non
               |                   ^^^

            error[path]: this is not a valid path: it has a fragment, which is never sent
              --> 14:30
               |
            14 |     action: { call: a, post: "/x#y", query: { a: "" } }
               |                              ^^^^^^
               = help: a path looks like `/orders/${input.order_id}`; parameters can stand in `query`

            error[path]: an empty value, `.` and `..` cannot stand in a query
              --> 14:50
               |
            14 |     action: { call: a, post: "/x#y", query: { a: "" } }
               |                                                  ^^^
               = help: leave the parameter out

            error[path]: this is not a valid path: it does not begin with `/`
              --> 15:36
               |
            15 |     compensation: { call: a, post: "${input.url}" }
               |                                    ^^^^^^^^^^^^^^^
               = help: a path looks like `/orders/${input.order_id}`; parameters can stand in `query`

            error[missing_key]: the call has no method
              --> 17:15
               |
            17 |     action: { call: a }
               |               ^^^^
               = help: add one of `get`, `post`, `put`, `patch` and `delete` with the path, such as `post: /orders`

            error[missing_key]: a call has no `call`
              --> 18:21
               |
            18 |     compensation: { post: /x }
               |                     ^^^^
               = help: add `call: orders`"#]],
    );
}

#[test]
fn keys_that_cannot_stand_together_are_found() {
    in_steps(
        "  - name: A\n    action: { call: a, post: /x }\n    read_only: true\n    compensation: none\n    as: leg\n    concurrency: 2\n    retriable: true\n    input: {}\n  - name: B\n    sleep: 3m\n    retry: { attempts: 2 }\n    compensation: { call: a, post: /x }\n  - name: C\n    saga: Other\n    compensation: none\n  - name: D\n    wait: { signal: ok, timeout: 1h }\n    timeout: 2h\n    each: \"${input.x}\"\n  - name: E\n    action: { call: a, post: /x }\n  - name: F\n    action: { call: b, post: /x }\n    compensation: none\n  - name: G\n    action: { call: b, post: /x }\n    sleep: 2s\n    compensation: none\n",
        expect![[r#"
            error[misplaced_key]: a step that is `read_only` has nothing to compensate
              --> 10:5
               |
            10 |     compensation: none
               |     ^^^^^^^^^^^^
               = help: remove one of the two

            error[misplaced_key]: `as` says how `each` runs, and there is none
              --> 11:5
               |
            11 |     as: leg
               |     ^^
               = help: add `each: "${…}"`, or remove it

            error[misplaced_key]: `concurrency` says how `each` runs, and there is none
              --> 12:5
               |
            12 |     concurrency: 2
               |     ^^^^^^^^^^^
               = help: add `each: "${…}"`, or remove it

            error[before_pivot]: only what follows the pivot is repeated until it succeeds
              --> 13:5
               |
            13 |     retriable: true
               |     ^^^^^^^^^
               = help: remove `retriable`; `retry` says how often it is asked

            error[misplaced_key]: `input` stands beside `saga`: it is what a sub-saga is started with
              --> 14:5
               |
            14 |     input: {}
               |     ^^^^^
               = help: what an action sends is its `body`

            error[misplaced_key]: `retry` does not stand in a step that is a sleep
              --> 17:5
               |
            17 |     retry: { attempts: 2 }
               |     ^^^^^
               = help: remove it

            error[misplaced_key]: time that passed is not undone
              --> 18:5
               |
            18 |     compensation: { call: a, post: /x }
               |     ^^^^^^^^^^^^
               = help: remove `compensation`

            error[misplaced_key]: a sub-saga is undone as a whole, by its own compensations
              --> 21:5
               |
            21 |     compensation: none
               |     ^^^^^^^^^^^^
               = help: remove `compensation`

            error[misplaced_key]: `timeout` does not stand in a step that is a wait
              --> 24:5
               |
            24 |     timeout: 2h
               |     ^^^^^^^
               = help: its limit stands in it: `wait: { signal: …, timeout: 24h }`

            error[misplaced_key]: `each` does not stand in a step that is a wait
              --> 25:5
               |
            25 |     each: "${input.x}"
               |     ^^^^
               = help: remove it

            error[missing_key]: `each` has no `as`: what is the element called?
              --> 25:5
               |
            25 |     each: "${input.x}"
               |     ^^^^
               = help: add `as: element`

            error[missing_compensation]: `E` says nothing about its undo
              --> 26:11
               |
            26 |   - name: E
               |           ^
               = help: add `compensation: { call: …, post: … }`, or `read_only: true` if it changes nothing

            error[no_undo_before_pivot]: `F` has no undo, but the saga may still turn back after it
              --> 30:5
               |
            30 |     compensation: none
               |     ^^^^^^^^^^^^
               = help: add a compensation, make it the pivot, or say `read_only: true` if it changes nothing

            error[misplaced_key]: a step has `action` or `sleep`, not both
              --> 33:5
               |
            33 |     sleep: 2s
               |     ^^^^^
               = help: make two steps of it"#]],
    );
}

#[test]
fn what_a_step_may_be_depends_on_the_pivot() {
    let steps = "  - name: A\n    action: { call: a, post: /x }\n    compensation: { call: a, post: /undo }\n  - name: P\n    when: \"${input.yes}\"\n    read_only: true\n    each: \"${input.list}\"\n    as: one\n    retriable: true\n    action: { call: b, post: /x }\n  - name: Z\n    retriable: false\n    action: { call: b, post: /x }\n    compensation: { call: a, post: /undo }\n  - name: W\n    wait: { signal: ok, on_timeout: turn_back, refused_by: no }\n  - name: Beside\n    after: [A]\n    action: { call: b, post: /x }\n    compensation: { call: b, post: /undo }\npivot: P\n";
    in_steps(
        steps,
        expect![[r#"
        error[pivot]: `P` is the pivot, but may be skipped
          --> 11:5
           |
        11 |     when: "${input.yes}"
           |     ^^^^
           = help: the pivot is the step that always runs and cannot be undone

        error[pivot]: `P` is the pivot, but changes nothing
          --> 12:5
           |
        12 |     read_only: true
           |     ^^^^^^^^^
           = help: the pivot is the step that always runs and cannot be undone

        error[pivot]: `P` is the pivot, but runs several times
          --> 13:5
           |
        13 |     each: "${input.list}"
           |     ^^^^
           = help: the pivot is the step that always runs and cannot be undone

        error[before_pivot]: only what follows the pivot is repeated until it succeeds
          --> 15:5
           |
        15 |     retriable: true
           |     ^^^^^^^^^
           = help: remove `retriable`; `retry` says how often it is asked

        error[after_pivot]: what follows the pivot is repeated until it succeeds
          --> 18:5
           |
        18 |     retriable: false
           |     ^^^^^^^^^
           = help: remove `retriable: false`, or put the step before the pivot

        error[after_pivot]: nothing is undone after the pivot
          --> 20:5
           |
        20 |     compensation: { call: a, post: /undo }
           |     ^^^^^^^^^^^^
           = help: write `compensation: none`, or put the step before the pivot

        error[no_limit]: the wait has no limit: nobody may ever send the signal
          --> 22:5
           |
        22 |     wait: { signal: ok, on_timeout: turn_back, refused_by: no }
           |     ^^^^
           = help: add `timeout: 24h` to it

        error[after_pivot]: after the pivot nothing turns back
          --> 22:37
           |
        22 |     wait: { signal: ok, on_timeout: turn_back, refused_by: no }
           |                                     ^^^^^^^^^
           = help: `go_on` is the only choice here

        error[after_pivot]: after the pivot nothing turns back: no signal can refuse
          --> 22:60
           |
        22 |     wait: { signal: ok, on_timeout: turn_back, refused_by: no }
           |                                                            ^^
           = help: remove `refused_by`, or wait before the pivot

        error[beside_pivot]: `Beside` is neither before nor after the pivot
          --> 23:11
           |
        23 |   - name: Beside
           |           ^^^^^^
           = help: whether it can be undone would be chance: add an `after`, here or at the pivot"#]],
    );
    in_steps(
        "  - { name: A, sleep: 1s, after: [B] }\n  - { name: B, sleep: 1s }\n  - { name: C, sleep: 1s, after: [C] }\npivot: C\n",
        expect![[r#"
            error[beside_pivot]: `A` is neither before nor after the pivot
             --> 7:13
              |
            7 |   - { name: A, sleep: 1s, after: [B] }
              |             ^
              = help: whether it can be undone would be chance: add an `after`, here or at the pivot

            error[cycle]: these steps wait for each other: A, B
             --> 7:27
              |
            7 |   - { name: A, sleep: 1s, after: [B] }
              |                           ^^^^^
              = help: remove one `after`

            error[beside_pivot]: `B` is neither before nor after the pivot
             --> 8:13
              |
            8 |   - { name: B, sleep: 1s }
              |             ^
              = help: whether it can be undone would be chance: add an `after`, here or at the pivot

            error[pivot]: `C` is the pivot, but only sleeps
             --> 9:16
              |
            9 |   - { name: C, sleep: 1s, after: [C] }
              |                ^^^^^
              = help: the pivot is the step that always runs and cannot be undone

            error[cycle]: `C` waits for itself
             --> 9:35
              |
            9 |   - { name: C, sleep: 1s, after: [C] }
              |                                   ^
              = help: remove it"#]],
    );
}

#[test]
fn expressions_are_typed_when_they_are_registered() {
    let text = r#"saga: Test
input:
  type: object
  properties:
    name: { type: string }
    legs: { type: array, items: { type: object, properties: { city: { type: string } }, additionalProperties: false } }
    requird: { typ: string }
participants: { a: { url: "http://127.0.0.1:1" }, unused: { url: "http://127.0.0.1:2" } }
steps:
  - name: First
    when: "${input.name}"
    action: { call: a, post: /x, body: { a: "${output.x}", b: "text ${input.legs}", "${c}": 1, d: "${input.name" } }
    compensation: { call: a, post: "/x/${steps.First.output.id}", body: "${output.id}" }
  - name: Second
    each: "${input.name}"
    as: saga
    action:
      call: a
      post: /x
      body:
        block: |
          several lines and ${input.name + 1}
        folded: "${steps.First.output.id}"
        quoted: 'it''s ${steps.Thirdd.output}'
    compensation: none
  - name: Third
    each: "${input.legs}"
    as: leg
    action: { call: a, post: "/x/${leg.town}" }
    compensation: { call: a, post: "/x/${leg.city}", body: { all: "${steps.Fourth.output}" } }
  - name: Fourth
    action: { call: a, get: /x, timeout: "${input.limit}" }
    read_only: true
"#;
    findings(
        text,
        expect![[r#"
            error[unknown_key]: `typ` is not a keyword of JSON Schema
             --> 7:16
              |
            7 |     requird: { typ: string }
              |                ^^^
              = help: did you mean `type`?

            error[type]: `when` is true or false, not a string
              --> 11:11
               |
            11 |     when: "${input.name}"
               |           ^^^^^^^^^^^^^^^
               = help: compare it with something

            error[unknown_name]: there is no `output` in the action of `First`
              --> 12:48
               |
            12 |     action: { call: a, post: /x, body: { a: "${output.x}", b: "text ${input.legs}", "${c}": 1, d: "$
               |                                                ^^^^^^
               = help: only a compensation has it, that of its own action; others are `steps.NAME.output`

            error[type]: a list cannot be a part of a text
              --> 12:71
               |
            12 |     action: { call: a, post: /x, body: { a: "${output.x}", b: "text ${input.legs}", "${c}": 1, d: "$
               |                                                                       ^^^^^^^^^^

            error[expression_place]: expressions stand in values, not in keys
              --> 12:85
               |
            12 | ody: { a: "${output.x}", b: "text ${input.legs}", "${c}": 1, d: "${input.name" } }
               |                                                   ^^^^^^
               = help: build the object in an expression: `${ {key: value} }`

            error[expression]: this `${` has no `}`
              --> 12:100
               |
            12 | tput.x}", b: "text ${input.legs}", "${c}": 1, d: "${input.name" } }
               |                                                   ^^
               = help: close it; a plain `${` is written `$${`

            error[step_not_before]: the compensation of `First` does not see the output of `First`, which need not be there yet
              --> 13:54
               |
            13 |     compensation: { call: a, post: "/x/${steps.First.output.id}", body: "${output.id}" }
               |                                                      ^^^^^^
               = help: only steps that are done before are seen: add `after: [First]`, or drop this

            error[type]: `each` goes over a list, not over a string
              --> 15:11
               |
            15 |     each: "${input.name}"
               |           ^^^^^^^^^^^^^^^

            error[name]: the element cannot be called `saga`
              --> 16:9
               |
            16 |     as: saga
               |         ^^^^
               = help: choose a name that has no other meaning in an expression

            error[type]: `+` does not take a string and an int
              --> 22:42
               |
            22 |           several lines and ${input.name + 1}
               |                                          ^
               = help: `string(…)` makes a text of a number

            error[maybe_skipped]: `First` may be skipped, and then steps.First.output is null
              --> 23:32
               |
            23 |         folded: "${steps.First.output.id}"
               |                                ^^^^^^
               = help: say what stands for it then: `steps.First.output == null ? … : …`; or give this step the same `when`

            error[unknown_step]: there is no step `Thirdd`
              --> 24:39
               |
            24 |         quoted: 'it''s ${steps.Thirdd.output}'
               |                                       ^^^^^^
               = help: did you mean `steps.Third.output`?

            error[no_undo_before_pivot]: `Second` has no undo, but the saga may still turn back after it
              --> 25:5
               |
            25 |     compensation: none
               |     ^^^^^^^^^^^^
               = help: add a compensation, make it the pivot, or say `read_only: true` if it changes nothing

            error[unknown_name]: leg has no field `town`
              --> 29:40
               |
            29 |     action: { call: a, post: "/x/${leg.town}" }
               |                                        ^^^^
               = help: it has city

            error[step_not_before]: the compensation of `Third` does not see the output of `Fourth`, which need not be there yet
              --> 30:83
               |
            30 | t: "/x/${leg.city}", body: { all: "${steps.Fourth.output}" } }
               |                                                   ^^^^^^
               = help: only steps that are done before are seen: add `after: [Fourth]`, or drop this

            error[expression_place]: no expression can stand here
              --> 32:42
               |
            32 |     action: { call: a, get: /x, timeout: "${input.limit}" }
               |                                          ^^^^^^^^^^^^^^^^^
               = help: write a number and one of `ms`, `s`, `m`, `h`, `d`, such as `30s`"#]],
    );
}

#[test]
fn the_output_of_a_step_that_may_be_skipped_is_null_to_the_types() {
    let steps = |when: &str| {
        with_steps(&format!(
            "  - name: A\n    when: \"${{input.yes && input.more}}\"\n    action: {{ call: a, post: /x }}\n    compensation: {{ call: a, post: /undo }}\n  - name: B\n{when}    action: {{ call: b, post: /x, body: \"${{steps.A.output.id}}\" }}\n    compensation: {{ call: b, post: /undo }}\n"
        ))
    };
    findings(
        &steps(""),
        expect![[r#"
        error[maybe_skipped]: `A` may be skipped, and then steps.A.output is null
          --> 12:51
           |
        12 |     action: { call: b, post: /x, body: "${steps.A.output.id}" }
           |                                                   ^^^^^^
           = help: say what stands for it then: `steps.A.output == null ? … : …`; or give this step the same `when`"#]],
    );
    findings(
        &steps("    when: \"${input.yes}\"\n"),
        expect![[r#"
        error[maybe_skipped]: `A` may be skipped, and then steps.A.output is null
          --> 13:51
           |
        13 |     action: { call: b, post: /x, body: "${steps.A.output.id}" }
           |                                                   ^^^^^^
           = help: say what stands for it then: `steps.A.output == null ? … : …`; or give this step the same `when`"#]],
    );
    findings(&steps("    when: \"${input.more && input.yes && input.third}\"\n"), expect!["no findings"]);
}

#[test]
fn what_core_finds_has_a_place_too() {
    let steps = "  - { name: A, sleep: 3m }\n  - { name: B, wait: { signal: ok, timeout: 2h } }\n";
    in_steps(
        steps,
        expect![[r#"
        error[longer_than_saga]: "A" takes longer than the saga may before its pivot: raise the saga's limit, or shorten the step
         --> 7:13
          |
        7 |   - { name: A, sleep: 3m }
          |             ^

        error[longer_than_saga]: "B" takes longer than the saga may before its pivot: raise the saga's limit, or shorten the step
         --> 8:13
          |
        8 |   - { name: B, wait: { signal: ok, timeout: 2h } }
          |             ^"#]],
    );
}

#[test]
fn warnings_are_no_findings() {
    let text = "saga: Test\nparticipants: { a: { url: \"http://127.0.0.1:1\" }, b: { url: \"http://127.0.0.1:1\" } }\nsteps:\n  - name: A\n    action: { call: a, post: /x }\n    compensation: { call: a, delete: \"/x/${output.id}\" }\n";
    let document = compile(text).unwrap_or_else(|findings| panic!("{findings}"));
    expect![[r#"
        warning[no_saga_limit]: the saga has no limit of its own: only those of its steps hold
         --> 1:7
          |
        1 | saga: Test
          |       ^^^^
          = help: add `timeout: 5m`

        warning[unused_participant]: no step calls the participant `b`
         --> 2:51
          |
        2 | participants: { a: { url: "http://127.0.0.1:1" }, b: { url: "http://127.0.0.1:1" } }
          |                                                   ^

        warning[undo_needs_output]: the compensation of `A` needs the output of its action, which may not be known
         --> 6:5
          |
        6 |     compensation: { call: a, delete: "/x/${output.id}" }
          |     ^^^^^^^^^^^^
          = help: if the answer was lost, the action is asked again before it is undone; a compensation by `saga.id` needs no answer"#]].assert_eq(&amends_definition::Findings(document.warnings).to_string());
}

#[test]
fn json_is_read_as_json() {
    let text = "{\n\t\"saga\": \"A\",\n\t\"participants\": {\"a\": {\"url\": \"http:\\/\\/127.0.0.1:1\"}},\n\t\"steps\": [{\"name\": \"x\", \"action\": {\"call\": \"a\", \"post\": \"/x\", \"body\": {\"smile\": \"\\ud83d\\ude00\", \"e\": 1e400}}, \"read_only\": true}]\n}\n";
    expect![[r##"
        # x action a x http://127.0.0.1:1/x
        POST /x

        {"smile":"😀","e":1e400}
    "##]]
    .assert_eq(&rendered(text, "{}", &[]));
}

#[test]
fn a_request_that_cannot_be_made_says_why() {
    let steps = with_steps(
        r#"  - name: A
    action: { call: a, put: "/x/${input.a}/y${input.b}z", query: { q: "${input.c}", "é k": "${input.d}&" }, headers: { X-A: "${input.e}" }, body: "${input.f.g}" }
    compensation: none
pivot: A
"#,
    );
    let ok = r#"{"a":"ä/?","b":"b","c":5,"d":true,"e":"e","f":{"g":[1, 2]}}"#;
    let mut shown = rendered(&steps, ok, &[]);
    for (from, to) in [
        (r#""ä/?""#, r#""..""#),
        (r#""ä/?""#, r#""""#),
        (r#""ä/?""#, "null"),
        (r#""ä/?""#, "[1]"),
        (r#":5"#, r#":".""#),
        (r#":"e""#, r#":"e\r\nX-B: 1""#),
        (r#"{"g":[1, 2]}"#, "7"),
    ] {
        shown.push_str(&rendered(&steps, &ok.replace(from, to), &[]));
    }
    expect![[r##"
        # A action a A http://127.0.0.1:1/x/%C3%A4%2F%3F/ybz?q=5&%C3%A9%20k=true%26
        PUT /x/%C3%A4%2F%3F/ybz?q=5&%C3%A9%20k=true%26
        x-a: e

        [1, 2]
        # A action a A http://127.0.0.1:1
        fails: path: a value is empty, `.` or `..`, which would name something else
        # A action a A http://127.0.0.1:1
        fails: path: a value is empty, `.` or `..`, which would name something else
        # A action a A http://127.0.0.1:1
        fails: path: null has no text: give another value where it may be null
        # A action a A http://127.0.0.1:1
        fails: path: a list has no text: `join` makes one
        # A action a A http://127.0.0.1:1
        fails: query q: a value is empty, `.` or `..`, which would name something else
        # A action a A http://127.0.0.1:1
        fails: header x-a: its value has characters that no header can have, or too many
        # A action a A http://127.0.0.1:1
        fails: body: input.f is an int and has no field "g"
    "##]]
    .assert_eq(&shown);
}

#[test]
fn legs_guards_and_pauses_are_rendered() {
    let steps = with_steps(
        r#"  - name: Ask
    action: { call: a, get: /x }
    read_only: true
  - name: Leg
    when: "${steps.Ask.output.go}"
    each: "${input.legs}"
    as: leg
    concurrency: 2
    action: { call: a, post: /legs, body: { city: "${leg.city}", n: "leg of ${input.n}" } }
    compensation: { call: a, delete: "/legs/${output.id}", body: "${leg}" }
  - name: Never
    when: "${false}"
    action: { call: b, post: /x }
    compensation: { call: b, post: /y }
  - { name: Nap, sleep: 1s }
  - { name: Wait, wait: { signal: go, refused_by: stop } }
"#,
    );
    let input = r#"{"legs": [{"city": "Rome" }, {"city":"Oslo"}], "n": 2.50}"#;
    expect![[r##"
        # Ask action a Ask http://127.0.0.1:1/x
        GET /x


        # Leg[0] action a Leg http://127.0.0.1:1/legs
        POST /legs

        {"city":"Rome","n":"leg of 2.50"}
        # Leg[0] compensation a UndoLeg http://127.0.0.1:1/legs/${output.id}
        DELETE /legs/${output.id}

        {"city": "Rome" }
        # Leg[1] action a Leg http://127.0.0.1:1/legs
        POST /legs

        {"city":"Oslo","n":"leg of 2.50"}
        # Leg[1] compensation a UndoLeg http://127.0.0.1:1/legs/${output.id}
        DELETE /legs/${output.id}

        {"city":"Oslo"}
        # Never Skipped
        # Nap Pause
        # Wait Pause
    "##]]
    .assert_eq(&rendered(&steps, input, &[("Ask", r#"{"go": true}"#)]));
}

#[test]
fn what_would_be_ignored_in_silence_is_found() {
    in_steps(
        "  - name: A\n    retry: { first: 2s, max: 1s }\n    action: { call: a, post: /x, headers: { X-A: 1, x-a: 2 } }\n    read_only: true\n",
        expect![[r#"
            error[duration]: `first` is longer than `max`, the longest rest
             --> 8:14
              |
            8 |     retry: { first: 2s, max: 1s }
              |              ^^^^^
              = help: make `max` at least as long

            error[duplicate_key]: the header `x-a` is given twice
             --> 9:53
              |
            9 |     action: { call: a, post: /x, headers: { X-A: 1, x-a: 2 } }
              |                                                     ^^^
              = help: case makes no difference in a header's name: remove one"#]],
    );
}
