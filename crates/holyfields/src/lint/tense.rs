//! HF029: events say what happened, commands what to do.

use super::View;
use crate::finding::{Finding, Place};
use crate::identity;
use crate::key::{Kind, RoutingKey};
use crate::rules;

/// Past forms that do not end in `ed`.
const IRREGULAR: [&str; 84] = [
    "became",
    "begun",
    "bent",
    "bet",
    "bound",
    "bought",
    "broken",
    "brought",
    "built",
    "burnt",
    "caught",
    "chosen",
    "come",
    "cut",
    "dealt",
    "done",
    "drawn",
    "driven",
    "fallen",
    "felt",
    "forgotten",
    "fought",
    "found",
    "frozen",
    "given",
    "gone",
    "got",
    "grown",
    "heard",
    "held",
    "hidden",
    "hit",
    "hung",
    "kept",
    "known",
    "laid",
    "learnt",
    "left",
    "lent",
    "let",
    "lit",
    "lost",
    "made",
    "meant",
    "met",
    "overridden",
    "overwritten",
    "paid",
    "put",
    "read",
    "rebuilt",
    "redone",
    "reset",
    "resent",
    "rewritten",
    "risen",
    "run",
    "said",
    "seen",
    "sent",
    "set",
    "shown",
    "shut",
    "sold",
    "spent",
    "split",
    "spoken",
    "stolen",
    "stuck",
    "sunk",
    "taken",
    "taught",
    "thought",
    "thrown",
    "told",
    "undone",
    "understood",
    "withdrawn",
    "woken",
    "won",
    "worn",
    "wound",
    "written",
    "ready",
];

/// Words that end in `ed` and are no past forms.
const NOT_PAST: [&str; 8] =
    ["embed", "exceed", "feed", "need", "proceed", "seed", "speed", "succeed"];

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let settings = &view.catalog.settings.tense;
    for (contract, file) in view.contracts() {
        for key in &contract.identity.keys {
            let listed = |words: &[String]| {
                action(key).split('_').any(|word| words.iter().any(|listed| listed == word))
            };
            let (message, help) = match contract.identity.kind {
                Kind::Event if !is_past(action(key)) && !listed(&settings.events) => (
                    format!(
                        "`{key}` is an event, and its last word does not say that something happened"
                    ),
                    "end it in a past form, as in `created` or `sent`",
                ),
                Kind::Command if is_past(action(key)) && !listed(&settings.commands) => (
                    format!("`{key}` is a command, and its last word says that it is done already"),
                    "end it in what is to be done, as in `create` or `send`",
                ),
                _ => continue,
            };
            let place = identity::named_key_place(file).unwrap_or_else(|| Place::file(&file.path));
            let list = match contract.identity.kind {
                Kind::Event => "events",
                Kind::Command => "commands",
            };
            let help = format!("{help}, or list the word in bloodbank.toml under `tense.{list}`");
            findings.push(Finding::new(rules::TENSE, message, place).help(help));
        }
    }
}

fn action(key: &RoutingKey) -> &str {
    key.words().last().unwrap_or_default()
}

/// Whether one of the words of an action is a past form: `ready_for_review`, `signed_in`.
fn is_past(action: &str) -> bool {
    action.split('_').any(|word| {
        let regular = word.len() > 3 && word.ends_with("ed") && !NOT_PAST.contains(&word);
        regular || IRREGULAR.contains(&word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_forms() {
        for word in ["created", "sent", "signed_in", "ready_for_review", "rebuilt", "failed"] {
            assert!(is_past(word), "{word}");
        }
        for word in ["create", "feed", "send", "prompt", "succeed", "red", "review"] {
            assert!(!is_past(word), "{word}");
        }
    }
}
