//! HF045: words that are no keywords.

use super::View;
use crate::file::Draft;
use crate::finding::{Finding, Place};
use crate::{pointer, rules, suggest};

/// Keywords of both drafts.
const COMMON: [&str; 42] = [
    "$comment",
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "default",
    "definitions",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
];

/// Those of both that need no more than a mention.
const REST: [&str; 4] = ["title", "type", "uniqueItems", "writeOnly"];

/// Keywords of 2020-12 alone, and what draft-07 has for them.
const NEW: [(&str, &str); 13] = [
    ("$anchor", "`$id` with a fragment"),
    ("$dynamicAnchor", "nothing"),
    ("$dynamicRef", "nothing"),
    ("$vocabulary", "nothing"),
    ("contentSchema", "nothing"),
    ("dependentRequired", "`dependencies`"),
    ("dependentSchemas", "`dependencies`"),
    ("maxContains", "nothing"),
    ("minContains", "nothing"),
    ("prefixItems", "`items` with a list"),
    ("unevaluatedItems", "nothing"),
    ("unevaluatedProperties", "nothing"),
    ("$recursiveRef", "nothing"),
];

/// Keywords of draft-07 alone, and what 2020-12 has for them.
const OLD: [(&str, &str); 2] = [
    ("additionalItems", "`items` beside `prefixItems`"),
    ("dependencies", "`dependentRequired` and `dependentSchemas`"),
];

/// Words of OpenAPI and older drafts that people bring along, and how to say it here.
const FOREIGN: [(&str, &str); 6] = [
    ("discriminator", "give each branch a property with a `const` of its own"),
    ("divisibleBy", "write `multipleOf`"),
    ("example", "write `\"examples\": [ … ]`"),
    ("extends", "write `\"allOf\": [{ \"$ref\": … }]`"),
    ("id", "write `$id`"),
    ("nullable", "write `\"type\": [ … , \"null\"]`"),
];

/// The words of our own.
const OWN: [&str; 4] = [
    "x-bloodbank-counterexamples",
    "x-bloodbank-kind",
    "x-bloodbank-reply",
    "x-bloodbank-sensitive",
];

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    view.each(|file, at, object| {
        for word in object.keys() {
            if let Some((message, help)) = fault(word, file.draft) {
                let place = Place::key(&file.path, pointer::join(&at.pointer, word));
                findings.push(Finding::new(rules::UNKNOWN_KEYWORD, message, place).help(help));
            }
        }
    });
}

/// What is wrong with a word at a place of keywords, and what to do; none for a keyword.
fn fault(word: &str, draft: Draft) -> Option<(String, String)> {
    let here = |words: &[(&str, &str)]| {
        words.iter().find(|(keyword, _)| *keyword == word).map(|(_, other)| (*other).to_owned())
    };
    let is_free = word.starts_with("x-") && !word.starts_with("x-bloodbank-");
    if COMMON.contains(&word) || REST.contains(&word) || OWN.contains(&word) || is_free {
        return None;
    }
    let (own, other, name, other_name) = match draft {
        Draft::V2020 => (&NEW[..], &OLD[..], "2020-12", "draft-07"),
        Draft::V7 => (&OLD[..], &NEW[..], "draft-07", "2020-12"),
    };
    if own.iter().any(|(keyword, _)| *keyword == word) {
        return None;
    }
    if let Some(instead) = here(other) {
        let message = format!("`{word}` is a keyword of {other_name}; {name} ignores it");
        let help = match instead.as_str() {
            "nothing" => format!("{name} has nothing for it: change `$schema`, or remove the word"),
            instead => format!("{name} has {instead} for it"),
        };
        return Some((message, help));
    }
    let message = format!("`{word}` is no keyword of JSON Schema: nothing checks it");
    if let Some(help) = here(&FOREIGN) {
        return Some((message, help));
    }
    let known = COMMON.into_iter().chain(REST).chain(OWN).chain(own.iter().map(|(word, _)| *word));
    let help = match suggest::nearest(word, known).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => "remove it; a word of your own begins with `x-`".to_owned(),
    };
    Some((message, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_draft_has_its_words() {
        for word in ["type", "definitions", "x-owner", "x-bloodbank-kind"] {
            assert_eq!(fault(word, Draft::V2020), None, "{word}");
            assert_eq!(fault(word, Draft::V7), None, "{word}");
        }
        assert_eq!(fault("prefixItems", Draft::V2020), None);
        assert!(fault("prefixItems", Draft::V7).unwrap().1.contains("`items` with a list"));
        assert!(fault("dependencies", Draft::V2020).unwrap().0.contains("draft-07"));
    }

    #[test]
    fn a_slip_has_a_suggestion_and_a_foreign_word_a_translation() {
        let help = |word| fault(word, Draft::V2020).unwrap().1;
        assert_eq!(help("requierd"), "did you mean `required`?");
        assert_eq!(help("x-bloodbank-sensitve"), "did you mean `x-bloodbank-sensitive`?");
        assert!(help("nullable").contains("\"null\""));
        assert!(help("flavour").contains("begins with `x-`"));
    }
}
