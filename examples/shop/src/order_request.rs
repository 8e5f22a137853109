//! An order as a client sends it.
//!
//! Owns the judgement of a request's body: first its shape, then its values. Promises that what passes is an
//! order the order service takes, with every amount exact, and that an error names the field and what to do.
//! Does not read the whole body: fields it does not know are skipped. Start reading at
//! [`OrderRequest::parse`].

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::decimal::{Decimal, Unfit};
use crate::ids::{ProductId, UserId};
use crate::limits::NESTING_MAX;
use crate::messages::{CreateOrder, Item, TotalOverflow, total};
use crate::money::{Money, MoneyError};

/// A sound request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRequest {
    order: CreateOrder,
    total: Money,
}

/// Who has to change what: the class of an error decides the status of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestClass {
    /// The body has not the shape of an order: HTTP 400.
    Malformed,
    /// The shape is right and a value is not: HTTP 422.
    Unprocessable,
}

/// Why a body is not an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body is not JSON.
    #[error("the body is not JSON ({reason}): send an object with user_id and items")]
    NotJson {
        /// What the parser said.
        reason: String,
    },
    /// The body is nested too deeply.
    #[error("the body is nested deeper than {max} levels: an order needs three")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// A field comes twice in one object.
    #[error("{path} comes more than once: send it once")]
    DuplicateField {
        /// Where.
        path: String,
    },
    /// A field is not there.
    #[error("{path} is missing: send {expected}")]
    MissingField {
        /// Where.
        path: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A field has a value of another type.
    #[error("{path} is {found}: send {expected}")]
    WrongType {
        /// Where.
        path: String,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The user's id is empty.
    #[error("user_id is empty: say who orders")]
    EmptyUserId,
    /// Nothing is ordered.
    #[error("items is empty: order at least one product")]
    EmptyOrder,
    /// A quantity is zero or less.
    #[error("{path} is not above zero: order at least 1")]
    QuantityNotPositive {
        /// Where.
        path: String,
    },
    /// A price is zero or less.
    #[error("{path} is not above zero: the lowest price is 0.01")]
    PriceNotPositive {
        /// Where.
        path: String,
    },
    /// A price is finer than the money is.
    #[error("{path} has more than two decimals: round it to two")]
    TooManyDecimals {
        /// Where.
        path: String,
    },
    /// A number, a line or the total is too large.
    #[error("{path} is too large: amounts end at 92233720368547758.07 and quantities at 9223372036854775807")]
    Overflow {
        /// Where.
        path: String,
    },
}

impl OrderRequest {
    /// Judges a request's body.
    ///
    /// # Errors
    /// The first fault of its shape if there is one, else the first fault of its values.
    pub fn parse(body: &[u8]) -> Result<OrderRequest, RequestError> {
        let shape = Shape::of(body)?;
        if shape.user_id.is_empty() {
            return Err(RequestError::EmptyUserId);
        }
        if shape.items.is_empty() {
            return Err(RequestError::EmptyOrder);
        }
        let items = shape.items.into_iter().enumerate();
        let items = items.map(|(index, item)| item.judge(index)).collect::<Result<Vec<Item>, _>>()?;
        let total = total(&items).map_err(|overflow| RequestError::Overflow {
            path: match overflow {
                TotalOverflow::Line(index) => format!("items[{index}].price × items[{index}].quantity"),
                TotalOverflow::Sum => "the total of items".to_owned(),
            },
        })?;
        Ok(OrderRequest { order: CreateOrder { user_id: UserId::from(shape.user_id), items }, total })
    }

    /// What to ask the order service for.
    pub fn order(&self) -> &CreateOrder {
        &self.order
    }

    /// What to ask the order service for.
    pub fn into_order(self) -> CreateOrder {
        self.order
    }

    /// What the order costs.
    pub fn total(&self) -> Money {
        self.total
    }
}

impl RequestError {
    /// Whether the shape or a value is at fault.
    pub fn class(&self) -> RequestClass {
        match self {
            RequestError::NotJson { .. }
            | RequestError::TooDeep { .. }
            | RequestError::DuplicateField { .. }
            | RequestError::MissingField { .. }
            | RequestError::WrongType { .. } => RequestClass::Malformed,
            RequestError::EmptyUserId
            | RequestError::EmptyOrder
            | RequestError::QuantityNotPositive { .. }
            | RequestError::PriceNotPositive { .. }
            | RequestError::TooManyDecimals { .. }
            | RequestError::Overflow { .. } => RequestClass::Unprocessable,
        }
    }

    /// Stable and for programs.
    pub fn code(&self) -> &'static str {
        match self {
            RequestError::NotJson { .. } => "not_json",
            RequestError::TooDeep { .. } => "nesting_too_deep",
            RequestError::DuplicateField { .. } => "duplicate_field",
            RequestError::MissingField { .. } => "missing_field",
            RequestError::WrongType { .. } => "wrong_type",
            RequestError::EmptyUserId => "empty_user_id",
            RequestError::EmptyOrder => "empty_order",
            RequestError::QuantityNotPositive { .. } => "quantity_not_positive",
            RequestError::PriceNotPositive { .. } => "price_not_positive",
            RequestError::TooManyDecimals { .. } => "too_many_decimals",
            RequestError::Overflow { .. } => "overflow",
        }
    }
}

/// A body with the right fields of the right types, its values not yet judged.
struct Shape<'a> {
    user_id: String,
    items: Vec<ItemShape<'a>>,
}

struct ItemShape<'a> {
    product_id: String,
    quantity: Quantity,
    price: &'a str,
}

/// An integer by value.
pub(crate) enum Quantity {
    Fits(i64),
    TooLarge,
}

impl Quantity {
    /// The quantity, if it is one that can be ordered.
    pub(crate) fn judge(self, path: impl Fn() -> String) -> Result<i64, RequestError> {
        match self {
            Quantity::Fits(quantity) if quantity > 0 => Ok(quantity),
            Quantity::Fits(_) => Err(RequestError::QuantityNotPositive { path: path() }),
            Quantity::TooLarge => Err(RequestError::Overflow { path: path() }),
        }
    }
}

impl<'a> Shape<'a> {
    fn of(body: &'a [u8]) -> Result<Shape<'a>, RequestError> {
        let mut fields = Fields::of_body(body)?;
        let user_id = fields.take("user_id", "a text")?.text()?;
        let items = fields.take("items", "an array")?.elements()?;
        let items = items.into_iter().map(ItemShape::of).collect::<Result<_, _>>()?;
        Ok(Shape { user_id, items })
    }
}

impl<'a> ItemShape<'a> {
    fn of(item: Value<'a>) -> Result<ItemShape<'a>, RequestError> {
        let mut fields = Fields::of(item.raw, &item.path)?;
        let product_id = fields.take("product_id", "a text")?.text()?;
        let quantity = fields.take("quantity", "an integer")?.integer()?;
        let price = fields.take("price", "a number")?.number("a number")?;
        Ok(ItemShape { product_id, quantity, price })
    }

    fn judge(self, index: usize) -> Result<Item, RequestError> {
        let price_path = || format!("items[{index}].price");
        let quantity = self.quantity.judge(|| format!("items[{index}].quantity"))?;
        let price = Money::parse_price(self.price).map_err(|error| match error {
            MoneyError::TooManyDecimals => RequestError::TooManyDecimals { path: price_path() },
            MoneyError::NotAboveZero => RequestError::PriceNotPositive { path: price_path() },
            MoneyError::Overflow => RequestError::Overflow { path: price_path() },
            // The shape was judged before, so this says twice what was said once.
            MoneyError::NotANumber => {
                RequestError::WrongType { path: price_path(), expected: "a number", found: "something else" }
            }
        })?;
        Ok(Item { product_id: ProductId::from(self.product_id), quantity, price })
    }
}

/// The fields of one object.
pub(crate) struct Fields<'a> {
    path: String,
    fields: Vec<(String, &'a RawValue)>,
}

/// A value and where it was found.
pub(crate) struct Value<'a> {
    pub(crate) path: String,
    pub(crate) raw: &'a RawValue,
}

impl<'a> Fields<'a> {
    /// Those of a whole body.
    pub(crate) fn of_body(body: &'a [u8]) -> Result<Fields<'a>, RequestError> {
        let text = std::str::from_utf8(body).map_err(not_json)?;
        if nesting(body) > NESTING_MAX {
            return Err(RequestError::TooDeep { max: NESTING_MAX });
        }
        Fields::of(serde_json::from_str(text).map_err(not_json)?, "")
    }

    pub(crate) fn of(raw: &'a RawValue, path: &str) -> Result<Fields<'a>, RequestError> {
        if !raw.get().starts_with('{') {
            let path = if path.is_empty() { "the body" } else { path }.to_owned();
            return Err(RequestError::WrongType { path, expected: "an object", found: kind(raw) });
        }
        let Object(mut fields) = serde_json::from_str(raw.get()).map_err(not_json)?;
        fields.sort_by(|(left, _), (right, _)| left.cmp(right));
        if let Some(pair) = fields.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(RequestError::DuplicateField { path: join(path, &pair[0].0) });
        }
        Ok(Fields { path: path.to_owned(), fields })
    }

    pub(crate) fn take(&mut self, name: &str, expected: &'static str) -> Result<Value<'a>, RequestError> {
        let path = join(&self.path, name);
        match self.fields.binary_search_by(|(field, _)| field.as_str().cmp(name)) {
            Ok(at) => Ok(Value { path, raw: self.fields[at].1 }),
            Err(_) => Err(RequestError::MissingField { path, expected }),
        }
    }
}

impl<'a> Value<'a> {
    pub(crate) fn text(self) -> Result<String, RequestError> {
        if !self.raw.get().starts_with('"') {
            return Err(self.wrong_type("a text"));
        }
        serde_json::from_str(self.raw.get()).map_err(not_json)
    }

    pub(crate) fn elements(self) -> Result<Vec<Value<'a>>, RequestError> {
        if !self.raw.get().starts_with('[') {
            return Err(self.wrong_type("an array"));
        }
        let elements: Vec<&RawValue> = serde_json::from_str(self.raw.get()).map_err(not_json)?;
        let elements = elements.into_iter().enumerate();
        Ok(elements.map(|(index, raw)| Value { path: format!("{}[{index}]", self.path), raw }).collect())
    }

    pub(crate) fn number(self, expected: &'static str) -> Result<&'a str, RequestError> {
        if !self.raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Err(self.wrong_type(expected));
        }
        Ok(self.raw.get())
    }

    /// An integer by value: `2.0` and `2e0` are, `1.5` is another type. One that is too large is still an
    /// integer.
    pub(crate) fn integer(self) -> Result<Quantity, RequestError> {
        let path = self.path.clone();
        let text = self.number("an integer")?;
        let decimal = Decimal::parse(text).expect("the JSON parser took this text for a number");
        match decimal.in_units(0) {
            Ok(quantity) => Ok(Quantity::Fits(quantity)),
            Err(Unfit::TooLarge) => Ok(Quantity::TooLarge),
            Err(Unfit::TooFine) => Err(RequestError::WrongType {
                path,
                expected: "an integer",
                found: "a number with a fraction",
            }),
        }
    }

    fn wrong_type(self, expected: &'static str) -> RequestError {
        RequestError::WrongType { path: self.path, expected, found: kind(self.raw) }
    }
}

/// An object's fields as they come, duplicates included.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'a>, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Object(fields))
    }
}

/// How deep arrays and objects are nested, whether or not the text is JSON.
fn nesting(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn kind(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn not_json(error: impl std::fmt::Display) -> RequestError {
    RequestError::NotJson { reason: error.to_string() }
}
