//! HF082: properties that look like secrets and are not marked.

use serde_json::{Value, json};

use super::View;
use crate::file::Draft;
use crate::finding::{Finding, Place};
use crate::fix::{Change, Edit, Safety};
use crate::resolve::Target;
use crate::{pointer, rules};

/// Our mark: a value that is never shown.
const MARK: &str = "x-bloodbank-sensitive";

/// Words that name a secret wherever they stand.
const SECRETS: [&str; 12] = [
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "secret",
    "secrets",
    "ssn",
];

/// Neighbours that name one only together.
const PAIRS: [(&str, &str); 9] = [
    ("access", "key"),
    ("access", "token"),
    ("api", "key"),
    ("auth", "token"),
    ("bearer", "token"),
    ("credit", "card"),
    ("private", "key"),
    ("refresh", "token"),
    ("session", "token"),
];

/// Words behind which it is only spoken of: `password_hint`, `secret_id`, `token_type`.
const HARMLESS: [&str; 12] = [
    "at", "count", "expiry", "id", "kind", "length", "name", "policy", "ref", "type", "used",
    "version",
];

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    view.each(|file, at, object| {
        let members = object.get("properties").and_then(Value::as_object);
        for (name, member) in members.into_iter().flatten() {
            let below = pointer::join(&pointer::join(&at.pointer, "properties"), name);
            let here = Target { file: at.file, pointer: below };
            if !names_a_secret(name) || member.get("const").is_some() {
                continue;
            }
            let layers = view.layers(&here);
            let may_be_text = layers.types().is_none_or(|types| types.contains("string"));
            if !may_be_text || layers.is_marked(MARK) {
                continue;
            }
            let message = format!("`{name}` looks like a secret, and logs and errors may show it");
            let place = Place::key(&file.path, &here.pointer);
            let mut finding = Finding::new(rules::UNMARKED_SECRET, message, place)
                .help(format!("add `\"{MARK}\": true`, or allow it in bloodbank.toml"));
            // Beside a draft-07 `$ref` nothing reads the mark.
            let is_lone = file.draft == Draft::V7 && member.get("$ref").is_some();
            if member.is_object() && !is_lone {
                let change = Change::Insert { name: MARK.into(), value: json!(true), after: None };
                let edit = Edit { file: file.path.clone(), pointer: here.pointer, change };
                finding = finding.fix(Safety::Safe, vec![edit]);
            }
            findings.push(finding);
        }
    });
}

/// Whether a name, in any of the usual spellings, is that of a secret.
fn names_a_secret(name: &str) -> bool {
    let words = words(name);
    if words.last().is_some_and(|last| HARMLESS.contains(&last.as_str())) {
        return false;
    }
    let is_pair = |pair: &[String]| PAIRS.contains(&(pair[0].as_str(), pair[1].as_str()));
    let is_token = words.len() == 1 && words[0] == "token";
    is_token
        || words.iter().any(|word| SECRETS.contains(&word.as_str()))
        || words.windows(2).any(is_pair)
}

/// `sessionToken`, `session_token` and `session-token` are the same two words.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_is_small = false;
    for letter in name.chars() {
        let starts = letter.is_uppercase() && before_is_small;
        if starts || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        before_is_small = letter.is_lowercase() || letter.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_in_any_spelling_and_names_that_only_speak_of_them() {
        for name in ["password", "apiKey", "API_KEY", "db-password", "token", "session_token"] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in [
            "token_count",
            "max_tokens",
            "prompt_tokens",
            "tokens_used",
            "token_type",
            "key",
            "secret_id",
            "password_policy",
            "spin",
            "author",
            "session_id",
            "authorized_by",
        ] {
            assert!(!names_a_secret(name), "{name}");
        }
    }
}
