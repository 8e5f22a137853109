//! The JSON Schema of the format, for editors.
//!
//! Owns [`format_schema`], made from the table in `keys.rs`. Promises that it knows the same keys as the
//! reader. Does not replace the reader: a text that satisfies it may still have findings.

use amends_core::limits::{NAME_CHARACTERS_MAX, STEPS_MAX};
use serde_json::{Map, Value as Json, json};

use crate::keys::{CALL, DEFINITION, Key, SECTIONS, STEP, Section, Value};

/// Where the schema is published, which is also its name.
const ID: &str = "https://amends.dev/definition.schema.json";

/// The JSON Schema (draft 2020-12) of a definition.
#[must_use]
pub fn format_schema() -> String {
    let mut defs: Map<String, Json> =
        SECTIONS.iter().map(|section| (id(section), of_section(section))).collect();
    let pattern = format!("^[A-Za-z0-9_-]{{1,{NAME_CHARACTERS_MAX}}}$");
    let named = [
        (
            "name",
            json!({ "type": ["string", "integer"], "pattern": pattern, "description": "Letters, digits, `_` and `-`." }),
        ),
        (
            "duration",
            json!({
                "type": "string",
                "pattern": "^[0-9]+(\\.[0-9]{1,6})?(ms|s|m|h|d)$",
                "description": "A number and a unit: ms, s, m, h or d. At most 36,500d.",
            }),
        ),
        (
            "rate",
            json!({ "type": "string", "pattern": "^ *[1-9][0-9]* */ *(s|m|h) *$", "description": "Calls in a second, a minute or an hour." }),
        ),
        ("url", json!({ "type": "string", "pattern": "^https?://[^@?#]+$" })),
        ("variable", json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })),
        (
            "expression",
            json!({
                "type": "string",
                "pattern": "^\\$\\{[\\s\\S]*\\}$",
                "description": "One CEL expression: `${…}`.",
            }),
        ),
        (
            "text",
            json!({
                "type": ["string", "number", "boolean"],
                "description": "A text, in which `${…}` stands for the value of a CEL expression; a plain `${` is `$${`.",
            }),
        ),
        (
            "template",
            json!({
                "description": "Any JSON. In its texts `${…}` stands for the value of a CEL expression over `input`, `steps.NAME.output`, `saga` and, in a compensation, `output`; a text that is only one `${…}` keeps the value's type.",
            }),
        ),
    ];
    defs.extend(named.map(|(name, schema)| (name.to_owned(), schema)));
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "A saga for Amends",
        "description": "Made by `cargo xtask generate` from the table of keys in amends-definition.",
    });
    if let (Some(schema), Json::Object(of_definition)) = (schema.as_object_mut(), of_section(&DEFINITION)) {
        schema.extend(of_definition);
        defs.remove(&id(&DEFINITION));
        schema.insert("$defs".to_owned(), Json::Object(defs));
    }
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// The last word of a section's name: `step`, `call`.
fn id(section: &Section) -> String {
    section.name.split(' ').next_back().unwrap_or_default().to_owned()
}

fn refer(name: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn of_section(section: &Section) -> Json {
    let properties: Map<String, Json> =
        section.keys.iter().map(|key| (key.name.to_owned(), of_key(key))).collect();
    let required: Vec<&str> = section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    let Some(object) = schema.as_object_mut() else { return schema };
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    let one_of = |keys: &[&str]| keys.iter().map(|key| json!({ "required": [key] })).collect::<Vec<_>>();
    if std::ptr::eq(section, &raw const CALL) {
        object.insert("oneOf".to_owned(), json!(one_of(&["get", "post", "put", "patch", "delete"])));
    }
    if std::ptr::eq(section, &raw const STEP) {
        object.insert("oneOf".to_owned(), json!(one_of(&["action", "saga", "sleep", "wait"])));
        object.insert(
            "dependentRequired".to_owned(),
            json!({ "input": ["saga"], "each": ["as"], "as": ["each"], "concurrency": ["each"], "refuse_on": ["action"], "retry": ["action"] }),
        );
    }
    schema
}

fn of_key(key: &Key) -> Json {
    let mut schema = of_value(key.value);
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".to_owned(), json!(key.doc));
    }
    schema
}

fn of_value(value: Value) -> Json {
    match value {
        Value::Name => refer("name"),
        Value::Names => json!({ "type": "array", "items": refer("name") }),
        Value::Texts | Value::Places => {
            json!({ "type": "array", "items": { "type": "string", "minLength": 1 } })
        }
        Value::Count(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Value::Flag => json!({ "type": "boolean" }),
        Value::Duration => refer("duration"),
        Value::Rate => refer("rate"),
        Value::Url => refer("url"),
        Value::Variables => json!({ "oneOf": [
            refer("variable"),
            { "type": "array", "items": refer("variable"), "minItems": 1, "maxItems": 2 },
        ]}),
        Value::Word(words) => json!({ "enum": words }),
        Value::Expression => refer("expression"),
        Value::Template => refer("template"),
        Value::Path => json!({ "type": "string", "pattern": "^/" }),
        Value::TextMap => json!({ "type": "object", "additionalProperties": refer("text") }),
        Value::Schema => json!({ "$ref": "https://json-schema.org/draft/2020-12/schema" }),
        Value::Section(section) => refer(&id(section)),
        Value::Map(section) => json!({
            "type": "object",
            "propertyNames": refer("name"),
            "additionalProperties": refer(&id(section)),
        }),
        Value::List(section) => {
            json!({ "type": "array", "items": refer(&id(section)), "minItems": 1, "maxItems": STEPS_MAX })
        }
        Value::Undo => json!({ "oneOf": [{ "const": "none" }, refer("call")] }),
    }
}
