//! Values with expressions in them.
//!
//! Owns [`Template`] (any JSON), [`Text`] (a text with parts) and the splitting of a text at its `${…}`.
//! Promises that a text which is only one `${…}` keeps the value's type and bytes, that keys keep their order,
//! and that what an expression gives is never read as an expression again. Does not know where a value goes.

use crate::expression::{Evaluation, Expression, Fault, Flaw, Names, Type, render_text};
use crate::node::{Kind, Node};
use crate::source::{Said, Source, Span, say};

/// Any JSON, with expressions in it.
#[derive(Debug, Clone)]
pub(crate) enum Template {
    /// As it is to be sent.
    Fixed(Vec<u8>),
    /// Only one expression.
    Expression(Expression),
    /// A text with expressions in it.
    Text(Text),
    List(Vec<Template>),
    /// Keys as they are to be sent, colon included.
    Map(Vec<(Vec<u8>, Template)>),
}

/// A text with expressions in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text(pub(crate) Vec<Part>);

/// A part of a text.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Plain(String),
    Expression(Expression),
}

/// A part of a text before its expressions are read.
enum Piece<'t> {
    Plain(String),
    /// Without `${` and `}`, and where it begins.
    Expression(&'t str, usize),
}

impl Template {
    /// Reads a value; a part with findings becomes `null`.
    pub(crate) fn read(node: &Node, names: &Names<'_>, source: &mut Source<'_>) -> Self {
        match &node.kind {
            Kind::Null => Self::Fixed(b"null".to_vec()),
            Kind::Bool(bool) => Self::Fixed(bool.to_string().into_bytes()),
            Kind::Number(number) => Self::Fixed(number.clone().into_bytes()),
            Kind::Text(text) => {
                if let Some(expression) = whole(node, text, names, source) {
                    return match expression {
                        Ok(expression) => Self::Expression(expression),
                        Err(()) => Self::Fixed(b"null".to_vec()),
                    };
                }
                let text = Text::read(node, names, source);
                match text.plain() {
                    Some(plain) => {
                        let mut fixed = Vec::new();
                        render_text(&plain, &mut fixed);
                        Self::Fixed(fixed)
                    }
                    None => Self::Text(text),
                }
            }
            Kind::List(items) => {
                let items = items.iter().map(|item| Self::read(item, names, source)).collect();
                Self::List(items).folded()
            }
            Kind::Map(entries) => {
                let mut members = Vec::with_capacity(entries.len());
                for entry in entries {
                    if entry.key.contains("${") {
                        let said = say("expression_place", "expressions stand in values, not in keys");
                        source.find(
                            entry.key_span,
                            said.help("build the object in an expression: `${ {key: value} }`"),
                        );
                    }
                    let mut key = Vec::new();
                    render_text(&entry.key, &mut key);
                    key.push(b':');
                    members.push((key, Self::read(&entry.value, names, source)));
                }
                Self::Map(members).folded()
            }
        }
    }

    /// A list or map without expressions is known already.
    fn folded(self) -> Self {
        let is_fixed = match &self {
            Self::List(items) => items.iter().all(|item| matches!(item, Self::Fixed(_))),
            Self::Map(members) => members.iter().all(|(_, value)| matches!(value, Self::Fixed(_))),
            Self::Fixed(_) | Self::Expression(_) | Self::Text(_) => false,
        };
        if !is_fixed {
            return self;
        }
        let mut fixed = Vec::new();
        let (open, close) = if matches!(self, Self::List(_)) { (b'[', b']') } else { (b'{', b'}') };
        fixed.push(open);
        let mut add = |key: &[u8], value: &Self| {
            if fixed.len() > 1 {
                fixed.push(b',');
            }
            fixed.extend_from_slice(key);
            if let Self::Fixed(value) = value {
                fixed.extend_from_slice(value);
            }
        };
        match &self {
            Self::List(items) => items.iter().for_each(|item| add(b"", item)),
            Self::Map(members) => members.iter().for_each(|(key, value)| add(key, value)),
            Self::Fixed(_) | Self::Expression(_) | Self::Text(_) => {}
        }
        fixed.push(close);
        Self::Fixed(fixed)
    }

    /// The value's JSON.
    ///
    /// # Errors
    /// Why an expression in it has no value.
    pub(crate) fn render(&self, evaluation: &mut Evaluation<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Fixed(fixed) => {
                out.extend_from_slice(fixed);
                evaluation.work.built(fixed.len())
            }
            Self::Expression(expression) if evaluation.lacks(expression) => {
                render_text(&expression.shown, out);
                Ok(())
            }
            Self::Expression(expression) => {
                let value = evaluation.evaluate(expression)?;
                value.render(out, &mut evaluation.work)
            }
            Self::Text(text) => {
                let text = text.render(evaluation)?;
                render_text(&text, out);
                Ok(())
            }
            Self::List(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.render(evaluation, out)?;
                }
                out.push(b']');
                Ok(())
            }
            Self::Map(members) => {
                out.push(b'{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(key);
                    value.render(evaluation, out)?;
                }
                out.push(b'}');
                Ok(())
            }
        }
    }

    pub(crate) fn expressions(&self) -> Vec<&Expression> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Expression(expression) => vec![expression],
            Self::Text(text) => text.expressions(),
            Self::List(items) => items.iter().flat_map(Self::expressions).collect(),
            Self::Map(members) => members.iter().flat_map(|(_, value)| value.expressions()).collect(),
        }
    }
}

impl Text {
    /// Reads a text with parts; the node is one.
    pub(crate) fn read(node: &Node, names: &Names<'_>, source: &mut Source<'_>) -> Self {
        let text = match &node.kind {
            Kind::Text(text) => text.clone(),
            Kind::Number(number) => number.clone(),
            Kind::Bool(bool) => bool.to_string(),
            Kind::Null | Kind::List(_) | Kind::Map(_) => {
                source.find(node.span, say("type", format!("a text belongs here, not {}", node.kind.noun())));
                return Self::default();
            }
        };
        let Some(pieces) = split_at(node, &text, source) else { return Self::default() };
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Plain(plain) => parts.push(Part::Plain(plain)),
                Piece::Expression(expression, at) => {
                    if let Some(read) = compile(node, &text, expression, at, names, source) {
                        if !read.kind.meets(&Type::PART) {
                            let message = format!("{} cannot be a part of a text", read.kind.noun());
                            source
                                .find(place(node, &text, at, expression.len(), source), say("type", message));
                        }
                        parts.push(Part::Expression(read));
                    }
                }
            }
        }
        Self(parts)
    }

    /// The text, if there are no expressions in it.
    pub(crate) fn plain(&self) -> Option<String> {
        let plain = |part: &Part| match part {
            Part::Plain(plain) => Some(plain.clone()),
            Part::Expression(_) => None,
        };
        self.0.iter().map(plain).collect()
    }

    pub(crate) fn render(&self, evaluation: &mut Evaluation<'_>) -> Result<String, Fault> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Plain(plain) => text.push_str(plain),
                Part::Expression(expression) if evaluation.lacks(expression) => {
                    text.push_str(&expression.shown)
                }
                Part::Expression(expression) => {
                    let value = evaluation.evaluate(expression)?;
                    text.push_str(&value.as_part(&mut evaluation.work)?);
                }
            }
        }
        evaluation.work.built(text.len())?;
        Ok(text)
    }

    pub(crate) fn expressions(&self) -> Vec<&Expression> {
        let expression = |part: &'_ Part| matches!(part, Part::Expression(_));
        let found = self.0.iter().filter(|part| expression(part));
        found
            .filter_map(|part| match part {
                Part::Expression(expression) => Some(expression),
                Part::Plain(_) => None,
            })
            .collect()
    }
}

/// Reads a text that has to be only one expression.
pub(crate) fn sole(node: &Node, names: &Names<'_>, source: &mut Source<'_>) -> Option<Expression> {
    let help = "write it as `\"${…}\"`";
    let Kind::Text(text) = &node.kind else {
        source.find(
            node.span,
            say("type", format!("an expression belongs here, not {}", node.kind.noun())).help(help),
        );
        return None;
    };
    match whole(node, text, names, source) {
        Some(expression) => expression.ok(),
        None => {
            if split_at(node, text, source).is_some() {
                source.find(
                    node.span,
                    say("type", "one expression belongs here, and nothing beside it").help(help),
                );
            }
            None
        }
    }
}

/// The expression, if the text is only one; `Err` if it has findings.
fn whole(
    node: &Node,
    text: &str,
    names: &Names<'_>,
    source: &mut Source<'_>,
) -> Option<Result<Expression, ()>> {
    let pieces = split(text).ok()?;
    match pieces.as_slice() {
        [Piece::Expression(expression, at)] => {
            Some(compile(node, text, expression, *at, names, source).ok_or(()))
        }
        _ => None,
    }
}

fn compile(
    node: &Node,
    text: &str,
    expression: &str,
    at: usize,
    names: &Names<'_>,
    source: &mut Source<'_>,
) -> Option<Expression> {
    match Expression::compile(expression, names) {
        Ok(read) => Some(read),
        Err(flaws) => {
            for Flaw { at: character, rule, message, help } in flaws {
                let (start, length) = word(expression, character);
                let span = place(node, text, at + start, length, source);
                let said = say(rule, message);
                source.find(
                    span,
                    match help {
                        Some(help) => said.help(help),
                        None => said,
                    },
                );
            }
            None
        }
    }
}

/// The bytes of the word that stands at a character.
fn word(text: &str, character: usize) -> (usize, usize) {
    let start = text.char_indices().nth(character).map_or(text.len(), |(at, _)| at);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let rest = &text[start..];
    let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    (start, length.max(1))
}

fn split_at<'t>(node: &Node, text: &'t str, source: &mut Source<'_>) -> Option<Vec<Piece<'t>>> {
    match split(text) {
        Ok(pieces) => Some(pieces),
        Err(at) => {
            let said: Said = say("expression", "this `${` has no `}`");
            source
                .find(place(node, text, at, 2, source), said.help("close it; a plain `${` is written `$${`"));
            None
        }
    }
}

/// Splits a text at its expressions; or where one begins that has no end.
fn split(text: &str) -> Result<Vec<Piece<'_>>, usize> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('$').map(|found| at + found) {
        plain.push_str(&text[at..found]);
        let rest = &text[found..];
        if rest.starts_with("$${") {
            plain.push_str("${");
            at = found + 3;
        } else if rest.starts_with("${") {
            let end = end_of(&text[found + 2..]).ok_or(found)? + found + 2;
            if !plain.is_empty() {
                pieces.push(Piece::Plain(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Expression(&text[found + 2..end], found + 2));
            at = end + 1;
        } else {
            plain.push('$');
            at = found + 1;
        }
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Plain(plain));
    }
    Ok(pieces)
}

/// Where an expression ends: at its own `}`, not at one of a map or in a string.
fn end_of(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            quote @ (b'"' | b'\'') => {
                let is_raw = at > 0 && matches!(bytes[at - 1], b'r' | b'R');
                at = end_of_string(bytes, at, quote, is_raw)?;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes[at..].iter().position(|byte| *byte == b'\n')?;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where a string of CEL ends.
fn end_of_string(bytes: &[u8], start: usize, quote: u8, is_raw: bool) -> Option<usize> {
    let triple = [quote; 3];
    let close: &[u8] = if bytes[start..].starts_with(&triple) { &triple } else { &triple[..1] };
    let mut at = start + close.len();
    while at < bytes.len() {
        if bytes[at] == b'\\' && !is_raw {
            at += 2;
        } else if bytes[at..].starts_with(close) {
            return Some(at + close.len());
        } else {
            at += 1;
        }
    }
    None
}

/// Where in the source a part of a text stands: exact when the text is written as it is, otherwise where the
/// same characters stand in it first, otherwise the whole text.
fn place(node: &Node, text: &str, at: usize, length: usize, source: &Source<'_>) -> Span {
    let span = node.span;
    let written = source.slice(span);
    let exact = |start: usize| Span { start: start + at, end: (start + at + length).min(span.end) };
    if written.starts_with(text) {
        return exact(span.start);
    }
    if written.get(1..).is_some_and(|rest| rest.starts_with(text)) {
        return exact(span.start + 1);
    }
    // The rest of the line, from where the part begins: specific enough to be found again.
    let line = text.get(at..).and_then(|rest| rest.split('\n').next()).unwrap_or_default();
    match written.find(line) {
        Some(found) if !line.is_empty() => {
            let start = span.start + found;
            Span { start, end: (start + length).min(span.end) }
        }
        _ => span,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match split(text) {
            Err(at) => format!("open at {at}"),
            Ok(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Plain(plain) => format!("{plain:?}"),
                    Piece::Expression(expression, at) => format!("<{expression}>@{at}"),
                })
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    #[test]
    fn a_text_is_split_at_its_expressions() {
        assert_eq!(shown("plain"), "\"plain\"");
        assert_eq!(shown(""), "\"\"");
        assert_eq!(shown("${a}"), "<a>@2");
        assert_eq!(shown("x ${a} y ${b}"), "\"x \" <a>@4 \" y \" <b>@11");
        assert_eq!(shown("$${a}"), "\"${a}\"");
        assert_eq!(shown("$$${a}"), "\"$${a}\"");
        assert_eq!(shown("5 $ and $5"), "\"5 $ and $5\"");
        assert_eq!(shown("${a"), "open at 0");
    }

    #[test]
    fn an_expression_ends_at_its_own_brace() {
        assert_eq!(shown("${ {'a': {}} }!"), "< {'a': {}} >@2 \"!\"");
        assert_eq!(shown("${'}'}"), "<'}'>@2");
        assert_eq!(shown(r#"${"\"}"}"#), r#"<"\"}">@2"#);
        assert_eq!(shown(r"${r'\'}"), r"<r'\'>@2");
        assert_eq!(shown("${'''a'}'''}"), "<'''a'}'''>@2");
        assert_eq!(shown("${a // }\n}"), "<a // }\n>@2");
        assert_eq!(shown("${'a}"), "open at 0");
    }
}
