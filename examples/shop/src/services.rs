//! The four services of one data directory, together.
//!
//! Owns the four and their common generation, as [`directory`](crate::directory) judges it. Does not make one
//! transaction of them: that is what sagas are for. Start reading at [`Services::call`].

use std::path::Path;
use std::sync::{Arc, mpsc};

use amends_participant::database::{OnFatal, OpenError, WriteError};
use amends_participant::{Answer, DataError};

use crate::cursor::OrdersCursor;
use crate::directory::{Directory, DirectoryError};
use crate::ids::OrderId;
use crate::operation::ServiceName;
use crate::records;
use crate::service::{CallError, Service, ServiceCall};
use crate::stock::Stock;
use crate::surroundings::Surroundings;
use crate::views::{InventoryView, Ledger, OrderView, OrdersPage, PageLimit};

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
    /// What is in the directory does not belong together, or cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A database could not be given its generation.
    #[error(transparent)]
    Write(WriteError),
}

impl ServicesError {
    fn is_no_space(&self) -> bool {
        match self {
            ServicesError::Write(WriteError::NoSpace { .. }) => true,
            ServicesError::Directory(error) => error.is_no_space(),
            ServicesError::Database(_) | ServicesError::Write(_) => false,
        }
    }
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
        let directory = Directory::prepare(dir, &ServiceName::ALL)?;
        // Side by side: making a database waits for some dozen flushes.
        let open = |name| Service::open(name, dir, stock, Arc::clone(&surroundings), Arc::clone(&on_fatal));
        let [order, payment, inventory, shipping] = std::thread::scope(|scope| {
            let opening = ServiceName::ALL.map(|name| scope.spawn(move || open(name)));
            opening.map(|thread| thread.join().expect("opening a database does not panic"))
        });
        let services =
            Services { order: order?, payment: payment?, inventory: inventory?, shipping: shipping? };
        settle_generation(&directory, &ServiceName::ALL.map(|name| services.service(name)))?;
        Ok(services)
    }

    /// Opens one service in a directory of its own, or creates it there: for a service that is a process of its
    /// own. The stock counts only the first time.
    ///
    /// # Errors
    /// When the directory cannot be used, or the database in it is damaged.
    pub fn open_alone(
        name: ServiceName,
        dir: &Path,
        stock: &Stock,
        surroundings: Arc<dyn Surroundings>,
        on_fatal: OnFatal,
    ) -> Result<Service, ServicesError> {
        let names = [name];
        let directory = Directory::prepare(dir, &names)?;
        let service = Service::open(name, dir, stock, surroundings, on_fatal)?;
        settle_generation(&directory, &[&service])?;
        Ok(service)
    }

    /// Carries out a call at the service of its operation. Returns immediately; `answered` is called exactly
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
        let Some(order) = records::order(self.order.database(), id)? else { return Ok(None) };
        Ok(self.complete(vec![order])?.pop())
    }

    /// A page of all orders, oldest first; without a cursor the first one.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn orders(&self, after: Option<OrdersCursor>, limit: PageLimit) -> Result<OrdersPage, DataError> {
        let page = records::orders(self.order.database(), after.unwrap_or(OrdersCursor::START), limit)?;
        Ok(OrdersPage { orders: self.complete(page.orders)?, next_cursor: page.next_cursor })
    }

    /// What is there of each product.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn inventory(&self) -> Result<InventoryView, DataError> {
        records::inventory(self.inventory.database())
    }

    /// What the records of the four services add up to.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn ledger(&self) -> Result<Ledger, DataError> {
        Ok(Ledger::of(
            records::order_sums(self.order.database())?,
            records::payment_sums(self.payment.database())?,
            records::reservation_sums(self.inventory.database())?,
            records::shipment_sums(self.shipping.database())?,
        ))
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

    /// Adds what the other services did for these orders, with a few queries for all of them. Each service is
    /// read as of a moment of its own, the orders first, so that whatever a confirmed order needs is there when
    /// it is looked for.
    fn complete(&self, mut orders: Vec<OrderView>) -> Result<Vec<OrderView>, DataError> {
        let ids: Vec<OrderId> = orders.iter().map(|order| order.id.clone()).collect();
        let mut payments = records::payments(self.payment.database(), &ids)?;
        let mut reservations = records::reservations(self.inventory.database(), &ids)?;
        let mut shipments = records::shipments(self.shipping.database(), &ids)?;
        for order in &mut orders {
            order.add(&mut payments, &mut reservations, &mut shipments);
        }
        Ok(orders)
    }
}

/// Judges what an opening found, and gives everything its next generation.
fn settle_generation(directory: &Directory<'_>, services: &[&Service]) -> Result<(), ServicesError> {
    let found = services.iter().map(|service| (service.name(), service.database().generation()));
    let generation = directory.judge(&found.collect::<Vec<_>>())?;
    directory.mark_created()?;
    match set_generation(services, generation).and_then(|()| Ok(directory.mark(generation)?)) {
        Ok(()) => Ok(()),
        // On a full disk a shop can still be looked at: it keeps the generation it had.
        Err(error) if error.is_no_space() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives all databases their generation, side by side.
fn set_generation(services: &[&Service], generation: i64) -> Result<(), ServicesError> {
    let (answered, answers) = mpsc::channel();
    for service in services {
        let answered = answered.clone();
        // The receiver is there until all have answered.
        let answer = move |result| drop(answered.send(result));
        service.database().set_generation(generation, answer);
    }
    let answers = services.iter().map(|_| answers.recv().expect("every write is answered"));
    answers.collect::<Result<(), WriteError>>().map_err(ServicesError::Write)
}
