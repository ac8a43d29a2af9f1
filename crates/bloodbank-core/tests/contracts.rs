//! Contracts as generated code and the bus use them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::LazyLock;

use bloodbank_core::codec::{self, DecodeError, Payload};
use bloodbank_core::examples::Check;
use bloodbank_core::{CheckError, Contract, Contracts, Envelope, Event, Kind, Meta};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

static CONTRACTS: LazyLock<Contracts> = LazyLock::new(|| with_counterexample(json!({"topic": 1})));

fn with_counterexample(data: Value) -> Contracts {
    let schema = json!({
        "type": "object",
        "properties": {
            "topic": {"type": "string", "maxLength": 5},
            "count": {"type": "integer", "maximum": 10_000_000_000_i64},
        },
        "required": ["topic"],
        "examples": [{"topic": "a"}, {"count": 3, "topic": "b"}],
        "x-bloodbank-counterexamples": [{"why": "it is no text", "data": data}],
    });
    let contract = |kind: &str, keys: &[&str], version: u32| {
        json!({
            "kind": kind, "keys": keys, "version": version, "schema_id": "s", "title": "t",
            "rust_type": "t", "definition": "meeting",
        })
    };
    let bundle = json!({
        "contracts": [
            contract("event", &["theboard.meeting.created"], 1),
            contract("event", &["theboard.meeting.created"], 2),
            contract("event", &["llm.prompt", "llm.answer"], 1),
            contract("command", &["theboard.meeting.create"], 1),
        ],
        "$defs": {"meeting": schema},
    });
    Contracts::from_json(&bundle.to_string()).unwrap()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Meeting {
    topic: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u8>,
}

impl Contract for Meeting {
    const KIND: Kind = Kind::Event;
    const KEYS: &'static [&'static str] = &["theboard.meeting.created"];
    const VERSION: u32 = 1;
    const SCHEMA_ID: &'static str = "s";

    fn contracts() -> Contracts {
        CONTRACTS.clone()
    }
}

impl Event for Meeting {}

#[test]
fn routes_carry_the_version() {
    for route in
        ["theboard.meeting.created", "theboard.meeting.created.v2", "llm.prompt", "llm.answer"]
    {
        assert!(CONTRACTS.contract(route).is_some(), "{route}");
    }
    assert_eq!(CONTRACTS.contract("theboard.meeting.created.v2").unwrap().version, 2);
    assert!(CONTRACTS.contract("theboard.meeting.created.v1").is_none());
}

#[test]
fn unknown_keys_come_with_suggestions() {
    let error = CONTRACTS.check("theboard.meeting.craeted", &json!({})).unwrap_err();
    let CheckError::UnknownKey(unknown) = error else { panic!("{error:?}") };
    assert_eq!(unknown.suggestions[0], "theboard.meeting.created");
    assert!(unknown.suggestions.len() <= 3);
    assert!(unknown.to_string().contains("did you mean `theboard.meeting.created`"), "{unknown}");
}

#[test]
fn validated_knows_its_kind() {
    let envelope = |key: &str| Envelope::new(key, "s", json!({"topic": "a"}), Meta::new());
    let event = CONTRACTS.validate(envelope("theboard.meeting.created")).unwrap();
    assert_eq!(
        (event.kind(), event.event_type.as_str()),
        (Kind::Event, "theboard.meeting.created")
    );
    let command = CONTRACTS.validate(envelope("theboard.meeting.create")).unwrap();
    assert_eq!(command.kind(), Kind::Command);
    let refused = Envelope::new("llm.prompt", "s", json!({"topic": 1}), Meta::new());
    assert!(matches!(CONTRACTS.validate(refused), Err(CheckError::Refused(_))));
}

#[test]
fn a_digest_names_the_schema_that_judges() {
    let digest = |contracts: &Contracts, key| contracts.digest(key);
    let key = "theboard.meeting.created";
    assert!(digest(&CONTRACTS, key).is_some());
    assert_eq!(digest(&CONTRACTS, key), digest(&with_counterexample(json!({"topic": 1})), key));
    assert_ne!(digest(&CONTRACTS, key), digest(&with_counterexample(json!({"topic": 2})), key));
    assert_eq!(digest(&CONTRACTS, "no.such.key"), None);
    let envelope = Envelope::new(key, "s", json!({"topic": "a"}), Meta::new());
    let validated = CONTRACTS.validate(envelope).unwrap();
    assert_eq!(Some(validated.schema()), CONTRACTS.digest(key));
}

#[test]
fn a_value_can_be_checked_early() {
    assert!(Meeting { topic: "short".into(), count: None }.validate().is_ok());
    let error = Meeting { topic: "longer".into(), count: None }.validate().unwrap_err();
    assert_eq!(error.violations()[0].pointer, "/topic");
}

#[test]
fn decoding_names_the_step_that_failed() {
    let decode = |text: &str| codec::decode::<Meeting>("theboard.meeting.created", text.as_bytes());
    assert_eq!(decode(r#"{"topic":"a"}"#).unwrap().topic, "a");
    assert!(matches!(decode("{\n\"topic\" 1}"), Err(DecodeError::Syntax { line: 2, .. })));
    assert!(matches!(decode(r#"{"topic":1}"#), Err(DecodeError::Refused(_))));
    assert!(matches!(decode(r#"{"topic":"a","count":999}"#), Err(DecodeError::Shape { .. })));
    let other = codec::decode::<Meeting>("llm.prompt", br#"{"topic":"a"}"#);
    assert!(matches!(other, Err(DecodeError::OtherKey { .. })));
    let unknown = codec::decode::<Meeting>("a.b", b"{}");
    assert!(matches!(unknown, Err(DecodeError::UnknownKey(_))));
}

/// As generated code writes it.
#[derive(Debug, PartialEq)]
enum AnyEvent {
    Meeting(Meeting),
    Unknown(String),
}

impl Payload for AnyEvent {
    fn from_valid(key: &str, payload: &Value) -> Result<Self, DecodeError> {
        Ok(match key {
            "theboard.meeting.created" => AnyEvent::Meeting(Payload::from_valid(key, payload)?),
            _ => AnyEvent::Unknown(key.to_owned()),
        })
    }
}

#[test]
fn any_event_takes_unknown_keys_and_json_does_not() {
    let any = |key, bytes| codec::decode_any::<AnyEvent>(&CONTRACTS, key, bytes);
    assert!(matches!(
        any("theboard.meeting.created", br#"{"topic":"a"}"#),
        Ok(AnyEvent::Meeting(_))
    ));
    assert!(matches!(any("theboard.meeting.created", b"{}"), Err(DecodeError::Refused(_))));
    assert_eq!(any("some.body.spoke", b"{}").unwrap(), AnyEvent::Unknown("some.body.spoke".into()));
    let json = codec::decode_any::<Value>(&CONTRACTS, "some.body.spoke", b"{}");
    assert!(matches!(json, Err(DecodeError::UnknownKey(_))));
}

#[test]
fn examples_are_counted() {
    let checked = Check::new(CONTRACTS.clone()).contract::<Meeting>().finish().unwrap();
    assert_eq!((checked.contracts, checked.examples, checked.counterexamples), (1, 2, 1));
}

#[test]
fn every_failing_example_is_listed() {
    #[derive(Serialize, Deserialize)]
    struct Forgetful {}
    impl Contract for Forgetful {
        const KIND: Kind = Kind::Event;
        const KEYS: &'static [&'static str] = &["theboard.meeting.created"];
        const VERSION: u32 = 1;
        const SCHEMA_ID: &'static str = "s";
        fn contracts() -> Contracts {
            CONTRACTS.clone()
        }
    }
    let contracts = with_counterexample(json!({"topic": "fine"}));
    let failures = Check::new(contracts).contract::<Forgetful>().finish().unwrap_err();
    let places: Vec<_> = failures.failures.iter().map(|failure| failure.place.as_str()).collect();
    assert_eq!(places, ["examples/0", "examples/1", "counterexamples/0"]);
    assert!(failures.to_string().starts_with("3 examples fail\n"), "{failures}");
}

#[test]
fn threads_share_the_validators() {
    let contracts = with_counterexample(json!(null));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let contracts = &contracts;
            scope.spawn(move || {
                for i in 0..200 {
                    let topic = "x".repeat((thread + i) % 10);
                    let result = contracts.check("llm.answer", &json!({"topic": topic}));
                    assert_eq!(result.is_ok(), topic.len() <= 5);
                }
            });
        }
    });
}
