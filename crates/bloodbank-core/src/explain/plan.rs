//! A schema made ready for the walk: which subschema applies where, and what a value itself must be.

use std::collections::HashMap;
use std::sync::OnceLock;

use holyfields::pointer;
use serde_json::{Map, Value};

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

/// The keywords of a subschema that ask something of a value itself and apply no other schema.
///
/// The validator decides on them and names what failed; only `type` is decided here, as most
/// subschemas have nothing else.
#[derive(Debug)]
pub(crate) struct Own {
    types: Option<u8>,
    /// The types of values that a keyword beside `type` may refuse.
    judged: u8,
    /// A pattern has look-around or a reference back, so that matching it may take long.
    is_slow: bool,
    keywords: Value,
    engine: OnceLock<Option<jsonschema::Validator>>,
}

/// The subschemas that a subschema applies.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) properties: Vec<(String, Id)>,
    pub(crate) by_name: HashMap<String, Id>,
    pub(crate) patterns: Vec<(Own, Id)>,
    pub(crate) additional: Option<Id>,
    pub(crate) names: Option<Id>,
    pub(crate) prefix: Vec<Id>,
    pub(crate) items: Option<Id>,
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

const TEXT: u8 = 1;
const NUMBER: u8 = 2;
const ARRAY: u8 = 4;
const OBJECT: u8 = 8;
const OTHER: u8 = 16;
const INTEGER: u8 = 32;
const NULL: u8 = 64;
const BOOLEAN: u8 = 128;

/// The keywords of [`Own`] beside `type`, and the values that they may refuse.
const OWN: [(&str, u8); 20] = [
    ("const", TEXT | NUMBER | ARRAY | OBJECT | OTHER),
    ("enum", TEXT | NUMBER | ARRAY | OBJECT | OTHER),
    ("minimum", NUMBER),
    ("maximum", NUMBER),
    ("exclusiveMinimum", NUMBER),
    ("exclusiveMaximum", NUMBER),
    ("multipleOf", NUMBER),
    ("minLength", TEXT),
    ("maxLength", TEXT),
    ("pattern", TEXT),
    ("format", TEXT),
    ("contentEncoding", TEXT),
    ("contentMediaType", TEXT),
    ("minItems", ARRAY),
    ("maxItems", ARRAY),
    ("uniqueItems", ARRAY),
    ("minProperties", OBJECT),
    ("maxProperties", OBJECT),
    ("required", OBJECT),
    ("dependentRequired", OBJECT),
];

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
        plan
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

impl Own {
    fn of(object: &Map<String, Value>) -> Option<Self> {
        let types = object.get("type").map(types);
        let mut keywords = Map::new();
        let mut judged = 0;
        for (keyword, values) in OWN {
            if let Some(value) = object.get(keyword) {
                keywords.insert(keyword.to_owned(), value.clone());
                judged |= values;
            }
        }
        if let Some(value) = object.get("type") {
            keywords.insert("type".to_owned(), value.clone());
        }
        let is_slow = object.get("pattern").and_then(Value::as_str).is_some_and(is_slow);
        let engine = OnceLock::new();
        (!keywords.is_empty()).then_some(Own {
            types,
            judged,
            is_slow,
            keywords: Value::Object(keywords),
            engine,
        })
    }

    fn pattern(pattern: String) -> Self {
        let is_slow = is_slow(&pattern);
        let keywords = serde_json::json!({ "pattern": pattern });
        Own { types: None, judged: TEXT, is_slow, keywords, engine: OnceLock::new() }
    }

    /// Whether a value is as these keywords ask. The second is what finding out has cost, in steps.
    pub(crate) fn accepts(&self, value: &Value) -> (bool, u64) {
        let is = kind(value);
        let has_type = self.types.is_none_or(|types| types & is != 0);
        if !has_type || self.judged & is == 0 {
            return (has_type, 1);
        }
        (self.engine().is_none_or(|engine| engine.is_valid(value)), self.cost(value))
    }

    /// The validator of these keywords alone; made when it is first needed.
    pub(crate) fn engine(&self) -> Option<&jsonschema::Validator> {
        self.engine.get_or_init(|| crate::schema::engine(&self.keywords).ok()).as_ref()
    }

    /// Whether the value is of another type than these keywords ask for.
    pub(crate) fn refuses_type(&self, value: &Value) -> bool {
        self.types.is_some_and(|types| types & kind(value) == 0)
    }

    /// The constants of `const` or `enum`, `const` first.
    pub(crate) fn constants(&self) -> impl Iterator<Item = (&'static str, &[Value])> {
        let constant =
            self.keywords.get("const").map(|value| ("const", std::slice::from_ref(value)));
        let choices = self.keywords.get("enum").and_then(Value::as_array);
        constant.into_iter().chain(choices.map(|values| ("enum", values.as_slice())))
    }

    /// What asking the validator costs: texts are read, lists may be compared item by item.
    fn cost(&self, value: &Value) -> u64 {
        let size = match value {
            Value::String(text) if self.is_slow => (1_000 + 64 * text.len()).min(100_000),
            Value::String(text) => text.len() / 8,
            Value::Array(items) => 4 * items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        };
        8 + size as u64
    }
}

/// A number is judged as one; whether it is whole is only asked for `integer`.
fn kind(value: &Value) -> u8 {
    match value {
        Value::String(_) => TEXT,
        Value::Array(_) => ARRAY,
        Value::Object(_) => OBJECT,
        Value::Null => OTHER | NULL,
        Value::Bool(_) => OTHER | BOOLEAN,
        Value::Number(number) => {
            let is_whole = !number.is_f64() || number.as_f64().is_some_and(|n| n.fract() == 0.0);
            if is_whole { NUMBER | INTEGER } else { NUMBER }
        }
    }
}

fn types(value: &Value) -> u8 {
    let one = |name: &Value| match name.as_str() {
        Some("string") => TEXT,
        Some("number") => NUMBER,
        Some("integer") => INTEGER,
        Some("array") => ARRAY,
        Some("object") => OBJECT,
        Some("null") => NULL,
        Some("boolean") => BOOLEAN,
        _ => 0,
    };
    match value {
        Value::Array(names) => names.iter().map(one).fold(0, |all, one| all | one),
        name => one(name),
    }
}

/// Whether a pattern needs an engine that goes back.
fn is_slow(pattern: &str) -> bool {
    let goes_back = |(i, _)| pattern[i + 1..].starts_with(|c: char| c.is_ascii_digit() || c == 'k');
    ["(?=", "(?!", "(?<", "(?>"].iter().any(|sign| pattern.contains(sign))
        || pattern.match_indices('\\').any(goes_back)
}
