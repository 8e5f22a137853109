//! What orders over HTTP did, and their floor.
//!
//! Owns the row of the shop, for programs and for people. Promises that a share of the floor is one of the same round. Does
//! not measure: `shop.rs` of the bench does.

use comfy_table::Table;
use serde::{Serialize, Serializer};

use crate::compare::{Better, ComparedFigure, ComparedPart};
use crate::runs::{Runs, Spread, rounded};
use crate::shop::{ShopRun, UnderLoad};
use crate::table::{Column, grouped, milliseconds, section, table, thousandths, with_spread};

use super::figure;
use super::latency::{self, LatencyFigures};
use super::processors::{cores, cores_busy};

/// Orders of so many clients, and what the same clients get from a handler that does nothing.
#[derive(Debug, Serialize)]
pub(crate) struct ShopRow {
    pub(crate) clients: u32,
    pub(crate) runs: usize,
    #[serde(flatten, serialize_with = "per_second")]
    pub(crate) per_second: Spread,
    #[serde(flatten)]
    pub(crate) latency: LatencyFigures,
    /// Processor time of the server's process per thousand orders.
    #[serde(flatten, serialize_with = "server_cpu_s_per_1000")]
    pub(crate) server_cpu_s_per_1000: Option<Spread>,
    /// Of the process that posts them.
    pub(crate) client_cpu_s_per_1000: f64,
    pub(crate) cores: Option<Vec<f64>>,
    pub(crate) journal_flushes_per_order: f64,
    pub(crate) service_flushes_per_order: f64,
    #[serde(flatten, serialize_with = "floor_per_second")]
    pub(crate) floor_per_second: Spread,
    pub(crate) floor_p50_us: u64,
    pub(crate) floor_p99_us: u64,
    pub(crate) floor_server_cpu_s_per_1000: Option<f64>,
    pub(crate) floor_client_cpu_s_per_1000: f64,
    pub(crate) floor_cores: Option<Vec<f64>>,
    pub(crate) share_of_floor: f64,
}

impl ShopRow {
    pub(crate) fn new(clients: u32, runs: &Runs<ShopRun>) -> Self {
        let (shop, floor) = (runs.each(|run| &run.shop), runs.each(|run| &run.floor));
        let (shop_load, floor_load) = (shop.each(|run| &run.measured), floor.each(|run| &run.measured));
        let server = |runs: &Runs<&UnderLoad>| {
            runs.spread_if_known(|run| run.server_cpu_s_per_1000()).map(|spread| spread.rounded(4))
        };
        Self {
            clients,
            runs: runs.count(),
            per_second: shop_load.spread(|run| run.per_second).rounded(1),
            latency: LatencyFigures::of(&shop_load),
            server_cpu_s_per_1000: server(&shop),
            client_cpu_s_per_1000: rounded(shop_load.median(|run| run.cpu_s_per_1000), 4),
            cores: cores(&shop_load),
            journal_flushes_per_order: rounded(shop.median(|run| run.per_order(run.journal_flushes)), 3),
            service_flushes_per_order: rounded(shop.median(|run| run.per_order(run.service_flushes)), 3),
            floor_per_second: floor_load.spread(|run| run.per_second).rounded(1),
            floor_p50_us: floor_load.median(|run| run.p50_us as f64).round() as u64,
            floor_p99_us: floor_load.median(|run| run.p99_us as f64).round() as u64,
            floor_server_cpu_s_per_1000: server(&floor).map(|spread| spread.median),
            floor_client_cpu_s_per_1000: rounded(floor_load.median(|run| run.cpu_s_per_1000), 4),
            floor_cores: cores(&floor_load),
            share_of_floor: rounded(runs.median(ShopRun::share_of_floor), 4),
        }
    }
}

fn per_second<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write("per_second", spread, to)
}

fn floor_per_second<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write("floor_per_second", spread, to)
}

fn server_cpu_s_per_1000<S: Serializer>(spread: &Option<Spread>, to: S) -> Result<S::Ok, S::Error> {
    figure::write_if_known("server_cpu_s_per_1000", spread.as_ref(), to)
}

/// What is compared with another report.
pub(crate) const COMPARED: ComparedPart = ComparedPart {
    name: "shop",
    keys: &["clients"],
    figures: &[
        ComparedFigure { key: "per_second", better: Better::More, heading: "orders/s", show: grouped },
        latency::P50,
        latency::P99,
        ComparedFigure {
            key: "server_cpu_s_per_1000",
            better: Better::Less,
            heading: "server's CPU s per 1,000",
            show: thousandths,
        },
    ],
};

/// For people.
pub(crate) fn draw(rows: &[ShopRow]) -> String {
    let title = "Shop: orders over HTTP; below each, the same clients and a handler that does nothing";
    section(title, rows, draw_table)
}

fn draw_table(rows: &[ShopRow]) -> Table {
    table(rows.iter().flat_map(|row| [shop_line(row), floor_line(row)]), 1)
}

fn shop_line(row: &ShopRow) -> [Column; 10] {
    [
        ("served", "the shop".to_owned()),
        ("clients", row.clients.to_string()),
        ("a second", with_spread(row.per_second, row.runs)),
        ("p50 ms", milliseconds(row.latency.p50_us.median)),
        ("p99 ms", milliseconds(row.latency.p99_us.median)),
        ("server's CPU s\nper 1,000", known(row.server_cpu_s_per_1000.map(|spread| spread.median))),
        ("clients' CPU s\nper 1,000", thousandths(row.client_cpu_s_per_1000)),
        ("cores\nbusy", cores_busy(row.cores.as_deref())),
        ("flushes\nan order", flushes(row)),
        ("of the\nfloor", format!("{:.1} %", row.share_of_floor * 100.0)),
    ]
}

fn floor_line(row: &ShopRow) -> [Column; 10] {
    [
        ("served", "nothing".to_owned()),
        ("clients", row.clients.to_string()),
        ("a second", with_spread(row.floor_per_second, row.runs)),
        ("p50 ms", milliseconds(row.floor_p50_us as f64)),
        ("p99 ms", milliseconds(row.floor_p99_us as f64)),
        ("server's CPU s\nper 1,000", known(row.floor_server_cpu_s_per_1000)),
        ("clients' CPU s\nper 1,000", thousandths(row.floor_client_cpu_s_per_1000)),
        ("cores\nbusy", cores_busy(row.floor_cores.as_deref())),
        ("flushes\nan order", "–".to_owned()),
        ("of the\nfloor", "–".to_owned()),
    ]
}

fn known(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "unknown".to_owned(), thousandths)
}

fn flushes(row: &ShopRow) -> String {
    format!("{:.2} + {:.2}", row.journal_flushes_per_order, row.service_flushes_per_order)
}
