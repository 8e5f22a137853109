//! Sagas that run in the steps of others, through the real shells, shards and journals.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_core::{
    By, CallId, DefinitionName, Expressions, Outcome, RetryPolicy, SagaDefinition, SagaSpec, Scope, Status,
    StepIndex, StepSpec, TransactionId, Verb,
};
use amends_engine::{Call, Engine, EngineBuilder, Options, StartRequest, View, Wait, local};
use amends_journal::Journal;
use bytes::Bytes;

use crate::{memory, sqlite};

fn by() -> By {
    By::new("ann", "test")
}

const WITHIN: Duration = Duration::from_secs(20);

/// Children get their parent's input.
#[derive(Debug)]
struct PassOn;

impl Expressions for PassOn {
    fn guard(&self, _step: StepIndex, _scope: &Scope<'_>) -> Result<bool, String> {
        Ok(true)
    }

    fn elements(&self, _step: StepIndex, _scope: &Scope<'_>) -> Result<Vec<Bytes>, String> {
        Ok((0..3).map(|n: u8| Bytes::from(n.to_string())).collect())
    }

    fn payload(&self, _call: CallId, scope: &Scope<'_>) -> Result<Bytes, String> {
        Ok(scope.input.clone())
    }

    fn child_input(&self, _step: StepIndex, scope: &Scope<'_>) -> Result<Bytes, String> {
        Ok(scope.element.unwrap_or(scope.input).clone())
    }

    fn output(&self, _scope: &Scope<'_>) -> Option<Result<Bytes, String>> {
        None
    }
}

fn definition(name: &str, pivot: Option<&str>, steps: Vec<StepSpec>) -> SagaDefinition {
    let spec = SagaSpec {
        name: DefinitionName::new(name),
        version: 1,
        limit: Duration::from_secs(60),
        pivot: pivot.map(str::to_owned),
        steps,
    };
    SagaDefinition::from_spec(spec).unwrap().with_expressions(name.into(), Arc::new(PassOn))
}

fn step(name: &str) -> StepSpec {
    let quick = RetryPolicy { first: Duration::from_millis(1), ..RetryPolicy::action() };
    StepSpec::new(name, "p", name).undone_by(format!("undo_{name}")).retry(quick)
}

fn child(name: &str, definition: &str) -> StepSpec {
    StepSpec::child(name, DefinitionName::new(definition), 1)
}

/// What the participant says to each operation, and what it was asked.
#[derive(Clone, Default)]
struct World {
    says: Arc<Mutex<BTreeMap<&'static str, Option<Outcome>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn says(&self, operation: &'static str, outcome: Option<Outcome>) {
        self.says.lock().unwrap().insert(operation, outcome);
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn answer(&self, call: &Call) -> Option<Outcome> {
        self.asked.lock().unwrap().push(call.operation().to_owned());
        let says = self.says.lock().unwrap();
        let done = Some(Outcome::Completed { output: format!("\"{}\"", call.operation()).into() });
        says.get(call.operation()).cloned().unwrap_or(done)
    }

    fn open(&self, journal: Arc<dyn Journal>) -> Engine {
        let world = self.clone();
        let participant = local(move |call: Call| {
            let outcome = world.answer(&call);
            async move {
                match outcome {
                    Some(outcome) => outcome,
                    None => std::future::pending().await,
                }
            }
        });
        let leaf = definition("Leaf", None, vec![step("x"), step("y")]);
        let late = StepSpec::new("tail", "p", "tail").without_undo();
        EngineBuilder::new(journal)
            .definition(definition("Top", None, vec![step("a"), child("sub", "Leaf"), step("b")]))
            .definition(definition("Over", None, vec![child("mid", "Top"), step("c")]))
            .definition(definition("Each", None, vec![child("leg", "Leaf").each(2), step("b")]))
            .definition(definition("Done", Some("p"), vec![step("p"), child("sub", "Late")]))
            .definition(definition("Late", Some("x"), vec![step("x"), late]))
            .definition(leaf)
            .participant("p", participant)
            .options(Options { shards: 3, ..Options::default() })
            .open()
            .unwrap()
    }
}

async fn start(engine: &Engine, name: &str, wait: Wait) -> View {
    let request = StartRequest { wait, ..StartRequest::new(DefinitionName::new(name), "{}") };
    tokio::time::timeout(WITHIN, engine.start(request)).await.expect("it comes to rest").unwrap()
}

async fn rest(engine: &Engine, id: TransactionId) -> View {
    tokio::time::timeout(WITHIN, engine.rest(id)).await.expect("it comes to rest").unwrap().unwrap()
}

fn status(view: &View) -> Status {
    view.saga().unwrap().status()
}

fn child_of(view: &View, step: u16) -> TransactionId {
    view.saga().unwrap().child(StepIndex(step).into()).unwrap()
}

async fn until(engine: &Engine, id: TransactionId, is: impl Fn(&View) -> bool) -> View {
    let wait = async {
        loop {
            if let Some(view) = engine.look(id).await.unwrap()
                && is(&view)
            {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(WITHIN, wait).await.expect("it comes to that")
}

#[tokio::test]
async fn a_child_runs_and_its_output_is_its_steps_output() {
    let world = World::default();
    let engine = world.open(memory());
    let view = start(&engine, "Over", Wait::Rest).await;
    assert_eq!(status(&view), Status::Completed);
    let middle = rest(&engine, child_of(&view, 0)).await;
    assert_eq!(middle.saga().unwrap().parent().unwrap().root, view.transaction.id());
    let leaf = rest(&engine, child_of(&middle, 1)).await;
    assert_eq!(leaf.saga().unwrap().parent().unwrap().root, view.transaction.id());
    assert_eq!(middle.saga().unwrap().output(StepIndex(1)).unwrap(), "\"y\"");
    assert_eq!(world.asked(), ["a", "x", "y", "b", "c"]);
}

#[tokio::test]
async fn a_child_that_is_refused_turns_its_parents_back() {
    let world = World::default();
    world.says("y", Some(Outcome::refused("sold_out", "none left")));
    let engine = world.open(memory());
    let view = start(&engine, "Over", Wait::Rest).await;
    assert_eq!(status(&view), Status::Compensated);
    assert_eq!(view.saga().unwrap().failure().unwrap().1.code, "sold_out");
    assert_eq!(world.asked(), ["a", "x", "y", "undo_x", "undo_a"]);
}

#[tokio::test]
async fn a_parent_that_turns_back_has_its_child_undone_as_a_whole() {
    let world = World::default();
    world.says("c", Some(Outcome::refused("no", "not today")));
    let engine = world.open(memory());
    let view = start(&engine, "Over", Wait::Rest).await;
    assert_eq!(status(&view), Status::Compensated);
    assert_eq!(world.asked(), ["a", "x", "y", "b", "c", "undo_b", "undo_y", "undo_x", "undo_a"]);
    assert_eq!(status(&rest(&engine, child_of(&view, 0)).await), Status::Compensated);
}

#[tokio::test]
async fn a_child_past_its_pivot_goes_on_to_its_end_and_is_then_undone_pivot_included() {
    let world = World::default();
    let engine = world.open(memory());
    let view = start(&engine, "Done", Wait::Rest).await;
    assert_eq!(status(&view), Status::Completed);
    engine.operate(view.transaction.id(), Verb::Reverse, by()).await.unwrap();
    assert_eq!(status(&rest(&engine, view.transaction.id()).await), Status::Compensated);
    assert_eq!(world.asked(), ["p", "x", "tail", "undo_x", "undo_p"]);
}

#[tokio::test]
async fn a_step_can_run_a_saga_for_each_element() {
    let world = World::default();
    let engine = world.open(memory());
    let view = start(&engine, "Each", Wait::Rest).await;
    assert_eq!(status(&view), Status::Completed);
    assert_eq!(view.saga().unwrap().output(StepIndex(0)).unwrap(), r#"["y","y","y"]"#);
}

#[tokio::test]
async fn a_parked_child_parks_its_parents_and_helping_it_frees_all() {
    let world = World::default();
    world.says("y", Some(Outcome::Conflict { message: "another payload".to_owned() }));
    let engine = world.open(memory());
    let view = start(&engine, "Over", Wait::Rest).await;
    assert_eq!(status(&view), Status::Parked);
    let (top, middle) = (view.transaction.id(), child_of(&view, 0));
    let leaf = child_of(&rest(&engine, middle).await, 1);
    let refused = engine.operate(leaf, Verb::Cancel, by()).await.unwrap_err().to_string();
    assert!(refused.contains(&top.to_string()), "{refused}");
    world.says("y", None);
    world.says.lock().unwrap().remove("y");
    engine.operate(leaf, Verb::RETRY, by()).await.unwrap();
    until(&engine, top, |view| status(view) == Status::Completed).await;
    assert_eq!(status(&rest(&engine, middle).await), Status::Completed);
}

#[tokio::test]
async fn what_is_done_to_the_root_reaches_all_below() {
    let world = World::default();
    world.says("y", None);
    let engine = world.open(memory());
    let top = start(&engine, "Over", Wait::Accepted).await.transaction.id();
    let started = |view: &View| view.saga().unwrap().steps().iter().any(|run| run.attempts > 0);
    let view = until(&engine, top, started).await;
    let middle = child_of(&view, 0);
    let has_child = |view: &View| view.saga().unwrap().child(StepIndex(1).into()).is_some();
    let leaf = child_of(&until(&engine, middle, has_child).await, 1);
    until(&engine, leaf, |view| view.saga().unwrap().steps()[1].attempts > 0).await;
    engine.operate(top, Verb::Pause, by()).await.unwrap();
    until(&engine, leaf, |view| view.saga().unwrap().is_paused()).await;
    engine.operate(top, Verb::Resume, by()).await.unwrap();
    until(&engine, leaf, |view| !view.saga().unwrap().is_paused()).await;
    engine.operate(top, Verb::Abandon, by()).await.unwrap();
    until(&engine, leaf, |view| status(view) == Status::Abandoned).await;
}

#[tokio::test]
async fn a_crash_between_parent_and_child_starts_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::default();
    world.says("y", None);
    let engine = world.open(sqlite(directory.path()));
    let top = start(&engine, "Over", Wait::Accepted).await.transaction.id();
    let wait = async {
        while !world.asked().iter().any(|asked| asked == "y") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(WITHIN, wait).await.unwrap();
    engine.stop(Duration::ZERO).await;
    drop(engine);

    world.says.lock().unwrap().remove("y");
    let engine = world.open(sqlite(directory.path()));
    assert_eq!(status(&rest(&engine, top).await), Status::Completed);
    let asked = world.asked();
    for once in ["a", "x", "b", "c"] {
        assert_eq!(asked.iter().filter(|asked| *asked == once).count(), 1, "{asked:?}");
    }
    engine.stop(Duration::ZERO).await;
}
