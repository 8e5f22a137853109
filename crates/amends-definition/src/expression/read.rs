//! From text to [`Expr`].
//!
//! Owns the meeting with the `cel` crate, whose parser this uses. Promises that whatever a text says that our
//! evaluator does not know is a flaw, and that an expression is no larger and no deeper than the limits.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr as Cel, IdedExpr, LiteralValue, SourceInfo,
};
use cel::parser::Parser;

use super::functions::{Call, Function};
use super::{Expr, ExprKind, Flaw, Literal, Loop, LoopKind, Names, Pattern, Root};
use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_NESTING_MAX, LOOPS_NESTED_MAX, PATTERN_BYTES_MAX};
use crate::source::nearest;

/// Fields of `saga`.
const SAGA_FIELDS: [&str; 3] = ["id", "started_at", "definition"];

pub(super) fn read(text: &str, names: &Names<'_>) -> Result<Expr, Vec<Flaw>> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let message = format!("the expression has {} bytes, more than {EXPRESSION_BYTES_MAX}", text.len());
        return Err(vec![Flaw { at: 0, rule: "expression_size", message, help: None }]);
    }
    if text.trim().is_empty() {
        let message = "`${}` holds no expression".to_owned();
        let help = Some("write what it stands for; a plain `${` is `$${`".to_owned());
        return Err(vec![Flaw { at: 0, rule: "expression", message, help }]);
    }
    let parser = Parser::new().enable_ident_escape_syntax(true);
    let (root, places) = parser.parse_with_source_info(text).map_err(|errors| {
        let mut flaws: Vec<Flaw> = errors.errors.iter().map(|error| syntax_flaw(text, error)).collect();
        // What follows the first one mostly follows from it.
        flaws.truncate(1);
        flaws
    })?;
    let mut reader = Reader { names, places: &places, locals: Vec::new(), flaws: Vec::new() };
    let expr = reader.expr(&root, 0);
    match expr {
        Some(expr) if reader.flaws.is_empty() => Ok(expr),
        Some(_) | None => Err(reader.flaws),
    }
}

fn syntax_flaw(text: &str, error: &cel::ParseError) -> Flaw {
    let (line, column) = error.pos;
    let line = usize::try_from(line - 1).unwrap_or_default();
    let before: usize = text.split('\n').take(line).map(|line| line.chars().count() + 1).sum();
    let at = before + usize::try_from(column - 1).unwrap_or_default();
    let message = if error.msg.contains("Recursion limit") || error.msg.contains("recursion limit") {
        format!("the expression is nested deeper than {EXPRESSION_NESTING_MAX} levels")
    } else {
        let said = error.msg.trim_start_matches("Syntax error: ");
        // The parser lists every token it knows.
        let said = said.split(" expecting {").next().unwrap_or(said);
        format!("the expression cannot be read: {said}")
    };
    Flaw { at, rule: "expression", message, help: None }
}

struct Reader<'r, 'n> {
    names: &'r Names<'n>,
    places: &'r SourceInfo,
    /// The variables of the loops around, outermost first.
    locals: Vec<String>,
    flaws: Vec<Flaw>,
}

impl Reader<'_, '_> {
    fn at(&self, expr: &IdedExpr) -> usize {
        self.places.offset_for(expr.id).map_or(0, |(start, _)| start as usize)
    }

    fn flaw<T>(
        &mut self,
        at: usize,
        rule: &'static str,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Option<T> {
        self.flaws.push(Flaw { at, rule, message: message.into(), help });
        None
    }

    fn expr(&mut self, expr: &IdedExpr, depth: usize) -> Option<Expr> {
        let at = self.at(expr);
        if depth > EXPRESSION_NESTING_MAX {
            let message = format!("the expression is nested deeper than {EXPRESSION_NESTING_MAX} levels");
            return self.flaw(at, "expression_size", message, None);
        }
        let depth = depth + 1;
        // The parser has a selection stand at its dot.
        let at = if matches!(&expr.expr, Cel::Select(select) if !select.test) { at + 1 } else { at };
        let kind = match &expr.expr {
            Cel::Unspecified => return self.flaw(at, "expression", "the expression cannot be read", None),
            Cel::Literal(literal) => ExprKind::Literal(self.literal(literal, at)?),
            Cel::Ident(name) => self.name(name, at)?,
            Cel::Select(select) => {
                if let Some(root) = self.root(&select.operand, &select.field, at) {
                    let root = ExprKind::Root(root?);
                    if !select.test {
                        root
                    } else {
                        // `has(saga.id)` and `has(steps.A.output)`: there, unless null.
                        let operand = Expr { at, kind: root };
                        let null = Expr { at, kind: ExprKind::Literal(Literal::Null) };
                        ExprKind::Call(Function::NotEquals, vec![operand, null])
                    }
                } else {
                    let operand = Box::new(self.expr(&select.operand, depth)?);
                    let field = select.field.clone();
                    if select.test { ExprKind::Has(operand, field) } else { ExprKind::Field(operand, field) }
                }
            }
            Cel::List(list) => {
                if !list.optional_indices.is_empty() {
                    return self.flaw(at, "expression", "optional elements are not available", None);
                }
                ExprKind::List(self.all(&list.elements, depth)?)
            }
            Cel::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return self.flaw(at, "expression", "messages are not available: write a map", None);
                    };
                    if entry.optional {
                        return self.flaw(at, "expression", "optional entries are not available", None);
                    }
                    let key = self.expr(&entry.key, depth);
                    let value = self.expr(&entry.value, depth);
                    entries.push((key?, value?));
                }
                ExprKind::Map(entries)
            }
            Cel::Struct(made) => {
                let message = format!("the type `{}` is not available", made.type_name);
                return self.flaw(
                    at,
                    "unknown_name",
                    message,
                    Some("write a map: {\"key\": value}".to_owned()),
                );
            }
            Cel::Call(call) => self.call(call, at, depth)?,
            Cel::Comprehension(comprehension) => self.comprehension(comprehension, at, depth)?,
        };
        Some(Expr { at, kind })
    }

    fn all(&mut self, exprs: &[IdedExpr], depth: usize) -> Option<Vec<Expr>> {
        let read: Vec<Option<Expr>> = exprs.iter().map(|expr| self.expr(expr, depth)).collect();
        read.into_iter().collect()
    }

    fn literal(&mut self, literal: &LiteralValue, at: usize) -> Option<Literal> {
        Some(match literal {
            LiteralValue::Null => Literal::Null,
            LiteralValue::Boolean(bool) => Literal::Bool(*bool.inner()),
            LiteralValue::Int(int) => Literal::Int(*int.inner()),
            LiteralValue::UInt(uint) => Literal::Uint(*uint.inner()),
            LiteralValue::Double(double) => Literal::Double(*double.inner()),
            LiteralValue::String(text) => Literal::Text(text.inner().to_owned()),
            LiteralValue::Bytes(_) => {
                let help = Some("write a string".to_owned());
                return self.flaw(at, "expression", "bytes are not available: JSON has none", help);
            }
        })
    }

    fn name(&mut self, name: &str, at: usize) -> Option<ExprKind> {
        if let Some(local) = self.locals.iter().rposition(|known| known == name) {
            return Some(ExprKind::Local(local));
        }
        if let Some((element, _)) = &self.names.element
            && *element == name
        {
            return Some(ExprKind::Root(Root::Element(name.to_owned())));
        }
        match name {
            "input" => Some(ExprKind::Root(Root::Input)),
            "output" if self.names.output => Some(ExprKind::Root(Root::Output)),
            "output" => {
                let message = format!("there is no `output` in {}", self.names.place);
                let help =
                    "only a compensation has it, that of its own action; others are `steps.NAME.output`";
                self.flaw(at, "unknown_name", message, Some(help.to_owned()))
            }
            "steps" => {
                let help = "write `steps.NAME.output`, or `steps[\"NAME\"].output`".to_owned();
                self.flaw(at, "unknown_name", "`steps` is used without the name of a step", Some(help))
            }
            "saga" => {
                let help = "it has `saga.id`, `saga.started_at` and `saga.definition`".to_owned();
                self.flaw(at, "unknown_name", "`saga` is used without a field", Some(help))
            }
            _ => {
                let mut known = vec!["input", "steps", "saga"];
                known.extend(self.names.output.then_some("output"));
                known.extend(self.names.element.as_ref().map(|(name, _)| *name));
                known.extend(self.locals.iter().map(String::as_str));
                let help = match nearest(name, known.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("known here are `{}`; a text stands in quotes", known.join("`, `")),
                };
                self.flaw(at, "unknown_name", format!("there is no `{name}` here"), Some(help))
            }
        }
    }

    fn is_free(&self, name: &str) -> bool {
        !self.locals.iter().any(|local| local == name)
    }

    /// `saga.FIELD`, `steps.NAME.output` and `steps["NAME"].output`; the inner `None` comes with a flaw.
    fn root(&mut self, operand: &IdedExpr, field: &str, at: usize) -> Option<Option<Root>> {
        match &operand.expr {
            Cel::Ident(name) if name == "saga" && self.is_free(name) => Some(match field {
                "id" => Some(Root::SagaId),
                "started_at" => Some(Root::SagaStartedAt),
                "definition" => Some(Root::SagaDefinition),
                _ => {
                    let help = match nearest(field, SAGA_FIELDS) {
                        Some(name) => format!("did you mean `saga.{name}`?"),
                        None => "it has `id`, `started_at` and `definition`".to_owned(),
                    };
                    self.flaw(at, "unknown_name", format!("there is no `saga.{field}`"), Some(help))
                }
            }),
            // `steps.NAME` without `.output`.
            Cel::Ident(name) if name == "steps" && self.is_free(name) => {
                let help = Some(format!("write `steps.{field}.output`"));
                Some(self.flaw(at, "unknown_name", format!("`steps.{field}` is a step, not a value"), help))
            }
            Cel::Select(inner) if !inner.test && self.is_steps(&inner.operand) => {
                Some(self.step(&inner.field, field, at))
            }
            Cel::Call(call)
                if call.func_name == "_[_]" && call.args.first().is_some_and(|on| self.is_steps(on)) =>
            {
                match call.args.get(1).map(|index| &index.expr) {
                    Some(Cel::Literal(LiteralValue::String(name))) => {
                        Some(self.step(name.inner(), field, at))
                    }
                    _ => {
                        let help = "name it, so that what the step sees is known: `steps[\"NAME\"].output`";
                        let message = "which step this is cannot be computed";
                        Some(self.flaw(at, "unknown_name", message, Some(help.to_owned())))
                    }
                }
            }
            _ => None,
        }
    }

    fn is_steps(&self, expr: &IdedExpr) -> bool {
        matches!(&expr.expr, Cel::Ident(name) if name == "steps") && self.is_free("steps")
    }

    fn step(&mut self, name: &str, field: &str, at: usize) -> Option<Root> {
        if field != "output" {
            let help = Some(format!("write `steps.{name}.output.{field}`"));
            return self.flaw(
                at,
                "unknown_name",
                format!("a step has no `{field}`, only its `output`"),
                help,
            );
        }
        if self.names.steps.contains_key(name) {
            return Some(Root::Step(name.to_owned()));
        }
        if self.names.all_steps.contains(&name) {
            let message = format!(
                "{} does not see the output of `{name}`, which need not be there yet",
                self.names.place
            );
            let help = Some(format!(
                "only steps that are done before are seen: add `after: [{name}]`, or drop this"
            ));
            return self.flaw(at, "step_not_before", message, help);
        }
        let help = match nearest(name, self.names.all_steps.iter().copied()) {
            Some(near) => format!("did you mean `steps.{near}.output`?"),
            None if self
                .names
                .all_steps
                .iter()
                .any(|known| known.starts_with(name) && known.contains('-')) =>
            {
                "a name with `-` stands in brackets: `steps[\"NAME\"].output`".to_owned()
            }
            None => "name one of the definition's steps".to_owned(),
        };
        self.flaw(at, "unknown_step", format!("there is no step `{name}`"), Some(help))
    }

    fn call(&mut self, call: &CallExpr, at: usize, depth: usize) -> Option<ExprKind> {
        let name = call.func_name.as_str();
        match (name, call.target.as_deref(), call.args.as_slice()) {
            ("_&&_", None, [one, other]) => {
                let (one, other) = (self.expr(one, depth), self.expr(other, depth));
                return Some(ExprKind::And(Box::new(one?), Box::new(other?)));
            }
            ("_||_", None, [one, other]) => {
                let (one, other) = (self.expr(one, depth), self.expr(other, depth));
                return Some(ExprKind::Or(Box::new(one?), Box::new(other?)));
            }
            ("_?_:_", None, [condition, one, other]) => {
                let condition = self.expr(condition, depth);
                let (one, other) = (self.expr(one, depth), self.expr(other, depth));
                return Some(ExprKind::Conditional(Box::new(condition?), Box::new(one?), Box::new(other?)));
            }
            ("_[_]", None, [on, index]) => {
                let (on, index) = (self.expr(on, depth), self.expr(index, depth));
                return Some(ExprKind::Index(Box::new(on?), Box::new(index?)));
            }
            ("matches", Some(on), [pattern]) | ("matches", None, [on, pattern]) => {
                let on = self.expr(on, depth);
                let pattern = self.pattern(pattern);
                return Some(ExprKind::Matches(Box::new(on?), pattern?));
            }
            _ => {}
        }
        // `math.greatest(…)`: what stands before the dot is no value.
        if let Some(target) = &call.target
            && matches!(&target.expr, Cel::Ident(name) if name == "math")
            && self.is_free("math")
        {
            let args = self.all(&call.args, depth);
            let function = self.function(&format!("math.{name}"), false, call.args.len(), at);
            return Some(ExprKind::Call(function?, args?));
        }
        let mut args = Vec::with_capacity(call.args.len() + 1);
        args.extend(call.target.as_deref().map(|target| self.expr(target, depth)));
        args.extend(call.args.iter().map(|arg| self.expr(arg, depth)));
        let function = self.function(name, call.target.is_some(), args.len(), at);
        Some(ExprKind::Call(function?, args.into_iter().collect::<Option<_>>()?))
    }

    fn function(&mut self, name: &str, is_method: bool, arguments: usize, at: usize) -> Option<Function> {
        // The parser has a call stand at its parenthesis.
        let at = at.saturating_sub(name.trim_start_matches("math.").chars().count());
        match Function::find(name, is_method, arguments) {
            Call::Known(function) => Some(function),
            Call::OtherUse(uses) => {
                let help = Some(format!("it is used so: {uses}"));
                self.flaw(at, "expression", format!("`{name}` is not used so"), help)
            }
            Call::Unknown => {
                let help = match (name, Function::nearest(name)) {
                    ("now" | "timestamp" | "duration" | "random" | "uuid", _) => {
                        "neither clock nor chance are available: every attempt must carry the same bytes; \
                         `saga.id` and `saga.started_at` are known"
                            .to_owned()
                    }
                    (_, Some(near)) => format!("did you mean `{near}`?"),
                    (_, None) => format!("known are {}", Function::known()),
                };
                self.flaw(at, "unknown_function", format!("there is no function `{name}`"), Some(help))
            }
        }
    }

    fn pattern(&mut self, expr: &IdedExpr) -> Option<Pattern> {
        let at = self.at(expr);
        let Cel::Literal(LiteralValue::String(pattern)) = &expr.expr else {
            let message = "the pattern of `matches` is written out, not computed";
            return self.flaw(at, "expression", message, None);
        };
        match regex::RegexBuilder::new(pattern.inner()).size_limit(PATTERN_BYTES_MAX).build() {
            Ok(regex) => Some(Pattern(regex)),
            Err(error) => {
                let last = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
                self.flaw(at, "expression", format!("the pattern cannot be read: {last}"), None)
            }
        }
    }

    /// The parser writes each of the loops out as a comprehension; this finds out which one it was.
    fn comprehension(&mut self, made: &ComprehensionExpr, at: usize, depth: usize) -> Option<ExprKind> {
        if self.locals.len() >= LOOPS_NESTED_MAX {
            let message = format!("loops are nested deeper than {LOOPS_NESTED_MAX}");
            return self.flaw(
                at,
                "expression_size",
                message,
                Some("prepare the data in a participant".to_owned()),
            );
        }
        let range = self.expr(&made.iter_range, depth);
        let Some((kind, filter, body)) = loop_of(made) else {
            return self.flaw(at, "expression", "this kind of loop is not available", None);
        };
        let name = &made.iter_var;
        if made.iter_var2.is_some() || ["input", "steps", "saga", "output"].contains(&name.as_str()) {
            let message = format!("a loop's variable cannot be called `{name}`");
            return self.flaw(at, "expression", message, Some("choose another name".to_owned()));
        }
        let local = self.locals.len();
        self.locals.push(name.clone());
        let filter = filter.map(|filter| self.expr(filter, depth));
        let body = body.map(|body| self.expr(body, depth));
        self.locals.pop();
        let filter = match filter {
            Some(filter) => Some(filter?),
            None => None,
        };
        let body = match body {
            Some(body) => body?,
            None => Expr { at, kind: ExprKind::Local(local) },
        };
        Some(ExprKind::Loop(Box::new(Loop { kind, range: range?, local, filter, body })))
    }
}

type LoopParts<'c> = (LoopKind, Option<&'c IdedExpr>, Option<&'c IdedExpr>);

/// Kind, filter and body of a loop, by the shapes in `cel`'s `parser/macros.rs`.
fn loop_of(made: &ComprehensionExpr) -> Option<LoopParts<'_>> {
    let is_accu = |expr: &IdedExpr| matches!(&expr.expr, Cel::Ident(name) if *name == made.accu_var);
    let is_element = |expr: &IdedExpr| matches!(&expr.expr, Cel::Ident(name) if *name == made.iter_var);
    fn arguments<'c>(expr: &'c IdedExpr, function: &str) -> Option<&'c [IdedExpr]> {
        match &expr.expr {
            Cel::Call(call) if call.func_name == function && call.target.is_none() => Some(&call.args),
            _ => None,
        }
    }
    // accu + [x]
    fn appended_to<'c>(expr: &'c IdedExpr, accu_var: &str) -> Option<&'c IdedExpr> {
        let [accu, list] = arguments(expr, "_+_")? else { return None };
        let Cel::List(list) = &list.expr else { return None };
        let [element] = list.elements.as_slice() else { return None };
        matches!(&accu.expr, Cel::Ident(name) if name == accu_var).then_some(element)
    }
    let step = &made.loop_step;
    match &made.accu_init.expr {
        Cel::Literal(LiteralValue::Boolean(_)) => {
            let (kind, arguments) = match arguments(step, "_&&_") {
                Some(arguments) => (LoopKind::All, arguments),
                None => (LoopKind::Exists, arguments(step, "_||_")?),
            };
            let [accu, body] = arguments else { return None };
            is_accu(accu).then_some((kind, None, Some(body)))
        }
        Cel::Literal(LiteralValue::Int(_)) => {
            let [condition, _, _] = arguments(step, "_?_:_")? else { return None };
            Some((LoopKind::ExistsOne, None, Some(condition)))
        }
        Cel::List(_) => match arguments(step, "_?_:_") {
            None => Some((LoopKind::Map, None, Some(appended_to(step, &made.accu_var)?))),
            Some([condition, then, _]) => {
                let body = appended_to(then, &made.accu_var)?;
                if is_element(body) {
                    Some((LoopKind::Filter, Some(condition), None))
                } else {
                    Some((LoopKind::Map, Some(condition), Some(body)))
                }
            }
            Some(_) => None,
        },
        _ => None,
    }
}
