//! The walk through a payload that was refused, along its schema: what is wrong, and where.
//!
//! It is bounded for any payload and any schema. Each step is counted, and where the steps are used
//! up the walk ends with what it has. It keeps no violation of a branch that was not meant, and asks
//! about no value twice where a reference leads back.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::describe::{HIDDEN, quoted};
use crate::explain::facts::Facts;
use crate::explain::found::{Found, Place, Step};
use crate::explain::plan::{Contains, Id, Node, Own, Parts, Plan};
use crate::explain::words;
use crate::{Violation, describe};

/// Subschemas inside one another, references counted. Deeper ones are not explained.
const DEEPEST: usize = 2_000;

pub(crate) struct Walk<'s> {
    pub(crate) plan: &'s Plan,
    pub(crate) facts: &'s Facts,
    left: u64,
    spent: u64,
    depth: usize,
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
            depth: 0,
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
        if found.is_settled() || self.depth >= DEEPEST {
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

    fn object(
        &mut self,
        node: &Node,
        parts: &Parts,
        object: &Map<String, Value>,
        value: &Value,
        place: &Place<'_>,
        found: &mut Found,
    ) {
        if object.len() <= parts.properties.len() {
            for (name, member) in object {
                self.spend(1);
                if let Some(&id) = parts.by_name.get(name) {
                    self.walk(id, member, &place.name(name), found);
                }
            }
        } else {
            for (name, id) in &parts.properties {
                self.spend(1);
                if let Some(member) = object.get(name) {
                    self.walk(*id, member, &place.name(name), found);
                }
            }
        }
        let additional = parts.additional.filter(|&id| !self.is_open(id));
        let goes_over_all =
            additional.is_some() || parts.names.is_some() || !parts.patterns.is_empty();
        if goes_over_all {
            for (name, member) in object {
                if found.is_settled() || !self.spend(2) {
                    return;
                }
                self.member(node, parts, additional, (name, member), value, place, found);
            }
        }
        for (name, id) in &parts.dependent {
            if object.contains_key(name) {
                self.walk(*id, value, place, found);
            }
        }
    }

    /// What is asked of any member by its name: `patternProperties`, `additionalProperties`,
    /// `propertyNames`.
    #[allow(clippy::too_many_arguments)] // One loop's body.
    fn member(
        &mut self,
        node: &Node,
        parts: &Parts,
        additional: Option<Id>,
        (name, member): (&str, &Value),
        value: &Value,
        place: &Place<'_>,
        found: &mut Found,
    ) {
        let mut is_named = additional.is_none() || parts.by_name.contains_key(name);
        if !parts.patterns.is_empty() || parts.names.is_some() {
            let text = Value::String(name.to_owned());
            for (pattern, id) in &parts.patterns {
                if self.matches(pattern, &text) {
                    is_named = true;
                    self.walk(*id, member, &place.name(name), found);
                }
            }
            if let Some(id) = parts.names {
                self.name(node, id, &text, place, found);
            }
        }
        if let Some(id) = additional.filter(|_| !is_named) {
            if self.plan.nodes[id].refuses_all {
                self.unexpected(found, node, "additionalProperties", value, name, place);
            } else {
                self.walk(id, member, &place.name(name), found);
            }
        }
    }

    /// Whether the name of a property, as a value, has the form that `patternProperties` means.
    pub(crate) fn matches(&mut self, pattern: &Own, name: &Value) -> bool {
        let (matches, cost) = pattern.accepts(name);
        self.spend(cost) && matches
    }

    fn name(&mut self, node: &Node, id: Id, name: &Value, place: &Place<'_>, found: &mut Found) {
        if self.holds(id, name) {
            return;
        }
        if !found.wants_words() {
            return found.count();
        }
        let mut inner = Found::default();
        self.walk(id, name, &Place::ROOT, &mut inner);
        let name = name.as_str().unwrap_or_default();
        let pointer = place.name(name).pointer();
        let shown = if self.facts.hides(&pointer) { HIDDEN.to_owned() } else { quoted(name) };
        for violation in inner.list {
            found.add(Violation {
                pointer: pointer.clone(),
                rule: "propertyNames".to_owned(),
                expected: format!("a property name that is {}", violation.expected),
                found: shown.clone(),
                schema: format!("{}/propertyNames", node.at),
                similar: None,
            });
        }
    }

    fn array(
        &mut self,
        node: &Node,
        parts: &Parts,
        items: &[Value],
        value: &Value,
        place: &Place<'_>,
        found: &mut Found,
    ) {
        let rest = parts.items.filter(|&id| !self.is_open(id));
        for (index, item) in items.iter().enumerate() {
            let id = parts.prefix.get(index).copied().or(rest);
            let Some(id) = id else { break };
            if found.is_settled() || self.is_exhausted() {
                return;
            }
            self.walk(id, item, &place.below(Step::Index(index)), found);
        }
        if let Some(contains) = &parts.contains {
            self.contains(node, contains, items, value, place, found);
        }
    }

    fn contains(
        &mut self,
        node: &Node,
        contains: &Contains,
        items: &[Value],
        value: &Value,
        place: &Place<'_>,
        found: &mut Found,
    ) {
        let least = contains.least.unwrap_or(1);
        let enough = contains.most.map_or(least, |most| least.max(most.saturating_add(1)));
        let mut fitting = 0;
        for item in items {
            if fitting >= enough || self.is_exhausted() {
                break;
            }
            fitting += u64::from(self.holds(contains.schema, item));
        }
        let is_too_many = contains.most.is_some_and(|most| fitting > most);
        if self.is_exhausted() || (!is_too_many && fitting >= least) {
            return;
        }
        let rule = match contains {
            Contains { most: Some(_), least: None, .. } => "maxContains",
            _ if is_too_many => "maxContains",
            Contains { least: Some(_), .. } => "minContains",
            _ => "contains",
        };
        let schema = format!("{}/{rule}", node.at);
        self.plain(found, place, value, rule, &schema, || {
            "items as `contains` asks for".to_owned()
        });
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
        } else if is_container && !found.visited.insert(key) {
            return;
        }
        self.spend(2);
        self.following.push(key);
        self.walk(target, value, place, found);
        self.following.pop();
        if is_container && found.only_verdict() && !self.is_exhausted() {
            self.verdicts.insert(key, !found.failed());
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
        let value = object.get(name);
        let cost = 100 + 4 * self.facts.declared.len() as u64 + value.map_or(0, text_length);
        if !found.wants_words() || !self.may_say(cost, found) {
            return found.count();
        }
        let schema = format!("{}/{rule}", node.at);
        let at = place.pointer();
        found.add(words::unexpected_property(rule, &at, name, value, schema, self.facts));
    }
}

/// What it costs to say how long a text is, in steps.
fn text_length(value: &Value) -> u64 {
    value.as_str().map_or(0, |text| text.len() as u64 / 8)
}
