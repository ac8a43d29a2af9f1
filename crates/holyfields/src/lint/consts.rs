//! HF054: a const that the examples of its own base contradict.

use serde_json::Value;

use super::View;
use crate::finding::{Finding, Place};
use crate::resolve::Target;
use crate::{pointer, rules};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    for (contract, _) in view.contracts() {
        let layers = view.layers(&Target { file: contract.file, pointer: String::new() });
        let members = layers
            .all("properties")
            .filter_map(|(layer, members)| Some((&layer.at, members.as_object()?)));
        let members: Vec<_> = members.collect();
        for (at, own) in &members {
            for (name, schema) in *own {
                let Some(fixed) = schema.get("const") else { continue };
                let bases = members.iter().filter(|(other, _)| other != at);
                findings.extend(bases.filter_map(|(base, others)| {
                    let examples = others.get(name)?.get("examples")?.as_array()?;
                    let is_contradicted = !examples.is_empty() && !examples.contains(fixed);
                    is_contradicted.then(|| finding(view, (at, base), name, fixed, examples))
                }));
            }
        }
    }
}

fn finding(
    view: &View<'_>,
    (at, base): (&Target, &Target),
    name: &str,
    fixed: &Value,
    examples: &[Value],
) -> Finding {
    let below = |at: &Target, word| {
        pointer::join(&pointer::join(&pointer::join(&at.pointer, "properties"), name), word)
    };
    let message = format!("`{name}` is always {fixed}, and no example of its base says so");
    let near = fixed.as_str().and_then(|fixed| {
        let texts = examples.iter().filter_map(Value::as_str);
        texts.into_iter().find(|text| text.ends_with(fixed) || fixed.ends_with(text))
    });
    let finding = Finding::new(
        rules::CONTRADICTED_CONST,
        message,
        Place::value(view.path(at), below(at, "const")),
    )
    .also(Place::key(view.path(base), below(base, "examples")).labelled("the base's examples"));
    finding.help(match near {
        Some(near) => format!("is it \"{near}\"? correct the const, or the base's examples"),
        None => "correct the const, or the base's examples".to_owned(),
    })
}
