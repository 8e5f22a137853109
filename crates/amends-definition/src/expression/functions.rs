//! Operators and functions.
//!
//! Owns [`Function`]: their names and uses, what they take and give, and what they compute. Promises that each
//! is pure, fails instead of rounding or wrapping whole numbers, and counts its work. Does not know loops and
//! short-circuits: those are `evaluate.rs`.

use std::cmp::Ordering;
use std::rc::Rc;

use super::types::Type;
use super::value::{Items, Seen, Value, compare_numbers};
use super::work::{Fault, Work};
use crate::source::nearest;

/// An operator or function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Negate,
    Not,
    Equals,
    NotEquals,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    In,
    Size,
    Contains,
    StartsWith,
    EndsWith,
    ToInt,
    ToUint,
    ToDouble,
    ToString,
    Dyn,
    LowerAscii,
    UpperAscii,
    Trim,
    Replace,
    Split,
    Join,
    Substring,
    IndexOf,
    Sum,
    Min,
    Max,
    Greatest,
    Least,
    Abs,
}

/// What a name with so many arguments is.
pub(super) enum Call {
    Known(Function),
    /// The name is known with other arguments.
    OtherUse(String),
    Unknown,
}

struct Entry {
    name: &'static str,
    is_method: bool,
    /// With what it is called on.
    arguments: &'static [usize],
    function: Function,
    /// How it is used, for help; empty for operators.
    shown: &'static str,
}

const fn operator(name: &'static str, arguments: &'static [usize], function: Function) -> Entry {
    Entry { name, is_method: false, arguments, function, shown: "" }
}

const fn method(
    name: &'static str,
    arguments: &'static [usize],
    function: Function,
    shown: &'static str,
) -> Entry {
    Entry { name, is_method: true, arguments, function, shown }
}

const fn global(
    name: &'static str,
    arguments: &'static [usize],
    function: Function,
    shown: &'static str,
) -> Entry {
    Entry { name, is_method: false, arguments, function, shown }
}

const TABLE: &[Entry] = &[
    operator("_+_", &[2], Function::Add),
    operator("_-_", &[2], Function::Subtract),
    operator("_*_", &[2], Function::Multiply),
    operator("_/_", &[2], Function::Divide),
    operator("_%_", &[2], Function::Remainder),
    operator("-_", &[1], Function::Negate),
    operator("!_", &[1], Function::Not),
    operator("_==_", &[2], Function::Equals),
    operator("_!=_", &[2], Function::NotEquals),
    operator("_<_", &[2], Function::Less),
    operator("_<=_", &[2], Function::LessEquals),
    operator("_>_", &[2], Function::Greater),
    operator("_>=_", &[2], Function::GreaterEquals),
    operator("@in", &[2], Function::In),
    global("size", &[1], Function::Size, "size(x)"),
    method("size", &[1], Function::Size, "x.size()"),
    method("contains", &[2], Function::Contains, "text.contains(part)"),
    method("startsWith", &[2], Function::StartsWith, "text.startsWith(part)"),
    method("endsWith", &[2], Function::EndsWith, "text.endsWith(part)"),
    global("int", &[1], Function::ToInt, "int(x)"),
    global("uint", &[1], Function::ToUint, "uint(x)"),
    global("double", &[1], Function::ToDouble, "double(x)"),
    global("string", &[1], Function::ToString, "string(x)"),
    global("dyn", &[1], Function::Dyn, "dyn(x)"),
    method("lowerAscii", &[1], Function::LowerAscii, "text.lowerAscii()"),
    method("upperAscii", &[1], Function::UpperAscii, "text.upperAscii()"),
    method("trim", &[1], Function::Trim, "text.trim()"),
    method("replace", &[3], Function::Replace, "text.replace(part, other)"),
    method("split", &[2], Function::Split, "text.split(separator)"),
    method("join", &[1, 2], Function::Join, "list.join(separator)"),
    method("substring", &[2, 3], Function::Substring, "text.substring(from, to)"),
    method("indexOf", &[2], Function::IndexOf, "text.indexOf(part)"),
    method("sum", &[1], Function::Sum, "list.sum()"),
    method("min", &[1], Function::Min, "list.min()"),
    method("max", &[1], Function::Max, "list.max()"),
    global("math.greatest", &[1, 2, 3, 4, 5, 6, 7, 8], Function::Greatest, "math.greatest(x, y)"),
    global("math.least", &[1, 2, 3, 4, 5, 6, 7, 8], Function::Least, "math.least(x, y)"),
    global("math.abs", &[1], Function::Abs, "math.abs(x)"),
];

/// Those that the parser or the reader knows.
const ELSEWHERE: [&str; 7] = ["has", "all", "exists", "exists_one", "map", "filter", "matches"];

impl Function {
    pub(super) fn find(name: &str, is_method: bool, arguments: usize) -> Call {
        let named = || TABLE.iter().filter(|entry| entry.name == name);
        if let Some(entry) =
            named().find(|entry| entry.is_method == is_method && entry.arguments.contains(&arguments))
        {
            return Call::Known(entry.function);
        }
        let uses: Vec<&str> = named().map(|entry| entry.shown).filter(|shown| !shown.is_empty()).collect();
        match name {
            "has" => Call::OtherUse("has(input.field)".to_owned()),
            "all" | "exists" | "exists_one" | "filter" => Call::OtherUse(format!("list.{name}(x, x > 0)")),
            "map" => Call::OtherUse("list.map(x, x.field)".to_owned()),
            "matches" => Call::OtherUse("text.matches(\"^[a-z]+$\")".to_owned()),
            _ if uses.is_empty() => Call::Unknown,
            _ => Call::OtherUse(uses.join(", ")),
        }
    }

    fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().filter(|entry| !entry.shown.is_empty()).map(|entry| entry.name).chain(ELSEWHERE)
    }

    pub(super) fn nearest(name: &str) -> Option<&'static str> {
        nearest(name, Self::names())
    }

    pub(super) fn known() -> String {
        let mut names: Vec<&str> = Self::names().collect();
        names.dedup();
        names.join(", ")
    }

    /// What it is called in messages.
    pub(super) fn noun(self) -> &'static str {
        let entry = TABLE.iter().find(|entry| entry.function == self);
        let name = entry.map_or("dyn", |entry| entry.name);
        match name {
            "@in" => "in",
            "-_" => "-",
            "!_" => "!",
            _ => name.trim_matches('_'),
        }
    }

    /// What is known of the value that comes of these; `None` if there can be none.
    pub(super) fn kind(self, arguments: &[Type]) -> Option<Type> {
        let takes = |at: usize, kind: &Type| arguments.get(at).is_none_or(|argument| argument.meets(kind));
        /// The kinds that both may have together.
        fn together(arguments: &[Type], kinds: &[Type]) -> Option<Type> {
            let possible = kinds.iter().filter(|kind| arguments.iter().all(|argument| argument.meets(kind)));
            possible.cloned().reduce(|one, other| one.or(&other))
        }
        let numbers = [Type::INT, Type::UINT, Type::DOUBLE];
        match self {
            Self::Add => {
                let lists = (arguments.iter().all(|argument| argument.meets(&Type::LIST))).then(|| {
                    Type::list_of(
                        arguments.iter().map(Type::element).reduce(|a, b| a.or(&b)).unwrap_or_default(),
                    )
                });
                let others = together(arguments, &[Type::INT, Type::UINT, Type::DOUBLE, Type::TEXT]);
                match (others, lists) {
                    (Some(one), Some(other)) => Some(one.or(&other)),
                    (one, other) => one.or(other),
                }
            }
            Self::Subtract | Self::Multiply | Self::Divide => together(arguments, &numbers),
            Self::Remainder => together(arguments, &numbers[..2]),
            Self::Negate => together(arguments, &[Type::INT, Type::DOUBLE]),
            Self::Not => takes(0, &Type::BOOL).then_some(Type::BOOL),
            Self::Equals | Self::NotEquals => Some(Type::BOOL),
            Self::Less | Self::LessEquals | Self::Greater | Self::GreaterEquals => {
                together(arguments, &[Type::NUMBER, Type::TEXT, Type::BOOL]).map(|_| Type::BOOL)
            }
            Self::In => takes(1, &Type::LIST.or(&Type::OBJECT)).then_some(Type::BOOL),
            Self::Size => takes(0, &Type::SIZED).then_some(Type::INT),
            Self::Contains | Self::StartsWith | Self::EndsWith => {
                (takes(0, &Type::TEXT) && takes(1, &Type::TEXT)).then_some(Type::BOOL)
            }
            Self::ToInt => takes(0, &Type::NUMBER.or(&Type::TEXT)).then_some(Type::INT),
            Self::ToUint => takes(0, &Type::NUMBER.or(&Type::TEXT)).then_some(Type::UINT),
            Self::ToDouble => takes(0, &Type::NUMBER.or(&Type::TEXT)).then_some(Type::DOUBLE),
            Self::ToString => takes(0, &Type::PART).then_some(Type::TEXT),
            Self::Dyn => Some(Type::ANY),
            Self::LowerAscii | Self::UpperAscii | Self::Trim => takes(0, &Type::TEXT).then_some(Type::TEXT),
            Self::Replace => {
                arguments.iter().all(|argument| argument.meets(&Type::TEXT)).then_some(Type::TEXT)
            }
            Self::Split => {
                (takes(0, &Type::TEXT) && takes(1, &Type::TEXT)).then_some(Type::list_of(Type::TEXT))
            }
            Self::Join => (takes(0, &Type::LIST) && takes(1, &Type::TEXT)).then_some(Type::TEXT),
            Self::Substring => {
                (takes(0, &Type::TEXT) && takes(1, &Type::INT) && takes(2, &Type::INT)).then_some(Type::TEXT)
            }
            Self::IndexOf => (takes(0, &Type::TEXT) && takes(1, &Type::TEXT)).then_some(Type::INT),
            Self::Sum | Self::Min | Self::Max => {
                let element = arguments.first().map(Type::element).unwrap_or_default();
                (takes(0, &Type::LIST) && element.meets(&Type::NUMBER.or(&Type::TEXT))).then_some(
                    if self == Self::Sum {
                        together(&[element], &numbers).unwrap_or(Type::NUMBER)
                    } else {
                        element
                    },
                )
            }
            Self::Greatest | Self::Least => {
                arguments.iter().all(|argument| argument.meets(&Type::NUMBER)).then_some(Type::NUMBER)
            }
            Self::Abs => together(arguments, &numbers),
        }
    }

    pub(super) fn apply<'a>(self, arguments: &[Value<'a>], work: &mut Work) -> Result<Value<'a>, Fault> {
        work.step()?;
        match (self, arguments) {
            (Self::Equals, [one, other]) => Ok(Value::Bool(one.equals(other, work)?)),
            (Self::NotEquals, [one, other]) => Ok(Value::Bool(!one.equals(other, work)?)),
            (Self::Dyn, [one]) => Ok(one.clone()),
            (Self::In, [one, other]) => contained(one, other, work),
            (Self::ToString, [one]) => Ok(Value::text(one.as_part(work)?)),
            (Self::Join, [list, rest @ ..]) => join(list, rest.first(), work),
            (Self::Sum | Self::Min | Self::Max, [list]) => self.fold(list, work),
            (Self::Greatest | Self::Least, [first, rest @ ..]) => {
                rest.iter().try_fold(first.clone(), |best, next| self.better(best, next, work))
            }
            (Self::Add, [one, other]) if is_list(one, work)? && is_list(other, work)? => {
                append(one, other, work)
            }
            (_, arguments) => self.compute(arguments, work),
        }
    }

    /// Those that look at no more than scalars.
    fn compute<'a>(self, arguments: &[Value<'a>], work: &mut Work) -> Result<Value<'a>, Fault> {
        let unfit = |work: &mut Work| -> Fault {
            let nouns: Vec<&str> =
                arguments.iter().map(|argument| argument.noun(work).unwrap_or("something")).collect();
            let help = match (self, nouns.contains(&"a double"), nouns.contains(&"an int")) {
                (Self::Add | Self::Subtract | Self::Multiply | Self::Divide, true, true) => {
                    ": a number written with a fraction is a double; `int(…)` or `double(…)` converts"
                }
                _ => "",
            };
            Fault::new(format!("`{}` does not take {}{help}", self.noun(), nouns.join(" and ")))
        };
        let mut seen = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let one = argument.see(work)?;
            if let Seen::Text(text) = &one {
                work.bytes(text.len())?;
            }
            seen.push(one);
        }
        let overflow = || Fault::new(format!("the result of `{}` is out of range", self.noun()));
        let int = |value: Option<i64>| value.map(Value::Int).ok_or_else(overflow);
        let uint = |value: Option<u64>| value.map(Value::Uint).ok_or_else(overflow);
        Ok(match (self, seen.as_slice()) {
            (Self::Add, [Seen::Int(one), Seen::Int(other)]) => int(one.checked_add(*other))?,
            (Self::Subtract, [Seen::Int(one), Seen::Int(other)]) => int(one.checked_sub(*other))?,
            (Self::Multiply, [Seen::Int(one), Seen::Int(other)]) => int(one.checked_mul(*other))?,
            (
                Self::Divide | Self::Remainder,
                [Seen::Int(_), Seen::Int(0)] | [Seen::Uint(_), Seen::Uint(0)],
            ) => {
                return Err(Fault::new("division by zero"));
            }
            (Self::Divide, [Seen::Int(one), Seen::Int(other)]) => int(one.checked_div(*other))?,
            (Self::Remainder, [Seen::Int(one), Seen::Int(other)]) => int(one.checked_rem(*other))?,
            (Self::Add, [Seen::Uint(one), Seen::Uint(other)]) => uint(one.checked_add(*other))?,
            (Self::Subtract, [Seen::Uint(one), Seen::Uint(other)]) => uint(one.checked_sub(*other))?,
            (Self::Multiply, [Seen::Uint(one), Seen::Uint(other)]) => uint(one.checked_mul(*other))?,
            (Self::Divide, [Seen::Uint(one), Seen::Uint(other)]) => uint(one.checked_div(*other))?,
            (Self::Remainder, [Seen::Uint(one), Seen::Uint(other)]) => uint(one.checked_rem(*other))?,
            (Self::Add, [Seen::Double(one), Seen::Double(other)]) => Value::Double(one + other),
            (Self::Subtract, [Seen::Double(one), Seen::Double(other)]) => Value::Double(one - other),
            (Self::Multiply, [Seen::Double(one), Seen::Double(other)]) => Value::Double(one * other),
            (Self::Divide, [Seen::Double(one), Seen::Double(other)]) => Value::Double(one / other),
            (Self::Add, [Seen::Text(one), Seen::Text(other)]) => {
                work.built(one.len() + other.len())?;
                Value::text(format!("{one}{other}"))
            }
            (Self::Negate, [Seen::Int(one)]) => int(one.checked_neg())?,
            (Self::Negate, [Seen::Double(one)]) => Value::Double(-one),
            (Self::Abs, [Seen::Int(one)]) => int(one.checked_abs())?,
            (Self::Abs, [Seen::Uint(one)]) => Value::Uint(*one),
            (Self::Abs, [Seen::Double(one)]) => Value::Double(one.abs()),
            (Self::Not, [Seen::Bool(one)]) => Value::Bool(!one),
            (Self::Less | Self::LessEquals | Self::Greater | Self::GreaterEquals, [one, other]) => {
                match order(one, other) {
                    Compared::As(order) => Value::Bool(self.holds(order)),
                    // Nothing is less or greater than what is not a number.
                    Compared::Unordered => Value::Bool(false),
                    Compared::Unfit => return Err(unfit(work)),
                }
            }
            (Self::Size, [Seen::Text(text)]) => Value::Int(length(text.chars().count())),
            (Self::Size, [Seen::List(items)]) => Value::Int(length(items.len())),
            (Self::Size, [Seen::Map(members)]) => Value::Int(length(members.len())),
            (Self::Contains, [Seen::Text(text), Seen::Text(part)]) => Value::Bool(text.contains(&***part)),
            (Self::StartsWith, [Seen::Text(text), Seen::Text(part)]) => {
                Value::Bool(text.starts_with(&***part))
            }
            (Self::EndsWith, [Seen::Text(text), Seen::Text(part)]) => Value::Bool(text.ends_with(&***part)),
            (Self::ToInt, [Seen::Int(one)]) => Value::Int(*one),
            (Self::ToInt, [Seen::Uint(one)]) => int(i64::try_from(*one).ok())?,
            (Self::ToInt, [Seen::Double(one)]) => int(whole(*one).and_then(|one| i64::try_from(one).ok()))?,
            (Self::ToInt, [Seen::Text(text)]) => Value::Int(
                text.parse().map_err(|_| Fault::new("`int` is given a text that is not a whole number"))?,
            ),
            (Self::ToUint, [Seen::Int(one)]) => uint(u64::try_from(*one).ok())?,
            (Self::ToUint, [Seen::Uint(one)]) => Value::Uint(*one),
            (Self::ToUint, [Seen::Double(one)]) => uint(whole(*one).and_then(|one| u64::try_from(one).ok()))?,
            (Self::ToUint, [Seen::Text(text)]) => Value::Uint(
                text.parse()
                    .map_err(|_| Fault::new("`uint` is given a text that is not a whole number from 0"))?,
            ),
            #[expect(clippy::cast_precision_loss, reason = "what `double` is for")]
            (Self::ToDouble, [Seen::Int(one)]) => Value::Double(*one as f64),
            #[expect(clippy::cast_precision_loss, reason = "what `double` is for")]
            (Self::ToDouble, [Seen::Uint(one)]) => Value::Double(*one as f64),
            (Self::ToDouble, [Seen::Double(one)]) => Value::Double(*one),
            (Self::ToDouble, [Seen::Text(text)]) => Value::Double(
                text.parse().map_err(|_| Fault::new("`double` is given a text that is not a number"))?,
            ),
            (Self::LowerAscii, [Seen::Text(text)]) => Value::text(text.to_ascii_lowercase()),
            (Self::UpperAscii, [Seen::Text(text)]) => Value::text(text.to_ascii_uppercase()),
            (Self::Trim, [Seen::Text(text)]) => Value::text(text.trim()),
            (Self::Replace, [Seen::Text(text), Seen::Text(part), Seen::Text(other)]) => {
                let times = text.matches(&***part).count();
                work.built(text.len().saturating_add(times.saturating_mul(other.len())))?;
                Value::text(text.replace(&***part, other))
            }
            (Self::Split, [Seen::Text(text), Seen::Text(separator)]) => {
                let parts = text.matches(&***separator).count();
                work.steps(parts as u64 + 1)?;
                work.built(text.len())?;
                let parts = if separator.is_empty() {
                    text.chars().map(|c| Value::text(c.to_string())).collect()
                } else {
                    text.split(&***separator).map(Value::text).collect()
                };
                Value::List(Rc::new(parts))
            }
            (Self::Substring, [Seen::Text(text), Seen::Int(from), rest @ ..]) => {
                let to = match rest {
                    [] => text.chars().count(),
                    [Seen::Int(to)] => usize::try_from(*to).unwrap_or(usize::MAX),
                    _ => return Err(unfit(work)),
                };
                substring(text, usize::try_from(*from).unwrap_or(usize::MAX), to)?
            }
            (Self::IndexOf, [Seen::Text(text), Seen::Text(part)]) => match text.find(&***part) {
                Some(at) => Value::Int(length(text[..at].chars().count())),
                None => Value::Int(-1),
            },
            _ => return Err(unfit(work)),
        })
    }

    fn holds(self, order: Ordering) -> bool {
        let (on_less, on_equal, on_greater) = (
            matches!(self, Self::Less | Self::LessEquals),
            matches!(self, Self::LessEquals | Self::GreaterEquals),
            matches!(self, Self::Greater | Self::GreaterEquals),
        );
        match order {
            Ordering::Less => on_less,
            Ordering::Equal => on_equal,
            Ordering::Greater => on_greater,
        }
    }

    fn fold<'a>(self, list: &Value<'a>, work: &mut Work) -> Result<Value<'a>, Fault> {
        let items = items(list, self, work)?;
        let first = match (items.at(0), self) {
            (Some(first), _) => first,
            (None, Self::Sum) => return Ok(Value::Int(0)),
            (None, _) => return Err(Fault::new(format!("`{}` of an empty list", self.noun()))),
        };
        if self == Self::Sum && !matches!(first.see(work)?, Seen::Int(_) | Seen::Uint(_) | Seen::Double(_)) {
            return Err(Fault::new(format!("`sum` does not take a list of {}", first.noun(work)?)));
        }
        let mut best = first;
        for index in 1..items.len() {
            let Some(next) = items.at(index) else { break };
            best = if self == Self::Sum {
                Self::Add.compute(&[best, next], work)?
            } else {
                self.better(best, &next, work)?
            };
            work.step()?;
        }
        Ok(best)
    }

    fn better<'a>(self, best: Value<'a>, next: &Value<'a>, work: &mut Work) -> Result<Value<'a>, Fault> {
        let wanted = if matches!(self, Self::Max | Self::Greatest) { Self::Greater } else { Self::Less };
        let is_better = wanted.compute(&[next.clone(), best.clone()], work)?;
        Ok(if matches!(is_better, Value::Bool(true)) { next.clone() } else { best })
    }
}

enum Compared {
    As(Ordering),
    Unordered,
    Unfit,
}

fn order(one: &Seen<'_, '_>, other: &Seen<'_, '_>) -> Compared {
    let is_number = |seen: &Seen<'_, '_>| matches!(seen, Seen::Int(_) | Seen::Uint(_) | Seen::Double(_));
    match (one, other) {
        (Seen::Text(one), Seen::Text(other)) => Compared::As(one.cmp(other)),
        (Seen::Bool(one), Seen::Bool(other)) => Compared::As(one.cmp(other)),
        (one, other) if is_number(one) && is_number(other) => {
            compare_numbers(one, other).map_or(Compared::Unordered, Compared::As)
        }
        _ => Compared::Unfit,
    }
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Towards zero, as CEL has it; `None` when it is out of every range.
#[expect(clippy::cast_possible_truncation, reason = "only doubles well within the range are converted")]
fn whole(double: f64) -> Option<i128> {
    (double.is_finite() && double.abs() < 1e30).then(|| double.trunc() as i128)
}

fn is_list(value: &Value<'_>, work: &mut Work) -> Result<bool, Fault> {
    Ok(matches!(value.see(work)?, Seen::List(_)))
}

fn items<'v, 'a>(list: &'v Value<'a>, function: Function, work: &mut Work) -> Result<Items<'v, 'a>, Fault> {
    let noun = list.noun(work)?;
    let Seen::List(items) = list.see(work)? else {
        return Err(Fault::new(format!("`{}` does not take {noun}", function.noun())));
    };
    Ok(items)
}

fn append<'a>(one: &Value<'a>, other: &Value<'a>, work: &mut Work) -> Result<Value<'a>, Fault> {
    let (one, other) = (items(one, Function::Add, work)?, items(other, Function::Add, work)?);
    work.steps((one.len() + other.len()) as u64)?;
    let all =
        (0..one.len()).filter_map(|at| one.at(at)).chain((0..other.len()).filter_map(|at| other.at(at)));
    Ok(Value::List(Rc::new(all.collect())))
}

fn contained<'a>(one: &Value<'a>, other: &Value<'a>, work: &mut Work) -> Result<Value<'a>, Fault> {
    let noun = other.noun(work)?;
    match other.see(work)? {
        Seen::List(items) => {
            for index in 0..items.len() {
                if let Some(item) = items.at(index)
                    && item.equals(one, work)?
                {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        Seen::Map(members) => {
            work.steps(members.len() as u64)?;
            let is_key = |one: &Seen<'_, '_>| matches!(one, Seen::Text(key) if members.find(key).is_some());
            Ok(Value::Bool(is_key(&one.see(work)?)))
        }
        Seen::Null
        | Seen::Bool(_)
        | Seen::Int(_)
        | Seen::Uint(_)
        | Seen::Double(_)
        | Seen::Large(_)
        | Seen::Text(_) => Err(Fault::new(format!("`in` looks into a list or an object, not into {noun}"))),
    }
}

fn join<'a>(list: &Value<'a>, separator: Option<&Value<'a>>, work: &mut Work) -> Result<Value<'a>, Fault> {
    let separator = match separator {
        None => String::new(),
        Some(separator) => separator.as_part(work)?,
    };
    let items = items(list, Function::Join, work)?;
    let mut text = String::new();
    for index in 0..items.len() {
        work.built(separator.len())?;
        if index > 0 {
            text.push_str(&separator);
        }
        if let Some(item) = items.at(index) {
            text.push_str(&item.as_part(work)?);
        }
    }
    Ok(Value::text(text))
}

fn substring<'a>(text: &str, from: usize, to: usize) -> Result<Value<'a>, Fault> {
    let characters = text.chars().count();
    if from > to || to > characters {
        return Err(Fault::new("`substring` is given a range that the text does not have"));
    }
    Ok(Value::text(text.chars().skip(from).take(to - from).collect::<String>()))
}
