//! HF072, as far as it needs no validator: branches that no value can match.

use serde_json::Value;

use super::View;
use crate::finding::{Finding, Place};
use crate::resolve::Target;
use crate::rules;
use crate::shape::layers::{Layers, below};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    view.each(|_, at, object| {
        for keyword in ["oneOf", "anyOf"] {
            let Some(branches) = object.get(keyword).and_then(Value::as_array) else { continue };
            let around = view.layers(&at);
            for (index, branch) in branches.iter().enumerate() {
                let here = below(&at, keyword, index);
                let twin = branches.iter().take(index).position(|other| other == branch);
                let why = match twin.filter(|_| keyword == "oneOf") {
                    Some(twin) => Some(format!(
                        "it is the same as branch {}, and `oneOf` refuses what matches both",
                        twin + 1
                    )),
                    None => dead(view, &here, branch, &around),
                };
                findings.extend(why.map(|why| finding(view, &here, index, &why)));
            }
        }
    });
}

fn finding(view: &View<'_>, at: &Target, index: usize, why: &str) -> Finding {
    let message = format!("branch {} can never match: {why}", index + 1);
    Finding::new(rules::DEAD_BRANCH, message, Place::value(view.path(at), &at.pointer))
        .help("correct the branch, or remove it")
}

fn dead(view: &View<'_>, at: &Target, branch: &Value, around: &Layers<'_>) -> Option<String> {
    if branch == &Value::Bool(false) {
        return Some("it is `false`".to_owned());
    }
    let (inside, outside) = (view.layers(at).types()?, around.types()?);
    let is_number = |word: &str| word == "integer" || word == "number";
    let overlap = inside.iter().any(|one| {
        outside.iter().any(|other| one == other || (is_number(one) && is_number(other)))
    });
    let words = |types: std::collections::BTreeSet<&str>| Vec::from_iter(types).join("` or `");
    (!overlap)
        .then(|| format!("it asks for `{}`, and around it is `{}`", words(inside), words(outside)))
}
