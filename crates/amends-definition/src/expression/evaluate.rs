//! From [`Expr`] to a value.
//!
//! Owns [`Evaluation`], which is one look at a saga. Promises the same value for the
//! same world, an end after a named amount of work, and faults that name places, never values: those may be
//! nobody's business. Does not know types: what was checked may still meet a value that does not fit.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::json::Json;
use super::value::{Seen, Value};
use super::work::{Fault, Work};
use super::{Expr, ExprKind, Expression, Literal, Loop, LoopKind, Root};

/// What expressions see of a saga.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) input: &'a [u8],
    /// What the step's own action returned, for a compensation.
    pub(crate) output: Option<&'a [u8]>,
    pub(crate) element: Option<&'a [u8]>,
    pub(crate) outputs: &'a dyn Fn(&str) -> Option<&'a [u8]>,
    pub(crate) id: &'a str,
    pub(crate) started_at: &'a str,
    pub(crate) definition: &'a str,
}

/// One look at a saga: what is parsed for one expression is kept for the next.
pub(crate) struct Evaluation<'a> {
    world: World<'a>,
    input: OnceCell<Option<Json<'a>>>,
    output: OnceCell<Option<Json<'a>>>,
    element: OnceCell<Option<Json<'a>>>,
    steps: BTreeMap<String, Json<'a>>,
    locals: Vec<Value<'a>>,
    pub(crate) work: Work,
    /// Whether an expression over an output that is not there is shown as it is written, instead of failing.
    pub(crate) shows_unknown: bool,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(world: World<'a>) -> Self {
        Self {
            world,
            input: OnceCell::new(),
            output: OnceCell::new(),
            element: OnceCell::new(),
            steps: BTreeMap::new(),
            locals: Vec::new(),
            work: Work::new(),
            shows_unknown: false,
        }
    }

    /// Whether the expression is to be shown as written, since an output is not known.
    pub(crate) fn lacks(&self, expression: &Expression) -> bool {
        self.shows_unknown
            && (expression.steps_used().into_iter().any(|step| (self.world.outputs)(step).is_none())
                || (expression.uses_output() && self.world.output.is_none())
                || (expression.uses_element() && self.world.element.is_none()))
    }

    /// The expression's value.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn evaluate(&mut self, expression: &Expression) -> Result<Value<'a>, Fault> {
        self.locals.clear();
        self.value(&expression.root)
    }

    fn value(&mut self, expr: &Expr) -> Result<Value<'a>, Fault> {
        self.work.step()?;
        match &expr.kind {
            ExprKind::Literal(literal) => Ok(literal_value(literal)),
            ExprKind::Root(root) => self.root(root),
            ExprKind::Local(local) => {
                self.locals.get(*local).cloned().ok_or_else(|| Fault::new("a loop's variable is not there"))
            }
            ExprKind::Field(operand, field) => {
                let value = self.value(operand)?;
                match self.field(&value, field)? {
                    Found::Value(value) => Ok(value),
                    Found::NoField => Err(Fault::new(format!("{} has no field {field:?}", operand.path()))),
                    Found::NoObject => {
                        let noun = value.noun(&mut self.work)?;
                        Err(Fault::new(format!("{} is {noun} and has no field {field:?}", operand.path())))
                    }
                }
            }
            ExprKind::Has(operand, field) => {
                let value = self.value(operand)?;
                Ok(Value::Bool(matches!(self.field(&value, field)?, Found::Value(_))))
            }
            ExprKind::Index(operand, index) => self.index(operand, index),
            ExprKind::List(items) => {
                let values = items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?;
                Ok(Value::List(Rc::new(values)))
            }
            ExprKind::Map(entries) => self.map(entries),
            ExprKind::And(one, other) => self.logical(one, other, false),
            ExprKind::Or(one, other) => self.logical(one, other, true),
            ExprKind::Conditional(condition, one, other) => {
                let condition = self.truth(condition)?;
                self.value(if condition { one } else { other })
            }
            ExprKind::Call(function, arguments) => {
                let values: Vec<Value<'a>> =
                    arguments.iter().map(|argument| self.value(argument)).collect::<Result<_, _>>()?;
                function.apply(&values, &mut self.work)
            }
            ExprKind::Matches(operand, pattern) => {
                let value = self.value(operand)?;
                let noun = value.noun(&mut self.work)?;
                let Seen::Text(text) = value.see(&mut self.work)? else {
                    return Err(Fault::new(format!("`matches` does not take {noun}")));
                };
                // A text is read once, but with some work for each byte.
                self.work.steps(text.len() as u64)?;
                Ok(Value::Bool(pattern.0.is_match(text)))
            }
            ExprKind::Loop(repeated) => self.repeat(repeated),
        }
    }

    fn root(&mut self, root: &Root) -> Result<Value<'a>, Fault> {
        let world = self.world;
        let kept = |cell: &OnceCell<Option<Json<'a>>>, bytes: Option<&'a [u8]>| {
            cell.get_or_init(|| Json::of(bytes.unwrap_or(b"null"))).clone().map(Value::Json)
        };
        let value = match root {
            Root::SagaId => return Ok(Value::text(world.id)),
            Root::SagaStartedAt => return Ok(Value::text(world.started_at)),
            Root::SagaDefinition => return Ok(Value::text(world.definition)),
            Root::Input => kept(&self.input, Some(world.input)),
            Root::Output => kept(&self.output, world.output),
            Root::Element(_) => kept(&self.element, world.element),
            Root::Step(name) => {
                if let Some(known) = self.steps.get(name) {
                    return Ok(Value::Json(known.clone()));
                }
                let Some(bytes) = (world.outputs)(name) else {
                    return Err(Fault::new(format!("{root} is not there")));
                };
                let json = Json::of(bytes);
                if let Some(json) = &json {
                    self.steps.insert(name.clone(), json.clone());
                }
                json.map(Value::Json)
            }
        };
        value.ok_or_else(|| Fault::new(format!("{root} is not JSON")))
    }

    fn field(&mut self, value: &Value<'a>, field: &str) -> Result<Found<'a>, Fault> {
        let Seen::Map(members) = value.see(&mut self.work)? else { return Ok(Found::NoObject) };
        self.work.steps(members.len() as u64 / 8)?;
        Ok(members.find(field).map_or(Found::NoField, Found::Value))
    }

    fn index(&mut self, operand: &Expr, index: &Expr) -> Result<Value<'a>, Fault> {
        let value = self.value(operand)?;
        let at = self.value(index)?;
        let (noun, at_noun) = (value.noun(&mut self.work)?, at.noun(&mut self.work)?);
        match (value.see(&mut self.work)?, at.see(&mut self.work)?) {
            (Seen::List(items), at) => {
                let at = if let Seen::Int(at) = at {
                    usize::try_from(at).ok()
                } else if let Seen::Uint(at) = at {
                    usize::try_from(at).ok()
                } else {
                    return Err(Fault::new(format!("a list is indexed by an int, not by {at_noun}")));
                };
                at.and_then(|at| items.at(at)).ok_or_else(|| {
                    Fault::new(format!("{} has {} elements, and not this one", operand.path(), items.len()))
                })
            }
            (Seen::Map(members), Seen::Text(key)) => {
                self.work.steps(members.len() as u64 / 8)?;
                members.find(key).ok_or_else(|| Fault::new(format!("{} has no such field", operand.path())))
            }
            (Seen::Map(_), _) => {
                Err(Fault::new(format!("an object is indexed by a string, not by {at_noun}")))
            }
            _ => Err(Fault::new(format!("{} is {noun} and has no elements", operand.path()))),
        }
    }

    fn map(&mut self, entries: &[(Expr, Expr)]) -> Result<Value<'a>, Fault> {
        let mut members: Vec<(Rc<str>, Value<'a>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.value(key)?;
            let noun = key.noun(&mut self.work)?;
            let Seen::Text(key) = key.see(&mut self.work)? else {
                return Err(Fault::new(format!("the key of an object is a string, not {noun}")));
            };
            self.work.steps(members.len() as u64)?;
            if members.iter().any(|(known, _)| known == key) {
                return Err(Fault::new("an object would have a key twice"));
            }
            members.push((key.clone(), self.value(value)?));
        }
        Ok(Value::Map(Rc::new(members)))
    }

    /// `&&` and `||`: a side that settles the answer does so even if the other one fails.
    fn logical(&mut self, one: &Expr, other: &Expr, settles: bool) -> Result<Value<'a>, Fault> {
        let first = self.truth(one);
        match first {
            Ok(value) if value == settles => return Ok(Value::Bool(settles)),
            Err(fault) if fault.is_final => return Err(fault),
            Ok(_) | Err(_) => {}
        }
        match (first, self.truth(other)?) {
            (_, second) if second == settles => Ok(Value::Bool(settles)),
            (Ok(_), second) => Ok(Value::Bool(second)),
            (Err(fault), _) => Err(fault),
        }
    }

    fn truth(&mut self, expr: &Expr) -> Result<bool, Fault> {
        let value = self.value(expr)?;
        let noun = value.noun(&mut self.work)?;
        let bool = value.as_bool(&mut self.work)?;
        bool.ok_or_else(|| Fault::new(format!("a condition is true or false, not {noun}")))
    }

    /// What a loop goes over: a list's elements, or an object's keys.
    fn elements(&mut self, range: &Value<'a>) -> Result<Option<Vec<Value<'a>>>, Fault> {
        if let Seen::Map(members) = range.see(&mut self.work)? {
            self.work.steps(members.len() as u64)?;
            let keys = (0..members.len()).filter_map(|at| members.at(at)).map(|(key, _)| Value::Text(key));
            return Ok(Some(keys.collect()));
        }
        range.items(&mut self.work)
    }

    fn repeat(&mut self, repeated: &Loop) -> Result<Value<'a>, Fault> {
        let Loop { kind, range, local, filter, body } = repeated;
        let range = self.value(range)?;
        let noun = range.noun(&mut self.work)?;
        let Some(elements) = self.elements(&range)? else {
            let message = format!("a loop goes over a list or an object's keys, not over {noun}");
            return Err(Fault::new(message));
        };
        let mut result = Vec::new();
        let mut fault = None;
        let mut count = 0;
        for element in elements {
            self.locals.truncate(*local);
            self.locals.push(element);
            if let Some(filter) = filter
                && !self.truth(filter)?
            {
                continue;
            }
            match kind {
                LoopKind::Map | LoopKind::Filter => {
                    let value = self.value(body)?;
                    result.push(value);
                }
                LoopKind::ExistsOne => count += usize::from(self.truth(body)?),
                LoopKind::All | LoopKind::Exists => match self.truth(body) {
                    Ok(value) if value == (*kind == LoopKind::Exists) => {
                        self.locals.truncate(*local);
                        return Ok(Value::Bool(value));
                    }
                    Ok(_) => {}
                    Err(late) if late.is_final => return Err(late),
                    Err(late) => {
                        fault.get_or_insert(late);
                    }
                },
            }
        }
        self.locals.truncate(*local);
        match (fault, kind) {
            (Some(fault), _) => Err(fault),
            (None, LoopKind::All) => Ok(Value::Bool(true)),
            (None, LoopKind::Exists) => Ok(Value::Bool(false)),
            (None, LoopKind::ExistsOne) => Ok(Value::Bool(count == 1)),
            (None, LoopKind::Map | LoopKind::Filter) => Ok(Value::List(Rc::new(result))),
        }
    }
}

enum Found<'a> {
    Value(Value<'a>),
    NoField,
    NoObject,
}

fn literal_value<'a>(literal: &Literal) -> Value<'a> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(bool) => Value::Bool(*bool),
        Literal::Int(int) => Value::Int(*int),
        Literal::Uint(uint) => Value::Uint(*uint),
        Literal::Double(double) => Value::Double(*double),
        Literal::Text(text) => Value::text(text.as_str()),
    }
}
