//! A fixed number of sagas, from 64 clients, over the journal on disk.
//!
//! Owns the run whose instructions `cargo xtask instructions` counts: four steps in this process, 200 bytes
//! of input, 60 bytes of output each. Promises to do the same work each time it is called alike: one shard on
//! one thread, no timers, no waiting for anything but the journal. Does not measure time: `amends bench`
//! does.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use amends_core::{DefinitionName, Outcome, SagaDefinition, SagaSpec, Status, StepSpec};
use amends_engine::{Engine, EngineBuilder, Options, Participant, StartRequest, local};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};
use bytes::Bytes;
use tokio::task::JoinSet;

/// As the product's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENTS: u32 = 64;
const INPUT: [u8; 200] = json_text();
const OUTPUT: &[u8] = br#"{"id":"res_0193e0a57b2c7d118f000242ac1","status":"reserved"}"#;
const STEPS: [&str; 4] = ["CreateOrder", "ProcessPayment", "ReserveInventory", "ScheduleShipment"];

/// A text of JSON that fills the input.
const fn json_text() -> [u8; 200] {
    let mut input = [b'x'; 200];
    input[0] = b'"';
    input[199] = b'"';
    input
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: fixed_run ok|undo SAGAS";
    let [workload, sagas] = arguments.as_slice() else { return Err(usage.into()) };
    let (refusing, end) = match workload.as_str() {
        "ok" => (None, Status::Completed),
        "undo" => (Some(2), Status::Compensated),
        _ => return Err(usage.into()),
    };
    let sagas: u32 = sagas.parse()?;
    let directory = tempfile::tempdir()?;
    let journal =
        SqliteJournal::open(directory.path(), SqliteOptions::default(), Box::new(|why| panic!("{why}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let engine = open(journal, refusing)?;
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let share = sagas / CLIENTS + u32::from(client < sagas % CLIENTS);
            clients.spawn(run_client(engine.clone(), share, end));
        }
        while let Some(ended) = clients.join_next().await {
            ended?;
        }
        engine.stop(Duration::ZERO).await;
        Ok(())
    })
}

fn open(journal: SqliteJournal, refusing: Option<usize>) -> Result<Engine, Box<dyn Error>> {
    let definition = SagaDefinition::from_spec(SagaSpec {
        name: DefinitionName::new("PlaceOrder"),
        version: 1,
        limit: Duration::from_secs(3_600),
        pivot: Some(STEPS[3].to_owned()),
        steps: STEPS.map(|name| StepSpec::new(name, name, name).undone_by("Undo")).into(),
    })
    .expect("the definition is sound");
    let options = Options { shards: 1, ..Options::default() };
    let mut engine = EngineBuilder::new(Arc::new(journal)).definition(definition).options(options);
    for (at, name) in STEPS.into_iter().enumerate() {
        engine = engine.participant(name, participant(refusing == Some(at)));
    }
    Ok(engine.open()?)
}

fn participant(refuses: bool) -> Arc<dyn Participant> {
    local(move |_| async move {
        if refuses {
            Outcome::refused("out_of_stock", "none left")
        } else {
            Outcome::Completed { output: Bytes::from_static(OUTPUT) }
        }
    })
}

async fn run_client(engine: Engine, sagas: u32, end: Status) {
    for _ in 0..sagas {
        let request = StartRequest::new(DefinitionName::new("PlaceOrder"), Bytes::from_static(&INPUT));
        let view = engine.start(request).await.expect("the engine takes it");
        assert_eq!(
            view.saga().expect("it is a saga").status(),
            end,
            "the run does the work it is counted for"
        );
    }
}
