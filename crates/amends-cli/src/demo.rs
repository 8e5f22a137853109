//! `amends demo`: the shop on one port.
//!
//! Owns what is said to people, and that the port comes before the data. Promises that what is in use or
//! damaged is named, with what to do, before anything is changed. Does not put the shop together:
//! [`amends_shop::setup`] does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use amends_server::process::{asked_to_stop, raise_file_limit};
use amends_server::serve::Server;
#[cfg(feature = "sabotage")]
use amends_shop::setup::Sabotage;
use amends_shop::setup::{self, OpenShop, Setup, SetupError};
use amends_shop::stock::Stock;
use clap::Args;

use crate::demo_services::{Launch, Supervised};
use crate::directory::{cannot_run, require_directory};
use crate::process::{end_fatally, say, start_log};

/// The port that the other commands look for a server on.
const USUAL_PORT: u16 = 8080;

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Port on 127.0.0.1 (0: any that is free)
    #[arg(long, env = "AMENDS_PORT", default_value_t = USUAL_PORT)]
    port: u16,
    /// Directory of the data; made if it is not there
    #[arg(long, env = "AMENDS_DATA", default_value = "./amends-data")]
    data: PathBuf,
    /// Stock at the first start of a data directory, such as product_1=100,product_2=50
    #[arg(long)]
    stock: Option<Stock>,
    /// Run the four services as processes of their own, called over HTTP
    #[arg(long)]
    services: bool,
    /// First of the four ports of the services (0: any that are free) [default: those above --port]
    #[arg(long, requires = "services")]
    services_port: Option<u16>,
    /// Break a promise on purpose
    #[cfg(feature = "sabotage")]
    #[arg(long, hide = true)]
    sabotage: Option<Sabotage>,
}

pub(crate) fn run(args: DemoArgs) -> Result<(), String> {
    start_log()?;
    raise_file_limit();
    let runtime = setup::runtime().map_err(|error| format!("the runtime does not start: {error}"))?;
    runtime.block_on(serve(args))
}

/// What the journal and the services say when they are opened names file and remedy; the engine's words need
/// both.
fn cannot_open(data: &Path, error: SetupError) -> String {
    match error {
        SetupError::Journal(_)
        | SetupError::Services(_)
        | SetupError::Register(_)
        | SetupError::Participants(_) => error.to_string(),
        SetupError::Engine(error) => cannot_run(data, error),
    }
}

async fn serve(args: DemoArgs) -> Result<(), String> {
    // The port first: a second start of the same command must not touch the data.
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.port);
    let server = Server::bind(address).await.map_err(|error| format!("{error} (--port)"))?;
    let address = server.address();
    require_directory(&args.data)?;

    let stock = args.stock.clone().unwrap_or_else(Stock::usual);
    let setup = Setup::new(&args.data, &stock, |message| end_fatally(message));
    #[cfg(feature = "sabotage")]
    let setup = setup.sabotage(args.sabotage);
    if !args.services {
        let shop = setup.open().map_err(|error| cannot_open(&args.data, error))?;
        return serve_shop(shop, server, &args.data).await;
    }
    // The journal before the services: whoever has it has the directory.
    let coordinator = setup.coordinator().map_err(|error| cannot_open(&args.data, error))?;
    let launch = launch(&args, address.port());
    let services = blocking(move || Supervised::start(&launch)).await??;
    let opened = coordinator.open(services.addresses()).await;
    let served = match opened {
        Ok(shop) => serve_shop(shop, server, &args.data).await,
        Err(error) => Err(cannot_open(&args.data, error)),
    };
    // After the sagas, which need them to their end.
    blocking(move || services.stop()).await?;
    served
}

/// How the services are started.
fn launch(args: &DemoArgs, port: u16) -> Launch {
    // A port that was not chosen says nothing about those above it.
    let above = if args.port == 0 { 0 } else { port.saturating_add(1) };
    #[cfg(feature = "sabotage")]
    let arguments = args.sabotage.iter().flat_map(|sabotage| ["--sabotage".to_owned(), sabotage.to_string()]);
    #[cfg(not(feature = "sabotage"))]
    let arguments = [];
    Launch {
        data: args.data.clone(),
        first_port: args.services_port.unwrap_or(above),
        stock: args.stock.as_ref().map(ToString::to_string),
        arguments: arguments.into_iter().collect(),
    }
}

/// Does what takes a while where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| format!("this is a bug: {error}"))
}

async fn serve_shop(shop: OpenShop, server: Server, data: &Path) -> Result<(), String> {
    let address = server.address();
    let stop = asked_to_stop().map_err(|error| format!("signals cannot be watched: {error}"))?;
    say(&format!("The shop is open: http://{address}  (data in {})", data.display()));
    say(&format!(
        "Place an order:   curl -s http://{address}/orders -d '{{\"user_id\": \"user_123\", \"items\": \
         [{{\"product_id\": \"product_1\", \"quantity\": 2, \"price\": 100.0}}]}}'"
    ));
    let elsewhere =
        if address.port() == USUAL_PORT { String::new() } else { format!(" --server http://{address}") };
    say(&format!("Look at its saga:  amends saga list{elsewhere}, then amends saga show ID{elsewhere}"));
    shop.serve(server, stop).await;
    Ok(())
}
