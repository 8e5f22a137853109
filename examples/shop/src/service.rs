//! One service on its own database: a call comes in, the barrier lets it through once, the answer goes out
//! after the flush.
//!
//! Owns the way from a call to the business code of its operation. Promises that the answer is on disk before
//! it is given. Does not hold the rules of the business: those are in `order`, `payment`, `inventory` and
//! `shipping`. Start reading at [`Service::call`].

use std::path::Path;
use std::sync::Arc;

use amends_participant::database::{Create, Database, Format, OnFatal, OpenError, WriteError};
use amends_participant::{
    Answer, BarrierError, CallKey, DataError, Decision, Delivery, Direction, Refusal, Savepoint, barrier,
};
use bytes::Bytes;
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::operation::{Operation, ServiceName};
use crate::stock::Stock;
use crate::surroundings::{Drawn, NoRandomness, Surroundings};
use crate::undo::Undo;
use crate::{inventory, order, payment, shipping, wire};

/// Version of the four databases' format.
const FORMAT_VERSION: i32 = 2;

/// The answer of an operation that has nothing to tell.
const NOTHING: &[u8] = b"null";

/// An open service.
pub struct Service {
    name: ServiceName,
    database: Database,
    surroundings: Arc<dyn Surroundings>,
    guard: Guard,
}

/// One call of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCall {
    /// What to do.
    pub operation: Operation,
    /// Which call it is: the same for all its attempts.
    pub key: CallKey,
    /// Of an undo: whether the coordinator does not know that there is something to undo.
    pub in_doubt: bool,
    /// The operation's payload, as JSON.
    pub payload: Bytes,
    /// How it is written.
    pub form: Form,
}

/// How payloads and outputs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As inside a program: [`messages`](crate::messages), amounts in minor units.
    Inside,
    /// As over HTTP: amounts are numbers with at most two decimals.
    Outside,
}

/// Why a call got no answer. All but a [conflict](CallError::is_conflict) leave the caller with *unknown*.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields of a variant are named for what they hold")]
pub enum CallError {
    /// The call went to a service that does not carry out its operation.
    #[error("the {service} service does not carry out {operation}: it belongs to the {owner} service")]
    WrongService { service: ServiceName, operation: Operation, owner: ServiceName },
    /// There were no random bits for a new id.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The call was not carried out, or its outcome is unknown.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl CallError {
    /// Whether the key stands for another call, which may have taken effect: neither a refusal nor unknown.
    pub fn is_conflict(&self) -> bool {
        matches!(self, CallError::Write(WriteError::Job(error)) if error.is_conflict())
    }
}

/// What stands between a call and the business code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    Barrier,
    #[cfg(feature = "sabotage")]
    Nothing,
}

impl Service {
    /// Opens a service's database in `dir`, or creates it there. The stock counts only when the inventory is
    /// created.
    ///
    /// # Errors
    /// When the database cannot be opened, or is damaged.
    pub fn open(
        name: ServiceName,
        dir: &Path,
        stock: &Stock,
        surroundings: Arc<dyn Surroundings>,
        on_fatal: OnFatal,
    ) -> Result<Service, OpenError> {
        let format = Format {
            application_id: application_id(name),
            version: FORMAT_VERSION,
            create: create(name, stock),
        };
        let database = Database::open(&dir.join(name.file()), format, on_fatal)?;
        Ok(Service { name, database, surroundings, guard: Guard::Barrier })
    }

    /// Carries out a call. Returns immediately; `answered` is called exactly once, on another thread after the
    /// flush, or on this one when the call could not be queued. It should hand its argument on and not
    /// compute.
    pub fn call(&self, call: ServiceCall, answered: impl FnOnce(Result<Answer, CallError>) + Send + 'static) {
        let (operation, owner) = (call.operation, call.operation.service());
        if owner != self.name {
            return answered(Err(CallError::WrongService { service: self.name, operation, owner }));
        }
        // Drawn before it is known whether the call is a repeat: that costs less than a microsecond, and
        // keeps business code pure.
        let drawn = match Drawn::from(self.surroundings.as_ref()) {
            Ok(drawn) => drawn,
            Err(error) => return answered(Err(error.into())),
        };
        let guard = self.guard;
        self.database.submit(
            move |savepoint| carry_out(savepoint, guard, &call, drawn),
            move |result| answered(result.map_err(CallError::Write)),
        );
    }

    /// Which service this is.
    pub fn name(&self) -> ServiceName {
        self.name
    }

    /// The service's own database, to look at it and to forget old barrier rows.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// [Takes the barrier away](Self::take_barrier_away) from a service that runs alone.
    #[cfg(feature = "sabotage")]
    #[must_use]
    pub(crate) fn without_barrier(mut self) -> Service {
        self.take_barrier_away();
        self
    }

    /// Lets every call through, repeats and late actions included, so that the crash campaign can show that
    /// it notices. A service opened so breaks every promise of this crate.
    #[cfg(feature = "sabotage")]
    pub(crate) fn take_barrier_away(&mut self) {
        self.guard = Guard::Nothing;
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("database", &self.database).finish_non_exhaustive()
    }
}

fn carry_out(
    savepoint: &Savepoint<'_>,
    guard: Guard,
    call: &ServiceCall,
    drawn: Drawn,
) -> Result<Answer, BarrierError> {
    let delivery = Delivery::new(&call.key, call.operation.as_str(), &call.payload);
    let delivery = if call.in_doubt { delivery } else { delivery.certain() };
    match (guard, call.operation.direction()) {
        (Guard::Barrier, Direction::Action) => {
            barrier::action_in(savepoint, delivery, drawn.now_ms, |c| run(c, call, drawn).map(known))
        }
        (Guard::Barrier, Direction::Compensation) => {
            barrier::undo_in(savepoint, delivery, drawn.now_ms, |c| match run(c, call, drawn)? {
                Ran::Decided(decision) => Ok(decision),
                Ran::NothingToUndo => Err(DataError::damaged(
                    format!("the records of saga `{}`", call.key.transaction()),
                    format!("step `{}` took effect, but what it made is missing", call.key.step()),
                )),
            })
        }
        #[cfg(feature = "sabotage")]
        (Guard::Nothing, Direction::Action | Direction::Compensation) => {
            without_barrier(savepoint, call, drawn)
        }
    }
}

/// What business code came to.
enum Ran {
    Decided(Decision),
    NothingToUndo,
}

fn run(connection: &Connection, call: &ServiceCall, drawn: Drawn) -> Result<Ran, DataError> {
    let (c, saga, body) = (connection, call.key.transaction(), call.payload.as_ref());
    match (call.operation, call.form) {
        (Operation::CreateOrder, Form::Inside) => {
            act(payload(body), |payload| order::create(c, saga, &payload, drawn))
        }
        (Operation::CreateOrder, Form::Outside) => act(wire::create_order(body), |payload| {
            Ok(order::create(c, saga, &payload, drawn)?.map(wire::OrderCreated::from))
        }),
        (Operation::ConfirmOrder, Form::Inside | Form::Outside) => {
            act(payload(body), |payload| order::confirm(c, &payload))
        }
        (Operation::ProcessPayment, form) => {
            let payload = match form {
                Form::Inside => payload(body),
                Form::Outside => wire::process_payment(body),
            };
            act(payload, |payload| payment::process(c, saga, &payload, drawn))
        }
        (Operation::ReserveInventory, form) => {
            let payload = match form {
                Form::Inside => payload(body),
                Form::Outside => wire::reserve_inventory(body),
            };
            act(payload, |payload| inventory::reserve(c, saga, &payload, drawn))
        }
        (Operation::ScheduleShipment, Form::Inside | Form::Outside) => {
            act(payload(body), |payload| shipping::schedule(c, saga, &payload, drawn))
        }
        (Operation::CancelOrder, Form::Inside | Form::Outside) => {
            take_back(body, |payload| order::cancel(c, saga, &payload))
        }
        (Operation::RefundPayment, Form::Inside | Form::Outside) => {
            take_back(body, |payload| payment::refund(c, saga, &payload))
        }
        (Operation::ReleaseReservation, Form::Inside | Form::Outside) => {
            take_back(body, |payload| inventory::release(c, saga, &payload))
        }
        (Operation::CancelShipment, Form::Inside | Form::Outside) => {
            take_back(body, |payload| shipping::cancel(c, saga, &payload))
        }
    }
}

fn act<P, O: Serialize>(
    payload: Result<P, Refusal>,
    business: impl FnOnce(P) -> Result<Result<O, Refusal>, DataError>,
) -> Result<Ran, DataError> {
    let decision = match payload {
        Ok(payload) => business(payload)?.map(|output| {
            serde_json::to_vec(&output).expect("an output of texts and numbers is always JSON")
        }),
        Err(refusal) => Err(refusal),
    };
    Ok(Ran::Decided(decision))
}

fn take_back<P: DeserializeOwned>(
    body: &[u8],
    business: impl FnOnce(P) -> Result<Undo, DataError>,
) -> Result<Ran, DataError> {
    match payload(body) {
        Ok(payload) => match business(payload)? {
            Undo::Done => Ok(Ran::Decided(Ok(NOTHING.to_vec()))),
            Undo::NothingFound => Ok(Ran::NothingToUndo),
        },
        Err(refusal) => Ok(Ran::Decided(Err(refusal))),
    }
}

fn payload<P: DeserializeOwned>(body: &[u8]) -> Result<P, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::new("invalid_payload", error.to_string()))
}

fn known(ran: Ran) -> Decision {
    match ran {
        Ran::Decided(decision) => decision,
        Ran::NothingToUndo => Ok(NOTHING.to_vec()),
    }
}

#[cfg(feature = "sabotage")]
fn without_barrier(
    connection: &Connection,
    call: &ServiceCall,
    drawn: Drawn,
) -> Result<Answer, BarrierError> {
    // A refusal must still leave nothing behind: what is taken away is the memory of earlier calls, not the
    // transaction.
    connection.execute_batch("SAVEPOINT business")?;
    let decided = run(connection, call, drawn).map(known);
    let end = if matches!(decided, Ok(Ok(_))) {
        "RELEASE business"
    } else {
        "ROLLBACK TO business; RELEASE business"
    };
    connection.execute_batch(end)?;
    Ok(match decided? {
        Ok(output) => Answer::Completed(output),
        Err(refusal) => Answer::Refused(refusal),
    })
}

fn create(name: ServiceName, stock: &Stock) -> Create {
    let stock = stock.clone();
    Box::new(move |connection| {
        barrier::install(connection)?;
        match name {
            ServiceName::Order => connection.execute_batch(order::TABLES),
            ServiceName::Payment => connection.execute_batch(payment::TABLES),
            ServiceName::Inventory => inventory::create(connection, &stock),
            ServiceName::Shipping => connection.execute_batch(shipping::TABLES),
        }
    })
}

/// Marks each service's file, so that two cannot be exchanged. The letters are `Ams` and the service's.
const fn application_id(name: ServiceName) -> i32 {
    let service = match name {
        ServiceName::Order => b'o',
        ServiceName::Payment => b'p',
        ServiceName::Inventory => b'i',
        ServiceName::Shipping => b's',
    };
    i32::from_be_bytes([b'A', b'm', b's', service])
}
