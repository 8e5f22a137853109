//! What is known of a value before it is there.
//!
//! Owns [`Type`]: the kinds that a value may have, and what is known of its parts. Promises to be wrong on one
//! side only: what it rules out cannot happen. Does not judge expressions: that is `check.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What is known of a value: a set of kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Type {
    kinds: u8,
    /// Of a list's elements; `None`: nothing.
    element: Option<Arc<Type>>,
    /// Of an object's fields.
    fields: Option<Arc<BTreeMap<String, Type>>>,
    /// Whether the object has no other fields.
    closed: bool,
    /// The step whose being skipped makes this `null`.
    pub(crate) skipped: Option<Arc<str>>,
}

const NULL: u8 = 1;
const BOOL: u8 = 2;
const INT: u8 = 4;
const UINT: u8 = 8;
const DOUBLE: u8 = 16;
const TEXT: u8 = 32;
const LIST: u8 = 64;
const OBJECT: u8 = 128;

/// Names of the kinds, for messages.
const NOUNS: [(u8, &str); 8] = [
    (NULL, "null"),
    (BOOL, "a bool"),
    (INT, "an int"),
    (UINT, "a uint"),
    (DOUBLE, "a double"),
    (TEXT, "a string"),
    (LIST, "a list"),
    (OBJECT, "an object"),
];

impl Default for Type {
    fn default() -> Self {
        Self::ANY
    }
}

impl Type {
    const fn of(kinds: u8) -> Self {
        Self { kinds, element: None, fields: None, closed: false, skipped: None }
    }

    pub(crate) const ANY: Self = Self::of(255);
    pub(crate) const NULL: Self = Self::of(NULL);
    pub(crate) const BOOL: Self = Self::of(BOOL);
    pub(crate) const INT: Self = Self::of(INT);
    pub(crate) const UINT: Self = Self::of(UINT);
    pub(crate) const DOUBLE: Self = Self::of(DOUBLE);
    pub(crate) const TEXT: Self = Self::of(TEXT);
    pub(crate) const LIST: Self = Self::of(LIST);
    pub(crate) const OBJECT: Self = Self::of(OBJECT);
    pub(crate) const NUMBER: Self = Self::of(INT | UINT | DOUBLE);
    /// What can stand in a text.
    pub(crate) const PART: Self = Self::of(BOOL | INT | UINT | DOUBLE | TEXT);
    pub(crate) const SIZED: Self = Self::of(TEXT | LIST | OBJECT);

    pub(crate) fn list_of(element: Self) -> Self {
        Self { element: Some(Arc::new(element)), ..Self::LIST }
    }

    pub(crate) fn object_of(fields: BTreeMap<String, Self>, closed: bool) -> Self {
        Self { fields: Some(Arc::new(fields)), closed, ..Self::OBJECT }
    }

    /// The output of a step that may be skipped.
    pub(crate) fn unless_skipped(self, step: &str) -> Self {
        Self { kinds: self.kinds | NULL, skipped: Some(step.into()), ..self }
    }

    /// The same, known not to be `null`.
    pub(crate) fn not_null(&self) -> Self {
        Self { kinds: self.kinds & !NULL, skipped: None, ..self.clone() }
    }

    /// Whether a value may be of both.
    pub(crate) const fn meets(&self, other: &Self) -> bool {
        self.kinds & other.kinds != 0
    }

    /// Either of both.
    pub(crate) fn or(&self, other: &Self) -> Self {
        let kinds = self.kinds | other.kinds;
        // What is known of the parts holds if both say the same, or if only one has such parts.
        let element = if other.kinds & LIST == 0 {
            self.element.clone()
        } else if self.kinds & LIST == 0 {
            other.element.clone()
        } else {
            self.element.as_ref().zip(other.element.as_ref()).map(|(one, other)| Arc::new(one.or(other)))
        };
        let (fields, closed) = if other.kinds & OBJECT == 0 {
            (self.fields.clone(), self.closed)
        } else if self.kinds & OBJECT == 0 {
            (other.fields.clone(), other.closed)
        } else if self.fields == other.fields {
            (self.fields.clone(), self.closed && other.closed)
        } else {
            (None, false)
        };
        Self {
            kinds,
            element,
            fields,
            closed,
            skipped: self.skipped.clone().or_else(|| other.skipped.clone()),
        }
    }

    /// What is known of a list's elements.
    pub(crate) fn element(&self) -> Self {
        self.element.as_deref().cloned().unwrap_or_default()
    }

    /// What is known of a field; `None` if there is no such field.
    pub(crate) fn field(&self, name: &str) -> Option<Self> {
        let known = self.fields.as_ref().and_then(|fields| fields.get(name));
        match known {
            Some(known) => Some(known.clone()),
            None if self.closed => None,
            None => Some(Self::ANY),
        }
    }

    /// The names of the fields that are known.
    pub(crate) fn field_names(&self) -> Vec<&str> {
        self.fields.iter().flat_map(|fields| fields.keys().map(String::as_str)).collect()
    }

    /// What it is called to people.
    pub(crate) fn noun(&self) -> String {
        if self.kinds == 255 {
            return "anything".to_owned();
        }
        if self.kinds == Self::NUMBER.kinds {
            return "a number".to_owned();
        }
        let nouns: Vec<&str> =
            NOUNS.iter().filter(|(kind, _)| self.kinds & kind != 0).map(|(_, noun)| *noun).collect();
        match nouns.as_slice() {
            [] => "nothing".to_owned(),
            [one] => (*one).to_owned(),
            [most @ .., last] => format!("{} or {last}", most.join(", ")),
        }
    }

    /// What a JSON Schema says, as far as it is simple: `type`, `properties`, `items`, `enum`, `const`. Whatever
    /// is not understood may be anything.
    pub(crate) fn of_schema(schema: &serde_json::Value) -> Self {
        Self::of_schema_at(schema, 0)
    }

    fn of_schema_at(schema: &serde_json::Value, depth: usize) -> Self {
        /// Beyond it nothing is known: schemas may be written endlessly deep.
        const DEPTH_MAX: usize = 32;
        let Some(schema) = schema.as_object().filter(|_| depth < DEPTH_MAX) else { return Self::ANY };
        let kinds_of = |name: &str| match name {
            "null" => NULL,
            "boolean" => BOOL,
            // A whole number may be written with a fraction: 100.0 is valid for an integer.
            "integer" | "number" => INT | UINT | DOUBLE,
            "string" => TEXT,
            "array" => LIST,
            "object" => OBJECT,
            _ => 255,
        };
        let mut known = Self::ANY;
        match schema.get("type") {
            Some(serde_json::Value::String(name)) => known.kinds = kinds_of(name),
            Some(serde_json::Value::Array(names)) => {
                known.kinds =
                    names.iter().filter_map(|name| name.as_str()).fold(0, |all, name| all | kinds_of(name));
            }
            _ => {}
        }
        if let Some(items) = schema.get("items") {
            known.element = Some(Arc::new(Self::of_schema_at(items, depth + 1)));
        }
        if let Some(serde_json::Value::Object(properties)) = schema.get("properties") {
            let fields =
                properties.iter().map(|(name, schema)| (name.clone(), Self::of_schema_at(schema, depth + 1)));
            known.fields = Some(Arc::new(fields.collect()));
            known.closed = schema.get("additionalProperties") == Some(&serde_json::Value::Bool(false))
                && !schema.contains_key("patternProperties");
        }
        known
    }
}
