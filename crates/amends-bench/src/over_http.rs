//! What sagas over HTTP do, next to what bare calls do.
//!
//! Owns the measurement of sagas whose four steps are calls to a service, beside the same four calls made by clients
//! that do nothing else, on connections that stay open: the same service, in a process of its own, the same body.
//! Promises that every saga completed and every bare call was answered as it should be. Does not measure the service:
//! it does nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use amends_core::{DefinitionName, Status};
use amends_engine::{Engine, EngineBuilder, Options, StartRequest, Wait};
use amends_http::{HttpOptions, HttpParticipants, Loopback};
use amends_journal::Reads;
use amends_server::process::raise_file_limit;
use bytes::Bytes;
use hyper::StatusCode;

use super::conditions::Conditions;
use super::error::BenchError;
use super::http_client::HttpClient;
use super::load::{self, Client, Load, LogCounts, Measured, Meters};
use super::row::Row;
use super::runs::Runs;
use super::sagas;
use super::shop_server::LISTENING;
use super::worker::{Role, Worker};
use super::workload::{INPUT, ended_as};

/// Calls of a saga, and of a turn of a bare client.
const CALLS: usize = 4;

/// How long the sagas under way at the end may take: they are waited for, so there are none.
const GRACE: Duration = Duration::from_secs(10);

/// One run.
#[derive(Debug)]
pub(super) struct OverHttpRun {
    pub(super) sagas: Measured,
    pub(super) bare: Measured,
}

impl OverHttpRun {
    /// The row of several runs.
    pub(super) fn row(clients: u32, runs: &Runs<Self>) -> Row {
        let (sagas, bare) = (runs.each(|run| &run.sagas), runs.each(|run| &run.bare));
        let row = Row::default().put("clients", clients).put("runs", runs.count()).spread(
            "per_second",
            1,
            sagas.spread(|run| run.per_second),
        );
        load::latency(row, &sagas)
            .figure("cpu_s_per_1000", 4, sagas.median(|run| run.cpu_s_per_1000))
            .figure("calls_per_second", 1, sagas.median(|run| run.per_second * CALLS as f64))
            .figure("bare_calls_per_second", 1, bare.median(|run| run.per_second * CALLS as f64))
            .figure("bare_p50_us", 0, bare.median(|run| run.p50_us as f64))
            .figure("bare_p99_us", 0, bare.median(|run| run.p99_us as f64))
            .figure("bare_cpu_s_per_1000", 4, bare.median(|run| run.cpu_s_per_1000))
            .figure("share_of_bare", 4, runs.median(Self::share_of_bare))
    }

    /// How much of what clients that only call get the sagas got.
    fn share_of_bare(&self) -> f64 {
        self.sagas.per_second / self.bare.per_second
    }
}

/// A client that makes the calls of a saga, one after the other, and nothing else.
struct Calling {
    http: HttpClient,
}

impl Client for Calling {
    async fn turn(&mut self) -> Result<(), BenchError> {
        for _ in 0..CALLS {
            let (status, answer) = self.http.post("/orders", Bytes::from_static(INPUT.as_bytes())).await?;
            if status != StatusCode::CREATED {
                let answer = String::from_utf8_lossy(&answer).into_owned();
                return Err(BenchError::NotCompleted { status: status.as_u16(), answer });
            }
        }
        Ok(())
    }
}

/// A client that starts a saga and waits for its end.
struct Starting {
    engine: Engine,
    request: StartRequest,
}

impl Client for Starting {
    async fn turn(&mut self) -> Result<(), BenchError> {
        let found = ended_as(&self.engine.start(self.request.clone()).await?);
        let expected = Status::Completed;
        if found == expected { Ok(()) } else { Err(BenchError::WrongEnd { found, expected }) }
    }
}

/// One run.
pub(super) fn measure(conditions: &Conditions, clients: u32) -> Result<OverHttpRun, BenchError> {
    raise_file_limit();
    let directory = conditions.place.fresh("service")?;
    let mut service = Worker::start(&conditions.place, Role::Floor, directory.path(), 0)?;
    let listening = service.told(LISTENING)?;
    let address: SocketAddr = service.parse(&listening)?;
    let sagas = run_sagas(conditions, address, clients)?;
    let bare = call_barely(conditions, address, clients)?;
    service.kill()?;
    Ok(OverHttpRun { sagas, bare })
}

fn run_sagas(conditions: &Conditions, address: SocketAddr, clients: u32) -> Result<Measured, BenchError> {
    let directory = conditions.place.fresh("journal")?;
    let journal = Arc::new(sagas::open(directory.path())?);
    let runtime = load::runtime()?;
    let options = HttpOptions { loopback: Loopback::Allowed, ..HttpOptions::default() };
    let participants = HttpParticipants::new(options).expect("our own options are sound");
    let engine = {
        let _entered = runtime.enter();
        let builder = EngineBuilder::new(journal.clone()).options(Options::default());
        builder.connect(Arc::new(participants)).open()?
    };
    let registered = runtime.block_on(engine.register(&definition(address), None));
    registered.map_err(|error| BenchError::Register(error.to_string()))?;
    let input = Bytes::from_static(INPUT.as_bytes());
    let request =
        StartRequest { wait: Wait::Rest, ..StartRequest::new(DefinitionName::new("OverHttp"), input) };
    let starting = (0..clients).map(|_| Starting { engine: engine.clone(), request: request.clone() });
    let log = || {
        let stats = journal.stats();
        LogCounts { appends: stats.appends, flushes: stats.flushes }
    };
    let meters = Meters { disk: conditions.place.disk(), log: &log };
    let measured =
        load::measure(&runtime, Load::Closed, starting, &meters, conditions.window, &conditions.progress);
    runtime.block_on(engine.stop(GRACE));
    measured
}

/// Clients are connected before the clock runs.
fn call_barely(conditions: &Conditions, address: SocketAddr, clients: u32) -> Result<Measured, BenchError> {
    let runtime = load::runtime()?;
    let connect = async || Ok(Calling { http: HttpClient::connect(address).await? });
    let connected = (0..clients).map(|_| runtime.block_on(connect()));
    let connected = connected.collect::<Result<Vec<Calling>, BenchError>>()?;
    let meters = Meters { disk: None, log: &|| LogCounts { appends: 0, flushes: 0 } };
    load::measure(&runtime, Load::Closed, connected, &meters, conditions.window, &conditions.progress)
}

/// The definition that is measured: as somebody would write it.
fn definition(address: SocketAddr) -> String {
    let mut text = format!(
        "saga: OverHttp
timeout: 2m
participants:
  service: {{ url: \"http://{address}\", timeout: 10s, concurrency: 512 }}
steps:
"
    );
    for name in ["CreateOrder", "ProcessPayment", "ReserveInventory", "ScheduleShipment"] {
        text += &format!(
            "  - name: {name}
    action:       {{ call: service, post: /orders, body: \"${{input}}\" }}
    compensation: {{ call: service, post: /orders/cancel, body: {{ saga: \"${{saga.id}}\" }} }}
"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop_server::doing_nothing;
    use amends_server::serve::Server;

    #[test]
    fn sagas_over_http_complete_and_are_counted_beside_bare_calls() {
        let (directory, runtime) = (tempfile::tempdir().unwrap(), load::runtime().unwrap());
        let server = runtime.block_on(Server::bind("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = server.address();
        runtime.spawn(server.run(doing_nothing(), std::future::pending(), async {}));
        let conditions = Conditions::brief(directory.path());
        let sagas = run_sagas(&conditions, address, 3).unwrap();
        let bare = call_barely(&conditions, address, 3).unwrap();
        let run = OverHttpRun { sagas, bare };
        assert!(run.share_of_bare() > 0.0, "{run:?}");
    }
}
