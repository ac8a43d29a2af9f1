//! What a schema asks for, in pieces that can be taken away one by one.

use holyfields::pointer;
use serde_json::Value;

/// Keywords that only narrow, so that a schema without one accepts more.
const ASSERTIONS: [&str; 27] = [
    "anyOf",
    "const",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "propertyNames",
    "type",
    "uniqueItems",
];

/// Those of them that also decide what `unevaluatedProperties` and `unevaluatedItems` see.
const EVALUATING: [&str; 5] = ["anyOf", "contains", "dependentSchemas", "if", "oneOf"];

/// Something that a document asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assertion {
    /// Where it stands: a keyword, a name in `required`, or a schema that is `false`.
    pub(crate) pointer: String,
    pub(crate) what: What,
}

/// How an assertion is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A keyword.
    Keyword,
    /// A name in `required`.
    RequiredName,
    /// A schema that is `false`.
    FalseSchema,
}

impl Assertion {
    /// What it asks for, as the label of its place.
    pub(crate) fn label(&self, document: &Value) -> String {
        let value = document.pointer(&self.pointer).unwrap_or(&Value::Null);
        match (self.what, self.keyword().unwrap_or_default()) {
            (What::RequiredName, _) => {
                format!("`{}` must be present", value.as_str().unwrap_or_default())
            }
            (What::FalseSchema, "additionalProperties") => {
                "only the properties declared beside it may be present".to_owned()
            }
            (What::FalseSchema, "unevaluatedProperties") => {
                "only declared properties may be present".to_owned()
            }
            (What::FalseSchema, _) => "no value is accepted here".to_owned(),
            (What::Keyword, keyword) => format!("`{keyword}` must hold"),
        }
    }

    /// The same assertion in a document where the contract at `from` stands at `to`.
    pub(crate) fn moved(&self, from: &str, to: &str) -> Assertion {
        let below = self.pointer.strip_prefix(from);
        let pointer = match below.filter(|below| below.is_empty() || below.starts_with('/')) {
            Some(below) => format!("{to}{below}"),
            None => self.pointer.clone(),
        };
        Assertion { pointer, what: self.what }
    }

    /// The keyword; none for a name in `required`.
    pub(crate) fn keyword(&self) -> Option<&str> {
        match self.what {
            What::RequiredName => None,
            _ => self.pointer.rsplit('/').next(),
        }
    }

    /// Makes the document accept what only this refuses.
    pub(crate) fn drop_from(&self, document: &mut Value) {
        if self.what == What::FalseSchema {
            if let Some(schema) = document.pointer_mut(&self.pointer) {
                *schema = Value::Bool(true);
            }
            return;
        }
        let (around, word) = self.pointer.rsplit_once('/').unwrap_or_default();
        match document.pointer_mut(around) {
            Some(Value::Object(members)) => {
                members.shift_remove(pointer::unescape(word).as_ref());
            }
            Some(Value::Array(items)) => {
                if let Ok(index) = word.parse::<usize>()
                    && index < items.len()
                {
                    items.remove(index);
                }
            }
            _ => {}
        }
    }
}

/// Everything in a document that may be dropped to make it accept more.
///
/// What stands below `not`, `if` and the like is not among it: there, less means more.
pub(crate) fn all_in(document: &Value) -> Vec<Assertion> {
    let mut found = Vec::new();
    collect(document, "", &mut found);
    let sees_evaluated = found.iter().any(|assertion| assertion.pointer.contains("/unevaluated"));
    if sees_evaluated {
        found.retain(|assertion| !assertion.keyword().is_some_and(|k| EVALUATING.contains(&k)));
    }
    found
}

fn is_unevaluated(keyword: &str) -> bool {
    matches!(keyword, "unevaluatedProperties" | "unevaluatedItems")
}

fn collect(schema: &Value, at: &str, found: &mut Vec<Assertion>) {
    let object = match schema {
        Value::Bool(false) => {
            found.push(Assertion { pointer: at.to_owned(), what: What::FalseSchema });
            return;
        }
        Value::Object(object) => object,
        _ => return,
    };
    for (keyword, value) in object {
        let here = pointer::join(at, keyword);
        match (keyword.as_str(), value) {
            ("required", Value::Array(names)) => {
                let name = |index| format!("{here}/{index}");
                let names = (0..names.len()).map(name);
                found.extend(names.map(|pointer| Assertion { pointer, what: What::RequiredName }));
            }
            ("allOf" | "prefixItems", Value::Array(schemas)) => {
                for (index, schema) in schemas.iter().enumerate() {
                    collect(schema, &format!("{here}/{index}"), found);
                }
            }
            (
                "$defs" | "definitions" | "patternProperties" | "properties",
                Value::Object(schemas),
            ) => {
                for (name, schema) in schemas {
                    collect(schema, &pointer::join(&here, name), found);
                }
            }
            ("additionalProperties" | "items", schema) => collect(schema, &here, found),
            (unevaluated, schema) if is_unevaluated(unevaluated) => collect(schema, &here, found),
            (keyword, _) if ASSERTIONS.contains(&keyword) => {
                found.push(Assertion { pointer: here, what: What::Keyword });
            }
            _ => {}
        }
    }
}
