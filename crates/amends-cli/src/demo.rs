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
use amends_shop::setup::{self, Setup, SetupError};
use amends_shop::stock::Stock;
use clap::Args;

use crate::directory::{cannot_run, require_directory};
use crate::process::{end_fatally, say, start_log};

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
        SetupError::Journal(_) | SetupError::Services(_) => error.to_string(),
        SetupError::Engine(error) => cannot_run(data, error),
    }
}

async fn serve(args: DemoArgs) -> Result<(), String> {
    // The port first: a second start of the same command must not touch the data.
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.port);
    let server = Server::bind(address).await.map_err(|error| format!("{error} (--port)"))?;
    let address = server.address();
    require_directory(&args.data)?;

    let stock = args.stock.unwrap_or_else(Stock::usual);
    let setup = Setup::new(&args.data, &stock, |message| end_fatally(message));
    #[cfg(feature = "sabotage")]
    let setup = setup.sabotage(args.sabotage);
    let shop = setup.open().map_err(|error| cannot_open(&args.data, error))?;

    let stop = asked_to_stop().map_err(|error| format!("signals cannot be watched: {error}"))?;
    say(&format!("The shop is open: http://{address}  (data in {})", args.data.display()));
    say(&format!(
        "Place an order:   curl -s http://{address}/orders -d '{{\"user_id\": \"user_123\", \"items\": \
         [{{\"product_id\": \"product_1\", \"quantity\": 2, \"price\": 100.0}}]}}'"
    ));
    shop.serve(server, stop).await;
    Ok(())
}
