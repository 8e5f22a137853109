//! Sagas and definitions, drawn.
//!
//! Owns [`Sequence`], what happened to a saga between Amends and its participants, and [`Graph`], the steps of a
//! definition; both as Mermaid and as a picture (SVG). Promises that a drawing is the same for the same facts, and
//! that whatever is written in it is text, never markup. Pure: servers and clients draw alike. Does not know where
//! facts come from.

use std::fmt::Write as _;

use crate::fact::Fact;

/// Something that can be drawn.
pub trait Drawing {
    /// As Mermaid.
    fn mermaid(&self) -> String;
    /// As SVG.
    fn svg(&self) -> String;
}

/// What happened, line by line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Who takes part, from the left: first Amends, then the participants in the order they were called.
    pub lanes: Vec<String>,
    /// What happened, the oldest first.
    pub rows: Vec<Row>,
}

/// One line of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// Amends calls a participant.
    Call {
        /// The participant's lane.
        to: usize,
        /// What for.
        label: String,
    },
    /// A participant answers.
    Answer {
        /// The participant's lane.
        from: usize,
        /// What it says.
        label: String,
        /// Whether that is what was hoped for.
        is_good: bool,
    },
    /// Something that Amends notes.
    Note {
        /// What.
        label: String,
    },
}

/// The lane of Amends.
const AMENDS: &str = "Amends";

impl Sequence {
    /// What these facts tell.
    #[must_use]
    pub fn of(facts: &[Fact]) -> Self {
        let mut sequence = Self { lanes: vec![AMENDS.to_owned()], rows: Vec::new() };
        for fact in facts {
            sequence.add(fact);
        }
        sequence
    }

    fn add(&mut self, fact: &Fact) {
        let step = fact.step.as_deref().unwrap_or("");
        let reason = fact.reason.as_ref().map_or_else(String::new, |reason| format!(": {}", reason.code));
        let undo = if fact.direction.as_deref() == Some("compensation") { "undo " } else { "" };
        let lane = fact.participant.clone();
        let answer = |sequence: &mut Self, label: String, is_good: bool| match &lane {
            Some(name) => {
                let from = sequence.lane(name);
                sequence.rows.push(Row::Answer { from, label, is_good });
            }
            None => sequence.rows.push(Row::Note { label }),
        };
        match (fact.fact.as_str(), &lane) {
            ("step_started" | "attempt_started" | "compensation_started" | "output_sought", Some(name)) => {
                let to = self.lane(name);
                let number = fact.attempt.filter(|number| *number > 1);
                let again = number.map_or_else(String::new, |number| format!(" (attempt {number})"));
                self.rows.push(Row::Call { to, label: format!("{undo}{step}{again}") });
            }
            ("attempt_unknown", _) => answer(self, format!("{undo}{step}: unknown{reason}"), false),
            ("attempt_working", _) => answer(self, format!("{undo}{step}: working"), true),
            ("step_completed" | "output_found", _) => answer(self, format!("{step}: completed"), true),
            ("step_refused" | "refusal_reported" | "wait_refused", _) => {
                answer(self, format!("{undo}{step}: refused{reason}"), false);
            }
            ("compensation_completed" | "nothing_to_undo", _) => {
                answer(self, format!("{step}: undone"), true)
            }
            ("compensation_failed", _) => answer(self, format!("{step}: undo failed{reason}"), false),
            (other, _) => {
                let what = other.replace('_', " ");
                let name = if step.is_empty() { String::new() } else { format!("{step}: ") };
                let by = fact.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
                self.rows.push(Row::Note { label: format!("{name}{what}{by}{reason}") });
            }
        }
    }

    fn lane(&mut self, name: &str) -> usize {
        // A participant may have the name of Amends' own lane.
        match self.lanes.iter().skip(1).position(|lane| lane == name) {
            Some(at) => at + 1,
            None => {
                self.lanes.push(name.to_owned());
                self.lanes.len() - 1
            }
        }
    }
}

impl Drawing for Sequence {
    fn mermaid(&self) -> String {
        let mut text = "sequenceDiagram\n".to_owned();
        for (at, lane) in self.lanes.iter().enumerate() {
            line(&mut text, format_args!("    participant L{at} as {}", plain(lane)));
        }
        for row in &self.rows {
            match row {
                Row::Call { to, label } => line(&mut text, format_args!("    L0->>L{to}: {}", plain(label))),
                Row::Answer { from, label, is_good: true } => {
                    line(&mut text, format_args!("    L{from}-->>L0: {}", plain(label)));
                }
                Row::Answer { from, label, is_good: false } => {
                    line(&mut text, format_args!("    L{from}--xL0: {}", plain(label)));
                }
                Row::Note { label } => line(&mut text, format_args!("    Note over L0: {}", plain(label))),
            }
        }
        text
    }

    fn svg(&self) -> String {
        const LANE: usize = 220;
        const ROW: usize = 34;
        const TOP: usize = 60;
        let x = |lane: usize| 110 + lane * LANE;
        let (width, height) = (self.lanes.len() * LANE, TOP + (self.rows.len() + 1) * ROW);
        let mut svg = head(width, height);
        for (at, lane) in self.lanes.iter().enumerate() {
            let (x, end) = (x(at), height - 10);
            line(
                &mut svg,
                format_args!(
                    r##"<line x1="{x}" y1="40" x2="{x}" y2="{end}" stroke="#999" stroke-dasharray="3 3"/>"##
                ),
            );
            line(
                &mut svg,
                format_args!(
                    r#"<text x="{x}" y="28" text-anchor="middle" font-weight="bold">{}</text>"#,
                    escaped(lane)
                ),
            );
        }
        for (at, row) in self.rows.iter().enumerate() {
            let y = TOP + (at + 1) * ROW - 12;
            let arrow = |svg: &mut String, from: usize, to: usize, label: &str, style: &str| {
                let (start, end) = (x(from), x(to));
                let middle = usize::midpoint(start, end);
                line(
                    svg,
                    format_args!(
                        r#"<line x1="{start}" y1="{y}" x2="{end}" y2="{y}" {style} marker-end="url(#arrow)"/>"#
                    ),
                );
                line(
                    svg,
                    format_args!(
                        r#"<text x="{middle}" y="{}" text-anchor="middle">{}</text>"#,
                        y - 5,
                        escaped(label)
                    ),
                );
            };
            match row {
                Row::Call { to, label } => arrow(&mut svg, 0, *to, label, r##"stroke="#333""##),
                Row::Answer { from, label, is_good: true } => {
                    arrow(&mut svg, *from, 0, label, r##"stroke="#333" stroke-dasharray="6 3""##);
                }
                Row::Answer { from, label, is_good: false } => {
                    arrow(&mut svg, *from, 0, label, r##"stroke="#b00" stroke-dasharray="6 3""##);
                }
                Row::Note { label } => line(
                    &mut svg,
                    format_args!(
                        r##"<text x="10" y="{}" fill="#555" font-style="italic">{}</text>"##,
                        y - 5,
                        escaped(label)
                    ),
                ),
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// The steps of a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// What it is the graph of.
    pub title: String,
    /// The steps, each after those that it waits for.
    pub nodes: Vec<Node>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The steps it waits for.
    pub after: Vec<String>,
    /// What it is, in a word or two: its participant, or `sleep`, `wait`.
    pub kind: String,
    /// The operation that undoes it.
    pub undo: Option<String>,
    /// Whether there is no way back from it.
    pub is_pivot: bool,
}

impl Graph {
    fn place(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    /// How far each node is from the start.
    fn ranks(&self) -> Vec<usize> {
        let mut ranks = vec![0; self.nodes.len()];
        // Each round moves whatever is still too early; a circle, which no definition has, ends it as well.
        for _ in 0..self.nodes.len() {
            for at in 0..self.nodes.len() {
                let before = self.nodes[at].after.iter().filter_map(|name| self.place(name));
                let rank = before.map(|place| ranks[place] + 1).max().unwrap_or(0);
                ranks[at] = rank.max(ranks[at]).min(self.nodes.len());
            }
        }
        ranks
    }
}

impl Drawing for Graph {
    fn mermaid(&self) -> String {
        let mut text = "flowchart TD\n".to_owned();
        for (at, node) in self.nodes.iter().enumerate() {
            let undo =
                node.undo.as_ref().map_or_else(String::new, |undo| format!("<br/>undo: {}", plain(undo)));
            let (open, close) = if node.is_pivot { ("{{", "}}") } else { ("[", "]") };
            line(
                &mut text,
                format_args!(
                    "    S{at}{open}\"{}<br/>{}{undo}\"{close}",
                    plain(&node.name),
                    plain(&node.kind)
                ),
            );
        }
        for (at, node) in self.nodes.iter().enumerate() {
            for place in node.after.iter().filter_map(|name| self.place(name)) {
                line(&mut text, format_args!("    S{place} --> S{at}"));
            }
        }
        text
    }

    fn svg(&self) -> String {
        const WIDE: usize = 200;
        const HIGH: usize = 64;
        const GAP: usize = 40;
        let ranks = self.ranks();
        let mut columns = vec![0; self.nodes.len() + 1];
        let places: Vec<(usize, usize)> = ranks
            .iter()
            .map(|rank| {
                let column = columns[*rank];
                columns[*rank] += 1;
                (GAP + column * (WIDE + GAP), GAP + 20 + rank * (HIGH + GAP))
            })
            .collect();
        let width = columns.iter().max().copied().unwrap_or(0) * (WIDE + GAP) + GAP;
        let height = ranks.iter().max().map_or(0, |rank| rank + 1) * (HIGH + GAP) + GAP + 20;
        let mut svg = head(width.max(WIDE), height);
        line(
            &mut svg,
            format_args!(r#"<text x="{GAP}" y="24" font-weight="bold">{}</text>"#, escaped(&self.title)),
        );
        for (at, node) in self.nodes.iter().enumerate() {
            let (x, y) = places[at];
            for place in node.after.iter().filter_map(|name| self.place(name)) {
                let (from_x, from_y) = places[place];
                line(
                    &mut svg,
                    format_args!(
                        r##"<line x1="{}" y1="{}" x2="{}" y2="{y}" stroke="#333" marker-end="url(#arrow)"/>"##,
                        from_x + WIDE / 2,
                        from_y + HIGH,
                        x + WIDE / 2
                    ),
                );
            }
            let stroke = if node.is_pivot { 3 } else { 1 };
            line(
                &mut svg,
                format_args!(
                    r##"<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="8" fill="#fff" stroke="#333" stroke-width="{stroke}"/>"##
                ),
            );
            let undo = node.undo.as_ref().map_or_else(String::new, |undo| format!("undo: {undo}"));
            for (row, text) in [&node.name, &node.kind, &undo].into_iter().enumerate() {
                let (middle, y) = (x + WIDE / 2, y + 20 + row * 18);
                line(
                    &mut svg,
                    format_args!(
                        r#"<text x="{middle}" y="{y}" text-anchor="middle">{}</text>"#,
                        escaped(text)
                    ),
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("a text takes whatever is written to it");
}

fn head(width: usize, height: usize) -> String {
    format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" "#,
            r#"font-family="sans-serif" font-size="13">"#,
            "\n<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" ",
            "orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n"
        ),
        width = width,
        height = height
    )
}

/// A text as Mermaid shows it: what means something there is written as an entity.
fn plain(text: &str) -> String {
    let mut written = String::new();
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '_' | '-' | '.' | ',' | '(' | ')' | '/' | '[' | ']' => {
                written.push(c)
            }
            c if c.is_alphanumeric() => written.push(c),
            ':' => written.push(':'),
            c if c.is_control() => written.push(' '),
            c => line_entity(&mut written, c),
        }
    }
    written
}

fn line_entity(text: &mut String, c: char) {
    write!(text, "#{};", u32::from(c)).expect("a text takes whatever is written to it");
}

/// A text as XML has it.
fn escaped(text: &str) -> String {
    let mut written = String::new();
    for c in text.chars() {
        match c {
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '&' => written.push_str("&amp;"),
            '"' => written.push_str("&quot;"),
            c if c.is_control() => written.push(' '),
            c => written.push(c),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::Reason;

    fn fact(fact: &str, step: &str, participant: Option<&str>) -> Fact {
        Fact {
            saga: "s".to_owned(),
            fact: fact.to_owned(),
            step: Some(step.to_owned()),
            participant: participant.map(str::to_owned),
            ..Fact::default()
        }
    }

    #[test]
    fn a_sequence_shows_who_was_asked_and_what_was_said() {
        let refused = Fact {
            reason: Some(Reason { code: "sold<out".to_owned(), message: String::new() }),
            ..fact("step_refused", "Book", Some("hotel"))
        };
        let undo = Fact {
            direction: Some("compensation".to_owned()),
            ..fact("compensation_started", "Pay", Some("bank"))
        };
        let facts = [
            fact("step_started", "Pay", Some("bank")),
            fact("step_completed", "Pay", Some("bank")),
            Fact { attempt: Some(2), ..fact("attempt_started", "Book", Some("hotel")) },
            refused,
            undo,
            fact("saga_compensated", "", None),
        ];
        let sequence = Sequence::of(&facts);
        assert_eq!(
            sequence.mermaid(),
            "sequenceDiagram\n    participant L0 as Amends\n    participant L1 as bank\n    participant L2 as hotel\n    \
             L0->>L1: Pay\n    L1-->>L0: Pay: completed\n    L0->>L2: Book (attempt 2)\n    \
             L2--xL0: Book: refused: sold#60;out\n    L0->>L1: undo Pay\n    Note over L0: saga compensated\n"
        );
        let svg = sequence.svg();
        assert!(svg.starts_with("<svg ") && svg.contains("sold&lt;out") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn a_graph_shows_what_waits_for_what() {
        let node = |name: &str, after: &[&str], is_pivot| Node {
            name: name.to_owned(),
            after: after.iter().map(|name| (*name).to_owned()).collect(),
            kind: "p".to_owned(),
            undo: Some("u".to_owned()),
            is_pivot,
        };
        let nodes = vec![node("a", &[], false), node("b", &[], false), node("c", &["a", "b"], true)];
        let graph = Graph { title: "T v1".to_owned(), nodes };
        assert_eq!(graph.ranks(), [0, 0, 1]);
        let mermaid = graph.mermaid();
        assert!(
            mermaid.contains("S2{{\"c<br/>p<br/>undo: u\"}}") && mermaid.contains("S1 --> S2"),
            "{mermaid}"
        );
        assert!(graph.svg().contains("T v1"));
    }
}
