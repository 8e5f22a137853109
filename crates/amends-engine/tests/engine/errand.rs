//! A second mode, through the real shell, shard and journal: it runs, is killed half-way, and goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use amends_core::errand::ErrandDefinition;
use amends_core::{By, Definition, DefinitionName, End, Mode, Outcome, Standing, Transaction, Verb};
use amends_engine::{Engine, EngineBuilder, StartRequest, Wait, local};
use amends_journal::{Count, Filter, Journal};

use crate::{sqlite, two_steps};

fn errand() -> Definition {
    Definition::Errand(Arc::new(ErrandDefinition {
        name: DefinitionName::new("Post"),
        version: 1,
        participant: "post".to_owned(),
        operation: "send".to_owned(),
        rest: Duration::from_millis(1),
    }))
}

/// An engine of both modes, whose post office says this to each attempt, by its number.
fn open(
    journal: Arc<dyn Journal>,
    says: impl Fn(usize) -> Option<Outcome> + Send + Sync + 'static,
) -> Engine {
    let attempts = AtomicUsize::new(0);
    let post = local(move |call| {
        assert_eq!((call.operation(), &call.payload[..]), ("send", &b"{\"n\":1}"[..]));
        let outcome = says(attempts.fetch_add(1, Ordering::Relaxed));
        async move {
            match outcome {
                Some(outcome) => outcome,
                None => std::future::pending().await,
            }
        }
    });
    EngineBuilder::new(journal)
        .definition(errand())
        .definition(two_steps(Duration::from_secs(60)))
        .participant("post", post)
        .participant("p", local(|_| async { Outcome::Completed { output: "{}".into() } }))
        .open()
        .expect("the engine starts")
}

fn request(definition: &str, wait: Wait) -> StartRequest {
    let (key, input) = (Some(format!("{definition}-1")), "{\"n\":1}");
    StartRequest { key, wait, ..StartRequest::new(DefinitionName::new(definition), input) }
}

fn completed() -> Option<Outcome> {
    Some(Outcome::Completed { output: "{}".into() })
}

#[tokio::test]
async fn an_errand_is_killed_half_way_and_goes_on_beside_sagas() {
    let directory = tempfile::tempdir().unwrap();
    // The first attempt is lost, the second is never answered.
    let says = |attempt| (attempt == 0).then(|| Outcome::unknown("reset", "connection reset"));
    let engine = open(sqlite(directory.path()), says);
    let begun = engine.start(request("Post", Wait::Accepted)).await.unwrap();
    let saga = engine.start(request("Two", Wait::Rest)).await.unwrap();
    while engine.look(begun.transaction.id()).await.unwrap().unwrap().sequence < 3 {
        tokio::task::yield_now().await;
    }
    // Without grace: what is under way is dropped where it is.
    engine.stop(Duration::ZERO).await;
    drop(engine);

    let engine = open(sqlite(directory.path()), |_| completed());
    let view = engine.rest(begun.transaction.id()).await.unwrap().unwrap();
    assert!(matches!(*view.transaction, Transaction::Errand(_)));
    assert_eq!(view.transaction.standing(), Standing::Ended(End::Completed));
    let repeated = engine.start(request("Post", Wait::Rest)).await.unwrap();
    assert_eq!(repeated.transaction.id(), view.transaction.id());
    assert!(engine.look(saga.transaction.id()).await.unwrap().unwrap().saga().is_some());

    for (mode, id) in [(Mode::Errand, view.transaction.id()), (Mode::Saga, saga.transaction.id())] {
        let filter = Filter { mode: Some(mode), ..Filter::default() };
        assert_eq!(engine.count(filter.clone()).await.unwrap(), Count::exactly(1));
        let page = engine.list(filter, None, 10).await.unwrap();
        assert_eq!((page.items[0].mode, page.items[0].id), (mode, id));
    }
    engine.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_parked_errand_is_helped_on_by_an_operator_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(sqlite(directory.path()), |_| Some(Outcome::refused("closed", "come back later")));
    let view = engine.start(request("Post", Wait::Rest)).await.unwrap();
    assert_eq!(view.transaction.standing(), Standing::Parked);
    engine.stop(Duration::ZERO).await;
    drop(engine);

    let engine = open(sqlite(directory.path()), |_| completed());
    let id = view.transaction.id();
    let by = || By::new("ann", "it is open");
    assert!(engine.operate(id, Verb::Cancel, by()).await.is_err(), "an errand knows no cancel");
    engine.operate(id, Verb::RETRY, by()).await.unwrap();
    let view = engine.rest(id).await.unwrap().unwrap();
    assert_eq!(view.transaction.standing(), Standing::Ended(End::Completed));
    engine.stop(Duration::from_secs(1)).await;
}
