//! What a subschema asks of a value itself.

use std::sync::OnceLock;

use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use crate::explain::quick::Quick;

/// The keywords of a subschema that ask something of a value itself and apply no other schema.
///
/// The validator decides on them and names what failed. What is plain to see is decided here, so that
/// it is asked about few values only.
#[derive(Debug)]
pub(crate) struct Own {
    types: Option<u8>,
    quick: Quick,
    /// The types of values that a keyword beside `type` may refuse.
    judged: u8,
    /// What a text costs: the divisor of its bytes.
    reading: Reading,
    keywords: Value,
    engine: OnceLock<Option<jsonschema::Validator>>,
}

/// How much work a text is.
#[derive(Clone, Copy, Debug)]
enum Reading {
    /// Its characters are counted, or it is compared.
    Counted,
    /// It is matched with a pattern or format.
    Matched,
    /// The pattern has look-around or a reference back, so that matching it may take long.
    Searched,
}

/// Steps for a pattern that the engine gave up on.
const GIVING_UP: u64 = 400_000;

pub(crate) const TEXT: u8 = 1;
pub(crate) const NUMBER: u8 = 2;
pub(crate) const ARRAY: u8 = 4;
pub(crate) const OBJECT: u8 = 8;
const OTHER: u8 = 16;
const INTEGER: u8 = 32;
const NULL: u8 = 64;
const BOOLEAN: u8 = 128;

/// The keywords of [`Own`] beside `type`, and the values that they may refuse.
const OWN: [(&str, u8); 19] = [
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
    ("minProperties", OBJECT),
    ("maxProperties", OBJECT),
    ("required", OBJECT),
    ("dependentRequired", OBJECT),
];

impl Own {
    pub(crate) fn of(object: &Map<String, Value>) -> Option<Self> {
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
        let matches = ["format", "contentEncoding", "contentMediaType"];
        let reading = match object.get("pattern").and_then(Value::as_str) {
            Some(pattern) => Reading::of(pattern),
            None if matches.iter().any(|word| object.contains_key(*word)) => Reading::Matched,
            None => Reading::Counted,
        };
        let engine = OnceLock::new();
        (!keywords.is_empty()).then_some(Own {
            types,
            quick: Quick::of(&keywords),
            judged,
            reading,
            keywords: Value::Object(keywords),
            engine,
        })
    }

    pub(crate) fn pattern(pattern: String) -> Self {
        let reading = Reading::of(&pattern);
        let keywords = serde_json::json!({ "pattern": pattern });
        let (quick, engine) = (Quick::never(), OnceLock::new());
        Own { types: None, quick, judged: TEXT, reading, keywords, engine }
    }

    pub(crate) fn unique() -> Self {
        let keywords = serde_json::json!({ "uniqueItems": true });
        let (reading, engine) = (Reading::Counted, OnceLock::new());
        let quick = Quick::never();
        Own { types: None, quick, judged: ARRAY, reading, keywords, engine }
    }

    /// Whether a value is as these keywords ask. The second is what finding out has cost, in steps.
    pub(crate) fn accepts(&self, value: &Value) -> (bool, u64) {
        let is = kind(value);
        let has_type = self.types.is_none_or(|types| types & is != 0);
        if !has_type || self.judged & is == 0 {
            return (has_type, 1);
        }
        if self.judged & is & self.quick.undecided == 0
            && let Some(accepts) = self.quick.accepts(value)
        {
            return (accepts, 2 + self.quick.cost(value));
        }
        let Some(engine) = self.engine() else { return (true, 1) };
        match self.reading {
            Reading::Searched if value.is_string() => self.searched(engine, value),
            _ => (engine.is_valid(value), self.cost(value)),
        }
    }

    /// The same where a pattern may take long: giving up costs more than anything else.
    fn searched(&self, engine: &jsonschema::Validator, value: &Value) -> (bool, u64) {
        let outcome = engine.validate(value);
        let gave_up = outcome.as_ref().is_err_and(|error| {
            matches!(error.kind(), ValidationErrorKind::BacktrackLimitExceeded { .. })
        });
        (outcome.is_ok(), self.cost(value) + if gave_up { GIVING_UP } else { 0 })
    }

    /// Whether nothing but the type is asked for.
    pub(crate) fn is_only_type(&self) -> bool {
        self.judged == 0
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
            Value::String(text) => match self.reading {
                Reading::Counted => text.len() / 64,
                Reading::Matched => text.len() / 4,
                Reading::Searched => 100 + text.len(),
            },
            Value::Array(items) => 16 * items.len(),
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

impl Reading {
    /// How a pattern reads.
    fn of(pattern: &str) -> Self {
        let goes_back =
            |(i, _)| pattern[i + 1..].starts_with(|c: char| c.is_ascii_digit() || c == 'k');
        let looks_around = ["(?=", "(?!", "(?<", "(?>"].iter().any(|sign| pattern.contains(sign));
        if looks_around || pattern.match_indices('\\').any(goes_back) {
            Reading::Searched
        } else {
            Reading::Matched
        }
    }
}
