//! Expressions: CEL over what a saga knows.
//!
//! Owns [`Expression`]: reading (by the `cel` crate's parser), checking against what is known of types, and
//! evaluating. The evaluator is our own, for three promises that the crate's does not make: values that are
//! passed on keep their bytes, objects keep the order in which they are written, and there is an end to the
//! work an expression may do. No clock and no random numbers. Nothing of the `cel` crate shows outside
//! `read.rs`. Start reading at [`Expression::compile`].

mod check;
mod evaluate;
mod functions;
mod json;
mod read;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod work;

use std::collections::BTreeMap;
use std::rc::Rc;

pub(crate) use evaluate::{Evaluation, World};
pub(crate) use json::{Json, Parts};
pub(crate) use types::Type;
pub(crate) use value::render_text;
pub(crate) use work::Fault;

use functions::Function;

/// An expression that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    root: Expr,
    /// As written, with `${` and `}`.
    pub(crate) shown: String,
    /// What is known of its value.
    pub(crate) kind: Type,
}

/// What an expression may name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names<'n> {
    /// What is known of the input.
    pub(crate) input: Type,
    /// The steps whose outputs are visible, with what is known of them.
    pub(crate) steps: Rc<BTreeMap<&'n str, Type>>,
    /// All steps, for help with those that are not visible.
    pub(crate) all_steps: Rc<[&'n str]>,
    /// What the element of `each` is called, and what is known of it.
    pub(crate) element: Option<(&'n str, Type)>,
    /// Whether there is an `output` of the step's own action.
    pub(crate) output: bool,
    /// Where the expression stands, for messages.
    pub(crate) place: &'n str,
}

/// Something wrong in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Where, in characters of the expression.
    pub(crate) at: usize,
    pub(crate) rule: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Expr {
    /// Where, in characters of the expression.
    at: usize,
    kind: ExprKind,
}

#[derive(Debug, Clone, PartialEq)]
enum ExprKind {
    Literal(Literal),
    Root(Root),
    /// A variable of a loop, counted from the outermost.
    Local(usize),
    Field(Box<Expr>, String),
    /// `has(operand.field)`
    Has(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
    /// A regular expression, read when the expression was.
    Matches(Box<Expr>, Pattern),
    Loop(Box<Loop>),
}

#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
}

/// What stands at the beginning of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Root {
    Input,
    /// `steps.NAME.output`
    Step(String),
    /// `output`
    Output,
    /// The element of `each`.
    Element(String),
    SagaId,
    SagaStartedAt,
    SagaDefinition,
}

#[derive(Debug, Clone, PartialEq)]
struct Loop {
    kind: LoopKind,
    range: Expr,
    local: usize,
    /// `map` with three arguments: which elements are mapped.
    filter: Option<Expr>,
    body: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

#[derive(Debug, Clone)]
struct Pattern(regex::Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Expression {
    /// Reads and checks an expression.
    ///
    /// # Errors
    /// Every flaw.
    pub(crate) fn compile(text: &str, names: &Names<'_>) -> Result<Self, Vec<Flaw>> {
        let root = read::read(text, names)?;
        let kind = check::check(&root, names)?;
        Ok(Self { root, shown: format!("${{{text}}}"), kind })
    }

    /// Whether it looks at the output of the step's own action.
    pub(crate) fn uses_output(&self) -> bool {
        self.root.any(&|expr| expr.kind == ExprKind::Root(Root::Output))
    }

    /// Whether it looks at the element of `each`.
    pub(crate) fn uses_element(&self) -> bool {
        self.root.any(&|expr| matches!(&expr.kind, ExprKind::Root(Root::Element(_))))
    }

    /// The steps whose output it looks at.
    pub(crate) fn steps_used(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.walk(&mut |expr| {
            if let ExprKind::Root(Root::Step(name)) = &expr.kind {
                names.push(name.as_str());
            }
        });
        names
    }

    /// Whether this holds whenever `other` does, as far as that can be seen: each of its conditions joined by
    /// `&&` stands among those of the other.
    pub(crate) fn follows_from(&self, other: &Self) -> bool {
        let given = other.root.conditions();
        self.root.conditions().into_iter().all(|one| given.iter().any(|other| other.same(one)))
    }
}

impl Expr {
    fn walk<'e>(&'e self, visit: &mut dyn FnMut(&'e Self)) {
        visit(self);
        match &self.kind {
            ExprKind::Literal(_) | ExprKind::Root(_) | ExprKind::Local(_) => {}
            ExprKind::Field(operand, _) | ExprKind::Has(operand, _) | ExprKind::Matches(operand, _) => {
                operand.walk(visit);
            }
            ExprKind::Index(one, other) | ExprKind::And(one, other) | ExprKind::Or(one, other) => {
                one.walk(visit);
                other.walk(visit);
            }
            ExprKind::List(items) | ExprKind::Call(_, items) => {
                items.iter().for_each(|item| item.walk(visit))
            }
            ExprKind::Map(entries) => {
                for (key, value) in entries {
                    key.walk(visit);
                    value.walk(visit);
                }
            }
            ExprKind::Conditional(condition, one, other) => {
                condition.walk(visit);
                one.walk(visit);
                other.walk(visit);
            }
            ExprKind::Loop(repeated) => {
                repeated.range.walk(visit);
                if let Some(filter) = &repeated.filter {
                    filter.walk(visit);
                }
                repeated.body.walk(visit);
            }
        }
    }

    fn any(&self, is: &dyn Fn(&Self) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut |expr| found |= is(expr));
        found
    }

    fn conditions(&self) -> Vec<&Self> {
        let ExprKind::And(one, other) = &self.kind else { return vec![self] };
        let mut all = one.conditions();
        all.extend(other.conditions());
        all
    }

    /// Whether both say the same, wherever they stand.
    fn same(&self, other: &Self) -> bool {
        fn placeless(expr: &Expr) -> Expr {
            let boxed = |expr: &Expr| Box::new(placeless(expr));
            let kind = match &expr.kind {
                ExprKind::Literal(_) | ExprKind::Root(_) | ExprKind::Local(_) => expr.kind.clone(),
                ExprKind::Field(operand, field) => ExprKind::Field(boxed(operand), field.clone()),
                ExprKind::Has(operand, field) => ExprKind::Has(boxed(operand), field.clone()),
                ExprKind::Matches(operand, pattern) => ExprKind::Matches(boxed(operand), pattern.clone()),
                ExprKind::Index(one, other) => ExprKind::Index(boxed(one), boxed(other)),
                ExprKind::And(one, other) => ExprKind::And(boxed(one), boxed(other)),
                ExprKind::Or(one, other) => ExprKind::Or(boxed(one), boxed(other)),
                ExprKind::List(items) => ExprKind::List(items.iter().map(placeless).collect()),
                ExprKind::Call(function, items) => {
                    ExprKind::Call(*function, items.iter().map(placeless).collect())
                }
                ExprKind::Map(entries) => {
                    let entries = entries.iter().map(|(key, value)| (placeless(key), placeless(value)));
                    ExprKind::Map(entries.collect())
                }
                ExprKind::Conditional(condition, one, other) => {
                    ExprKind::Conditional(boxed(condition), boxed(one), boxed(other))
                }
                ExprKind::Loop(repeated) => ExprKind::Loop(Box::new(Loop {
                    kind: repeated.kind,
                    range: placeless(&repeated.range),
                    local: repeated.local,
                    filter: repeated.filter.as_ref().map(placeless),
                    body: placeless(&repeated.body),
                })),
            };
            Expr { at: 0, kind }
        }
        placeless(self) == placeless(other)
    }

    /// How people write it, as far as it is a path: for messages. Never a value.
    fn path(&self) -> String {
        match &self.kind {
            ExprKind::Root(root) => root.to_string(),
            ExprKind::Field(operand, field) | ExprKind::Has(operand, field) => {
                format!("{}.{field}", operand.path())
            }
            ExprKind::Index(operand, index) => {
                let path = operand.path();
                if let ExprKind::Literal(Literal::Int(index)) = &index.kind {
                    format!("{path}[{index}]")
                } else if let ExprKind::Literal(Literal::Text(key)) = &index.kind {
                    format!("{path}[{key:?}]")
                } else {
                    format!("{path}[…]")
                }
            }
            ExprKind::Local(_) => "the element".to_owned(),
            ExprKind::Literal(_) | ExprKind::List(_) | ExprKind::Map(_) | ExprKind::Call(..) => {
                "…".to_owned()
            }
            ExprKind::And(..) | ExprKind::Or(..) | ExprKind::Conditional(..) => "…".to_owned(),
            ExprKind::Matches(..) | ExprKind::Loop(_) => "…".to_owned(),
        }
    }
}

impl std::fmt::Display for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input => f.write_str("input"),
            Self::Step(name) => write!(f, "steps.{name}.output"),
            Self::Output => f.write_str("output"),
            Self::Element(name) => f.write_str(name),
            Self::SagaId => f.write_str("saga.id"),
            Self::SagaStartedAt => f.write_str("saga.started_at"),
            Self::SagaDefinition => f.write_str("saga.definition"),
        }
    }
}
