//! The keys of a definition.
//!
//! Owns the one table of them: what reads a text, the published JSON Schema and the reference page all follow
//! it, so that they cannot differ. Promises that a key not in it is refused. Does not read values: that is
//! `read.rs`.

/// A kind of map in a definition.
#[derive(Debug)]
pub(crate) struct Section {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [Key],
}

/// A key, and what may stand there.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) value: Value,
    pub(crate) required: bool,
    /// What it means, and its default: a sentence or two for the reference and for editors.
    pub(crate) doc: &'static str,
    /// A value as written, for the reference; valid YAML on one line.
    pub(crate) example: &'static str,
}

/// What may stand under a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    /// A name.
    Name,
    /// A list of names.
    Names,
    /// A list of texts.
    Texts,
    /// A whole number in a range.
    Count(u32, u32),
    /// True or false.
    Flag,
    /// `2s`
    Duration,
    /// `500/s`
    Rate,
    Url,
    /// The name of an environment variable, or a list of two.
    Variables,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One expression.
    Expression,
    /// Any JSON with expressions in it.
    Template,
    /// A path with expressions in it.
    Path,
    /// Texts with expressions in them, by name.
    TextMap,
    /// A JSON Schema.
    Schema,
    /// A list of paths such as `input.card`.
    Places,
    Section(&'static Section),
    /// Sections by name.
    Map(&'static Section),
    /// A list of sections.
    List(&'static Section),
    /// `none`, or a call.
    Undo,
}

const fn key(name: &'static str, value: Value, example: &'static str, doc: &'static str) -> Key {
    Key { name, value, required: false, doc, example }
}

const fn required(name: &'static str, value: Value, example: &'static str, doc: &'static str) -> Key {
    Key { name, value, required: true, doc, example }
}

pub(crate) static DEFINITION: Section = Section {
    name: "the definition",
    keys: &[
        required("saga", Value::Name, "PlaceOrder", "The definition's name: letters, digits, `_` and `-`."),
        key(
            "input",
            Value::Schema,
            "{ type: object, required: [user_id] }",
            "A JSON Schema (draft 2020-12) that an input has to satisfy; checked at the start. `$ref` reaches only within it. Without it every input is taken.",
        ),
        key(
            "output",
            Value::Template,
            "\"${steps.CreateOrder.output.order_id}\"",
            "What the saga returns. Without it, what its last step returned.",
        ),
        key(
            "sensitive",
            Value::Places,
            "[input.card, steps.ProcessPayment.output.token]",
            "Parts of input and outputs that are masked wherever people look. A path goes through lists to every element.",
        ),
        key(
            "timeout",
            Value::Duration,
            "2m",
            "How long the saga may take up to its pivot; then it turns back. Without it only the limits of the steps hold.",
        ),
        key(
            "retry",
            Value::Section(&RETRY),
            "{ attempts: 4, first: 200ms, factor: 2, max: 30s }",
            "How actions are repeated, unless their step or call says otherwise. The number of attempts holds before the pivot only.",
        ),
        key(
            "compensation_retry",
            Value::Section(&RETRY),
            "{ attempts: 100, first: 200ms, factor: 2, max: 5m }",
            "How compensations are repeated, unless their call says otherwise.",
        ),
        key(
            "participants",
            Value::Map(&PARTICIPANT),
            "{ orders: { url: \"http://127.0.0.1:8081\" } }",
            "Who carries out the steps, by name.",
        ),
        required("steps", Value::List(&STEP), "[{ name: Pause, sleep: 1s }]", "The steps: 1 to 1,000."),
        key(
            "pivot",
            Value::Name,
            "ScheduleShipment",
            "The step after which there is no way back. Without it every step can be undone.",
        ),
    ],
};

pub(crate) static RETRY: Section = Section {
    name: "retry",
    keys: &[
        key(
            "attempts",
            Value::Count(1, 1_000_000),
            "4",
            "Calls before it is given up. 4 for actions, 100 for compensations and the pivot, without end after the pivot.",
        ),
        key(
            "first",
            Value::Duration,
            "200ms",
            "The longest rest after the first failure (200ms); the real one is drawn between nothing and it.",
        ),
        key(
            "factor",
            Value::Count(1, 1_000),
            "2",
            "By how much the longest rest grows with each failure (2).",
        ),
        key(
            "max",
            Value::Duration,
            "30s",
            "The longest rest ever: 30s for actions, 5m for compensations, the pivot and what follows it.",
        ),
    ],
};

pub(crate) static PARTICIPANT: Section = Section {
    name: "a participant",
    keys: &[
        required(
            "url",
            Value::Url,
            "\"http://127.0.0.1:8081\"",
            "Where it is: `http` or `https`, and a path that stands before that of each call.",
        ),
        key(
            "timeout",
            Value::Duration,
            "5s",
            "How long one attempt may take (2s), unless the call says otherwise.",
        ),
        key("concurrency", Value::Count(1, 100_000), "64", "How many calls may be under way together."),
        key(
            "rate",
            Value::Rate,
            "500/s",
            "How many calls may begin in a second (`/s`), a minute (`/m`) or an hour (`/h`).",
        ),
        key(
            "secret",
            Value::Variables,
            "AMENDS_SECRET_PAYMENTS",
            "The environment variable with the key that signs requests (Standard Webhooks). Of a list of two the first one signs; both are valid while one replaces the other.",
        ),
        key(
            "bearer",
            Value::Variables,
            "AMENDS_SECRET_TOKEN",
            "The environment variable whose value is sent as `Authorization: Bearer`. Of a list of two the first one is sent.",
        ),
        key(
            "breaker",
            Value::Section(&BREAKER),
            "{ after: 20, first: 1s, max: 30s }",
            "When calls are held back because no answer is certain.",
        ),
    ],
};

pub(crate) static BREAKER: Section = Section {
    name: "breaker",
    keys: &[
        key("after", Value::Count(1, 1_000_000), "20", "Unknown answers in a row that open it (20)."),
        key("first", Value::Duration, "1s", "The rest before the first probe (1s)."),
        key(
            "max",
            Value::Duration,
            "30s",
            "The longest rest between two probes (30s, which is also the most).",
        ),
    ],
};

pub(crate) static STEP: Section = Section {
    name: "a step",
    keys: &[
        required("name", Value::Name, "CreateOrder", "The step's name: letters, digits, `_` and `-`."),
        key(
            "after",
            Value::Names,
            "[CreateOrder]",
            "The steps that must be done before; `[]` for none. Without it the step above.",
        ),
        key(
            "when",
            Value::Expression,
            "\"${input.notify}\"",
            "Whether the step runs. Judged once, when it may start; a step that does not run has the output `null`.",
        ),
        key("retry", Value::Section(&RETRY), "{ attempts: 10 }", "How the action is repeated."),
        key(
            "timeout",
            Value::Duration,
            "1m",
            "How long all attempts of the action, or a sub-saga, may take. Without it a step's limit is attempts × (timeout of an attempt + longest rest).",
        ),
        key(
            "retriable",
            Value::Flag,
            "true",
            "Says that the step is repeated until it succeeds. Implied after the pivot, and possible only there.",
        ),
        key(
            "read_only",
            Value::Flag,
            "true",
            "Says that the step changes nothing: it has no compensation and is never undone.",
        ),
        key(
            "refuse_on",
            Value::Texts,
            "[card_declined]",
            "Codes of the participant that refuse for good whatever the status, 2xx aside.",
        ),
        key(
            "each",
            Value::Expression,
            "\"${input.legs}\"",
            "Runs the step once for each element of a list, at most 1,000; its output is the list of outputs.",
        ),
        key("as", Value::Name, "leg", "What the element of `each` is called in the expressions of the step."),
        key(
            "concurrency",
            Value::Count(1, 1_000),
            "4",
            "How many elements of `each` may be under way together (1).",
        ),
        key(
            "action",
            Value::Section(&CALL),
            "{ call: orders, post: /orders }",
            "The call that is the step's effect.",
        ),
        key(
            "saga",
            Value::Name,
            "BookTrip",
            "Runs another definition as a sub-saga: the newest version when this one is registered.",
        ),
        key(
            "input",
            Value::Template,
            "{ user: \"${input.user_id}\" }",
            "What the sub-saga is started with; without it the saga's own input.",
        ),
        key("sleep", Value::Duration, "2h", "Lets time pass."),
        key(
            "wait",
            Value::Section(&WAIT),
            "{ signal: approved, timeout: 24h }",
            "Waits for a signal; its body is the output.",
        ),
        key(
            "compensation",
            Value::Undo,
            "{ call: orders, post: /orders/cancel }",
            "The call that undoes the action, or `none`. A step with an action says one of the two, or is `read_only`.",
        ),
    ],
};

pub(crate) static CALL: Section = Section {
    name: "a call",
    keys: &[
        required("call", Value::Name, "orders", "The participant, by its name in `participants`."),
        key(
            "get",
            Value::Path,
            "\"/orders/${input.order_id}\"",
            "The path of a GET. Each `${…}` is one segment, percent-encoded.",
        ),
        key("post", Value::Path, "/orders", "The path of a POST."),
        key("put", Value::Path, "\"/orders/${input.order_id}\"", "The path of a PUT."),
        key("patch", Value::Path, "\"/orders/${input.order_id}\"", "The path of a PATCH."),
        key("delete", Value::Path, "\"/orders/${input.order_id}\"", "The path of a DELETE."),
        key(
            "body",
            Value::Template,
            "{ user_id: \"${input.user_id}\" }",
            "The body, sent as JSON. Without it there is none.",
        ),
        key(
            "query",
            Value::TextMap,
            "{ user: \"${input.user_id}\" }",
            "Parameters of the query, percent-encoded.",
        ),
        key(
            "headers",
            Value::TextMap,
            "{ X-Tenant: \"${input.tenant}\" }",
            "Further headers. Those of Amends, of the connection, `Host` and `Authorization` cannot be set.",
        ),
        key(
            "as",
            Value::Name,
            "CancelOrder",
            "What the call is called wherever people look. Without it the step's name, and `Undo` with it for a compensation.",
        ),
        key(
            "timeout",
            Value::Duration,
            "5s",
            "How long one attempt may take. Without it the participant's timeout.",
        ),
        key("pending", Value::Duration, "1h", "How long the answer may take after a 202 (1h)."),
        key("retry", Value::Section(&RETRY), "{ attempts: 10 }", "How this call is repeated."),
    ],
};

pub(crate) static WAIT: Section = Section {
    name: "wait",
    keys: &[
        required("signal", Value::Name, "approved", "The signal's name."),
        key(
            "timeout",
            Value::Duration,
            "24h",
            "How long it is waited for. Without it as long as the saga's `timeout`.",
        ),
        key(
            "on_timeout",
            Value::Word(&["turn_back", "go_on"]),
            "go_on",
            "What follows when nobody sent it: `turn_back` (the default before the pivot) or `go_on`, with the output `null` (the only choice after the pivot).",
        ),
        key(
            "refused_by",
            Value::Name,
            "rejected",
            "Another signal, which turns the saga back with its body's `code` and `detail`.",
        ),
    ],
};

/// Every section, for the search for misplaced keys.
pub(crate) static SECTIONS: [&Section; 7] =
    [&DEFINITION, &RETRY, &PARTICIPANT, &BREAKER, &STEP, &CALL, &WAIT];

impl Section {
    pub(crate) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}
