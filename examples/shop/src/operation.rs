//! What the services can do, by name.
//!
//! Owns the list of operations, which service carries each out, and whether it acts or undoes.
//! Promises that an operation's name is the same everywhere. Does not carry anything out.

use std::fmt;

use amends_participant::Direction;

/// One of the four services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceName {
    /// Orders.
    Order,
    /// Payments.
    Payment,
    /// Stock and reservations.
    Inventory,
    /// Shipments.
    Shipping,
}

/// Something a service does when it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Makes an order.
    CreateOrder,
    /// Takes the order of this saga back.
    CancelOrder,
    /// Confirms an order.
    ConfirmOrder,
    /// Takes an amount.
    ProcessPayment,
    /// Gives back what this saga paid.
    RefundPayment,
    /// Sets goods aside.
    ReserveInventory,
    /// Puts back what this saga reserved.
    ReleaseReservation,
    /// Sends an order.
    ScheduleShipment,
    /// Stops what this saga scheduled.
    CancelShipment,
}

impl ServiceName {
    /// The four of them.
    pub const ALL: [ServiceName; 4] =
        [ServiceName::Order, ServiceName::Payment, ServiceName::Inventory, ServiceName::Shipping];

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServiceName::Order => "order",
            ServiceName::Payment => "payment",
            ServiceName::Inventory => "inventory",
            ServiceName::Shipping => "shipping",
        }
    }

    /// The name of the service's database file.
    pub const fn file(self) -> &'static str {
        match self {
            ServiceName::Order => "order.db",
            ServiceName::Payment => "payment.db",
            ServiceName::Inventory => "inventory.db",
            ServiceName::Shipping => "shipping.db",
        }
    }
}

impl Operation {
    /// Every operation there is.
    pub const ALL: [Operation; 9] = [
        Operation::CreateOrder,
        Operation::CancelOrder,
        Operation::ConfirmOrder,
        Operation::ProcessPayment,
        Operation::RefundPayment,
        Operation::ReserveInventory,
        Operation::ReleaseReservation,
        Operation::ScheduleShipment,
        Operation::CancelShipment,
    ];

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Operation::CreateOrder => "CreateOrder",
            Operation::CancelOrder => "CancelOrder",
            Operation::ConfirmOrder => "ConfirmOrder",
            Operation::ProcessPayment => "ProcessPayment",
            Operation::RefundPayment => "RefundPayment",
            Operation::ReserveInventory => "ReserveInventory",
            Operation::ReleaseReservation => "ReleaseReservation",
            Operation::ScheduleShipment => "ScheduleShipment",
            Operation::CancelShipment => "CancelShipment",
        }
    }

    /// The operation of this name, if there is one.
    pub fn named(name: &str) -> Option<Operation> {
        Operation::ALL.into_iter().find(|operation| operation.as_str() == name)
    }

    /// Who carries it out.
    pub const fn service(self) -> ServiceName {
        match self {
            Operation::CreateOrder | Operation::CancelOrder | Operation::ConfirmOrder => ServiceName::Order,
            Operation::ProcessPayment | Operation::RefundPayment => ServiceName::Payment,
            Operation::ReserveInventory | Operation::ReleaseReservation => ServiceName::Inventory,
            Operation::ScheduleShipment | Operation::CancelShipment => ServiceName::Shipping,
        }
    }

    /// The step it belongs to: an undo has that of the action it undoes.
    pub const fn step(self) -> &'static str {
        match self {
            Operation::CreateOrder | Operation::CancelOrder => "CreateOrder",
            Operation::ConfirmOrder => "ConfirmOrder",
            Operation::ProcessPayment | Operation::RefundPayment => "ProcessPayment",
            Operation::ReserveInventory | Operation::ReleaseReservation => "ReserveInventory",
            Operation::ScheduleShipment | Operation::CancelShipment => "ScheduleShipment",
        }
    }

    /// Whether it makes an effect or takes one back.
    pub const fn direction(self) -> Direction {
        match self {
            Operation::CreateOrder
            | Operation::ConfirmOrder
            | Operation::ProcessPayment
            | Operation::ReserveInventory
            | Operation::ScheduleShipment => Direction::Action,
            Operation::CancelOrder
            | Operation::RefundPayment
            | Operation::ReleaseReservation
            | Operation::CancelShipment => Direction::Compensation,
        }
    }
}

/// There is no service of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a service: there are order, payment, inventory and shipping")]
pub struct UnknownService(String);

impl std::str::FromStr for ServiceName {
    type Err = UnknownService;

    fn from_str(text: &str) -> Result<ServiceName, UnknownService> {
        let found = ServiceName::ALL.into_iter().find(|name| name.as_str() == text);
        found.ok_or_else(|| UnknownService(text.to_owned()))
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
