//! Our own contracts, and the code made from them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bloodbank::events::{self, AnyEvent, keys};
use bloodbank::serde_json::{self, json};
use bloodbank::{Contract, Kind, RoutingKey};

use crate::scratch::workspace;

#[test]
fn every_example_holds() {
    let checked = events::examples::check().unwrap_or_else(|failures| panic!("{failures}"));
    assert_eq!(checked.contracts, events::contracts().bundle().contracts.len());
    assert!(checked.examples >= checked.contracts, "a contract has no example: {checked}");
    assert!(checked.counterexamples >= checked.contracts, "a contract refuses nothing: {checked}");
}

/// What the build script has no use for, and the commands that write it.
const ONLY_IN_THE_MIRROR: [(&str, &str); 2] = [
    ("registry.schema.json", "cargo xtask codegen"),
    ("openapi.json", "cargo bloodbank openapi > generated/openapi.json"),
];

#[test]
fn the_checked_in_mirror_is_what_the_build_script_made() {
    let mut mirror = files(&workspace().join("generated"));
    let built = files(&Path::new(env!("OUT_DIR")).join("bloodbank"));
    assert!(built.contains_key("rust/events.rs"), "the build script made nothing");
    for (name, command) in ONLY_IN_THE_MIRROR {
        assert!(mirror.remove(name).is_some(), "{name} is gone: run `{command}`");
    }
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&mirror), names(&built), "run `cargo xtask codegen`");
    for (path, contents) in &built {
        assert_eq!(mirror.get(path), Some(contents), "{path}: run `cargo xtask codegen`");
    }
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn keys_lists_every_key_once() {
    let contracts = events::contracts();
    let bundle = contracts.bundle();
    let routes: Vec<String> = bundle.contracts.iter().flat_map(|c| c.routes()).collect();
    assert_eq!(keys::ALL, routes);
}

#[test]
fn every_event_decodes_by_its_key() {
    let contracts = events::contracts();
    let bundle = contracts.bundle();
    for contract in bundle.contracts.iter().filter(|contract| contract.kind == Kind::Event) {
        let routes: Vec<String> = contract.routes().collect();
        for example in bundle.examples(contract) {
            // One contract may have several keys; then the payload says which.
            let named = routes.iter().find(|route| example["event_type"] == route.as_str());
            let route = named.unwrap_or(&routes[0]).clone();
            let event = AnyEvent::decode(&route, example.to_string().as_bytes()).unwrap();
            assert_eq!(event.key(), route);
            assert!(!matches!(event, AnyEvent::Unknown { .. }), "{route}");
        }
    }
}

#[test]
fn an_event_with_an_unknown_key_is_kept_as_data() {
    let event = AnyEvent::decode("somebody.else.spoke", br#"{"a":1}"#).unwrap();
    let expected = json!({ "a": 1 });
    assert!(
        matches!(event, AnyEvent::Unknown { key, data } if key == "somebody.else.spoke" && data == expected)
    );
    assert!(AnyEvent::decode("somebody.else.spoke", b"{").is_err());
}

#[test]
fn an_event_that_breaks_its_contract_does_not_decode() {
    assert!(AnyEvent::decode(keys::LLM_PROMPT, b"{}").is_err());
}

#[test]
fn a_sensitive_field_is_not_shown_by_debug() {
    let prompt = events::llm::Prompt::new(Default::default(), "Alice", "model", "the secret");
    let shown = format!("{prompt:?}");
    assert!(shown.contains("Alice") && !shown.contains("the secret"), "{shown}");
}

#[test]
fn both_versions_of_a_key_live_side_by_side() {
    use events::theboard::{MeetingCreated, MeetingCreatedV2};
    assert_eq!(MeetingCreated::KEYS, ["theboard.meeting.created"]);
    assert_eq!(MeetingCreatedV2::KEYS, ["theboard.meeting.created.v2"]);
    assert_eq!((MeetingCreated::VERSION, MeetingCreatedV2::VERSION), (1, 2));
    let bare: RoutingKey = MeetingCreated::KEYS[0].parse().unwrap();
    assert_eq!(bare.route(2), MeetingCreatedV2::KEYS[0]);
}

/// The Rust struct of the envelope, and the schema that defines it.
#[test]
fn the_envelope_is_what_its_schema_says() {
    let text = fs::read_to_string(workspace().join("schemas/_common/envelope.v1.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    let fields: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let meta = bloodbank::Meta::new()
        .with_correlation_id(Default::default())
        .with_causation_id(Default::default())
        .with_session_id("s")
        .with_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .with_tracestate("a=1");
    let mut envelope = bloodbank::Envelope::new("a.b.c", "test", json!({}), meta);
    envelope.schema = Some("https://example.com".into());
    let written = serde_json::to_value(&envelope).unwrap();
    let mut written: Vec<&String> = written.as_object().unwrap().keys().collect();
    let mut fields = fields;
    fields.sort();
    written.sort();
    assert_eq!(written, fields);
    for example in schema["examples"].as_array().unwrap() {
        bloodbank::Envelope::from_bytes(example.to_string().as_bytes()).unwrap();
    }
}
