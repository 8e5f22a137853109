//! What is known of an expression's value, and what cannot be.
//!
//! Owns the check of types. Promises that what it refuses would fail whatever the values are, with one
//! exception that is a rule: the output of a step that may be skipped is looked into only where it is known not
//! to be `null`. Does not promise that what it accepts succeeds: payloads are known only when they are there.

use super::functions::Function;
use super::types::Type;
use super::{Expr, ExprKind, Flaw, Literal, Loop, LoopKind, Names, Root};
use crate::source::nearest;

pub(super) fn check(root: &Expr, names: &Names<'_>) -> Result<Type, Vec<Flaw>> {
    let mut checker = Checker { names, locals: Vec::new(), present: Vec::new(), flaws: Vec::new() };
    let kind = checker.kind(root);
    if checker.flaws.is_empty() { Ok(kind) } else { Err(checker.flaws) }
}

struct Checker<'c> {
    names: &'c Names<'c>,
    locals: Vec<Type>,
    /// Steps whose output is known not to be `null` here.
    present: Vec<String>,
    flaws: Vec<Flaw>,
}

impl Checker<'_> {
    fn flaw(&mut self, at: usize, rule: &'static str, message: String, help: Option<String>) {
        self.flaws.push(Flaw { at, rule, message, help });
    }

    fn kind(&mut self, expr: &Expr) -> Type {
        let at = expr.at;
        match &expr.kind {
            ExprKind::Literal(literal) => match literal {
                Literal::Null => Type::NULL,
                Literal::Bool(_) => Type::BOOL,
                Literal::Int(_) => Type::INT,
                Literal::Uint(_) => Type::UINT,
                Literal::Double(_) => Type::DOUBLE,
                Literal::Text(_) => Type::TEXT,
            },
            ExprKind::Root(root) => self.root(root),
            ExprKind::Local(local) => self.locals.get(*local).cloned().unwrap_or_default(),
            ExprKind::Field(operand, field) => self.field(operand, field, at),
            ExprKind::Has(operand, field) => {
                let kind = self.kind(operand);
                self.must(&kind, &Type::OBJECT.or(&Type::NULL), at, || {
                    format!("`has` looks into an object, but {} is {}", operand.path(), kind.noun())
                });
                if kind.field(field).is_none() {
                    self.unknown_field(operand, &kind, field, at);
                }
                Type::BOOL
            }
            ExprKind::Index(operand, index) => self.index(operand, index, at),
            ExprKind::List(items) => {
                let kinds: Vec<Type> = items.iter().map(|item| self.kind(item)).collect();
                match kinds.into_iter().reduce(|one, other| one.or(&other)) {
                    Some(element) => Type::list_of(element),
                    None => Type::LIST,
                }
            }
            ExprKind::Map(entries) => self.map(entries),
            ExprKind::And(one, other) => self.logical(one, other, true),
            ExprKind::Or(one, other) => self.logical(one, other, false),
            ExprKind::Conditional(condition, one, other) => {
                self.condition(condition);
                let one = self.given(&present(condition, true), |checker| checker.kind(one));
                let other = self.given(&present(condition, false), |checker| checker.kind(other));
                one.or(&other)
            }
            ExprKind::Call(function, arguments) => self.call(*function, arguments, at),
            ExprKind::Matches(operand, _) => {
                let kind = self.seen(operand);
                self.must(&kind, &Type::TEXT, at, || {
                    format!("`matches` takes a string, not {}", kind.noun())
                });
                Type::BOOL
            }
            ExprKind::Loop(repeated) => self.repeat(repeated, at),
        }
    }

    fn root(&self, root: &Root) -> Type {
        match root {
            Root::Input => self.names.input.clone(),
            Root::Step(name) => {
                let known = self.names.steps.get(name.as_str()).cloned().unwrap_or_default();
                if self.present.contains(name) { known.not_null() } else { known }
            }
            Root::Output => Type::ANY,
            Root::Element(_) => self.names.element.as_ref().map(|(_, kind)| kind.clone()).unwrap_or_default(),
            Root::SagaId | Root::SagaStartedAt | Root::SagaDefinition => Type::TEXT,
        }
    }

    /// A value that is looked into: not one that may be `null` because its step was skipped.
    fn seen(&mut self, operand: &Expr) -> Type {
        let kind = self.kind(operand);
        if let Some(step) = &kind.skipped {
            let message = format!("`{step}` may be skipped, and then {} is null", operand.path());
            let help = format!(
                "say what stands for it then: `steps.{step}.output == null ? … : …`; or give this step the same `when`"
            );
            self.flaw(operand.at, "maybe_skipped", message, Some(help));
        }
        kind
    }

    fn must(&mut self, kind: &Type, wanted: &Type, at: usize, message: impl FnOnce() -> String) {
        if !kind.meets(wanted) {
            self.flaw(at, "type", message(), None);
        }
    }

    fn condition(&mut self, expr: &Expr) {
        let kind = self.kind(expr);
        self.must(&kind, &Type::BOOL, expr.at, || {
            format!("a condition is true or false, not {}", kind.noun())
        });
    }

    fn given<T>(&mut self, present: &[String], work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.present.len();
        self.present.extend(present.iter().cloned());
        let done = work(self);
        self.present.truncate(before);
        done
    }

    fn logical(&mut self, one: &Expr, other: &Expr, is_and: bool) -> Type {
        self.condition(one);
        self.given(&present(one, is_and), |checker| checker.condition(other));
        Type::BOOL
    }

    fn field(&mut self, operand: &Expr, field: &str, at: usize) -> Type {
        let kind = self.seen(operand);
        if !kind.meets(&Type::OBJECT) {
            let message = format!("{} is {} and has no field `{field}`", operand.path(), kind.noun());
            self.flaw(at, "type", message, None);
            return Type::ANY;
        }
        match kind.field(field) {
            Some(kind) => kind,
            None => {
                self.unknown_field(operand, &kind, field, at);
                Type::ANY
            }
        }
    }

    fn unknown_field(&mut self, operand: &Expr, kind: &Type, field: &str, at: usize) {
        let help = match nearest(field, kind.field_names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", kind.field_names().join(", ")),
        };
        let message = format!("{} has no field `{field}`", operand.path());
        self.flaw(at, "unknown_name", message, Some(help));
    }

    fn index(&mut self, operand: &Expr, index: &Expr, at: usize) -> Type {
        if let ExprKind::Literal(Literal::Text(field)) = &index.kind {
            return self.field(operand, field, at);
        }
        let kind = self.seen(operand);
        let index = self.kind(index);
        let whole = Type::INT.or(&Type::UINT);
        let is_possible = (kind.meets(&Type::LIST) && index.meets(&whole))
            || (kind.meets(&Type::OBJECT) && index.meets(&Type::TEXT));
        if !is_possible {
            let message =
                format!("{} is {}, which is not indexed by {}", operand.path(), kind.noun(), index.noun());
            self.flaw(at, "type", message, None);
        }
        if kind.meets(&Type::OBJECT) { Type::ANY } else { kind.element() }
    }

    fn map(&mut self, entries: &[(Expr, Expr)]) -> Type {
        let mut fields = std::collections::BTreeMap::new();
        let mut is_closed = true;
        for (key, value) in entries {
            let kind = self.kind(key);
            self.must(&kind, &Type::TEXT, key.at, || {
                format!("the key of an object is a string, not {}", kind.noun())
            });
            let value = self.kind(value);
            let ExprKind::Literal(Literal::Text(name)) = &key.kind else {
                is_closed = false;
                continue;
            };
            if fields.insert(name.clone(), value).is_some() {
                let message = format!("the key {name:?} is given twice");
                self.flaw(key.at, "duplicate_key", message, Some("remove one of the two".to_owned()));
            }
        }
        Type::object_of(fields, is_closed)
    }

    fn call(&mut self, function: Function, arguments: &[Expr], at: usize) -> Type {
        let compares = matches!(function, Function::Equals | Function::NotEquals | Function::Dyn);
        let kinds: Vec<Type> = arguments
            .iter()
            .map(|argument| if compares { self.kind(argument) } else { self.seen(argument) })
            .collect();
        if let Some(kind) = function.kind(&kinds) {
            return kind;
        }
        let nouns: Vec<String> = kinds.iter().map(Type::noun).collect();
        let mixes_text = function == Function::Add && kinds.iter().any(|kind| !kind.meets(&Type::NUMBER));
        let help = mixes_text.then(|| "`string(…)` makes a text of a number".to_owned());
        let message = format!("`{}` does not take {}", function.noun(), nouns.join(" and "));
        self.flaw(at, "type", message, help);
        Type::ANY
    }

    fn repeat(&mut self, repeated: &Loop, at: usize) -> Type {
        let Loop { kind, range, local, filter, body } = repeated;
        let range = self.seen(range);
        self.must(&range, &Type::LIST.or(&Type::OBJECT), at, || {
            format!("a loop goes over a list or an object's keys, not over {}", range.noun())
        });
        let element = if range.meets(&Type::OBJECT) { Type::ANY } else { range.element() };
        self.locals.truncate(*local);
        self.locals.push(element.clone());
        if let Some(filter) = filter {
            self.condition(filter);
        }
        let given = filter.as_ref().map(|filter| present(filter, true)).unwrap_or_default();
        let of = match kind {
            LoopKind::Map | LoopKind::Filter => {
                Type::list_of(self.given(&given, |checker| checker.kind(body)))
            }
            LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne => {
                self.condition(body);
                Type::BOOL
            }
        };
        self.locals.truncate(*local);
        of
    }
}

/// The steps whose output is not `null` when the condition turns out so.
fn present(condition: &Expr, holds: bool) -> Vec<String> {
    match &condition.kind {
        ExprKind::Call(Function::NotEquals, sides) if holds => not_null(sides),
        ExprKind::Call(Function::Equals, sides) if !holds => not_null(sides),
        ExprKind::Call(Function::Not, sides) => {
            sides.first().map(|side| present(side, !holds)).unwrap_or_default()
        }
        // `has` of a part: there is something it is part of.
        ExprKind::Has(operand, _) if holds => root_step(operand).into_iter().collect(),
        ExprKind::And(one, other) if holds => [present(one, true), present(other, true)].concat(),
        ExprKind::Or(one, other) if !holds => [present(one, false), present(other, false)].concat(),
        ExprKind::Call(..) | ExprKind::Has(..) | ExprKind::And(..) | ExprKind::Or(..) => Vec::new(),
        ExprKind::Literal(_) | ExprKind::Root(_) | ExprKind::Local(_) | ExprKind::Field(..) => Vec::new(),
        ExprKind::Index(..) | ExprKind::List(_) | ExprKind::Map(_) | ExprKind::Conditional(..) => Vec::new(),
        ExprKind::Matches(..) | ExprKind::Loop(_) => Vec::new(),
    }
}

fn not_null(sides: &[Expr]) -> Vec<String> {
    let is_null = |expr: &Expr| expr.kind == ExprKind::Literal(Literal::Null);
    match sides {
        [one, other] if is_null(other) => root_step(one).into_iter().collect(),
        [one, other] if is_null(one) => root_step(other).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The step whose output this is, or is a part of.
fn root_step(expr: &Expr) -> Option<String> {
    if let ExprKind::Root(Root::Step(name)) = &expr.kind {
        return Some(name.clone());
    }
    if let ExprKind::Field(operand, _) | ExprKind::Has(operand, _) | ExprKind::Index(operand, _) = &expr.kind
    {
        return root_step(operand);
    }
    None
}
