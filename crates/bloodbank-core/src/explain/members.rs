//! The walk from an object or a list to what is inside it.

use serde_json::{Map, Value};

use crate::Violation;
use crate::describe::{HIDDEN, quoted};
use crate::explain::found::{Found, Place, Step};
use crate::explain::own::Own;
use crate::explain::plan::{Contains, Id, Node, Parts};
use crate::explain::walk::Walk;

impl Walk<'_> {
    pub(crate) fn object(
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
                self.spend(3);
                if let Some(&id) = parts.by_name.get(name) {
                    self.walk(id, member, &place.name(name), found);
                }
            }
        } else {
            for (name, id) in &parts.properties {
                self.spend(3);
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
        let mut inner = Found::up_to(found.limit());
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

    pub(crate) fn array(
        &mut self,
        node: &Node,
        parts: &Parts,
        items: &[Value],
        value: &Value,
        place: &Place<'_>,
        found: &mut Found,
    ) {
        if let Some(own) = &parts.unique {
            let (accepts, cost) = own.accepts(value);
            self.spend(cost);
            if !accepts {
                let at = format!("{}/uniqueItems", node.at);
                let expected = || "items that all differ".to_owned();
                self.plain(found, place, value, "uniqueItems", &at, expected);
            }
        }
        for (index, (&id, item)) in parts.prefix.iter().zip(items).enumerate() {
            self.walk(id, item, &place.below(Step::Index(index)), found);
        }
        if let Some(id) = parts.items.filter(|&id| !self.is_open(id)) {
            self.items(id, parts.prefix.len(), items, place, found);
        }
        if let Some(contains) = &parts.contains {
            self.contains(node, contains, items, value, place, found);
        }
    }

    /// The items from `first` on, for which there is one schema.
    fn items(
        &mut self,
        id: Id,
        first: usize,
        items: &[Value],
        place: &Place<'_>,
        found: &mut Found,
    ) {
        let only_type = self.plan.nodes[id].only_type();
        // Millions of numbers are little work.
        self.spend(only_type.map_or(0, |_| items.len() as u64 / 4));
        for (index, item) in items.iter().enumerate().skip(first) {
            match only_type {
                Some(own) if !own.refuses_type(item) => continue,
                Some(_) if !found.wants_words() => found.count(),
                _ => self.walk(id, item, &place.below(Step::Index(index)), found),
            }
            if found.is_settled() || self.is_exhausted() {
                return;
            }
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
}
