//! Every limit of the shop, with its reason.

use std::time::Duration;

use crate::money::Money;

/// Highest amount a payment takes; exactly this much is fine. A rule of the business.
pub const PAYMENT_MAX: Money = Money::from_minor(1_000_000);

/// How far ahead a shipment is scheduled. A rule of the business.
pub const SHIPPING_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Deepest nesting of arrays and objects in an order's body. An order needs three levels; parsers further on
/// stop at 128.
pub const NESTING_MAX: usize = 64;

/// Most orders of one page: about half a MiB of JSON.
pub const ORDERS_PAGE_MAX: usize = 1000;

/// Orders of a page unless the request says how many.
pub const ORDERS_PAGE_DEFAULT: usize = 100;

/// How long one attempt of a call may take. A service answers within milliseconds; this is for a disk that
/// hangs.
pub const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(10);

/// How long an order may take before its saga turns back.
pub const SAGA_TIME_MAX: Duration = Duration::from_secs(120);

/// Calls to one service that are under way together. It flushes them together, so this bounds one group commit; further calls
/// queue in the engine.
pub const CALLS_PER_SERVICE_MAX: usize = 256;

/// How long a look at a service that is a process of its own may take: it is started again within a second
/// when it has ended.
pub const LOOK_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a look rests before it is repeated.
pub const LOOK_REST: Duration = Duration::from_millis(50);

/// Most bytes that a look reads: a page of orders with many lines each.
pub const LOOK_BYTES_MAX: usize = 64 * 1024 * 1024;
