//! Which step comes before which.
//!
//! Owns [`Graph`]: what `after` says, with positions for what is wrong in it. Promises an answer also for a
//! definition with findings, so that everything else can be judged too. The verdict over a sound definition is
//! core's, which checks the same again.

use std::collections::{BTreeMap, BTreeSet};

use amends_core::saga::definition::Role;

use crate::read::Written;
use crate::source::{Source, say};

/// Which step comes before which.
pub(crate) struct Graph {
    /// All steps that are done before a step, by place.
    ancestors: Vec<BTreeSet<usize>>,
    pivot: Option<usize>,
}

impl Graph {
    pub(crate) fn read(written: &Written<'_>, source: &mut Source<'_>) -> Self {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, step) in written.steps.iter().enumerate().filter(|(_, step)| !step.name.is_empty()) {
            match places.get(step.name.as_str()) {
                Some(first) => {
                    let line = source.line_of(written.steps[*first].span.start);
                    let said = say(
                        "duplicate_step",
                        format!("two steps are named `{}`: first in line {line}", step.name),
                    );
                    source.find(step.span, said.help("rename one"));
                }
                None => {
                    places.insert(&step.name, at);
                }
            }
        }
        let names = || written.steps.iter().map(|step| step.name.as_str()).filter(|name| !name.is_empty());
        let mut before = Vec::with_capacity(written.steps.len());
        for (at, step) in written.steps.iter().enumerate() {
            let Some(after) = &step.after else {
                before.push(at.checked_sub(1).into_iter().collect());
                continue;
            };
            let mut needs: Vec<usize> = Vec::new();
            for name in after {
                match places.get(name.value.as_str()) {
                    Some(&place) if place == at => {
                        source.find(
                            name.span,
                            say("cycle", format!("`{}` waits for itself", step.name)).help("remove it"),
                        );
                    }
                    Some(&place) => needs.push(place),
                    None => {
                        let said = say("unknown_step", format!("there is no step `{}`", name.value));
                        source.find(name.span, said.nearest(&name.value, names()));
                    }
                }
            }
            before.push(needs);
        }
        let pivot = written.pivot.as_ref().and_then(|pivot| {
            let found = places.get(pivot.value.as_str()).copied();
            if found.is_none() {
                let said = say("unknown_step", format!("there is no step `{}`", pivot.value));
                source.find(pivot.span, said.nearest(&pivot.value, names()));
            }
            found
        });
        let ancestors = ancestors(&before);
        let in_circle: Vec<usize> = (0..before.len()).filter(|at| ancestors[*at].contains(at)).collect();
        if let Some(first) = in_circle.first() {
            let circle: Vec<&str> = in_circle.iter().map(|at| written.steps[*at].name.as_str()).collect();
            let step = &written.steps[*first];
            let said = say("cycle", format!("these steps wait for each other: {}", circle.join(", ")));
            let span = step.places.get("after").copied().unwrap_or(step.span);
            source.find(span, said.help("remove one `after`"));
        }
        Self { ancestors, pivot }
    }

    /// The steps that are done before this one, as places.
    pub(crate) fn ancestors(&self, at: usize) -> &BTreeSet<usize> {
        &self.ancestors[at]
    }

    /// Where a step stands to the pivot; one beside it counts as before.
    pub(crate) fn role(&self, at: usize) -> Role {
        match self.pivot {
            Some(pivot) if pivot == at => Role::Pivot,
            Some(pivot) if self.ancestors[at].contains(&pivot) => Role::AfterPivot,
            Some(_) | None => Role::BeforePivot,
        }
    }

    /// Whether a step is neither before nor after the pivot.
    pub(crate) fn is_beside_pivot(&self, at: usize) -> bool {
        self.pivot.is_some_and(|pivot| {
            at != pivot && !self.ancestors[at].contains(&pivot) && !self.ancestors[pivot].contains(&at)
        })
    }
}

/// Everything that can be reached, also in circles.
fn ancestors(before: &[Vec<usize>]) -> Vec<BTreeSet<usize>> {
    let reach = |at: usize| {
        let mut reached = BTreeSet::new();
        let mut open: Vec<usize> = before[at].clone();
        while let Some(next) = open.pop() {
            if reached.insert(next) {
                open.extend(&before[next]);
            }
        }
        reached
    };
    (0..before.len()).map(reach).collect()
}
