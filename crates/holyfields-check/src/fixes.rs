//! Whether the fix of closed inheritance is right: the examples must pass afterwards.

use std::collections::HashMap;

use bloodbank_core::schema::Validator;
use holyfields::finding::Finding;
use holyfields::{Catalog, pointer, rules};
use serde_json::Value;

/// Takes the offer of a fix away where a contract's own examples are refused after it.
pub fn confirm(catalog: &Catalog, findings: &mut [Finding]) {
    let mut closed: HashMap<&str, Vec<String>> = HashMap::new();
    for finding in findings.iter().filter(|finding| is_closed(finding)) {
        let place = &finding.places[0];
        let file = catalog.files.iter().find(|file| file.path == place.file);
        if let Some(file) = file {
            closed.entry(file.path.as_str()).or_default().push(place.pointer.clone());
        }
    }
    let wrong: Vec<&str> = closed
        .iter()
        .filter(|(path, places)| !examples_pass(catalog, path, places))
        .map(|(path, _)| *path)
        .collect();
    for finding in findings.iter_mut().filter(|finding| is_closed(finding)) {
        if wrong.contains(&finding.places[0].file.as_str()) {
            finding.fix = None;
            finding.help = Some(
                "`\"unevaluatedProperties\": false` would count the base's properties; write it by \
                 hand, and see that the examples pass"
                    .to_owned(),
            );
        }
    }
}

fn is_closed(finding: &Finding) -> bool {
    finding.rule == rules::CLOSED_INHERITANCE && finding.fix.is_some()
}

/// Whether a contract accepts its examples once these places are mended; no for a library, whose
/// heirs have them.
fn examples_pass(catalog: &Catalog, path: &str, places: &[String]) -> bool {
    let mut contracts = catalog.contracts.iter().enumerate();
    let contract = contracts.find(|(_, contract)| catalog.file(contract).path == path);
    let Some((index, contract)) = contract else { return false };
    let bundle = catalog.bundle();
    let mut document = bundle.document(&bundle.contracts[index]);
    let file = catalog.file(contract);
    let root = pointer::join("/$defs", file.definition());
    for place in places {
        let around = place.rsplit_once('/').map_or("", |(around, _)| around);
        if let Some(Value::Object(object)) = document.pointer_mut(&format!("{root}{around}"))
            && let Some(value) = object.remove("additionalProperties")
        {
            object.insert("unevaluatedProperties".to_owned(), value);
        }
    }
    let examples = file.schema.get("examples").and_then(Value::as_array);
    Validator::new(&document).is_ok_and(|validator| {
        examples.into_iter().flatten().all(|example| validator.is_valid(example))
    })
}
