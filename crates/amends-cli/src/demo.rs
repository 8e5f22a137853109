//! `amends demo`: the shop on one port.
//!
//! Owns the order in which it starts and stops: port, directory, services, engine, and back. Promises that what is in
//! use or damaged is named, with what to do, before anything is changed. Does not contain the shop: `amends-shop` does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use amends_engine::{EngineBuilder, Options, StartUpError};
use amends_journal::{Journal, JournalError, SqliteJournal, SqliteOptions};
use amends_server::serve::Server;
use amends_shop::http::{Shop, router};
use amends_shop::saga;
use amends_shop::services::Services;
use amends_shop::stock::Stock;
use clap::Args;

use crate::process::{asked_to_stop, end_fatally, raise_file_limit, say, start_log};

/// How long sagas that are under way may take to end when the process is asked to stop. What has not ended by then is
/// taken up at the next start.
const GRACE: Duration = Duration::from_secs(10);

/// Threads for reads that block. Each has a stack and a share of the allocator; the readers' pools are smaller still.
const BLOCKING_THREADS_MAX: usize = 8;

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Port on 127.0.0.1 (0: any that is free)
    #[arg(long, env = "AMENDS_PORT", default_value_t = 8080)]
    port: u16,
    /// Directory of the data; made if it is not there
    #[arg(long, env = "AMENDS_DATA", default_value = "./amends-data")]
    data: PathBuf,
    /// Stock at the first start of a data directory, such as product_1=100,product_2=50
    #[arg(long)]
    stock: Option<Stock>,
    /// Run the four services as processes of their own (not there yet: it comes with HTTP participants)
    #[arg(long)]
    services: bool,
    /// Break a promise on purpose
    #[cfg(feature = "sabotage")]
    #[arg(long, hide = true)]
    sabotage: Option<Sabotage>,
}

#[cfg(feature = "sabotage")]
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Sabotage {
    EarlyEffects,
    NoBarrier,
}

pub(crate) fn run(args: DemoArgs) -> Result<(), String> {
    if args.services {
        return Err("--services is not there yet: the services run inside this process until HTTP participants exist. \
                    Leave the flag out"
            .to_owned());
    }
    start_log()?;
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(|error| format!("the runtime does not start: {error}"))?;
    runtime.block_on(serve(args))
}

/// Says in words what the system would call "File exists".
fn require_directory(data: &Path) -> Result<(), String> {
    match std::fs::metadata(data) {
        Ok(found) if !found.is_dir() => {
            Err(format!("{} is not a directory: choose another with --data", data.display()))
        }
        // What else is wrong is found, and told, when it is opened.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Adds the directory, and what to do, to what the journal says when it was opened and then could not be read.
fn cannot_run(data: &Path, error: StartUpError) -> String {
    let file = data.join("journal.db");
    let journal = file.display();
    match error {
        StartUpError::Journal(error @ (JournalError::Unreadable(_) | JournalError::Damaged { .. })) => {
            format!(
                "{journal} is damaged: {error}. Keep a copy of the directory, then restore a backup, or start with an \
             empty directory"
            )
        }
        StartUpError::Journal(error @ (JournalError::NoSpace(_) | JournalError::Store { .. })) => {
            format!("{journal}: {error}")
        }
        StartUpError::DefinitionChanged { .. } => {
            format!("{journal}: {error}. If nobody changed it, the file is damaged: restore a backup")
        }
        StartUpError::NoParticipant { .. } => error.to_string(),
    }
}

async fn serve(args: DemoArgs) -> Result<(), String> {
    // The port first: a second start of the same command must not touch the data.
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.port);
    let server = Server::bind(address).await.map_err(|error| format!("{error} (--port)"))?;
    let address = server.address();
    require_directory(&args.data)?;

    let on_fatal = Box::new(|message: String| end_fatally(&message));
    let journal = SqliteJournal::open(&args.data, SqliteOptions::default(), on_fatal)
        .map_err(|error| format!("{error}"))?;
    let journal: Arc<dyn Journal> = Arc::new(journal);
    let stock = args.stock.clone().unwrap_or_else(Stock::usual);
    let services =
        Services::open(&args.data.join("services"), &stock, Arc::new(|message: &str| end_fatally(message)))
            .map_err(|error| error.to_string())?;
    #[cfg(feature = "sabotage")]
    let services = match args.sabotage {
        Some(Sabotage::NoBarrier) => services.without_barrier(),
        Some(Sabotage::EarlyEffects) | None => services,
    };
    let services = Arc::new(services);
    let options = Options {
        #[cfg(feature = "sabotage")]
        sabotage_early_effects: args.sabotage == Some(Sabotage::EarlyEffects),
        ..Options::default()
    };
    let engine = EngineBuilder::new(journal.clone()).options(options);
    let engine = saga::register(engine, &services).open().map_err(|error| cannot_run(&args.data, error))?;

    let stop = asked_to_stop().map_err(|error| format!("signals cannot be watched: {error}"))?;
    say(&format!("The shop is open: http://{address}  (data in {})", args.data.display()));
    say(&format!(
        "Place an order:   curl -s http://{address}/orders -d '{{\"user_id\": \"user_123\", \"items\": \
         [{{\"product_id\": \"product_1\", \"quantity\": 2, \"price\": 100.0}}]}}'"
    ));
    let shop = Shop { engine: engine.clone(), services: services.clone() };
    server.run(router(shop), stop, engine.stop(GRACE)).await;
    // When nothing was under way at the server, the engine has not been told yet.
    engine.stop(GRACE).await;
    Ok(())
}
