//! `amends demo-service`: one service of the shop as a process of its own.
//!
//! Owns what such a process says and when it ends: when it is asked to, and when the process that started it is
//! gone. Promises that its port comes before its data, and that it says where it is only once it answers there.
//! Does not start itself again: [`crate::demo_services`] does. The service itself is
//! [`amends_shop::setup::ServiceSetup`].

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use amends_server::process::{asked_to_stop, raise_file_limit};
use amends_server::serve::{BindError, Server};
use amends_shop::operation::ServiceName;
use amends_shop::setup::{self, ServiceSetup};
use amends_shop::stock::Stock;
use clap::Args;
use tokio::sync::oneshot;

use crate::process::{end_fatally, say, start_log};

/// How long a port may be in use by the process that had it before: it ends when it notices that it was left
/// alone.
const PORT_TIME_MAX: Duration = Duration::from_secs(5);
/// How often the port is tried again.
const PORT_REST: Duration = Duration::from_millis(20);

#[derive(Args)]
pub(crate) struct ServiceArgs {
    /// order, payment, inventory or shipping
    service: ServiceName,
    /// Port on 127.0.0.1 (0: any that is free)
    #[arg(long)]
    port: u16,
    /// Directory of the shop's data
    #[arg(long)]
    data: PathBuf,
    /// Stock at the first start of the inventory service
    #[arg(long)]
    stock: Option<Stock>,
    /// End when the standard input is closed
    #[arg(long)]
    until_input_closes: bool,
    /// Break a promise on purpose
    #[cfg(feature = "sabotage")]
    #[arg(long, hide = true)]
    sabotage: Option<amends_shop::setup::Sabotage>,
}

pub(crate) fn run(args: ServiceArgs) -> Result<(), String> {
    start_log()?;
    raise_file_limit();
    let runtime = setup::runtime().map_err(|error| format!("the runtime does not start: {error}"))?;
    runtime.block_on(serve(args))
}

async fn serve(args: ServiceArgs) -> Result<(), String> {
    let name = args.service;
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.port);
    let server =
        bind(address).await.map_err(|error| format!("the {name} service: {error} (--services-port)"))?;
    let address = server.address();
    let stock = args.stock.unwrap_or_else(Stock::usual);
    let setup = ServiceSetup::new(name, &args.data, &stock, |message| end_fatally(message));
    #[cfg(feature = "sabotage")]
    let setup = setup.sabotage(args.sabotage);
    let service = setup.open().map_err(|error| error.to_string())?;
    let asked = asked_to_stop().map_err(|error| format!("signals cannot be watched: {error}"))?;
    let left_alone = input_closes(args.until_input_closes);
    say(&format!("The {name} service is open: http://{address}  (process {})", std::process::id()));
    let stop = async {
        tokio::select! {
            () = asked => {}
            () = left_alone => {}
        }
    };
    service.serve(server, stop).await;
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<Server, BindError> {
    let began = Instant::now();
    loop {
        match Server::bind(address).await {
            Err(BindError::InUse(_)) if began.elapsed() < PORT_TIME_MAX => {
                tokio::time::sleep(PORT_REST).await;
            }
            bound => return bound,
        }
    }
}

/// Resolves when the standard input ends, if that is watched: the process that holds its other end is gone then, however it
/// went.
async fn input_closes(is_watched: bool) {
    if !is_watched {
        return std::future::pending().await;
    }
    let (closed, closing) = oneshot::channel();
    // On a thread of its own: a read that blocks would keep the runtime from ending.
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut byte = [0];
        // What comes is of no interest; an error is an end too.
        while matches!(input.read(&mut byte), Ok(1)) {}
        // Nobody waits any more when the process ends for another reason.
        let _ = closed.send(());
    });
    // The thread sends or is gone: both are the end.
    let _ = closing.await;
}
