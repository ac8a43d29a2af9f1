//! HF053, and HF050 inside a schema: defaults and examples of a part that the part itself refuses.

use bloodbank_core::schema::Validator;
use holyfields::bundle::{Bundle, BundledContract, reference_to};
use holyfields::file::{Draft, SchemaFile};
use holyfields::finding::{Finding, Place};
use holyfields::rules::{self, Rule};
use holyfields::{pointer, walk};
use serde_json::{Value, json};

/// Checks the parts of one contract's file; its own examples are checked elsewhere.
pub(crate) fn check(
    file: &SchemaFile,
    bundle: &Bundle,
    contract: &BundledContract,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk::each(&file.schema, "", file.draft, &mut |at, schema| {
        // Beside a draft-07 `$ref` nothing counts.
        let is_lone = file.draft == Draft::V7 && schema.get("$ref").is_some();
        let annotations = annotations(at, schema);
        if annotations.is_empty() || is_lone {
            return;
        }
        let document = document(file, at, schema, bundle, contract);
        let Ok(validator) = Validator::new(&document) else { return };
        for (rule, at, value) in annotations {
            let violations = validator.check(value).err().unwrap_or_default().list;
            findings.extend(violations.iter().map(|violation| {
                let name =
                    if rule == rules::INVALID_DEFAULT { "this default" } else { "this example" };
                let message = format!(
                    "{name} is refused by its own schema: expected {}, found {}",
                    violation.expected, violation.found
                );
                Finding::new(rule, message, Place::value(&file.path, at.clone()))
                    .help("correct it, or the schema beside it")
            }));
        }
    });
    findings
}

/// The values beside a schema that it should accept: by which rule, where, and what.
fn annotations<'a>(at: &str, schema: &'a Value) -> Vec<(&'static Rule, String, &'a Value)> {
    let default = schema
        .get("default")
        .map(|value| (rules::INVALID_DEFAULT, pointer::join(at, "default"), value));
    let examples = schema.get("examples").and_then(Value::as_array).filter(|_| !at.is_empty());
    let below = pointer::join(at, "examples");
    let examples = examples.into_iter().flatten().enumerate();
    let examples =
        examples.map(|(i, value)| (rules::INVALID_EXAMPLE, format!("{below}/{i}"), value));
    default.into_iter().chain(examples).collect()
}

/// The part as a schema of its own, with what it refers to.
fn document(
    file: &SchemaFile,
    at: &str,
    schema: &Value,
    bundle: &Bundle,
    contract: &BundledContract,
) -> Value {
    // Most parts refer to nothing; then the rest of the bundle need not be copied.
    if file.draft == Draft::V2020 && !refers(schema) {
        return schema.clone();
    }
    let mut document = bundle.document(contract);
    document["$ref"] = json!(reference_to(file.definition(), at));
    document
}

fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            members.contains_key("$ref")
                || members.contains_key("$dynamicRef")
                || members.values().any(refers)
        }
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}
