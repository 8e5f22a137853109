//! The schema of a saga's input.
//!
//! Owns [`InputSchema`]: reading a JSON Schema (draft 2020-12) out of a definition, and judging inputs by it.
//! Promises to fetch nothing (a `$ref` reaches only within the schema) and patterns that take linear time.
//! Does not keep inputs; a flaw names its place and what is asked, never the value.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::expression::Type;
use crate::limits::{INPUT_FLAWS_MAX, PATTERN_BYTES_MAX};
use crate::node::{Kind, Node};
use crate::source::{Source, nearest, say};

/// Why an input is not what the definition's schema asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFlaw {
    /// Where in the input, as a JSON pointer; empty: the whole.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// What an input has to satisfy.
pub(crate) struct InputSchema(Validator);

impl InputSchema {
    /// Reads it, and what is known of an input that satisfies it.
    pub(crate) fn read(node: &Node, source: &mut Source<'_>) -> Option<(Self, Type)> {
        if !matches!(node.kind, Kind::Map(_)) {
            source
                .find(node.span, say("schema", format!("a JSON Schema is a map, not {}", node.kind.noun())));
            return None;
        }
        let before = source.is_clean();
        judge_keywords(node, source);
        if before && !source.is_clean() {
            return None;
        }
        let schema = value_of(node);
        let options = jsonschema::options()
            .offline()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX));
        match options.build(&schema) {
            Ok(validator) => Some((Self(validator), Type::of_schema(&schema))),
            Err(error) => {
                let pointer = error.instance_path().to_string();
                let at = at_pointer(node, &pointer).span;
                let said = say("schema", format!("this is not a JSON Schema: {}", error.masked()));
                let help = if pointer.ends_with("/pattern") {
                    "patterns are those of Rust's `regex`: without look-around and back-references"
                } else {
                    "it is read as draft 2020-12; `$ref` reaches only within it, nothing is fetched"
                };
                source.find(at, said.help(help));
                None
            }
        }
    }

    /// Compares an input with it.
    pub(crate) fn judge(&self, input: &[u8]) -> Result<(), Vec<InputFlaw>> {
        let input: Value = serde_json::from_slice(input).map_err(|error| {
            vec![InputFlaw {
                pointer: String::new(),
                message: format!("this is not JSON that can be read: {error}"),
            }]
        })?;
        if self.0.is_valid(&input) {
            return Ok(());
        }
        let flaws = self.0.iter_errors(&input).take(INPUT_FLAWS_MAX).map(|error| InputFlaw {
            pointer: error.instance_path().to_string(),
            message: error.masked_with("the value").to_string(),
        });
        Err(flaws.collect())
    }
}

/// Keywords of draft 2020-12.
const KEYWORDS: [&str; 61] = [
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
    "$recursiveRef",
    "$recursiveAnchor",
];

/// A keyword that is misspelt would be ignored by every validator: it is a finding. Own ones begin with `x-`.
fn judge_keywords(node: &Node, source: &mut Source<'_>) {
    let Kind::Map(entries) = &node.kind else { return };
    for entry in entries {
        let key = entry.key.as_str();
        if !KEYWORDS.contains(&key) && !key.starts_with("x-") {
            let said = say("unknown_key", format!("`{key}` is not a keyword of JSON Schema"));
            let help = match nearest(key, KEYWORDS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "it would be ignored: fields of an object stand in `properties`; own keywords begin with `x-`".to_owned(),
            };
            source.find(entry.key_span, said.help(help));
        }
        if key == "type" {
            judge_types(&entry.value, source);
        }
        match (key, &entry.value.kind) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Kind::Map(named),
            ) => {
                named.iter().for_each(|named| judge_keywords(&named.value, source));
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Kind::List(items)) => {
                items.iter().for_each(|item| judge_keywords(item, source));
            }
            (
                "items"
                | "additionalProperties"
                | "contains"
                | "not"
                | "if"
                | "then"
                | "else"
                | "propertyNames"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "contentSchema",
                Kind::Map(_),
            ) => judge_keywords(&entry.value, source),
            _ => {}
        }
    }
}

/// The words that can stand under `type`.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

fn judge_types(node: &Node, source: &mut Source<'_>) {
    match &node.kind {
        Kind::Text(word) if TYPES.contains(&word.as_str()) => {}
        Kind::Text(word) => {
            let said = say("schema", format!("`{word}` is not a type of JSON Schema"));
            source.find(node.span, said.nearest(word, TYPES));
        }
        Kind::List(words) => words.iter().for_each(|word| judge_types(word, source)),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Map(_) => {
            let said = say("schema", format!("a type of JSON Schema is a word, not {}", node.kind.noun()));
            source.find(node.span, said.help(format!("such as `{}`", TYPES.join("`, `"))));
        }
    }
}

/// The node as JSON, numbers with all their digits.
pub(crate) fn value_of(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(bool) => Value::Bool(*bool),
        Kind::Number(number) => serde_json::from_str(number).unwrap_or(Value::Null),
        Kind::Text(text) => Value::String(text.clone()),
        Kind::List(items) => items.iter().map(value_of).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), value_of(&entry.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

/// The node that a JSON pointer leads to, or the nearest one above it.
fn at_pointer<'n>(node: &'n Node, pointer: &str) -> &'n Node {
    let mut at = node;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let next = match &at.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == part).map(|entry| &entry.value),
            Kind::List(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => None,
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}
