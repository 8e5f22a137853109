//! The four services of one data directory, together.
//!
//! Owns the directory: which files belong to it and that they were made together. Promises that a lost file
//! is an error, not a new and empty shop. Does not make one transaction of them: that is what sagas are for.
//! Start reading at [`Services::call`].

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use amends_participant::database::{OnFatal, OpenError};
use amends_participant::{Answer, DataError};

use crate::cursor::OrdersCursor;
use crate::ids::OrderId;
use crate::operation::ServiceName;
use crate::records::Records;
use crate::service::{CallError, Service, ServiceCall};
use crate::stock::Stock;
use crate::surroundings::Surroundings;
use crate::views::{InventoryView, Ledger, OrderView, OrdersPage, PageLimit};

/// Lies in the directory once all four databases do.
const MARKER: &str = "shop.created";
const MARKER_TEXT: &str =
    "The four databases of the shop were created here together. If one is missing, it was lost.\n";

/// The four services, open.
#[derive(Debug)]
pub struct Services {
    order: Service,
    payment: Service,
    inventory: Service,
    shipping: Service,
}

/// Why the services could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// One of the databases cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// One of the databases was there and is gone, or empty.
    #[error(
        "{path} is damaged: it was created and is missing or empty now. \
         Restore the whole directory from a backup",
        path = path.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
    },
    /// The directory cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Services {
    /// Opens the services in `dir`, or creates them there. The stock counts only the first time.
    ///
    /// # Errors
    /// When the directory cannot be used, or a database in it is damaged.
    pub fn open(
        dir: &Path,
        stock: &Stock,
        surroundings: Arc<dyn Surroundings>,
        on_fatal: OnFatal,
    ) -> Result<Services, ServicesError> {
        let known = prepare(dir)?;
        // Side by side: making a database waits for some dozen flushes.
        let open = |name| Service::open(name, dir, stock, Arc::clone(&surroundings), Arc::clone(&on_fatal));
        let [order, payment, inventory, shipping] = std::thread::scope(|scope| {
            let opening = ServiceName::ALL.map(|name| scope.spawn(move || open(name)));
            opening.map(|thread| thread.join().expect("opening a database does not panic"))
        });
        let services =
            Services { order: order?, payment: payment?, inventory: inventory?, shipping: shipping? };
        if !known {
            mark(dir)?;
        }
        Ok(services)
    }

    /// Carries out a call at the service of its operation. Returns at once; `answered` is called exactly
    /// once, on another thread after the flush, or on this one when the call could not be queued.
    pub fn call(&self, call: ServiceCall, answered: impl FnOnce(Result<Answer, CallError>) + Send + 'static) {
        self.service(call.operation.service()).call(call, answered);
    }

    /// One of the four.
    pub fn service(&self, name: ServiceName) -> &Service {
        match name {
            ServiceName::Order => &self.order,
            ServiceName::Payment => &self.payment,
            ServiceName::Inventory => &self.inventory,
            ServiceName::Shipping => &self.shipping,
        }
    }

    /// An order and everything done for it. Blocks on the disk, as do all the looks below.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn order(&self, id: &OrderId) -> Result<Option<OrderView>, DataError> {
        self.records().order(id)
    }

    /// A page of all orders, oldest first; without a cursor the first one.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn orders(&self, after: Option<OrdersCursor>, limit: PageLimit) -> Result<OrdersPage, DataError> {
        self.records().orders(after.unwrap_or(OrdersCursor::START), limit)
    }

    /// What is there of each product.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn inventory(&self) -> Result<InventoryView, DataError> {
        self.records().inventory()
    }

    /// What the records of the four services add up to.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn ledger(&self) -> Result<Ledger, DataError> {
        self.records().ledger()
    }

    /// Lets every call through, repeats and late actions included. It exists to prove that the crash campaign
    /// can fail: services without their barrier break every promise of this crate, and a campaign that does
    /// not notice is worth nothing.
    #[cfg(feature = "sabotage")]
    #[must_use]
    pub fn without_barrier(mut self) -> Services {
        for service in [&mut self.order, &mut self.payment, &mut self.inventory, &mut self.shipping] {
            service.take_barrier_away();
        }
        self
    }

    fn records(&self) -> Records<'_> {
        Records {
            order: self.order.database(),
            payment: self.payment.database(),
            inventory: self.inventory.database(),
            shipping: self.shipping.database(),
        }
    }
}

/// Makes the directory, and says whether the services were created there before.
fn prepare(dir: &Path) -> Result<bool, ServicesError> {
    let failed = |source| ServicesError::Io { path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(failed)?;
    if !dir.join(MARKER).try_exists().map_err(failed)? {
        return Ok(false);
    }
    for name in ServiceName::ALL {
        let path = dir.join(name.file());
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > 0 => {}
            Ok(_) => return Err(ServicesError::Lost { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ServicesError::Lost { path });
            }
            Err(source) => return Err(ServicesError::Io { path, source }),
        }
    }
    Ok(true)
}

/// Leaves the marker, after the databases are on disk and before anybody is answered.
fn mark(dir: &Path) -> Result<(), ServicesError> {
    let path = dir.join(MARKER);
    let write = || {
        let mut marker = File::create(&path)?;
        marker.write_all(MARKER_TEXT.as_bytes())?;
        marker.sync_all()?;
        File::open(dir)?.sync_all()?;
        // The directory itself may be new as well.
        match dir.canonicalize()?.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|source| ServicesError::Io { path: path.clone(), source })
}
