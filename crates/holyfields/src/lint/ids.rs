//! HF027 and HF028: `$id`s that mirror the folder.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::View;
use crate::file::SchemaFile;
use crate::finding::{Finding, Place};
use crate::fix::{Change, Edit, Safety};
use crate::rules;

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let base = base(view);
    let mut referred = HashSet::new();
    view.each(|_, _, object| {
        let reference = object.get("$ref").and_then(Value::as_str);
        referred.extend(reference.and_then(|reference| reference.split('#').next()));
    });
    for (_, file) in view.files() {
        let Some(id) = file.text("$id") else { continue };
        let wanted = base.map(|base| format!("{base}{}", file.path));
        if id.contains(':') && wanted.as_deref() != Some(id) {
            findings.push(disagreeing(file, id, wanted, referred.contains(id)));
        }
    }
    for (contract, file) in view.contracts().filter(|(_, file)| file.text("$id").is_none()) {
        let message = format!("`{}` has no `$id`", contract.identity.keys[0]);
        let finding = Finding::new(rules::MISSING_ID, message, Place::value(&file.path, ""));
        findings.push(match base {
            Some(base) => missing(finding, file, &format!("{base}{}", file.path)),
            None => finding.help(format!("write a URI that ends in `/{}`", file.path)),
        });
    }
}

/// What stands before the path in most of the `$id`s that end in it.
fn base<'a>(view: &View<'a>) -> Option<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, file) in view.files() {
        let base = file.text("$id").and_then(|id| id.strip_suffix(file.path.as_str()));
        if let Some(base) = base.filter(|base| base.ends_with('/')) {
            *counts.entry(base).or_default() += 1;
        }
    }
    let most = counts.values().copied().max()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(base, _)| base)
}

fn disagreeing(file: &SchemaFile, id: &str, wanted: Option<String>, is_used: bool) -> Finding {
    let message = format!("`$id` does not mirror the path: it is `{id}`, in `{}`", file.path);
    let finding = Finding::new(rules::ID_AGAINST_PATH, message, Place::value(&file.path, "/$id"));
    match wanted {
        None => finding.help(format!("end it in `/{}`", file.path)),
        Some(wanted) if is_used => finding
            .help(format!("write \"{wanted}\", also in the `$ref`s that lead here by this `$id`")),
        Some(wanted) => {
            let change = Change::Replace(Value::String(wanted.clone()));
            let edit = Edit { file: file.path.clone(), pointer: "/$id".to_owned(), change };
            finding.help(format!("write \"{wanted}\"")).fix(Safety::Unsafe, vec![edit])
        }
    }
}

fn missing(finding: Finding, file: &SchemaFile, id: &str) -> Finding {
    let change = Change::Insert {
        name: "$id".to_owned(),
        value: Value::String(id.to_owned()),
        after: Some("$schema".to_owned()),
    };
    let edit = Edit { file: file.path.clone(), pointer: String::new(), change };
    finding.help(format!("write `\"$id\": \"{id}\"`")).fix(Safety::Unsafe, vec![edit])
}
