//! Whatever is written reads back as the same.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::collections::BTreeMap;

use amends_api::{
    Code, Compensation, CompensationStatus, ErrorKind, Health, HealthStatus, Mode, Parent, Parked, Payload,
    Problem, Reason, Saga, SagaStatus, Step, StepStatus, VerbName,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

fn read_back<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

fn json() -> impl Strategy<Value = Value> {
    let numbers = "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        numbers.prop_map(|number| Value::Number(number.parse::<Number>().unwrap())),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map(any::<String>(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    json().prop_map(|value| Payload::parse(&value.to_string()).unwrap())
}

prop_compose! {
    fn reason()(code in any::<String>(), message in any::<String>()) -> Reason {
        Reason { code, message }
    }
}

prop_compose! {
    fn compensation()(
        status in select(CompensationStatus::ALL),
        attempts: u32,
        error in option::of(reason()),
    ) -> Compensation {
        Compensation { status, attempts, error }
    }
}

prop_compose! {
    fn step()(
        (name, attempts, in_doubt) in any::<(String, u32, bool)>(),
        status in select(StepStatus::ALL),
        started_at: Option<String>,
        finished_at: Option<String>,
        output in payload(),
        error in option::of(reason()),
        child: Option<String>,
        compensation in option::of(compensation()),
    ) -> Step {
        Step { name, status, attempts, in_doubt, started_at, finished_at, output, error, child, compensation }
    }
}

prop_compose! {
    fn parked()(
        since: String,
        because: String,
        verbs in vec(select(VerbName::ALL), 0..4),
    ) -> Parked {
        Parked { since, because, verbs }
    }
}

prop_compose! {
    fn saga()(
        (id, saga_id, definition, version) in any::<(String, Option<String>, String, u32)>(),
        (mode, status) in (select(Mode::ALL), select(SagaStatus::ALL)),
        (paused, sequence, started_at, finished_at) in any::<(bool, u64, String, Option<String>)>(),
        (input, output) in (payload(), payload()),
        tags: BTreeMap<String, String>,
        parent in option::of(any::<(String, String)>().prop_map(|(id, step)| Parent { id, step })),
        (failed_step, reason) in (any::<Option<String>>(), option::of(reason())),
        parked in option::of(parked()),
        steps in vec(step(), 0..4),
    ) -> Saga {
        Saga {
            id, saga_id, definition, version, mode, status, paused, sequence, input, output, tags, parent,
            failed_step, reason, parked, started_at, finished_at, steps,
        }
    }
}

fn members() -> impl Strategy<Value = Map<String, Value>> {
    const OURS: [&str; 5] = ["type", "title", "status", "code", "detail"];
    btree_map(any::<String>().prop_filter("not ours", |name| !OURS.contains(&name.as_str())), json(), 0..4)
        .prop_map(|members| members.into_iter().collect())
}

prop_compose! {
    fn problem()(
        (page, title, detail) in any::<(String, String, String)>(),
        status: Option<u16>,
        saga_status in "[a-z_]+",
        code in prop_oneof![
            select(ErrorKind::ALL).prop_map(Code::from),
            any::<String>().prop_map(Code::from),
        ],
        members in members(),
    ) -> Problem {
        let mut members = members;
        if status.is_none() {
            members.insert("status".to_owned(), Value::String(saga_status));
        }
        Problem { page, title, status, code, detail, members }
    }
}

proptest! {
    #[test]
    fn a_saga_reads_back(saga in saga()) {
        prop_assert_eq!(&read_back(&saga), &saga);
    }

    #[test]
    fn a_problem_reads_back(problem in problem()) {
        prop_assert_eq!(&read_back(&problem), &problem);
    }

    #[test]
    fn health_reads_back(recovered: bool) {
        let health = Health { status: HealthStatus::Ok, recovered };
        prop_assert_eq!(read_back(&health), health);
    }

    #[test]
    fn a_code_keeps_its_text(code: String) {
        let read: Code = read_back(&Code::from(code.as_str()));
        prop_assert_eq!(read.as_str(), &code);
        prop_assert_eq!(read.kind().map(ErrorKind::code), ErrorKind::of_code(&code).map(|_| code.as_str()));
    }
}

/// The shape of the contract, to the letter.
#[test]
fn a_saga_is_written_as_the_contract_says() {
    let saga = Saga {
        id: "i".to_owned(),
        saga_id: None,
        definition: "PlaceOrder".to_owned(),
        version: 3,
        mode: Mode::Saga,
        status: SagaStatus::Parked,
        paused: false,
        sequence: 17,
        input: Payload::parse(r#"{"b":1.0,"a":2}"#).unwrap(),
        output: Payload::null(),
        tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        parent: Some(Parent { id: "p".to_owned(), step: "S".to_owned() }),
        failed_step: Some("A".to_owned()),
        reason: Some(Reason { code: "c".to_owned(), message: "m".to_owned() }),
        parked: Some(Parked {
            since: "s".to_owned(),
            because: "b".to_owned(),
            verbs: vec![VerbName::Retry, VerbName::Abandon],
        }),
        started_at: "t".to_owned(),
        finished_at: None,
        steps: vec![Step {
            name: "A".to_owned(),
            status: StepStatus::Compensating,
            attempts: 1,
            in_doubt: true,
            started_at: Some("t".to_owned()),
            finished_at: None,
            output: Payload::null(),
            error: None,
            child: None,
            compensation: Some(Compensation { status: CompensationStatus::Failed, attempts: 2, error: None }),
        }],
    };
    let expected = concat!(
        r#"{"id":"i","definition":"PlaceOrder","version":3,"mode":"saga","status":"failed","paused":false,"#,
        r#""sequence":17,"input":{"b":1.0,"a":2},"output":null,"tags":{"k":"v"},"#,
        r#""parent":{"id":"p","step":"S"},"#,
        r#""failed_step":"A","reason":{"code":"c","message":"m"},"#,
        r#""parked":{"since":"s","because":"b","verbs":["retry","abandon"]},"#,
        r#""started_at":"t","finished_at":null,"#,
        r#""steps":[{"name":"A","status":"compensating","attempts":1,"in_doubt":true,"started_at":"t","#,
        r#""finished_at":null,"output":null,"error":null,"#,
        r#""compensation":{"status":"failed","attempts":2,"error":null}}]}"#,
    );
    assert_eq!(serde_json::to_string(&saga).unwrap(), expected);
    // A later server says more; what this client knows it reads all the same.
    let of_tomorrow = expected.replace(r#""version":3"#, r#""version":3,"weather":{"sun":[1]}"#);
    assert_eq!(serde_json::from_str::<Saga>(&of_tomorrow).unwrap(), saga);
}
