//! `GET /sagas/{id}`: one shape, however a saga stands.

use amends_api::{CompensationStatus, ErrorKind, Mode, Payload, Saga, SagaStatus, StepStatus, VerbName};
use amends_core::Outcome;
use amends_engine::{Engine, Wait};

use crate::place::{Says, call, done, engine, json, problem, request, router, run};

async fn see(engine: &Engine, id: &str) -> Saga {
    let saga: Saga = json(call(&router(engine), "GET", &format!("/sagas/{id}")).await).await;
    assert_eq!((saga.id.as_str(), saga.saga_id.as_deref()), (id, Some(id)));
    assert_eq!((saga.definition.as_str(), saga.version, saga.mode), ("Three", 2, Mode::Saga));
    assert_eq!(saga.input.as_json(), r#"{"n":  1.50}"#, "to the byte");
    assert!(saga.started_at.ends_with('Z') && saga.started_at.len() == "2026-01-01T00:00:00.000Z".len());
    saga
}

async fn run_and_see(says: Says) -> Saga {
    let engine = engine(says);
    let id = run(&engine).await;
    see(&engine, &id).await
}

fn statuses(saga: &Saga) -> Vec<StepStatus> {
    saga.steps.iter().map(|step| step.status).collect()
}

#[tokio::test]
async fn a_saga_that_completed_shows_its_outputs() {
    let saga = run_and_see(done).await;
    assert_eq!((saga.status, saga.sequence), (SagaStatus::Completed, 8));
    assert_eq!(statuses(&saga), [StepStatus::Completed; 3]);
    assert_eq!(saga.output.as_json(), r#""c was here""#, "the last step's");
    assert_eq!((saga.failed_step, saga.reason, saga.parked), (None, None, None));
    assert!(saga.finished_at >= Some(saga.started_at));
    for step in &saga.steps {
        assert_eq!(step.output.as_json(), format!("\"{} was here\"", step.name));
        assert_eq!((step.attempts, step.in_doubt, &step.error, &step.compensation), (1, false, &None, &None));
    }
}

#[tokio::test]
async fn a_saga_that_went_back_says_why_and_what_was_undone() {
    let saga = run_and_see(|operation| match operation {
        "b" => Outcome::refused("sold_out", "none left"),
        _ => done(operation),
    })
    .await;
    assert_eq!(saga.status, SagaStatus::Compensated);
    assert_eq!(statuses(&saga), [StepStatus::Compensated, StepStatus::Failed, StepStatus::Pending]);
    assert_eq!((saga.failed_step.as_deref(), saga.output), (Some("b"), Payload::null()));
    let reason = saga.reason.unwrap();
    assert_eq!((reason.code.as_str(), reason.message.as_str()), ("sold_out", "none left"));
    let undo = saga.steps[0].compensation.clone().unwrap();
    assert_eq!((undo.status, undo.attempts, undo.error), (CompensationStatus::Completed, 1, None));
    assert_eq!(
        saga.steps[0].output.as_json(),
        r#""a was here""#,
        "what it had returned is known all the same"
    );
    assert_eq!((&saga.steps[1].error, &saga.steps[1].compensation), (&Some(reason), &None));
}

#[tokio::test]
async fn a_saga_parked_on_its_way_forward_names_the_verbs_that_help() {
    let saga = run_and_see(|operation| match operation {
        "c" => Outcome::refused("no", "not today"),
        _ => done(operation),
    })
    .await;
    assert_eq!((saga.status, saga.finished_at), (SagaStatus::Parked, None));
    let parked = saga.parked.unwrap();
    assert!(parked.because.contains("c was refused after the point of no return"), "{}", parked.because);
    assert_eq!(parked.verbs, [VerbName::Retry, VerbName::Skip, VerbName::Abandon]);
}

#[tokio::test]
async fn a_saga_parked_on_its_way_back_names_the_verbs_that_help() {
    let saga = run_and_see(|operation| match operation {
        "b" | "undo_a" => Outcome::refused("no", "not today"),
        _ => done(operation),
    })
    .await;
    assert_eq!(saga.status, SagaStatus::Parked);
    assert_eq!(statuses(&saga), [StepStatus::Compensating, StepStatus::Failed, StepStatus::Pending]);
    let undo = saga.steps[0].compensation.clone().unwrap();
    assert_eq!((undo.status, undo.attempts), (CompensationStatus::Failed, 1));
    assert_eq!(undo.error.unwrap().code, "no");
    assert_eq!(saga.parked.unwrap().verbs, [VerbName::Retry, VerbName::Resolve, VerbName::Abandon]);
}

#[tokio::test]
async fn a_step_whose_outcome_nobody_knows_is_in_doubt() {
    let saga = run_and_see(|operation| match operation {
        "b" => Outcome::unknown("reset", "the connection broke"),
        _ => done(operation),
    })
    .await;
    assert_eq!((saga.status, saga.steps[1].status), (SagaStatus::Parked, StepStatus::Failed));
    assert!(saga.steps[1].in_doubt && !saga.steps[0].in_doubt);
    assert_eq!(
        saga.parked.unwrap().verbs,
        [VerbName::Cancel, VerbName::Retry, VerbName::Skip, VerbName::Abandon]
    );
}

#[tokio::test]
async fn a_step_that_waits_is_in_progress_until_its_signal_is_its_output() {
    let engine = engine(done);
    let id = engine.start(request("Waiting", None, Wait::Accepted)).await.unwrap().transaction.id();
    let see = async || -> Saga { json(call(&router(&engine), "GET", &format!("/sagas/{id}")).await).await };
    let waits = see().await;
    assert_eq!((waits.status, waits.steps[0].status), (SagaStatus::InProgress, StepStatus::InProgress));
    engine.signal(id, "go", "k", r#"{"by": "ann"}"#.into()).await.unwrap();
    engine.rest(id).await.unwrap();
    let ended = see().await;
    assert_eq!(ended.status, SagaStatus::Completed);
    assert_eq!(ended.steps[0].output.as_json(), r#"{"by": "ann"}"#);
}

/// What a participant of a program of one's own returns may be no JSON; people see it all the same.
#[tokio::test]
async fn an_output_that_is_no_json_is_shown_as_a_text() {
    let saga = run_and_see(|operation| Outcome::Completed {
        output: match operation {
            "a" => "".into(),
            "b" => "no \"JSON\"".into(),
            _ => vec![b'{', 0xff].into(),
        },
    })
    .await;
    let outputs: Vec<&str> = saga.steps.iter().map(|step| step.output.as_json()).collect();
    assert_eq!(outputs, ["null", r#""no \"JSON\"""#, "\"{\u{fffd}\""]);
}

#[tokio::test]
async fn what_is_no_sagas_id_is_not_found() {
    let engine = engine(done);
    let id = run(&engine).await;
    for text in ["x", "%ff", &id.to_uppercase(), &id[1..], "00000000-0000-0000-0000-000000000000"] {
        let answer = call(&router(&engine), "GET", &format!("/sagas/{text}")).await;
        let (status, document, _) = problem(answer).await;
        assert_eq!((status.as_u16(), document.kind()), (404, Some(ErrorKind::NotFound)), "{text}");
    }
}
