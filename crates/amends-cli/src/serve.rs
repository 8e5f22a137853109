//! `amends serve`: the coordinator alone.
//!
//! Owns what is said to people, and the order of a start: the port, then the data, then the definitions. Promises
//! that what is in use, damaged or wrong is named, with what to do, before anything is served. Does not read
//! definitions: the engine does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use amends_engine::{CallbackKey, Engine, EngineBuilder, RegisterError, StartUpError};
use amends_http::{Callbacks, HttpOptions, HttpParticipants, Loopback};
use amends_journal::Journal;
use amends_journal_sqlite::limits::FEED_FACTS_KEPT;
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};
use amends_server::process::{asked_to_stop, raise_file_limit};
use amends_server::routes;
use amends_server::serve::Server;
use clap::Args;

use crate::directory::{cannot_run, require_directory};
use crate::process::{end_fatally, say, start_log};

/// How long sagas that are under way may take to end when the process is asked to stop. What has not ended by
/// then goes on at the next start.
const GRACE: Duration = Duration::from_secs(10);

/// How a definition's file ends.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on
    #[arg(long, env = "AMENDS_HOST", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port (0: any that is free)
    #[arg(long, env = "AMENDS_PORT", default_value_t = 8080)]
    port: u16,
    /// Directory of the data; made if it is not there
    #[arg(long, env = "AMENDS_DATA", default_value = "./amends-data")]
    data: PathBuf,
    /// Directory of definitions (*.yaml, *.yml, *.json) to register before anything is served
    #[arg(long, env = "AMENDS_DEFINITIONS")]
    definitions: Option<PathBuf>,
}

pub(crate) fn run(args: ServeArgs) -> Result<(), String> {
    start_log()?;
    raise_file_limit();
    let runtime =
        amends_shop::setup::runtime().map_err(|error| format!("the runtime does not start: {error}"))?;
    runtime.block_on(serve(args))
}

async fn serve(args: ServeArgs) -> Result<(), String> {
    // The port first: a second start of the same command must not touch the data.
    let address = SocketAddr::new(args.host, args.port);
    let server = Server::bind(address).await.map_err(|error| format!("{error} (--port)"))?;
    let address = server.address();
    require_directory(&args.data)?;

    let engine = open(&args, address)?;
    if let Some(directory) = &args.definitions {
        register_all(&engine, directory).await?;
    }
    let stop = asked_to_stop().map_err(|error| format!("signals cannot be watched: {error}"))?;
    say(&format!("Amends serves on http://{address}  (data in {})", args.data.display()));
    server.run(routes::of_engine(&engine), stop, engine.stop(GRACE)).await;
    // When nothing was under way at the server, the engine has not been stopped yet.
    engine.stop(GRACE).await;
    Ok(())
}

fn open(args: &ServeArgs, address: SocketAddr) -> Result<Engine, String> {
    let on_fatal = Box::new(|message: String| end_fatally(&message));
    let options = SqliteOptions { feed_facts_kept: Some(FEED_FACTS_KEPT), ..SqliteOptions::default() };
    let journal: Arc<dyn Journal> =
        Arc::new(SqliteJournal::open(&args.data, options, on_fatal).map_err(|error| error.to_string())?);
    let loopback = if args.host.is_loopback() { Loopback::Allowed } else { Loopback::ListedOnly };
    let key =
        CallbackKey::of(&*journal).map_err(|error| cannot_run(&args.data, StartUpError::Journal(error)))?;
    let callbacks = Some(Callbacks::at(address, key));
    let participants = HttpParticipants::new(HttpOptions { loopback, callbacks, ..HttpOptions::default() })
        .map_err(|error| error.to_string())?;
    let engine = EngineBuilder::new(journal).connect(Arc::new(participants));
    engine.open().map_err(|error| cannot_run(&args.data, error))
}

/// Registers every definition of a directory, by the order of the files' names; those that start another saga
/// after it.
async fn register_all(engine: &Engine, directory: &Path) -> Result<(), String> {
    let cannot_read =
        |path: &Path, error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| cannot_read(directory, error))? {
        let path = entry.map_err(|error| cannot_read(directory, error))?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) {
            files.push(path);
        }
    }
    files.sort();
    let mut texts = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|error| cannot_read(&path, error))?;
        texts.push((path, text));
    }
    // A file may start a saga that a later one defines: whoever fails is tried again once others are there.
    loop {
        let before = texts.len();
        let mut failed = Vec::new();
        let mut failures = Vec::new();
        for (path, text) in texts {
            match engine.register(&text, None).await {
                Ok(registration) => {
                    let what = if registration.is_new { "registered" } else { "unchanged" };
                    say(&format!("{} version {}: {what}", registration.name, registration.version));
                }
                Err(error) => {
                    failures.push(explain(&path, &error));
                    failed.push((path, text));
                }
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        if failed.len() == before {
            return Err(format!(
                "nothing is served, for definitions have faults:\n\n{}",
                failures.join("\n\n")
            ));
        }
        texts = failed;
    }
}

fn explain(path: &Path, error: &RegisterError) -> String {
    format!("{}:\n{error}", path.display())
}
