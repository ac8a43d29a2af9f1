//! Keywords that are decided without the validator: lengths, bounds and names, and constant texts.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::explain::own::{ARRAY, NUMBER, OBJECT, TEXT};

/// The limits of one subschema.
#[derive(Debug, Default)]
pub(crate) struct Quick {
    /// The types of values that a keyword speaks of which only the validator can judge.
    pub(crate) undecided: u8,
    length: Bounds,
    items: Bounds,
    properties: Bounds,
    /// `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`.
    limits: Vec<(Limit, f64)>,
    required: Vec<String>,
    constant: Option<Value>,
    choices: Option<Vec<Value>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    least: u64,
    most: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Limit {
    Least,
    Most,
    Above,
    Below,
}

/// Up to here every integer has a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Quick {
    /// For keywords that only the validator can judge.
    pub(crate) fn never() -> Self {
        Quick { undecided: u8::MAX, ..Quick::default() }
    }

    pub(crate) fn of(keywords: &Map<String, Value>) -> Self {
        let mut quick = Quick::default();
        for (keyword, value) in keywords {
            let whole = value.as_u64();
            match (keyword.as_str(), value, whole) {
                ("type", ..) => {}
                ("minLength", _, Some(n)) => quick.length.least = n,
                ("maxLength", _, Some(n)) => quick.length.most = Some(n),
                ("minItems", _, Some(n)) => quick.items.least = n,
                ("maxItems", _, Some(n)) => quick.items.most = Some(n),
                ("minProperties", _, Some(n)) => quick.properties.least = n,
                ("maxProperties", _, Some(n)) => quick.properties.most = Some(n),
                ("minimum", Value::Number(n), _) => quick.limit(Limit::Least, n),
                ("maximum", Value::Number(n), _) => quick.limit(Limit::Most, n),
                ("exclusiveMinimum", Value::Number(n), _) => quick.limit(Limit::Above, n),
                ("exclusiveMaximum", Value::Number(n), _) => quick.limit(Limit::Below, n),
                ("required", Value::Array(names), _) => {
                    let names = names.iter().filter_map(Value::as_str);
                    quick.required = names.map(str::to_owned).collect();
                }
                ("const", value, _) => quick.constant = Some(value.clone()),
                ("enum", Value::Array(values), _) => quick.choices = Some(values.clone()),
                ("multipleOf" | "minimum" | "maximum", ..) => quick.undecided |= NUMBER,
                ("exclusiveMinimum" | "exclusiveMaximum", ..) => quick.undecided |= NUMBER,
                ("minItems" | "maxItems" | "uniqueItems", ..) => quick.undecided |= ARRAY,
                ("minProperties" | "maxProperties" | "required" | "dependentRequired", ..) => {
                    quick.undecided |= OBJECT;
                }
                ("enum", ..) => quick.undecided = u8::MAX,
                // Lengths that are not whole numbers, patterns, formats, encodings.
                _ => quick.undecided |= TEXT,
            }
        }
        quick
    }

    fn limit(&mut self, limit: Limit, number: &serde_json::Number) {
        match number.as_f64().filter(|number| number.abs() < EXACT) {
            Some(number) => self.limits.push((limit, number)),
            None => self.undecided |= NUMBER,
        }
    }

    /// Whether a value is within all limits; none where only the validator can tell.
    pub(crate) fn accepts(&self, value: &Value) -> Option<bool> {
        let is_one_of = |values: &[Value]| match value {
            Value::Null | Value::Bool(_) | Value::String(_) => Some(values.contains(value)),
            _ => None,
        };
        let is_constant = match &self.constant {
            Some(constant) => is_one_of(std::slice::from_ref(constant))?,
            None => true,
        };
        let is_choice = match &self.choices {
            Some(choices) => is_one_of(choices)?,
            None => true,
        };
        let is_within = match value {
            Value::String(text) => self.length.hold(|| text.chars().count(), text.len()),
            Value::Array(items) => self.items.hold(|| items.len(), items.len()),
            Value::Object(members) => {
                self.properties.hold(|| members.len(), members.len())
                    && self.required.iter().all(|name| members.contains_key(name))
            }
            Value::Number(number) if !self.limits.is_empty() => {
                let number = number.as_f64().filter(|number| number.abs() < EXACT)?;
                self.limits.iter().all(|(limit, bound)| limit.holds(number, *bound))
            }
            _ => true,
        };
        Some(is_constant && is_choice && is_within)
    }

    /// What deciding costs, in steps.
    pub(crate) fn cost(&self, value: &Value) -> u64 {
        let choices = self.choices.as_ref().map_or(0, Vec::len) / 4;
        let size = match value {
            Value::String(text) if self.length.most.is_some() => text.len() / 64,
            Value::Object(_) => 4 * self.required.len(),
            _ => 0,
        };
        (choices + size) as u64
    }
}

impl Bounds {
    /// Whether a size is within; it is only counted where its `most`, which is known, does not tell.
    fn hold(&self, size: impl FnOnce() -> usize, most: usize) -> bool {
        let is_short = self.most.is_none_or(|limit| most as u64 <= limit);
        // A character has at most four bytes.
        if is_short && most as u64 / 4 >= self.least {
            return true;
        }
        let size = size() as u64;
        size >= self.least && self.most.is_none_or(|limit| size <= limit)
    }
}

impl Limit {
    fn holds(self, number: f64, bound: f64) -> bool {
        let order = number.partial_cmp(&bound);
        match self {
            Limit::Least => order != Some(Ordering::Less),
            Limit::Most => order != Some(Ordering::Greater),
            Limit::Above => order == Some(Ordering::Greater),
            Limit::Below => order == Some(Ordering::Less),
        }
    }
}
