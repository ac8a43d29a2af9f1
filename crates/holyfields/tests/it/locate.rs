//! From a pointer to a place in a text, and keys and patterns, on random input.

use holyfields::key::{RoutingKey, TopicPattern};
use holyfields::pointer;
use holyfields::source::{Part, Sources};
use proptest::prelude::*;
use serde_json::Value;

/// AMQP 0-9-1, section 3.1.3.3, word by word.
fn matches(pattern: &[&str], words: &[&str]) -> bool {
    match (pattern, words) {
        ([], []) => true,
        (["#", rest @ ..], _) => {
            matches(rest, words) || !words.is_empty() && matches(pattern, &words[1..])
        }
        ([part, rest @ ..], [word, others @ ..]) => {
            (*part == "*" || part == word) && matches(rest, others)
        }
        _ => false,
    }
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // serde_json reads long fractions to within a bit; these it reads exactly.
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
        any::<String>().prop_map(Value::from),
        "[\\[\\]{}\",:\\\\/~ ]{0,6}".prop_map(Value::from),
    ];
    let name = prop_oneof![any::<String>(), "[ab/~\"\\\\{}]{0,3}"];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Every pointer of a document with what it leads to.
fn pointers(value: &Value, at: String, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, format!("{at}/{index}"), found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                pointers(member, pointer::join(&at, name), found);
            }
        }
        _ => {}
    }
    found.push((at, value.clone()));
}

proptest! {
    #[test]
    fn patterns_match_as_the_naive_matcher_says(
        pattern in "([ab]|\\*|#)(\\.([ab]|\\*|#)){0,6}",
        route in "[ab](\\.[ab]){0,6}",
    ) {
        let (parts, words): (Vec<_>, Vec<_>) =
            (pattern.split('.').collect(), route.split('.').collect());
        let parsed: TopicPattern = pattern.parse().unwrap();
        prop_assert_eq!(parsed.matches(&route), matches(&parts, &words));
    }

    #[test]
    fn keys_come_back_from_their_text(key in "[a-z][a-z0-9_]{0,8}(\\.[a-z][a-z0-9_]{0,8}){1,4}") {
        match key.parse::<RoutingKey>() {
            Ok(parsed) => {
                prop_assert_eq!(parsed.to_string(), key.as_str());
                let json = serde_json::to_string(&parsed).unwrap();
                prop_assert_eq!(serde_json::from_str::<RoutingKey>(&json).unwrap(), parsed);
            }
            // The one thing that the pattern above lets through.
            Err(error) => prop_assert!(error.to_string().contains("ends in a version")),
        }
    }

    #[test]
    fn no_text_makes_a_key_panic(text in any::<String>()) {
        if let Ok(key) = text.parse::<RoutingKey>() {
            prop_assert_eq!(key.as_str(), text.as_str());
        }
        if let Ok(pattern) = text.parse::<TopicPattern>() {
            prop_assert_eq!(pattern.as_str(), text.as_str());
            pattern.matches(&text);
        }
    }

    #[test]
    fn a_pointer_leads_to_its_value(document in documents(), pretty in any::<bool>()) {
        let text = match pretty {
            true => serde_json::to_string_pretty(&document).unwrap(),
            false => document.to_string(),
        };
        let mut sources = Sources::default();
        sources.insert("f", text.as_str());
        let mut found = Vec::new();
        pointers(&document, String::new(), &mut found);
        for (at, value) in found {
            let range = sources.locate("f", &at, Part::Value).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&text[range]).unwrap(), value);
            let name = sources.locate("f", &at, Part::Key).unwrap();
            let last = at.rsplit('/').next().unwrap();
            if let Ok(name) = serde_json::from_str::<String>(&text[name]) && text.starts_with('{') {
                let is_item = last.parse::<usize>().is_ok();
                prop_assert!(is_item || name == pointer::unescape(last));
            }
        }
        prop_assert_eq!(sources.locate("f", "/no such/pointer", Part::Value), None);
    }
}
