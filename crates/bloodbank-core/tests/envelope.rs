//! The envelope's schema and its Rust type agree on every envelope.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use bloodbank_core::schema::Validator;
use bloodbank_core::{Contracts, Envelope, EnvelopeError, Meta};
use chrono::{DateTime, Datelike};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/_common/envelope.v1.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
});
static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| Validator::new(&SCHEMA).unwrap());
static CONTRACTS: LazyLock<Contracts> = LazyLock::new(|| {
    let bundle = json!({
        "contracts": [{
            "kind": "event", "keys": ["a.b"], "version": 1, "schema_id": "https://example.test/a.b",
            "title": "a.b", "rust_type": "T", "definition": "any",
        }],
        "services": [],
        "$defs": {"any": true},
    });
    Contracts::from_json(&bundle.to_string()).unwrap()
});

/// The key that most of these envelopes say.
const KEY: &str = "a.b";

/// What the Rust type says of an envelope that travelled under its own key.
fn read(envelope: &Value) -> Result<Envelope, EnvelopeError> {
    let key = envelope.get("event_type").and_then(Value::as_str).unwrap_or(KEY);
    Envelope::read(key, envelope.to_string().as_bytes())
}

fn texts() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(String::new()),
        "[a-z]{1,10}",
        "\\PC{0,5}",
        (
            select(vec!["a", "é", "\u{1f600}", "\0"]),
            select(vec![1, 63, 254, 255, 256, 511, 512, 513])
        )
            .prop_map(|(character, count)| character.repeat(count)),
    ]
    .prop_map(Value::from)
}

fn uuids() -> impl Strategy<Value = Value> {
    let good = any::<u128>().prop_map(uuid::Uuid::from_u128);
    let written = (good, 0..7_usize, 0..40_usize).prop_map(|(id, form, at)| match form {
        0..=2 => id.to_string(),
        3 => id.to_string().to_uppercase(),
        4 => id.simple().to_string(),
        5 => format!("{{{id}}}"),
        _ => {
            let mut text = id.to_string();
            text.replace_range(at % 36..at % 36 + 1, ["-", "g", ""][at % 3]);
            text
        }
    });
    written.prop_map(Value::from)
}

fn times() -> impl Strategy<Value = Value> {
    let date = prop_oneof![
        4 => (0..=9_999, 1..=12, 1..=28).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}")),
        1 => select(vec!["2024-02-29", "2023-02-29", "2024-13-01", "2024-00-10", "24-01-01", "2024-1-1"])
            .prop_map(str::to_owned),
        1 => select(vec!["0000-01-01", "9999-12-31", "+2024-01-01", "-001-01-01"]).prop_map(str::to_owned),
    ];
    let separator = select(vec!["T", "T", "T", "t", " ", "", "_"]);
    let time = prop_oneof![
        4 => (0..24, 0..60, 0..60).prop_map(|(h, m, s)| format!("{h:02}:{m:02}:{s:02}")),
        2 => (0..25, 58..61, 58..62).prop_map(|(h, m, s)| format!("{h:02}:{m:02}:{s:02}")),
        1 => select(vec!["23:59:60", "22:59:60", "1:2:3", "12:00", "120000"]).prop_map(str::to_owned),
    ];
    let fraction = prop_oneof![
        Just(String::new()),
        "\\.[0-9]{0,12}",
        select(vec![",5", ".x", ".5 "]).prop_map(str::to_owned),
    ];
    let offset = prop_oneof![
        4 => Just("Z".to_owned()),
        2 => ("[+-]", 0..24, 0..60).prop_map(|(sign, h, m)| format!("{sign}{h:02}:{m:02}")),
        1 => select(vec!["", "z", "+0100", "+01", "+24:00", "+01:60", " Z", "UTC", "\u{2212}01:00", "+01:00 "])
            .prop_map(str::to_owned),
    ];
    (date, separator, time, fraction, offset)
        .prop_map(|(d, s, t, f, o)| Value::from(format!("{d}{s}{t}{f}{o}")))
}

fn keys() -> impl Strategy<Value = Value> {
    let strange = select(vec![
        "a", "a.", ".a", "a..b", "A.b", "a.1", "a.b_2.v2", "a.b-c", "a.b ", "a.é", "a\n.b", "a.b\n",
    ]);
    let long = (250..260_usize).prop_map(|length| format!("a.{}", "b".repeat(length - 2)));
    prop_oneof![
        strange.prop_map(Value::from),
        "[a-z][a-z0-9_]{0,3}(\\.[a-z][a-z0-9_]{0,3}){1,3}".prop_map(Value::from),
        long.prop_map(Value::from),
    ]
}

fn uris() -> impl Strategy<Value = Value> {
    let known = select(vec![
        "https://example.test/a.b",
        "urn:uuid:67e55044-10b1-426f-9247-bb680e5fe0c8",
        "a:b",
        "a.b",
        "http://[::1]/",
        "http://[::g]/",
        "http://a b/",
        "https://é.test/",
        "http://a/%zz",
        "1:a",
        "mailto:a@b",
        "http://a/#b#c",
        "//a/b",
        "",
        "http://a:b/",
        "http://[v1.a]/",
        "a:",
        ":a",
    ]);
    prop_oneof![
        known.prop_map(Value::from),
        "(https://)?[a-c:/.#?%~_\\[\\]@ é-]{0,12}".prop_map(Value::from)
    ]
}

fn traces() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}".prop_map(Value::from),
        "[0-9a-fA-F]{2}[-_][0-9a-f]{31,33}-[0-9a-f]{16}-[0-9a-f]{2}\\n?".prop_map(Value::from),
    ]
}

fn states() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-z]{1,4}=[ -~\\t]{0,8}".prop_map(Value::from),
        "[a-z=\\n\\x7fé]{0,4}".prop_map(Value::from)
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        texts(),
        Just(json!([])),
        Just(json!({})),
        Just(json!({"n": [1, {"a": null}]})),
    ]
}

/// A field: mostly what it should be or nearly, at times absent or anything else.
fn field(
    name: &'static str,
    good: Value,
    near: impl Strategy<Value = Value> + 'static,
) -> impl Strategy<Value = Option<(String, Value)>> {
    prop_oneof![
        12 => Just(Some(good)),
        2 => near.prop_map(Some),
        1 => anything().prop_map(Some),
        1 => Just(None),
    ]
    .prop_map(move |value| Some((name.to_owned(), value?)))
}

/// Envelopes, and what is nearly one.
fn envelopes() -> impl Strategy<Value = Value> {
    let id = "0195c3b9-4e77-7a21-9d38-5c0b6f1e2a94";
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let required = (
        field("id", json!(id), uuids()),
        field("event_type", json!(KEY), keys()),
        field("source", json!("me"), texts()),
        field("timestamp", json!("2026-03-24T09:30:00.125Z"), times()),
        field("data", json!({"n": 1}), anything()),
    );
    let optional = (
        field("correlation_id", json!(id), uuids()),
        field("causation_id", json!(id), uuids()),
        field("session_id", json!("s"), texts()),
        field("schema", json!("https://example.test/a.b"), uris()),
        field("traceparent", json!(trace), traces()),
        field("tracestate", json!("a=1,b=2"), states()),
        field("tenant", json!("x"), anything()),
    );
    (required, optional).prop_map(|((a, b, c, d, e), (f, g, h, i, j, k, l))| {
        let fields = [a, b, c, d, e, f, g, h, i, j, k, l];
        Value::Object(fields.into_iter().flatten().collect::<Map<_, _>>())
    })
}

/// One field at its turn, so that each is tried hard.
fn one_field() -> impl Strategy<Value = Value> {
    let near: Vec<(&str, BoxedStrategy<Value>)> = vec![
        ("id", uuids().boxed()),
        ("correlation_id", uuids().boxed()),
        ("event_type", keys().boxed()),
        ("source", texts().boxed()),
        ("session_id", texts().boxed()),
        ("timestamp", times().boxed()),
        ("schema", uris().boxed()),
        ("traceparent", traces().boxed()),
        ("tracestate", states().boxed()),
        ("tracestate", texts().boxed()),
        ("data", anything().boxed()),
    ];
    select(near).prop_flat_map(|(name, near)| {
        near.prop_map(move |value| {
            let mut envelope = SCHEMA["examples"][0].clone();
            envelope[name] = value;
            envelope
        })
    })
}

fn agree(envelope: &Value) -> Result<(), TestCaseError> {
    let read = read(envelope);
    prop_assert_eq!(
        VALIDATOR.is_valid(envelope),
        read.is_ok(),
        "the schema and the type disagree: {:?}, {}",
        read,
        envelope
    );
    // At the ends of time an offset leads to a year that cannot be written in UTC; a publisher refuses it.
    if let Ok(envelope) = read
        && (0..=9_999).contains(&envelope.timestamp.year())
    {
        // What was read is written as the schema wants it, and reads the same.
        let written = envelope.to_bytes().unwrap();
        let again = Envelope::from_bytes(&written).unwrap();
        prop_assert_eq!(&again.extra, &envelope.extra);
        prop_assert_eq!(again.timestamp.timestamp_micros(), envelope.timestamp.timestamp_micros());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(2_000)
    })]

    #[test]
    fn the_schema_and_the_type_agree_on_every_envelope(envelope in envelopes()) {
        agree(&envelope)?;
    }

    #[test]
    fn the_schema_and_the_type_agree_on_every_field(envelope in one_field()) {
        agree(&envelope)?;
    }

    #[test]
    fn what_a_publisher_seals_is_an_envelope_by_the_schema(
        source in "\\PC{0,3}|é{250,260}",
        session in prop::option::of("\\PC{0,3}"),
        micros in -62_170_000_000_000_000_i64..253_402_400_000_000_000,
        state in prop::option::of("[ -~\\n]{0,3}"),
        extra in prop::option::of(select(vec!["tenant", "id"])),
    ) {
        let mut meta = Meta::new().with_timestamp(DateTime::from_timestamp_micros(micros).unwrap());
        (meta.session_id, meta.tracestate) = (session, state);
        let mut envelope = Envelope::new(KEY, source, json!({}), meta);
        envelope.extra.extend(extra.map(|name| (name.to_owned(), json!(1))));
        if let Ok(sealed) = CONTRACTS.validate(envelope) {
            let bytes = sealed.to_bytes().unwrap();
            let written: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert!(VALIDATOR.is_valid(&written), "{}", written);
            prop_assert_eq!(&Envelope::read(KEY, &bytes).unwrap(), sealed.get());
        }
    }
}

/// Guards the generators above: both verdicts must be common, or agreeing says little.
#[test]
fn the_generated_envelopes_are_good_and_bad() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut good = 0;
    for _ in 0..500 {
        let envelope = envelopes().new_tree(&mut runner).unwrap().current();
        good += u32::from(read(&envelope).is_ok());
    }
    assert!((50..450).contains(&good), "{good} of 500");
}

#[test]
fn what_is_wrong_is_said_with_its_field() {
    let good = &SCHEMA["examples"][0];
    assert_eq!(read(good), Ok(Envelope::from_bytes(good.to_string().as_bytes()).unwrap()));
    let said = |field: &str, value: Value| {
        let mut envelope = good.clone();
        envelope[field] = value;
        read(&envelope).unwrap_err().to_string()
    };
    let bounds = "not an envelope as its schema wants it: (envelope)/";
    assert_eq!(
        said("source", json!("")),
        format!("{bounds}source  expected 1 to 255 characters, found \"\"")
    );
    assert!(said("data", json!([1])).starts_with(&format!("{bounds}data  expected an object")));
    assert!(said("id", json!("7")).starts_with("not an envelope: invalid value: string \"7\""));
    let other = Envelope::read("a.b", good.to_string().as_bytes()).unwrap_err().to_string();
    assert_eq!(other, "it travelled as `a.b` and says that it is `theboard.meeting.created.v2`");
}
