//! The violations found so far, and where in the payload the walk stands.

use std::collections::HashSet;

use holyfields::pointer;

use crate::Violation;
use crate::explain::plan::Id;

/// Bytes of all violations together, after which no more are listed. A payload may have names of
/// megabytes, and every place below one repeats it.
const MOST_TEXT: usize = 256 * 1024;

/// A place in the payload, as a path upward. It becomes text only where a violation is listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'p> {
    way: Option<(&'p Place<'p>, Step<'p>)>,
}

/// From a value to one inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'p> {
    Name(&'p str),
    Index(usize),
}

impl<'p> Place<'p> {
    pub(crate) const ROOT: Place<'static> = Place { way: None };

    pub(crate) fn below(&'p self, step: Step<'p>) -> Place<'p> {
        Place { way: Some((self, step)) }
    }

    pub(crate) fn name(&'p self, name: &'p str) -> Place<'p> {
        self.below(Step::Name(name))
    }

    /// The place as a JSON Pointer.
    pub(crate) fn pointer(&self) -> String {
        let mut steps = Vec::new();
        let mut place = self;
        while let Some((above, step)) = &place.way {
            steps.push(*step);
            place = above;
        }
        let mut text = String::new();
        for step in steps.iter().rev() {
            text.push('/');
            match step {
                Step::Name(name) => text.push_str(&pointer::escape(name)),
                Step::Index(index) => text.push_str(&index.to_string()),
            }
        }
        text
    }
}

/// What one walk has found: a bounded list and a count of the rest.
#[derive(Debug)]
pub(crate) struct Found {
    /// How many may be listed. With none, only the verdict is asked for, and the walk ends at the first
    /// violation.
    limit: usize,
    failed: bool,
    text: usize,
    pub(crate) list: Vec<Violation>,
    /// Violations that are not in the list.
    pub(crate) more: u64,
    /// References that were followed for a value: the second time finds nothing new.
    pub(crate) visited: HashSet<(Id, usize)>,
}

impl Found {
    /// For so many violations.
    pub(crate) fn up_to(limit: usize) -> Self {
        let (list, visited) = (Vec::new(), HashSet::new());
        Found { limit, failed: false, text: 0, list, more: 0, visited }
    }

    /// For the question whether there is any violation.
    pub(crate) fn verdict() -> Self {
        Found::up_to(0)
    }

    /// How many may be listed.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether anything was found.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn only_verdict(&self) -> bool {
        self.limit == 0
    }

    /// Whether the answer cannot change any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.only_verdict() && self.failed
    }

    /// Whether another violation would be listed, so that it is worth putting into words.
    pub(crate) fn wants_words(&self) -> bool {
        self.list.len() < self.limit && self.text < MOST_TEXT
    }

    /// One more violation, without words.
    pub(crate) fn count(&mut self) {
        self.failed = true;
        self.more += u64::from(!self.only_verdict());
    }

    /// One more violation, listed if there is room and it is not there yet.
    pub(crate) fn add(&mut self, violation: Violation) {
        self.failed = true;
        if !self.wants_words() {
            self.more += u64::from(!self.only_verdict());
        } else if !self.list.iter().any(|other| violation.repeats(other)) {
            let Violation { pointer, expected, found, schema, .. } = &violation;
            self.text += pointer.len() + expected.len() + found.len() + schema.len();
            self.list.push(violation);
        }
    }

    /// All that another walk has found.
    pub(crate) fn extend(&mut self, other: &Found) {
        self.failed |= other.failed;
        other.list.iter().for_each(|violation| self.add(violation.clone()));
        self.more += other.more;
    }
}
