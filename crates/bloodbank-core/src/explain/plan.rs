//! A schema made ready for the walk: which subschema applies where, and what a value itself must be.

use std::collections::HashMap;

use holyfields::pointer;
use serde_json::{Map, Value};

use crate::explain::own::Own;

/// The place of a [`Node`] in its [`Plan`].
pub(crate) type Id = usize;

/// Every subschema that a document reaches from its root, which is the first.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<Node>,
}

/// One subschema.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// JSON Pointer to it in the document.
    pub(crate) at: String,
    /// It is `false`.
    pub(crate) refuses_all: bool,
    /// What it asks of a value itself.
    pub(crate) own: Option<Box<Own>>,
    /// The subschemas that it applies.
    pub(crate) parts: Option<Box<Parts>>,
}

/// The subschemas that a subschema applies.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) properties: Vec<(String, Id)>,
    pub(crate) by_name: HashMap<String, Id>,
    /// Those of the properties that may have a constant value: they tell branches of a union apart.
    pub(crate) telling: Vec<(String, Id)>,
    pub(crate) patterns: Vec<(Own, Id)>,
    pub(crate) additional: Option<Id>,
    pub(crate) names: Option<Id>,
    pub(crate) prefix: Vec<Id>,
    pub(crate) items: Option<Id>,
    /// `uniqueItems`; apart from the other keywords, as all items have to be compared.
    pub(crate) unique: Option<Own>,
    pub(crate) contains: Option<Contains>,
    pub(crate) dependent: Vec<(String, Id)>,
    pub(crate) all_of: Vec<Id>,
    pub(crate) any_of: Vec<Id>,
    pub(crate) one_of: Vec<Id>,
    pub(crate) not: Option<Id>,
    /// `if`, `then`, `else`.
    pub(crate) condition: Option<(Id, Option<Id>, Option<Id>)>,
    pub(crate) reference: Option<Id>,
    pub(crate) unevaluated_properties: Option<Id>,
    pub(crate) unevaluated_items: Option<Id>,
}

/// `contains` with its limits.
#[derive(Debug)]
pub(crate) struct Contains {
    pub(crate) schema: Id,
    pub(crate) least: Option<u64>,
    pub(crate) most: Option<u64>,
}

impl Plan {
    /// Reads a document as [`Bundle::document`](crate::Bundle::document) makes it: its references are
    /// pointers into itself.
    pub(crate) fn of(document: &Value) -> Self {
        let mut making = Making { document, known: HashMap::new(), open: Vec::new() };
        making.id(document, String::new());
        let mut plan = Plan::default();
        let mut next = 0;
        while let Some((schema, at)) = making.open.get(next).cloned() {
            plan.nodes.push(making.node(schema, at));
            next += 1;
        }
        plan.find_telling();
        plan
    }

    /// Finds the properties that may have a constant value, also by way of references.
    fn find_telling(&mut self) {
        let mut tells: Vec<bool> = self.nodes.iter().map(Node::has_constants).collect();
        let mut is_changed = true;
        while is_changed {
            is_changed = false;
            for (id, node) in self.nodes.iter().enumerate().rev() {
                if !tells[id] && node.in_place().any(|part| tells[part]) {
                    tells[id] = true;
                    is_changed = true;
                }
            }
        }
        for parts in self.nodes.iter_mut().filter_map(|node| node.parts.as_mut()) {
            let telling = parts.properties.iter().filter(|(_, id)| tells[*id]);
            parts.telling = telling.cloned().collect();
        }
    }
}

impl Node {
    /// What is asked of the type, if nothing else is asked.
    pub(crate) fn only_type(&self) -> Option<&Own> {
        self.own.as_deref().filter(|own| own.is_only_type() && self.parts.is_none())
    }

    fn has_constants(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.constants().next().is_some())
    }

    /// The subschemas that apply to the same value, unions aside.
    fn in_place(&self) -> impl Iterator<Item = Id> {
        self.parts.iter().flat_map(|parts| {
            let (_, then, other) = parts.condition.unwrap_or_default();
            let lone = [then, other, parts.reference].into_iter().flatten();
            parts.all_of.iter().copied().chain(lone)
        })
    }
}

/// Subschemas get their numbers as they are met; no recursion, so that depth costs no stack.
struct Making<'a> {
    document: &'a Value,
    known: HashMap<*const Value, Id>,
    open: Vec<(&'a Value, String)>,
}

impl<'a> Making<'a> {
    fn id(&mut self, schema: &'a Value, at: String) -> Id {
        *self.known.entry(schema).or_insert_with(|| {
            self.open.push((schema, at));
            self.open.len() - 1
        })
    }

    fn node(&mut self, schema: &'a Value, at: String) -> Node {
        let Value::Object(object) = schema else {
            return Node { at, refuses_all: *schema == Value::Bool(false), ..Node::default() };
        };
        let own = Own::of(object).map(Box::new);
        let parts = self.parts(object, &at).map(Box::new);
        Node { at, refuses_all: false, own, parts }
    }

    fn parts(&mut self, object: &'a Map<String, Value>, at: &str) -> Option<Parts> {
        let mut parts = Parts::default();
        let mut is_leaf = true;
        for (keyword, value) in object {
            let below = || pointer::join(at, keyword);
            match (keyword.as_str(), value) {
                ("properties", Value::Object(members)) => {
                    parts.properties = self.members(members, &below());
                    parts.by_name = parts.properties.iter().cloned().collect();
                }
                ("patternProperties", Value::Object(members)) => {
                    let members = self.members(members, &below());
                    let pattern = |(pattern, id)| (Own::pattern(pattern), id);
                    parts.patterns = members.into_iter().map(pattern).collect();
                }
                ("dependentSchemas", Value::Object(members)) => {
                    parts.dependent = self.members(members, &below());
                }
                ("prefixItems", Value::Array(list)) => parts.prefix = self.list(list, &below()),
                ("allOf", Value::Array(list)) => parts.all_of = self.list(list, &below()),
                ("anyOf", Value::Array(list)) => parts.any_of = self.list(list, &below()),
                ("oneOf", Value::Array(list)) => parts.one_of = self.list(list, &below()),
                ("uniqueItems", Value::Bool(true)) => parts.unique = Some(Own::unique()),
                ("$ref", Value::String(reference)) => parts.reference = self.target(reference),
                (_, Value::Object(_) | Value::Bool(_)) => {
                    let Some(slot) = slot(&mut parts, keyword, object) else { continue };
                    *slot = Some(self.id(value, below()));
                }
                _ => continue,
            }
            is_leaf = false;
        }
        if let Some(schema) = object.get("contains").filter(|schema| is_schema(schema)) {
            let limit = |keyword| object.get(keyword).and_then(Value::as_f64).map(|n| n as u64);
            let schema = self.id(schema, pointer::join(at, "contains"));
            let (least, most) = (limit("minContains"), limit("maxContains"));
            parts.contains = Some(Contains { schema, least, most });
            is_leaf = false;
        }
        if let Some(schema) = object.get("if").filter(|schema| is_schema(schema)) {
            let schema = self.id(schema, pointer::join(at, "if"));
            let mut other = |keyword: &str| {
                let schema = object.get(keyword).filter(|schema| is_schema(schema))?;
                Some(self.id(schema, pointer::join(at, keyword)))
            };
            parts.condition = Some((schema, other("then"), other("else")));
            is_leaf = false;
        }
        (!is_leaf).then_some(parts)
    }

    fn members(&mut self, members: &'a Map<String, Value>, at: &str) -> Vec<(String, Id)> {
        let id = |(name, schema)| (String::clone(name), self.id(schema, pointer::join(at, name)));
        members.iter().map(id).collect()
    }

    fn list(&mut self, list: &'a [Value], at: &str) -> Vec<Id> {
        let id = |(index, schema)| self.id(schema, format!("{at}/{index}"));
        list.iter().enumerate().map(id).collect()
    }

    fn target(&mut self, reference: &str) -> Option<Id> {
        let at = pointer::from_fragment(reference.strip_prefix('#')?);
        let schema = self.document.pointer(&at)?;
        Some(self.id(schema, at))
    }
}

fn is_schema(value: &Value) -> bool {
    matches!(value, Value::Object(_) | Value::Bool(_))
}

/// Where the schema under a keyword goes that has exactly one.
fn slot<'p>(
    parts: &'p mut Parts,
    keyword: &str,
    object: &Map<String, Value>,
) -> Option<&'p mut Option<Id>> {
    let is_open = object.get(keyword) == Some(&Value::Bool(true));
    match keyword {
        // Nothing to ask; still it counts as evaluating what others would call unevaluated.
        "additionalProperties" => Some(&mut parts.additional),
        "items" => Some(&mut parts.items),
        "unevaluatedProperties" => Some(&mut parts.unevaluated_properties),
        "unevaluatedItems" => Some(&mut parts.unevaluated_items),
        "propertyNames" if !is_open => Some(&mut parts.names),
        "not" => Some(&mut parts.not),
        _ => None,
    }
}
