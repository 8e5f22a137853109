//! What requests may say.
//!
//! Owns the vocabulary of the table of calls: parameters, fields and their kinds. One table says what is read,
//! and what `/openapi.json` shows: they cannot differ. Does not read anything.

use serde_json::{Map, Value, json};

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A text of so many characters.
    Text {
        /// At least.
        min: usize,
        /// At most.
        max: usize,
    },
    /// A text that this pattern has matched when it was given out, or is written so; how it is read is told apart.
    Written {
        /// The pattern.
        pattern: &'static str,
        /// Characters at most.
        max: usize,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number.
    Number {
        /// At least.
        min: u64,
        /// At most.
        max: u64,
    },
    /// A saga's id.
    Id,
    /// A moment, RFC 3339.
    Moment,
    /// Any JSON.
    Json,
    /// Texts by name.
    Texts,
    /// An object of its own.
    Object(&'static Shape),
}

/// An object of a request's body.
#[derive(Debug)]
pub(super) struct Shape {
    /// Its name in the OpenAPI document.
    pub(super) name: &'static str,
    /// Its fields.
    pub(super) fields: &'static [Field],
}

/// A field of a body, or a parameter of a path or query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// Its name.
    pub(super) name: &'static str,
    /// What it may be.
    pub(super) kind: Kind,
    /// Whether it must be there.
    pub(super) required: bool,
    /// What it is for.
    pub(super) about: &'static str,
}

/// A field that must be there.
pub(super) const fn required(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, required: true, about }
}

/// A field that may be left out.
pub(super) const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, required: false, about }
}

/// A text that is not empty.
pub(super) const fn text(max: usize) -> Kind {
    Kind::Text { min: 1, max }
}

impl Kind {
    /// The kind as JSON Schema.
    pub(super) fn schema(self) -> Value {
        match self {
            Self::Text { min, max } => json!({"type": "string", "minLength": min, "maxLength": max}),
            Self::Written { pattern, max } => {
                json!({"type": "string", "pattern": pattern, "maxLength": max})
            }
            Self::Word(words) => json!({"type": "string", "enum": words}),
            Self::Number { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Self::Id => json!({"type": "string", "format": "uuid",
                "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"}),
            Self::Moment => json!({"type": "string", "format": "date-time"}),
            Self::Json => json!({"description": "any JSON"}),
            Self::Texts => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Self::Object(shape) => json!({"$ref": format!("#/components/schemas/{}", shape.name)}),
        }
    }

    /// The kind in words, for errors.
    pub(super) fn in_words(self) -> String {
        match self {
            Self::Text { min: 0, max } => format!("a text of at most {max} characters"),
            Self::Text { min, max } => format!("a text of {min} to {max} characters"),
            Self::Written { max, .. } => format!("a text of at most {max} characters"),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Id => {
                "an id: a UUID such as 0193e0a5-7b2c-7d11-8f00-0242ac120002, in lower case".to_owned()
            }
            Self::Moment => "a time in RFC 3339, such as 2026-11-30T12:00:00Z".to_owned(),
            Self::Json => "JSON".to_owned(),
            Self::Texts => "an object of texts".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

impl Shape {
    /// The shape as JSON Schema.
    pub(super) fn schema(&self) -> Value {
        let mut properties = Map::new();
        for field in self.fields {
            let mut schema = field.kind.schema();
            if let (Value::Object(schema), false) = (&mut schema, matches!(field.kind, Kind::Object(_))) {
                schema.insert("description".to_owned(), field.about.into());
            }
            properties.insert(field.name.to_owned(), schema);
        }
        let required: Vec<&str> =
            self.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    /// The names of its fields.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.fields.iter().map(|field| field.name).collect()
    }
}
