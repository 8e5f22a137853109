//! The parts of the document: which rows they have, and what of them is drawn and compared.
//!
//! Owns the one list of columns: their keys, their headings, their units, and which way they should go. The
//! keys are a promise to programs; what reads rows reads them by this list. Does not make rows: each
//! measurement makes its own.

use super::figure::Show;

/// A part of the document.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its key in the document.
    pub(crate) name: &'static str,
    /// What tells its rows apart.
    pub(crate) keys: &'static [&'static str],
    /// For people.
    pub(crate) tables: &'static [Table],
}

/// A table of a part's rows.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: &'static str,
    pub(crate) columns: &'static [Column],
}

/// A figure of a row. A column that is empty in all rows of a table is not drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) key: &'static str,
    /// May have lines.
    pub(crate) heading: &'static str,
    pub(crate) show: Show,
    /// Which way it should go; `None` if it is not compared with another report's.
    pub(crate) better: Option<Better>,
}

/// Which way a figure should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

impl Part {
    /// Its columns that are compared with another report's.
    pub(crate) fn compared(&self) -> impl Iterator<Item = (&'static Column, Better)> {
        let columns = self.tables.iter().flat_map(|table| table.columns);
        columns.filter_map(|column| Some((column, column.better?)))
    }
}

impl Column {
    const fn new(key: &'static str, heading: &'static str, show: Show) -> Self {
        Self { key, heading, show, better: None }
    }

    const fn more(key: &'static str, heading: &'static str, show: Show) -> Self {
        Self { better: Some(Better::More), ..Self::new(key, heading, show) }
    }

    const fn less(key: &'static str, heading: &'static str, show: Show) -> Self {
        Self { better: Some(Better::Less), ..Self::new(key, heading, show) }
    }
}

/// All parts, in the order they are drawn.
pub(crate) const PARTS: [&Part; 7] = [&SAGAS, &DISK, &SHOP, &HTTP, &RECOVERY, &MEMORY, &HISTORY];

pub(crate) static SAGAS: Part = Part {
    name: "sagas",
    keys: &["workload", "clients", "rate"],
    tables: &[
        Table {
            title: "Sagas: four steps, each durable before the next",
            columns: &[WORKLOAD, CLIENTS, RATE, ARRIVED, DONE, KEPT_UP, P50, P99, P999, LONGEST, OF_DISK],
        },
        Table {
            title: "What the sagas took",
            columns: &[
                WORKLOAD, CLIENTS, RATE, CPU, CPUS_USED, CORES, PER_FLUSH, LOG, KERNEL, REACHED, SAGA_BYTES,
            ],
        },
    ],
};

pub(crate) static DISK: Part = Part {
    name: "disk",
    keys: &["clients"],
    tables: &[
        Table {
            title: "Disk: bare appends, flushed in groups; the better of the two files counts",
            columns: &[CLIENTS, APPENDS, P50, P99, P999, LONGEST, SIZE, GROWING, PREFILLED],
        },
        Table {
            title: "What the appends took",
            columns: &[CLIENTS, CPU, CPUS_USED, CORES, PER_FLUSH, LOG, KERNEL, REACHED],
        },
    ],
};

pub(crate) static SHOP: Part = Part {
    name: "shop",
    keys: &["clients"],
    tables: &[
        Table {
            title: "Shop: orders over HTTP",
            columns: &[
                CLIENTS, ORDERS, P50, P99, P999, LONGEST, SERVER_CPU, CLIENT_CPU, CORES, JOURNAL, SERVICES,
                OF_FLOOR,
            ],
        },
        Table {
            title: "The floor: the same clients and a handler that does nothing",
            columns: &[CLIENTS, FLOOR, FLOOR_P50, FLOOR_P99, FLOOR_SCPU, FLOOR_CCPU, FLOOR_CORE],
        },
    ],
};

pub(crate) static HTTP: Part = Part {
    name: "http",
    keys: &["clients"],
    tables: &[Table {
        title: "Sagas over HTTP: four calls each, beside as many clients that only call",
        columns: &[CLIENTS, DONE, P50, P99, P999, LONGEST, CPU, CALLED, BARE, OF_BARE],
    }],
};

pub(crate) static RECOVERY: Part = Part {
    name: "recovery",
    keys: &["in_flight"],
    tables: &[Table {
        title: "Recovery: from the start of the process after a kill",
        columns: &[IN_FLIGHT, FIRST, ALL],
    }],
};

pub(crate) static MEMORY: Part = Part {
    name: "memory",
    keys: &["state", "sagas"],
    tables: &[Table {
        title: "Memory: a process of its own for each row",
        columns: &[STATE, HOW_MANY, RESIDENT, EACH],
    }],
};

pub(crate) static HISTORY: Part = Part {
    name: "history",
    keys: &["workload", "ids", "finished", "clients"],
    tables: &[
        Table {
            title: "History: a directory full of finished sagas, beside an empty one of the same round",
            columns: &[WORKLOAD, IDS, CLIENTS, DONE, P50, P99, P999, LONGEST, CPU, OF_EMPTY],
        },
        Table {
            title: "What went on beside them",
            columns: &[WORKLOAD, IDS, BEFORE, OPENED, REMOVED, PAGES, OF_FULL],
        },
    ],
};

// Of several parts.
const WORKLOAD: Column = Column::new("workload", "workload", Show::AsItIs);
const CLIENTS: Column = Column::new("clients", "clients", Show::Whole);
const DONE: Column = Column::more("per_second", "sagas/s", Show::Whole);
const P50: Column = Column::less("p50_us", "p50 ms", Show::Milliseconds);
const P99: Column = Column::less("p99_us", "p99 ms", Show::Milliseconds);
const P999: Column = Column::new("p999_us", "p99.9 ms", Show::Milliseconds);
const LONGEST: Column = Column::new("max_us", "longest ms", Show::Milliseconds);
const CPU: Column = Column::less("cpu_s_per_1000", "CPU s\nper 1,000", Show::Thousandths);
const CPUS_USED: Column = Column::new("cpus_used", "CPUs\nused", Show::Hundredths);
const CORES: Column = Column::new("cores", "cores\nbusy", Show::AsItIs);
const PER_FLUSH: Column = Column::new("appends_per_flush", "appends\nper flush", Show::Tenths);
const LOG: Column = Column::new("log_flushes_per_second", "the log's\nflushes/s", Show::Whole);
const KERNEL: Column = Column::new("kernel_flushes_per_second", "the kernel's\nflushes/s", Show::Whole);
const REACHED: Column = Column::new("flushes_reached_the_disk", "reached\nthe disk", Show::AsItIs);

// Of the sagas.
const RATE: Column = Column::new("rate", "rate/s", Show::Whole);
const ARRIVED: Column = Column::new("arrived_per_second", "arrived/s", Show::Whole);
const KEPT_UP: Column = Column::new("kept_up", "kept up", Show::AsItIs);
const OF_DISK: Column = Column::new("share_of_disk", "of the disk", Show::Percent);
const SAGA_BYTES: Column = Column::new("bytes_per_saga", "bytes\nper saga", Show::Whole);

// Of the disk.
const APPENDS: Column = Column::more("appends_per_second", "appends/s", Show::Whole);
const SIZE: Column = Column::new("append_bytes", "bytes\neach", Show::Whole);
const GROWING: Column = Column::new("growing_per_second", "growing\nfile, /s", Show::Whole);
const PREFILLED: Column = Column::new("prefilled_per_second", "pre-filled\nfile, /s", Show::Whole);

// Of the shop and its floor. Processor time is in seconds per thousand orders.
const ORDERS: Column = Column::more("per_second", "orders/s", Show::Whole);
const SERVER_CPU: Column =
    Column::less("server_cpu_s_per_1000", "server's\nCPU s\nper 1,000", Show::Thousandths);
const CLIENT_CPU: Column =
    Column::new("client_cpu_s_per_1000", "clients'\nCPU s\nper 1,000", Show::Thousandths);
const JOURNAL: Column =
    Column::new("journal_flushes_per_order", "journal's\nflushes\nan order", Show::Hundredths);
const SERVICES: Column =
    Column::new("service_flushes_per_order", "services'\nflushes\nan order", Show::Hundredths);
const OF_FLOOR: Column = Column::new("share_of_floor", "of the\nfloor", Show::Percent);
const FLOOR: Column = Column::new("floor_per_second", "a second", Show::Whole);
const FLOOR_P50: Column = Column::new("floor_p50_us", "p50 ms", Show::Milliseconds);
const FLOOR_P99: Column = Column::new("floor_p99_us", "p99 ms", Show::Milliseconds);
const FLOOR_SCPU: Column =
    Column::new("floor_server_cpu_s_per_1000", "server's\nCPU s\nper 1,000", Show::Thousandths);
const FLOOR_CCPU: Column =
    Column::new("floor_client_cpu_s_per_1000", "clients'\nCPU s\nper 1,000", Show::Thousandths);
const FLOOR_CORE: Column = Column::new("floor_cores", "cores\nbusy", Show::AsItIs);

// Of sagas over HTTP.
const CALLED: Column = Column::new("calls_per_second", "calls/s", Show::Whole);
const BARE: Column = Column::new("bare_calls_per_second", "bare\ncalls/s", Show::Whole);
const OF_BARE: Column = Column::more("share_of_bare", "of bare\ncalls", Show::Percent);

// Of recovery.
const IN_FLIGHT: Column = Column::new("in_flight", "in flight", Show::Whole);
const FIRST: Column = Column::less("first_ms", "first ended, ms", Show::Whole);
const ALL: Column = Column::less("all_ms", "all ended, ms", Show::Whole);

// Of memory.
const STATE: Column = Column::new("state", "sagas", Show::AsItIs);
const HOW_MANY: Column = Column::new("sagas", "how many", Show::Whole);
const RESIDENT: Column = Column::less("resident_bytes", "in memory, MB", Show::Megabytes);
const EACH: Column = Column::new("bytes_per_saga", "bytes each", Show::Whole);

// Of history.
const IDS: Column = Column::new("ids", "ids", Show::AsItIs);
const OF_EMPTY: Column = Column::new("share_of_empty", "of an empty\ndirectory", Show::Percent);
const BEFORE: Column = Column::new("sagas_before", "sagas before", Show::Whole);
const OPENED: Column = Column::new("opened_ms", "opened in, ms", Show::Whole);
const REMOVED: Column = Column::new("removed_per_second", "removed/s", Show::Whole);
const PAGES: Column = Column::new("pages_per_second", "pages read/s", Show::Whole);
const OF_FULL: Column = Column::new("share_of_full", "of a full\ndirectory alone", Show::Percent);
