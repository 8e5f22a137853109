//! `amends serve`: the coordinator alone.
//!
//! Owns what is said to people, and the order of a start: the port, then the data, then the definitions. Promises
//! that what is in use, damaged or wrong is named, with what to do, before anything is served. Does not read
//! definitions: the engine does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use amends_core::SizeLimits;
use amends_engine::{CallbackKey, Engine, EngineBuilder, Options, RegisterError, StartUpError};
use amends_http::{Callbacks, HttpOptions, HttpParticipants, Loopback, Override};
use amends_journal::Journal;
use amends_journal_sqlite::limits::FEED_FACTS_KEPT;
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};
use amends_server::process::{asked_to_stop, raise_file_limit};
use amends_server::routes;
use amends_server::serve::Server;
use amends_server::tls::Tls;
use clap::Args;

use crate::config::read::{Flags, InForce};
use crate::config::{Config, ParticipantConfig};
use crate::directory::{cannot_run, require_directory};
use crate::failure::{Code, Failure};
use crate::output::print;
use crate::process::{end_fatally, say, start_log_as};
use crate::telemetry;

/// How a definition's file ends.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// File to read the configuration from (AMENDS_CONFIG) [default: amends.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on (AMENDS_HOST) [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// Port, 0 for any that is free (AMENDS_PORT) [default: 8080]
    #[arg(long)]
    port: Option<String>,
    /// Directory of the data; made if it is not there (AMENDS_DATA) [default: ./amends-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Directory of definitions (*.yaml, *.yml, *.json) to register before anything is served
    /// (AMENDS_DEFINITIONS)
    #[arg(long, value_name = "DIR")]
    definitions: Option<String>,
    /// Certificate to serve TLS with, in PEM (AMENDS_TLS_CERT)
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// The certificate's private key, in PEM (AMENDS_TLS_KEY)
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// Serve an address that others can reach without a token or without TLS (AMENDS_INSECURE)
    #[arg(long)]
    insecure: bool,
    /// How participants reach this server (AMENDS_PUBLIC_URL) [default: http://HOST:PORT]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// How long sagas are kept after their end, such as 30d (AMENDS_RETENTION) [default: for ever]
    #[arg(long, value_name = "TIME")]
    retention: Option<String>,
    /// How the log is written: text or json (AMENDS_LOG_FORMAT) [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Where traces are sent by OTLP over HTTP (AMENDS_OTLP_ENDPOINT) [default: nowhere]
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Print what is in force and where each value came from, and serve nothing
    #[arg(long)]
    print_config: bool,
}

impl ServeArgs {
    fn flags(&self) -> Flags {
        let insecure = self.insecure.then(|| "true".to_owned());
        let values = [
            ("host", &self.host),
            ("port", &self.port),
            ("data", &self.data),
            ("definitions", &self.definitions),
            ("tls_cert", &self.tls_cert),
            ("tls_key", &self.tls_key),
            ("insecure", &insecure),
            ("public_url", &self.public_url),
            ("retention", &self.retention),
            ("log_format", &self.log_format),
            ("otlp_endpoint", &self.otlp_endpoint),
        ];
        let given = values.into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
        Flags { file: self.config.clone(), values: given.collect() }
    }
}

pub(crate) fn run(args: ServeArgs) -> Result<Code, Failure> {
    let in_force = InForce::read(&args.flags(), environment()?.into_iter())?;
    if args.print_config {
        print(&in_force.shown())?;
        return Ok(Code::Done);
    }
    let config = in_force.config;
    refuse_what_is_not_there(&config)?;
    start_log_as(&config.log, config.log_format)?;
    raise_file_limit();
    let runtime =
        amends_shop::setup::runtime().map_err(|error| format!("the runtime does not start: {error}"))?;
    runtime.block_on(serve(&config))?;
    Ok(Code::Done)
}

/// What can be said and is not honoured yet: accepting it silently would be worse.
fn refuse_what_is_not_there(config: &Config) -> Result<(), Failure> {
    let missing = [(!config.notify.is_empty(), "notify")];
    match missing.into_iter().find(|(is_set, _)| *is_set) {
        Some((_, key)) => {
            Err(Failure::usage(format!("{key} is not there yet: this build would not honour it")))
        }
        None => Ok(()),
    }
}

/// The environment, as far as it is ours.
fn environment() -> Result<Vec<(String, String)>, Failure> {
    let mut ours = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with("AMENDS_")) else { continue };
        let Ok(value) = value.into_string() else {
            return Err(Failure::usage(format!("{name} is not UTF-8")));
        };
        ours.push((name.to_owned(), value));
    }
    Ok(ours)
}

async fn serve(config: &Config) -> Result<(), String> {
    // The port first: a second start of the same command must not touch the data.
    let address = SocketAddr::new(config.host, config.port);
    let mut server = Server::bind(address).await.map_err(|error| format!("{error} (--port)"))?;
    let address = server.address();
    if let Some(token) = &config.token {
        server = server.with_token(token.expose());
    }
    let mut scheme = "http";
    if let (Some(certificate), Some(key)) = (&config.tls_cert, &config.tls_key) {
        server = server.with_tls(Tls::load(certificate, key).map_err(|error| error.to_string())?);
        scheme = "https";
    }
    require_directory(&config.data)?;

    let engine = open(config, address)?;
    if let Some(directory) = &config.definitions {
        register_all(&engine, directory).await?;
    }
    let traces = config
        .otlp_endpoint
        .clone()
        .map(|endpoint| tokio::spawn(telemetry::follow(engine.clone(), endpoint)));
    let stop = asked_to_stop().map_err(|error| format!("signals cannot be watched: {error}"))?;
    say(&format!("Amends serves on {scheme}://{address}  (data in {})", config.data.display()));
    let settings = routes::v1::Settings { jobs: Some(config.data.join("jobs")) };
    let routes = routes::of_engine_with(&engine, settings).map_err(|error| error.to_string())?;
    server.run(routes, stop, engine.stop(config.grace)).await;
    // When nothing was under way at the server, the engine has not been stopped yet.
    engine.stop(config.grace).await;
    if let Some(traces) = traces {
        traces.abort();
    }
    Ok(())
}

fn open(config: &Config, address: SocketAddr) -> Result<Engine, String> {
    let on_fatal = Box::new(|message: String| end_fatally(&message));
    let journal: Arc<dyn Journal> = Arc::new(
        SqliteJournal::open(&config.data, journal_options(), on_fatal).map_err(|error| error.to_string())?,
    );
    let key =
        CallbackKey::of(&*journal).map_err(|error| cannot_run(&config.data, StartUpError::Journal(error)))?;
    let callbacks = match &config.public_url {
        Some(public_url) => Callbacks { key, public_url: public_url.clone() },
        None if config.tls_cert.is_some() => Callbacks { key, public_url: format!("https://{address}") },
        None => Callbacks::at(address, key),
    };
    let options = HttpOptions { callbacks: Some(callbacks), ..http_options(config) };
    let participants = HttpParticipants::new(options).map_err(|error| error.to_string())?;
    let sizes =
        SizeLimits { payload_bytes_max: config.payload_bytes_max.0, saga_bytes_max: config.saga_bytes_max.0 };
    let Config { live_max, retention, .. } = *config;
    let options = Options { live_max, retention, sizes, ..Options::default() };
    let engine = EngineBuilder::new(journal).options(options).connect(Arc::new(participants));
    engine.open().map_err(|error| cannot_run(&config.data, error))
}

/// A server has a feed of all facts, for `/v1/events`.
fn journal_options() -> SqliteOptions {
    SqliteOptions { feed_facts_kept: Some(FEED_FACTS_KEPT), ..SqliteOptions::default() }
}

/// What the configuration says of participants.
fn http_options(config: &Config) -> HttpOptions {
    let usual = HttpOptions::default();
    let overrides = config.participants.iter().map(|(name, participant)| {
        let ParticipantConfig { url, secret, bearer, concurrency, rate } = participant.clone();
        (
            name.clone(),
            Override { url, secrets: secret, bearers: bearer, concurrency, rate, ..Override::default() },
        )
    });
    let payload_bytes_max = usize::try_from(config.payload_bytes_max.0).unwrap_or(usize::MAX);
    HttpOptions {
        overrides: overrides.collect(),
        allowed_hosts: config.allowed_hosts.clone(),
        loopback: if config.host.is_loopback() { Loopback::Allowed } else { Loopback::ListedOnly },
        response_bytes_max: usual.response_bytes_max.max(payload_bytes_max),
        secret_names_allowed: config.secrets.iter().cloned().collect(),
        ..usual
    }
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
