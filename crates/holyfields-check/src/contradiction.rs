//! Why a document accepts nothing: the few assertions that already contradict each other.
//!
//! The search is QuickXplain (Junker, 2004): drop half, see whether the rest still accepts nothing,
//! and so on. Some 10 to 50 questions to the engine for a contract that people write.

use holyfields::pointer;
use serde_json::Value;

use crate::engine;

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
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Keyword,
    RequiredName,
    FalseSchema,
}

/// The assertions that cannot hold together, in document order.
///
/// `document` must accept nothing. Empty if that is so for no assertion that could be dropped.
pub(crate) fn find(document: &Value) -> Vec<Assertion> {
    let all = assertions(document);
    let (types, others): (Vec<usize>, Vec<usize>) =
        (0..all.len()).partition(|&index| all[index].keyword() == Some("type"));
    let search = Search { document, all: &all };
    let mut core = search.smallest(&mut types.clone(), false, &others);
    let types = search.smallest(&mut core.clone(), true, &types);
    let told: Vec<usize> =
        types.into_iter().filter(|&index| is_telling(&all[index], &all, &core, document)).collect();
    core.extend(told);
    core.sort_unstable();
    core.into_iter().map(|index| all[index].clone()).collect()
}

/// Whether these assertions, taken from another document, are a contradiction in this one too.
pub(crate) fn is_in(document: &Value, assertions_of_other: &[Assertion]) -> bool {
    let all = assertions(document);
    let is_kept = |assertion: &Assertion| {
        assertion.keyword() == Some("type") || assertions_of_other.contains(assertion)
    };
    let kept: Vec<usize> = (0..all.len()).filter(|&index| is_kept(&all[index])).collect();
    assertions_of_other.iter().all(|assertion| all.contains(assertion))
        && Search { document, all: &all }.accepts_nothing(&kept)
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

    fn keyword(&self) -> Option<&str> {
        match self.what {
            What::RequiredName => None,
            _ => self.pointer.rsplit('/').next(),
        }
    }
}

/// A `type` mostly keeps values away that other keywords do not speak of. It is one side of the
/// conflict only where at most one other keyword is.
fn is_telling(assertion: &Assertion, all: &[Assertion], core: &[usize], document: &Value) -> bool {
    let is_required = |index: &&usize| all[**index].what == What::RequiredName;
    let (required, others): (Vec<&usize>, Vec<&usize>) = core.iter().partition(is_required);
    let is_object = document.pointer(&assertion.pointer).and_then(Value::as_str) == Some("object");
    match others.as_slice() {
        [] => required.is_empty() || !is_object,
        [other] => all[**other].what == What::Keyword && !is_object,
        _ => false,
    }
}

struct Search<'a> {
    document: &'a Value,
    all: &'a [Assertion],
}

impl Search<'_> {
    /// The smallest part of `candidates` that is a contradiction together with `kept`.
    ///
    /// `is_new` says that `kept` has grown, so that it may be one by itself.
    fn smallest(&self, kept: &mut Vec<usize>, is_new: bool, candidates: &[usize]) -> Vec<usize> {
        if candidates.is_empty() || (is_new && self.accepts_nothing(kept)) {
            return Vec::new();
        }
        if candidates.len() == 1 {
            return candidates.to_vec();
        }
        let (first, second) = candidates.split_at(candidates.len() / 2);
        let before = kept.len();
        kept.extend(first);
        let mut found = self.smallest(kept, true, second);
        kept.truncate(before);
        kept.extend(&found);
        let more = self.smallest(kept, !found.is_empty(), first);
        kept.truncate(before);
        found.extend(more);
        found
    }

    fn accepts_nothing(&self, kept: &[usize]) -> bool {
        let mut document = self.document.clone();
        // From the end, so that the indices before stay what they are.
        for (index, assertion) in self.all.iter().enumerate().rev() {
            if !kept.contains(&index) {
                assertion.drop_from(&mut document);
            }
        }
        engine::accepts_nothing(&document)
    }
}

impl Assertion {
    fn drop_from(&self, document: &mut Value) {
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
fn assertions(document: &Value) -> Vec<Assertion> {
    let mut found = Vec::new();
    collect(document, "", &mut found);
    let sees_evaluated = found
        .iter()
        .any(|assertion| assertion.pointer.rsplit('/').next().is_some_and(is_unevaluated));
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
