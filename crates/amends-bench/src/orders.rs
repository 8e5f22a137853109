//! What an order costs over HTTP.
//!
//! Owns the measurement of the shop beside its floor: the same clients against the shop, and against a
//! handler that does nothing on the same server. Promises that an order counts only when it is answered as
//! completed. The servers are processes of their own (`shop_server.rs`), so that each side has threads of its
//! own; the processors they share.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use amends_server::limits::CONNECTIONS_MAX;
use amends_server::process::raise_file_limit;
use bytes::Bytes;
use hyper::StatusCode;
use rustix::process::Pid;
use serde::Deserialize;

use super::conditions::Conditions;
use super::error::BenchError;
use super::http_client::HttpClient;
use super::load::{self, Client, Load, LogCounts, Measured, Meters};
use super::row::Row;
use super::runs::Runs;
use super::shop_server::{FLUSHES, LISTENING};
use super::worker::{Role, Worker};

/// What every client posts, again and again: the order of the README.
const ORDER: &str =
    r#"{"user_id":"user_123","items":[{"product_id":"product_1","quantity":2,"price":100.0}]}"#;

/// How an order that went well ends.
const COMPLETED: &str = "completed";

/// One run.
#[derive(Debug)]
pub(super) struct OrdersRun {
    pub(super) shop: UnderLoad,
    pub(super) floor: UnderLoad,
}

/// What one server did with the load.
#[derive(Debug)]
pub(super) struct UnderLoad {
    pub(super) measured: Measured,
    /// From before the first order to after the last one; `None` when the system does not tell.
    pub(super) server_time: Option<Duration>,
    /// Flushes of the journal, in all.
    pub(super) journal_flushes: u64,
    /// Commits of the services, in all; each is a flush.
    pub(super) service_flushes: u64,
}

impl OrdersRun {
    /// The row of several runs.
    pub(super) fn row(clients: u32, runs: &Runs<Self>) -> Row {
        let (shop, floor) = (runs.each(|run| &run.shop), runs.each(|run| &run.floor));
        let (orders, answers) = (shop.each(|run| &run.measured), floor.each(|run| &run.measured));
        let server = |runs: &Runs<&UnderLoad>| runs.spread_if_known(|run| run.server_cpu_s_per_1000());
        let row = Row::default().put("clients", clients).put("runs", runs.count()).spread(
            "per_second",
            1,
            orders.spread(|run| run.per_second),
        );
        load::latency(row, &orders)
            .spread("server_cpu_s_per_1000", 4, server(&shop))
            .figure("client_cpu_s_per_1000", 4, orders.median(|run| run.cpu_s_per_1000))
            .put("cores", load::cores(&orders))
            .figure("journal_flushes_per_order", 3, shop.median(|run| run.per_order(run.journal_flushes)))
            .figure("service_flushes_per_order", 3, shop.median(|run| run.per_order(run.service_flushes)))
            .spread("floor_per_second", 1, answers.spread(|run| run.per_second))
            .figure("floor_p50_us", 0, answers.median(|run| run.p50_us as f64))
            .figure("floor_p99_us", 0, answers.median(|run| run.p99_us as f64))
            .figure("floor_server_cpu_s_per_1000", 4, server(&floor).map(|spread| spread.median))
            .figure("floor_client_cpu_s_per_1000", 4, answers.median(|run| run.cpu_s_per_1000))
            .put("floor_cores", load::cores(&answers))
            .figure("share_of_floor", 4, runs.median(Self::share_of_floor))
    }

    /// How much of what the server can do the shop reached.
    fn share_of_floor(&self) -> f64 {
        self.shop.measured.per_second / self.floor.measured.per_second
    }
}

impl UnderLoad {
    fn per_order(&self, count: u64) -> f64 {
        count as f64 / self.measured.turns.max(1) as f64
    }

    /// Of the server's process, in seconds.
    fn server_cpu_s_per_1000(&self) -> Option<f64> {
        self.server_time.map(|time| time.as_secs_f64() / self.measured.turns.max(1) as f64 * 1_000.0)
    }
}

/// A client that places one order after the other.
struct Ordering {
    http: HttpClient,
}

impl Client for Ordering {
    async fn turn(&mut self) -> Result<(), BenchError> {
        let (status, answer) = self.http.post("/orders", Bytes::from_static(ORDER.as_bytes())).await?;
        require_completed(status, &answer)
    }
}

/// Refuses numbers of clients of whom some would never get a connection.
pub(super) fn require_connections(clients: &[u32]) -> Result<(), BenchError> {
    match clients.iter().copied().max() {
        Some(most) if most as usize > CONNECTIONS_MAX => {
            Err(BenchError::TooManyClients { clients: most, max: CONNECTIONS_MAX })
        }
        Some(_) | None => Ok(()),
    }
}

/// One run.
pub(super) fn measure(conditions: &Conditions, clients: u32) -> Result<OrdersRun, BenchError> {
    raise_file_limit();
    let shop = measure_server(conditions, Role::Shop, clients)?;
    let floor = measure_server(conditions, Role::Floor, clients)?;
    Ok(OrdersRun { shop, floor })
}

fn measure_server(conditions: &Conditions, server: Role, clients: u32) -> Result<UnderLoad, BenchError> {
    let directory = conditions.place.fresh("shop")?;
    let mut worker = Worker::start(&conditions.place, server, directory.path(), 0)?;
    let listening = worker.told(LISTENING)?;
    let address = worker.parse(&listening)?;
    let before = processor_time(worker.id());
    let measured = place_orders(conditions, address, clients)?;
    let server_time = before.zip(processor_time(worker.id())).map(|(before, after)| after - before);
    worker.ask_to_end()?;
    let flushes = worker.told(FLUSHES)?;
    let (journal, services) = flushes.split_once(' ').unwrap_or((&flushes, ""));
    let (journal_flushes, service_flushes) = (worker.parse(journal)?, worker.parse(services)?);
    worker.wait()?;
    Ok(UnderLoad { measured, server_time, journal_flushes, service_flushes })
}

/// Clients are connected before the clock runs.
fn place_orders(conditions: &Conditions, address: SocketAddr, clients: u32) -> Result<Measured, BenchError> {
    let runtime = load::runtime()?;
    let connect = async || Ok(Ordering { http: HttpClient::connect(address).await? });
    let connected = (0..clients).map(|_| runtime.block_on(connect()));
    let connected = connected.collect::<Result<Vec<Ordering>, BenchError>>()?;
    // The flushes behind it are the server's, which tells them at its end.
    let meters = Meters { disk: None, log: &|| LogCounts { appends: 0, flushes: 0 } };
    load::measure(&runtime, Load::Closed, connected, &meters, conditions.window, &conditions.progress)
}

fn require_completed(status: StatusCode, answer: &[u8]) -> Result<(), BenchError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        status: &'a str,
    }

    let is_completed =
        serde_json::from_slice(answer).is_ok_and(|answer: Answer<'_>| answer.status == COMPLETED);
    if status == StatusCode::CREATED && is_completed {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(answer).into_owned();
    Err(BenchError::NotCompleted { status: status.as_u16(), answer })
}

/// User and system time of all threads of a process since it began. The format is in proc_pid_stat(5).
fn processor_time(process: Pid) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    // The second field is the program's name in brackets, which may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_millis((user + system) * 1_000 / ticks_per_second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_client::HttpError;
    use crate::shop_server::{doing_nothing, plenty};
    use crate::stderr::end_fatally;
    use amends_server::serve::Server;
    use amends_shop::setup::{self, Setup};
    use amends_shop::stock::Stock;
    use tokio::runtime::Runtime;

    fn bind(runtime: &Runtime) -> Server {
        runtime.block_on(Server::bind("127.0.0.1:0".parse().unwrap())).unwrap()
    }

    /// The shop in this process, for as long as the runtime lives.
    fn open_shop(runtime: &Runtime, data: &std::path::Path, stock: &Stock) -> SocketAddr {
        let server = bind(runtime);
        let address = server.address();
        let _entered = runtime.enter();
        let shop = Setup::new(data, stock, |message| end_fatally(message)).open().unwrap();
        runtime.spawn(shop.serve(server, std::future::pending()));
        address
    }

    fn open_floor(runtime: &Runtime) -> SocketAddr {
        let server = bind(runtime);
        let address = server.address();
        runtime.spawn(server.run(doing_nothing(), std::future::pending(), async {}));
        address
    }

    fn answer_of(runtime: &Runtime, address: SocketAddr) -> (StatusCode, Bytes) {
        runtime.block_on(async {
            let mut http = HttpClient::connect(address).await.unwrap();
            http.post("/orders", Bytes::from_static(ORDER.as_bytes())).await.unwrap()
        })
    }

    #[test]
    fn the_shop_and_its_floor_answer_with_the_same_number_of_bytes() {
        let (directory, runtime) = (tempfile::tempdir().unwrap(), setup::runtime().unwrap());
        let shop = answer_of(&runtime, open_shop(&runtime, directory.path(), &plenty()));
        let floor = answer_of(&runtime, open_floor(&runtime));
        assert_eq!((shop.0, shop.1.len()), (floor.0, floor.1.len()), "{shop:?} {floor:?}");
    }

    #[test]
    fn orders_that_complete_are_counted() {
        let (directory, runtime) = (tempfile::tempdir().unwrap(), setup::runtime().unwrap());
        let address = open_shop(&runtime, directory.path(), &plenty());
        let measured = place_orders(&Conditions::brief(directory.path()), address, 3).unwrap();
        assert!(measured.per_second > 0.0 && measured.p50_us <= measured.p99_us, "{measured:?}");
    }

    #[test]
    fn an_order_that_is_not_completed_is_an_error() {
        let (directory, runtime) = (tempfile::tempdir().unwrap(), setup::runtime().unwrap());
        let address = open_shop(&runtime, directory.path(), &"product_1=0".parse().unwrap());
        let error = place_orders(&Conditions::brief(directory.path()), address, 3).unwrap_err();
        assert!(matches!(error, BenchError::NotCompleted { status: 409, .. }), "{error}");
        assert!(error.to_string().contains("insufficient_stock"), "{error}");
    }

    #[test]
    fn only_the_status_and_the_word_together_are_completed() {
        for (status, answer) in [
            (StatusCode::OK, r#"{"status":"completed"}"#),
            (StatusCode::ACCEPTED, r#"{"status":"pending"}"#),
            (StatusCode::CREATED, r#"{"status":"compensated"}"#),
            (StatusCode::CREATED, r#"{"reason":"completed"}"#),
            (StatusCode::CREATED, "completed"),
            (StatusCode::CREATED, ""),
        ] {
            assert!(require_completed(status, answer.as_bytes()).is_err(), "{status} {answer}");
        }
        assert!(require_completed(StatusCode::CREATED, br#"{"a":1,"status":"completed"}"#).is_ok());
    }

    #[test]
    fn a_server_that_goes_away_is_an_error() {
        let (directory, runtime) = (tempfile::tempdir().unwrap(), setup::runtime().unwrap());
        let server = bind(&runtime);
        let address = server.address();
        let stopped = runtime.spawn(server.run(doing_nothing(), async {}, async {}));
        runtime.block_on(stopped).unwrap();
        let error = place_orders(&Conditions::brief(directory.path()), address, 1).unwrap_err();
        assert!(matches!(error, BenchError::Http(HttpError::Connect { .. })), "{error}");
    }

    #[test]
    fn more_clients_than_connections_are_refused_with_exit_code_two() {
        let most = u32::try_from(CONNECTIONS_MAX).unwrap();
        assert!(require_connections(&[1, most]).is_ok());
        let error = require_connections(&[most + 1, 1]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--clients"), "{error}");
    }

    #[test]
    fn a_process_has_the_time_it_spent() {
        let process = rustix::process::getpid();
        let before = processor_time(process).unwrap();
        let spun = std::time::Instant::now();
        while spun.elapsed() < Duration::from_millis(50) {}
        let spent = processor_time(process).unwrap() - before;
        assert!(spent >= Duration::from_millis(10), "{spent:?}");
    }
}
