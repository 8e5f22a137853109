//! What expressions give and refuse; and the same as the evaluator of the `cel` crate, where both promise the
//! same.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn names() -> Names<'static> {
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "notify": { "type": "boolean" },
            "name": { "type": "string" },
            "amount": { "type": "integer" },
            "items": { "type": "array", "items": { "type": "object", "properties": { "sku": { "type": "string" }, "qty": {} }, "additionalProperties": false } },
        },
    });
    Names {
        input: Type::of_schema(&schema),
        steps: Rc::new(BTreeMap::from([
            ("Order", Type::ANY),
            ("pay-ment", Type::ANY),
            ("Notify", Type::ANY.unless_skipped("Notify")),
        ])),
        all_steps: Rc::new(["Order", "pay-ment", "Notify", "Later"]),
        element: Some(("leg", Type::ANY)),
        output: true,
        place: "the action of `Ship`",
    }
}

const INPUT: &str = r#"{"name": "Ann", "notify": true, "amount": 100.0, "whole": 100, "big": 12345678901234567890, "huge": 123456789012345678901234567890, "exp": 1e2,
 "items": [{"sku": "a" , "qty": 2}, {"sku":"b","qty":3}], "nothing": null, "text": "a\u00e9\/b", "twice": {"a": 1, "a": 2}}"#;

fn evaluate(text: &str) -> String {
    let expression = match Expression::compile(text, &names()) {
        Ok(expression) => expression,
        Err(flaws) => {
            let shown = flaws.iter().map(|flaw| {
                let help = flaw.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
                format!("{}@{}: {}{help}", flaw.rule, flaw.at, flaw.message)
            });
            return shown.collect::<Vec<_>>().join("; ");
        }
    };
    let outputs = |step: &str| match step {
        "Order" => Some(r#"{"id": "o-1", "total": 5}"#.as_bytes()),
        "pay-ment" => Some(b"[1,2]".as_slice()),
        "Notify" => Some(b"null".as_slice()),
        _ => None,
    };
    let mut evaluation = Evaluation::new(World {
        input: INPUT.as_bytes(),
        output: Some(b"{}"),
        element: Some(b"7"),
        outputs: &outputs,
        id: "id",
        started_at: "2026-11-30T10:00:00.000Z",
        definition: "Test",
    });
    let mut bytes = Vec::new();
    let done =
        evaluation.evaluate(&expression).and_then(|value| value.render(&mut bytes, &mut evaluation.work));
    match done {
        Ok(()) => String::from_utf8(bytes).unwrap(),
        Err(fault) => format!("fails: {}", fault.message),
    }
}

fn table(expressions: &[&str], expected: Expect) {
    let rows = expressions.iter().map(|text| format!("{text}\n    {}\n", evaluate(text)));
    expected.assert_eq(&rows.collect::<String>());
}

#[test]
fn values_that_are_passed_on_keep_their_bytes() {
    table(
        &[
            "input.items",
            "input.items[0]",
            "input.items.filter(i, i.qty > 2)",
            "[input.amount, input.big, input.huge, input.exp, input.text, input.twice]",
            "input.name == 'x' ? input.items : input.amount",
            "steps.Order.output",
            "steps[\"pay-ment\"].output",
            "steps.Notify.output",
            "leg",
            "input['name']",
        ],
        expect![[r#"
            input.items
                [{"sku": "a" , "qty": 2}, {"sku":"b","qty":3}]
            input.items[0]
                {"sku": "a" , "qty": 2}
            input.items.filter(i, i.qty > 2)
                [{"sku":"b","qty":3}]
            [input.amount, input.big, input.huge, input.exp, input.text, input.twice]
                [100.0,12345678901234567890,123456789012345678901234567890,1e2,"a\u00e9\/b",{"a": 1, "a": 2}]
            input.name == 'x' ? input.items : input.amount
                100.0
            steps.Order.output
                {"id": "o-1", "total": 5}
            steps["pay-ment"].output
                [1,2]
            steps.Notify.output
                null
            leg
                7
            input['name']
                "Ann"
        "#]],
    );
}

#[test]
fn what_is_built_has_its_keys_in_the_order_written() {
    table(
        &[
            "{'b': 1, 'a': input.whole, 'c': {'z': null, 'y': [1u, -2, 1.5]}}",
            "[]",
            "{}",
            "{'a': 1, 'a': 2}",
            "{1: 2}",
        ],
        expect![[r#"
            {'b': 1, 'a': input.whole, 'c': {'z': null, 'y': [1u, -2, 1.5]}}
                {"b":1,"a":100,"c":{"z":null,"y":[1,-2,1.5]}}
            []
                []
            {}
                {}
            {'a': 1, 'a': 2}
                duplicate_key@9: the key "a" is given twice (remove one of the two)
            {1: 2}
                type@1: the key of an object is a string, not an int
        "#]],
    );
}

#[test]
fn whole_numbers_are_exact_and_are_not_mixed_with_others() {
    table(
        &[
            "input.whole * 3 - 1",
            "input.amount + 1",
            "input.amount + 1.0",
            "int(input.amount) + 1",
            "input.amount == 100",
            "input.amount > 99",
            "input.big + 1u",
            "input.big + 1",
            "input.big > 9223372036854775807",
            "input.huge + 1",
            "input.huge == input.huge",
            "9223372036854775807 + 1",
            "-9223372036854775807 - 2",
            "7 / 2",
            "-7 % 3",
            "1 / 0",
            "1.0 / 0.0",
            "0.1 + 0.2",
            "9007199254740993 == 9007199254740992.0",
            "int('12')",
            "int('12.5')",
            "int(1e300)",
            "string(input.amount) + '/' + string(1.0)",
            "input.items.map(i, i.qty * 10).sum()",
            "[].sum()",
            "[1.5].sum()",
            "[input.whole, 2].sum()",
            "[input.name].sum()",
            "[1.5, 2.5].max()",
            "math.least(3, 2) + math.abs(-5)",
        ],
        expect![[r#"
            input.whole * 3 - 1
                299
            input.amount + 1
                fails: `+` does not take a double and an int: a number written with a fraction is a double; `int(…)` or `double(…)` converts
            input.amount + 1.0
                101.0
            int(input.amount) + 1
                101
            input.amount == 100
                true
            input.amount > 99
                true
            input.big + 1u
                12345678901234567891
            input.big + 1
                fails: `+` does not take a uint and an int
            input.big > 9223372036854775807
                true
            input.huge + 1
                fails: `+` does not take a number too large to compute with and an int
            input.huge == input.huge
                true
            9223372036854775807 + 1
                fails: the result of `+` is out of range
            -9223372036854775807 - 2
                fails: the result of `-` is out of range
            7 / 2
                3
            -7 % 3
                -1
            1 / 0
                fails: division by zero
            1.0 / 0.0
                fails: JSON has no number that is infinite or undefined
            0.1 + 0.2
                0.30000000000000004
            9007199254740993 == 9007199254740992.0
                false
            int('12')
                12
            int('12.5')
                fails: `int` is given a text that is not a whole number
            int(1e300)
                fails: the result of `int` is out of range
            string(input.amount) + '/' + string(1.0)
                "100.0/1.0"
            input.items.map(i, i.qty * 10).sum()
                50
            [].sum()
                0
            [1.5].sum()
                1.5
            [input.whole, 2].sum()
                102
            [input.name].sum()
                fails: `sum` does not take a list of a string
            [1.5, 2.5].max()
                2.5
            math.least(3, 2) + math.abs(-5)
                7
        "#]],
    );
}

#[test]
fn names_are_known() {
    table(
        &[
            "inptu.x",
            "input.nmae",
            "input.items[0].skuu",
            "steps.Ordr.output",
            "steps.Later.output",
            "steps.Order.result",
            "steps.Order",
            "steps",
            "steps[input.name].output",
            "steps.pay-ment.output",
            "saga.idd",
            "saga",
            "saga.id + saga.definition + saga.started_at",
            "now()",
            "sizee('a')",
            "'a'.size(1)",
            "size()",
            "has(input)",
            "type(1)",
            "b'abc'",
            "foo.Bar{a: 1}",
            "input.?a",
            "a b",
            "1 +",
            "'ä' + x",
            "",
        ],
        expect![[r#"
            inptu.x
                unknown_name@0: there is no `inptu` here (did you mean `input`?)
            input.nmae
                fails: input has no field "nmae"
            input.items[0].skuu
                unknown_name@15: input.items[0] has no field `skuu` (did you mean `sku`?)
            steps.Ordr.output
                unknown_step@11: there is no step `Ordr` (did you mean `steps.Order.output`?)
            steps.Later.output
                step_not_before@12: the action of `Ship` does not see the output of `Later`, which need not be there yet (only steps that are done before are seen: add `after: [Later]`, or drop this)
            steps.Order.result
                unknown_name@12: a step has no `result`, only its `output` (write `steps.Order.output.result`)
            steps.Order
                unknown_name@6: `steps.Order` is a step, not a value (write `steps.Order.output`)
            steps
                unknown_name@0: `steps` is used without the name of a step (write `steps.NAME.output`, or `steps["NAME"].output`)
            steps[input.name].output
                unknown_name@18: which step this is cannot be computed (name it, so that what the step sees is known: `steps["NAME"].output`)
            steps.pay-ment.output
                unknown_name@6: `steps.pay` is a step, not a value (write `steps.pay.output`); unknown_name@10: there is no `ment` here (known here are `input`, `steps`, `saga`, `output`, `leg`; a text stands in quotes)
            saga.idd
                unknown_name@5: there is no `saga.idd` (did you mean `saga.id`?)
            saga
                unknown_name@0: `saga` is used without a field (it has `saga.id`, `saga.started_at` and `saga.definition`)
            saga.id + saga.definition + saga.started_at
                "idTest2026-11-30T10:00:00.000Z"
            now()
                unknown_function@0: there is no function `now` (neither clock nor chance are available: every attempt must carry the same bytes; `saga.id` and `saga.started_at` are known)
            sizee('a')
                unknown_function@0: there is no function `sizee` (did you mean `size`?)
            'a'.size(1)
                expression@4: `size` is not used so (it is used so: size(x), x.size())
            size()
                expression@0: `size` is not used so (it is used so: size(x), x.size())
            has(input)
                expression@4: the expression cannot be read: invalid argument to has() macro
            type(1)
                unknown_function@0: there is no function `type` (known are size, contains, startsWith, endsWith, int, uint, double, string, dyn, lowerAscii, upperAscii, trim, replace, split, join, substring, indexOf, sum, min, max, math.greatest, math.least, math.abs, has, all, exists, exists_one, map, filter, matches)
            b'abc'
                expression@0: bytes are not available: JSON has none (write a string)
            foo.Bar{a: 1}
                unknown_name@7: the type `foo.Bar` is not available (write a map: {"key": value})
            input.?a
                expression@5: the expression cannot be read: unsupported syntax '.?'
            a b
                expression@2: the expression cannot be read: extraneous input 'b' expecting <EOF>
            1 +
                expression@3: the expression cannot be read: mismatched input '<EOF>'
            'ä' + x
                unknown_name@7: there is no `x` here (known here are `input`, `steps`, `saga`, `output`, `leg`; a text stands in quotes)

                expression@0: `${}` holds no expression (write what it stands for; a plain `${` is `$${`)
        "#]],
    );
}

#[test]
fn types_are_checked_as_far_as_they_are_known() {
    table(
        &[
            "input.name + 1",
            "input.notify ? 1 : 'a'",
            "input.name ? 1 : 2",
            "!input.name",
            "input.name && true",
            "input.name.id",
            "input.name[0]",
            "input.items.map(i, i.sku + 1)",
            "input.amount.size()",
            "'a' < 1",
            "1.map(x, x)",
            "steps.Notify.output.id",
            "steps.Notify.output == null ? 'none' : steps.Notify.output.id",
            "steps.Notify.output != null && steps.Notify.output.ok",
            "has(steps.Notify.output.id) && steps.Notify.output.id == 'x'",
            "steps.Notify.output == null || steps.Notify.output.ok",
            "has(steps.Notify.output)",
        ],
        expect![[r#"
            input.name + 1
                type@11: `+` does not take a string and an int (`string(…)` makes a text of a number)
            input.notify ? 1 : 'a'
                1
            input.name ? 1 : 2
                type@6: a condition is true or false, not a string
            !input.name
                type@0: `!` does not take a string
            input.name && true
                type@6: a condition is true or false, not a string
            input.name.id
                type@11: input.name is a string and has no field `id`
            input.name[0]
                type@10: input.name is a string, which is not indexed by an int
            input.items.map(i, i.sku + 1)
                type@25: `+` does not take a string and an int (`string(…)` makes a text of a number)
            input.amount.size()
                type@17: `size` does not take a number
            'a' < 1
                type@4: `<` does not take a string and an int
            1.map(x, x)
                type@5: a loop goes over a list or an object's keys, not over an int
            steps.Notify.output.id
                maybe_skipped@13: `Notify` may be skipped, and then steps.Notify.output is null (say what stands for it then: `steps.Notify.output == null ? … : …`; or give this step the same `when`)
            steps.Notify.output == null ? 'none' : steps.Notify.output.id
                "none"
            steps.Notify.output != null && steps.Notify.output.ok
                false
            has(steps.Notify.output.id) && steps.Notify.output.id == 'x'
                false
            steps.Notify.output == null || steps.Notify.output.ok
                true
            has(steps.Notify.output)
                false
        "#]],
    );
}

#[test]
fn faults_name_places_and_no_values() {
    table(
        &[
            "input.missing.x",
            "input.whole.x",
            "input.items[7]",
            "input.items[input.name]",
            "steps.Order.output.id.x",
            "input.whole && true",
            "input.missing || true",
            "false && input.missing",
            "input.nothing.x",
            "has(input.nothing.x)",
            "has(input.missing)",
            "input.items.all(i, i.qty > 1)",
            "input.items.exists(i, i.nope == 1)",
            "input.items.exists(i, i.nope == 1 || i.qty == 3)",
            "input.items.exists_one(i, i.qty == 3)",
            "'a' in ['a', 'b'] && 'name' in input",
            "'abc'.matches('^a.c$')",
            "'abc'.matches('(')",
            "'abc'.matches(input.name)",
            "'a,b'.split(',').join('-') + 'x'.upperAscii() + ' y '.trim()",
            "'héllo'.substring(1, 3) + string('héllo'.indexOf('l'))",
            "input.text == 'aé/b'",
            "input.twice.a",
        ],
        expect![[r#"
            input.missing.x
                fails: input has no field "missing"
            input.whole.x
                fails: input.whole is an int and has no field "x"
            input.items[7]
                fails: input.items has 2 elements, and not this one
            input.items[input.name]
                type@11: input.items is a list, which is not indexed by a string
            steps.Order.output.id.x
                fails: steps.Order.output.id is a string and has no field "x"
            input.whole && true
                fails: a condition is true or false, not an int
            input.missing || true
                true
            false && input.missing
                false
            input.nothing.x
                fails: input.nothing is null and has no field "x"
            has(input.nothing.x)
                false
            has(input.missing)
                false
            input.items.all(i, i.qty > 1)
                true
            input.items.exists(i, i.nope == 1)
                unknown_name@24: the element has no field `nope` (it has qty, sku)
            input.items.exists(i, i.nope == 1 || i.qty == 3)
                unknown_name@24: the element has no field `nope` (it has qty, sku)
            input.items.exists_one(i, i.qty == 3)
                true
            'a' in ['a', 'b'] && 'name' in input
                true
            'abc'.matches('^a.c$')
                true
            'abc'.matches('(')
                expression@14: the pattern cannot be read: error: unclosed group
            'abc'.matches(input.name)
                expression@19: the pattern of `matches` is written out, not computed
            'a,b'.split(',').join('-') + 'x'.upperAscii() + ' y '.trim()
                "a-bXy"
            'héllo'.substring(1, 3) + string('héllo'.indexOf('l'))
                "él2"
            input.text == 'aé/b'
                true
            input.twice.a
                2
        "#]],
    );
}

#[test]
fn there_is_an_end_to_the_work() {
    let long = "x".repeat(200);
    let doubled = (0..40).fold(format!("'{long}'"), |text, _| format!("({text}).replace('x', 'xx')"));
    assert!(
        evaluate(&doubled).contains("too much work") || evaluate(&doubled).contains("bytes"),
        "{}",
        evaluate(&doubled)
    );
    let list = format!("[{}]", vec!["1"; 1_500].join(","));
    let nested = format!("{list}.map(a, {list}.map(b, a + b)).size()");
    assert_eq!(evaluate(&nested), "fails: the expression takes too much work for its input");
    let deeper = "[1].map(a, [1].map(b, [1].map(c, c)))";
    assert!(evaluate(deeper).contains("nested deeper than 2"), "{}", evaluate(deeper));
    let deep = format!("input{}", ".a".repeat(500));
    assert!(evaluate(&deep).contains("nested deeper"), "{}", evaluate(&deep));
    let parens = format!("{}1{}", "(".repeat(300), ")".repeat(300));
    assert!(evaluate(&parens).contains("nested deeper"), "{}", evaluate(&parens));
    let chain = vec!["1"; 90].join(" + ");
    assert_eq!(evaluate(&chain), "90");
}

/// The `cel` crate's own verdict, as JSON.
fn oracle(text: &str) -> Option<String> {
    fn json(value: &cel::Value) -> Option<String> {
        Some(match value {
            cel::Value::Int(int) => int.to_string(),
            cel::Value::UInt(uint) => uint.to_string(),
            cel::Value::Float(float) => serde_json::to_string(float).ok()?,
            cel::Value::Bool(bool) => bool.to_string(),
            cel::Value::String(text) => serde_json::to_string(text.as_str()).ok()?,
            cel::Value::Null => "null".to_owned(),
            cel::Value::List(items) => {
                let items: Vec<String> = items.iter().map(json).collect::<Option<_>>()?;
                format!("[{}]", items.join(","))
            }
            _ => return None,
        })
    }
    let program = cel::Program::compile(text).ok()?;
    let context = cel::Context::default();
    json(&program.execute(&context).ok()?)
}

fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-9i64..10).prop_map(|int| int.to_string()),
        (0u64..5).prop_map(|uint| format!("{uint}u")),
        (-4i32..5).prop_map(|half| format!("{:.1}", f64::from(half) / 2.0)),
        "[abé]{0,3}".prop_map(|text| format!("'{text}'")),
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("null".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in",
        ]);
        prop_oneof![
            (two.clone(), operator)
                .prop_map(|((one, other), operator)| format!("({one} {operator} {other})")),
            (inner.clone(), two.clone()).prop_map(|(c, (a, b))| format!("({c} ? {a} : {b})")),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            (two.clone(), prop::sample::select(vec!["map", "filter", "all", "exists", "exists_one"]))
                .prop_map(|((list, body), kind)| format!("[{list}].{kind}(x, {body} == x)")),
            inner.clone().prop_map(|one| format!("!({one})")),
            inner.clone().prop_map(|one| format!("-({one})")),
            inner.clone().prop_map(|one| format!("size({one})")),
            two.prop_map(|(one, other)| format!("({one}).startsWith({other})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn what_both_evaluators_know_they_give_alike(text in expressions()) {
        let names = Names::default();
        if let Ok(expression) = Expression::compile(&text, &names) {
            let outputs = |_: &str| None;
            let world = World { input: b"null", output: None, element: None, outputs: &outputs, id: "", started_at: "", definition: "" };
            let mut evaluation = Evaluation::new(world);
            let mut bytes = Vec::new();
            let done = evaluation.evaluate(&expression).and_then(|value| value.render(&mut bytes, &mut evaluation.work));
            let ours = done.ok().and_then(|()| String::from_utf8(bytes).ok());
            if let (Some(ours), Some(theirs)) = (ours, oracle(&text)) {
                prop_assert_eq!(ours, theirs, "{}", text);
            }
        }
    }

    #[test]
    fn no_text_stops_the_reader(text in "[ -~é{}()\\[\\]\n]{0,60}") {
        let _ = Expression::compile(&text, &names());
    }
}
