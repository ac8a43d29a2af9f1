//! The walk through a payload that was refused, along its schema: what is wrong, and where.
//!
//! It is bounded for any payload and any schema. Each step is counted, and where the steps are used
//! up the walk ends with what it has. It keeps no violation of a branch that was not meant, and asks
//! about no value twice where a reference leads back.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;

use crate::describe::HIDDEN;
use crate::explain::facts::Facts;
use crate::explain::found::{Found, Place};
use crate::explain::own::Own;
use crate::explain::plan::{Id, Node, Parts, Plan};
use crate::explain::words;
use crate::{Violation, describe};

/// Subschemas inside one another, references counted. Deeper ones are not explained: that would take
/// more stack than a thread may have.
const DEEPEST: usize = 600;

/// Steps from which an answer is kept. A payload may hold millions of values that take fewer, and what
/// is made of many takes more.
const WORTH_KEEPING: u64 = 64;

/// Letters compared in one walk to find what was meant by unknown names, some 30 ms.
const MOST_LETTERS: u64 = 10_000_000;

pub(crate) struct Walk<'s> {
    pub(crate) plan: &'s Plan,
    pub(crate) facts: &'s Facts,
    left: u64,
    spent: u64,
    /// Letters that may still be compared to find what a misspelt name was meant to be.
    letters: u64,
    depth: usize,
    is_too_deep: bool,
    /// References that are being followed, each with the value it is about.
    following: Vec<(Id, usize)>,
    pub(crate) marking: Vec<(Id, usize)>,
    verdicts: HashMap<(Id, usize), bool>,
    pub(crate) unions: HashMap<(Id, bool, usize), Rc<Found>>,
}

impl<'s> Walk<'s> {
    /// A walk that takes at most so many steps.
    pub(crate) fn new(plan: &'s Plan, facts: &'s Facts, steps: u64) -> Self {
        Walk {
            plan,
            facts,
            left: steps,
            spent: 0,
            letters: MOST_LETTERS,
            depth: 0,
            is_too_deep: false,
            following: Vec::new(),
            marking: Vec::new(),
            verdicts: HashMap::new(),
            unions: HashMap::new(),
        }
    }

    /// The steps taken.
    pub(crate) fn spent(&self) -> u64 {
        self.spent
    }

    /// Whether the walk ended early: what it has found is not all.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.left == 0
    }

    /// Whether the walk has been everywhere.
    pub(crate) fn is_complete(&self) -> bool {
        !self.is_exhausted() && !self.is_too_deep
    }

    /// Takes so many steps, if they are left.
    pub(crate) fn spend(&mut self, steps: u64) -> bool {
        self.spent += steps.min(self.left);
        self.left = self.left.saturating_sub(steps);
        self.left > 0
    }

    /// Whether a subschema accepts a value. Without steps left, the answer is yes.
    pub(crate) fn holds(&mut self, id: Id, value: &Value) -> bool {
        let mut found = Found::verdict();
        self.walk(id, value, &Place::ROOT, &mut found);
        !found.failed()
    }

    /// Finds what is wrong with a value by a subschema.
    pub(crate) fn walk(&mut self, id: Id, value: &Value, place: &Place<'_>, found: &mut Found) {
        let node = &self.plan.nodes[id];
        if !self.spend(1) || found.is_settled() {
            return;
        }
        if node.refuses_all {
            self.plain(found, place, value, "false", &node.at, || "nothing here".to_owned());
            return;
        }
        if let Some(own) = &node.own {
            self.own(own, node, value, place, found);
        }
        let Some(parts) = &node.parts else { return };
        if found.is_settled() {
            return;
        }
        if self.depth >= DEEPEST {
            self.is_too_deep = true;
            return;
        }
        self.depth += 1;
        match value {
            Value::Object(object) => self.object(node, parts, object, value, place, found),
            Value::Array(items) => self.array(node, parts, items, value, place, found),
            _ => {}
        }
        if !found.is_settled() {
            self.in_place(id, node, parts, value, place, found);
        }
        self.depth -= 1;
    }

    fn own(&mut self, own: &Own, node: &Node, value: &Value, place: &Place<'_>, found: &mut Found) {
        let (accepts, cost) = own.accepts(value);
        self.spend(cost);
        if accepts {
            return;
        }
        if !found.wants_words() {
            return found.count();
        }
        let at = place.pointer();
        for error in own.engine().into_iter().flat_map(|engine| engine.iter_errors(value)) {
            if !self.may_say(100 + text_length(value), found) {
                return found.count();
            }
            for violation in words::one(&error, &at, &node.at, self.facts) {
                found.add(violation);
            }
        }
    }

    /// The subschemas for the same value.
    fn in_place(
        &mut self,
        id: Id,
        node: &Node,
        parts: &Parts,
        value: &Value,
        place: &Place<'_>,
        found: &mut Found,
    ) {
        for &part in &parts.all_of {
            self.walk(part, value, place, found);
        }
        if !parts.any_of.is_empty() {
            self.any_of(id, parts, value, place, found);
        }
        if !parts.one_of.is_empty() {
            self.one_of(id, node, parts, value, place, found);
        }
        if let Some(part) = parts.not
            && !found.is_settled()
            && self.holds(part, value)
            && !self.is_exhausted()
        {
            let expected = || "a value that the schema under `not` refuses".to_owned();
            self.plain(found, place, value, "not", &format!("{}/not", node.at), expected);
        }
        if let Some((question, then, other)) = parts.condition
            && !found.is_settled()
        {
            let part = if self.holds(question, value) { then } else { other };
            if let Some(part) = part {
                self.walk(part, value, place, found);
            }
        }
        if let Some(target) = parts.reference {
            self.follow(target, value, place, found);
        }
        if !found.is_settled() {
            self.unevaluated(id, node, parts, value, place, found);
        }
    }

    /// Walks on behind a reference, but not in a circle, and not for the same answer again.
    fn follow(&mut self, target: Id, value: &Value, place: &Place<'_>, found: &mut Found) {
        let about = std::ptr::from_ref(value).addr();
        let mut same = self.following.iter().rev().take_while(|(_, other)| *other == about);
        if found.is_settled() || same.any(|(other, _)| *other == target) {
            return;
        }
        // A text may be a name, made for the walk; the next one could lie at the same address.
        let is_container = value.is_object() || value.is_array();
        let key = (target, about);
        if is_container && found.only_verdict() {
            if let Some(&holds) = self.verdicts.get(&key) {
                if !holds {
                    found.count();
                }
                return;
            }
        } else if is_container && found.visited.contains(&key) {
            return;
        }
        let before = self.spent;
        self.spend(2);
        self.following.push(key);
        self.walk(target, value, place, found);
        self.following.pop();
        if !is_container || self.is_exhausted() || self.spent - before < WORTH_KEEPING {
            return;
        }
        if found.only_verdict() {
            self.verdicts.insert(key, !found.failed());
        } else {
            found.visited.insert(key);
        }
    }

    /// Whether a subschema asks for nothing.
    pub(crate) fn is_open(&self, id: Id) -> bool {
        let node = &self.plan.nodes[id];
        !node.refuses_all && node.own.is_none() && node.parts.is_none()
    }

    /// A violation by the value of a place, in these words.
    pub(crate) fn plain(
        &mut self,
        found: &mut Found,
        place: &Place<'_>,
        value: &Value,
        rule: &str,
        schema: &str,
        expected: impl FnOnce() -> String,
    ) {
        if !self.may_say(100 + text_length(value), found) {
            return found.count();
        }
        found.add(self.summary(place, value, rule, schema, expected()));
    }

    /// Whether another violation can be put into words. The first one always is: a walk whose steps
    /// ended with it must not end without it.
    fn may_say(&mut self, cost: u64, found: &Found) -> bool {
        let is_first = found.list.is_empty();
        found.wants_words() && (self.spend(cost) || is_first)
    }

    /// The same, made whatever it costs.
    pub(crate) fn summary(
        &self,
        place: &Place<'_>,
        value: &Value,
        rule: &str,
        schema: &str,
        expected: String,
    ) -> Violation {
        let pointer = place.pointer();
        let shown =
            if self.facts.hides(&pointer) { HIDDEN.to_owned() } else { describe::found(value) };
        Violation {
            pointer,
            rule: rule.to_owned(),
            expected,
            found: shown,
            schema: schema.to_owned(),
            similar: None,
        }
    }

    /// A violation by a property that should not be there.
    pub(crate) fn unexpected(
        &mut self,
        found: &mut Found,
        node: &Node,
        rule: &str,
        object: &Value,
        name: &str,
        place: &Place<'_>,
    ) {
        if !found.wants_words() {
            return found.count();
        }
        let value = object.get(name);
        if !self.may_say(100 + value.map_or(0, text_length), found) {
            return found.count();
        }
        let schema = format!("{}/{rule}", node.at);
        let at = place.pointer();
        let letters = self.facts.letters * (8 + name.len().min(256) as u64);
        let may_guess = letters <= self.letters;
        self.letters -= if may_guess { letters } else { 0 };
        let facts = self.facts;
        let similar = may_guess.then(|| words::similar(name, facts)).flatten();
        found.add(words::unexpected_property(rule, &at, name, value, schema, similar, facts));
    }
}

/// What it costs to say how long a text is, in steps.
fn text_length(value: &Value) -> u64 {
    value.as_str().map_or(0, |text| text.len() as u64 / 64)
}
