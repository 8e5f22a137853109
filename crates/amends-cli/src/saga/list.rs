//! `amends saga list`.
//!
//! Owns the filters and the paging. Promises one page unless all are asked for, and that all of ten million
//! are printed as they come, in bounded memory. Does not filter: the server does.

use amends_api::{SagaStatus, SagaSummary};
use amends_client::Filter;
use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::output::paint::{Paint, Style};
use crate::output::table::Table;
use crate::output::{Output, print};
use crate::process::note;
use crate::remote::Remote;
use crate::times::{self, parse_moment};

#[derive(Args)]
pub(super) struct ListArgs {
    /// Only sagas of this definition
    #[arg(long, value_name = "NAME")]
    definition: Option<String>,
    /// Only sagas of this version of it
    #[arg(long, value_name = "N", requires = "definition")]
    version: Option<u32>,
    /// Only sagas that stand so (failed: parked, waiting for an operator)
    #[arg(long, value_parser = statuses())]
    status: Option<SagaStatus>,
    /// Only sagas with this tag
    #[arg(long, value_name = "NAME=VALUE")]
    tag: Option<String>,
    /// Only the saga that was started with this idempotency key
    #[arg(long)]
    key: Option<String>,
    /// Only sagas that this saga started
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// Only sagas started since: a time (2026-11-30T10:00:00Z) or how long ago (2h)
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<String>,
    /// Only sagas started before: a time or how long ago
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    until: Option<String>,
    /// How many to show
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Where to go on: what an earlier list ended with
    #[arg(long, conflicts_with = "all")]
    cursor: Option<String>,
    /// Show all that match
    #[arg(long)]
    all: bool,
    /// Say only how many there are
    #[arg(long, conflicts_with_all = ["all", "cursor", "limit"])]
    count: bool,
}

/// Sagas read together when all are asked for.
const PAGE: u32 = 1_000;

pub(super) async fn run(remote: &Remote, args: ListArgs) -> Result<Code, Failure> {
    let client = remote.client()?;
    let filter = Filter {
        definition: args.definition,
        version: args.version,
        status: args.status,
        tag: args.tag,
        key: args.key,
        parent: args.parent,
        since: args.since,
        until: args.until,
    };
    if args.count {
        let count = client.count_sagas(&filter).await?;
        let more = if count.exact { "" } else { " or more" };
        remote.output.print(&count, || format!("{}{more}\n", count.count))?;
    } else if args.all {
        all(remote, &client, &filter).await?;
    } else {
        let list = client.sagas(&filter, args.cursor.as_deref(), args.limit).await?;
        remote.output.print(&list, || table(&list.sagas))?;
        if remote.output == Output::Table {
            match &list.next_cursor {
                Some(cursor) => note(&format!("there are more: --cursor {cursor}, or --all")),
                None if list.sagas.is_empty() => note("no saga matches"),
                None => {}
            }
        }
    }
    Ok(Code::Done)
}

/// Prints page after page: the whole never is in memory.
async fn all(remote: &Remote, client: &amends_client::Client, filter: &Filter) -> Result<(), Failure> {
    let mut cursor: Option<String> = None;
    let mut printed = 0_u64;
    let (head, tail) = match remote.output {
        Output::Table => ("", ""),
        Output::Json => ("{\"sagas\": [", "],\n\"next_cursor\": null}\n"),
        Output::Yaml => ("", ""),
    };
    print(head)?;
    loop {
        let list = client.sagas(filter, cursor.as_deref(), PAGE).await?;
        match remote.output {
            Output::Table if printed > 0 && list.sagas.is_empty() => {}
            Output::Table => {
                let text = table(&list.sagas);
                // The head of the table once.
                let rows = if printed == 0 {
                    text.as_str()
                } else {
                    text.split_once('\n').map_or("", |(_, rows)| rows)
                };
                print(rows)?;
            }
            Output::Json => {
                let mut text = String::new();
                for (index, saga) in list.sagas.iter().enumerate() {
                    text += if printed == 0 && index == 0 { "\n" } else { ",\n" };
                    text += &json(saga)?;
                }
                print(&text)?;
            }
            Output::Yaml => {
                if printed == 0 {
                    print(if list.sagas.is_empty() { "sagas: []\n" } else { "sagas:\n" })?;
                }
                for saga in &list.sagas {
                    remote.output.print(&[saga], String::new)?;
                }
            }
        }
        printed += list.sagas.len() as u64;
        cursor = list.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if remote.output == Output::Yaml {
        print("next_cursor: null\n")?;
    }
    print(tail)?;
    if remote.output == Output::Table && printed == 0 {
        note("no saga matches");
    }
    Ok(())
}

fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::new(format!("the answer cannot be printed: {error}")))
}

fn table(sagas: &[SagaSummary]) -> String {
    let now = Timestamp::now();
    let mut table = Table::new(&["ID", "DEFINITION", "STATUS", "STARTED", "TOOK", "TAGS"]);
    for saga in sagas {
        let tags: Vec<String> = saga.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        table.row([
            (Style::Plain, saga.id.clone()),
            (Style::Plain, format!("{} v{}", saga.definition, saga.version)),
            (Style::of_saga(saga.status), saga.status.to_string()),
            (Style::Plain, times::shown(&saga.started_at)),
            (Style::Dim, times::took(Some(&saga.started_at), saga.finished_at.as_deref(), now)),
            (Style::Dim, tags.join(" ")),
        ]);
    }
    table.draw(Paint::stdout())
}

fn statuses() -> impl TypedValueParser<Value = SagaStatus> {
    let words = SagaStatus::ALL.iter().map(|status| status.as_str());
    PossibleValuesParser::new(words).try_map(|word| word.parse::<SagaStatus>())
}
