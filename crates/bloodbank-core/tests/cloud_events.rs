//! Envelopes as CloudEvents, and back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bloodbank_core::cloud_event::{EXTRA, FOREIGN_ID};
use bloodbank_core::{Code, Envelope, EnvelopeError, Meta};
use chrono::DateTime;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const KEY: &str = "lot.parcel";

fn envelope(meta: Meta) -> Envelope {
    Envelope::new(KEY, "lot", json!({"n": 1}), meta)
}

fn event() -> Map<String, Value> {
    let event = json!({
        "specversion": "1.0", "id": "0195c3b9-4e77-7a21-9d38-5c0b6f1e2a94", "source": "/lot",
        "type": KEY, "time": "2026-01-31T13:00:00+01:00", "data": {"n": 1},
    });
    event.as_object().unwrap().clone()
}

/// Why a CloudEvent with this attribute otherwise is not taken in.
fn refused(name: &str, value: Option<Value>) -> String {
    let mut event = event();
    event.remove(name);
    event.extend(value.map(|value| (name.to_owned(), value)));
    Envelope::read_cloud_event(KEY, event).unwrap_err().to_string()
}

#[test]
fn the_attributes_are_those_of_the_specification_and_its_extensions() {
    let id = Uuid::from_u128(7);
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let meta = Meta::new().with_id(id).with_correlation_id(id).with_causation_id(id);
    let meta = meta.with_session_id("s").with_traceparent(traceparent).with_tracestate("a=1");
    let meta = meta.with_timestamp(DateTime::from_timestamp(0, 0).unwrap());
    let mut envelope = envelope(meta);
    envelope.schema = Some("https://example.test/lot".to_owned());
    let expected = json!({
        "specversion": "1.0", "id": id, "source": "lot", "type": KEY,
        "time": "1970-01-01T00:00:00.000000Z", "datacontenttype": "application/json",
        "dataschema": "https://example.test/lot", "correlationid": id, "causationid": id,
        "sessionid": "s", "traceparent": traceparent, "tracestate": "a=1", "data": {"n": 1},
    });
    assert_eq!(Value::Object(envelope.to_cloud_event().unwrap()), expected);
}

#[test]
fn a_foreign_event_is_an_envelope_and_keeps_its_extensions() {
    let mut foreign = event();
    let more = json!({"subject": "7", "tenant": 8, "urgent": true, "nothing": null});
    foreign.extend(more.as_object().unwrap().clone());
    foreign.insert("datacontenttype".to_owned(), json!("application/vnd.lot+json; charset=utf-8"));
    let envelope = Envelope::read_cloud_event(KEY, foreign).unwrap();
    assert_eq!((&*envelope.source, &*envelope.event_type), ("/lot", KEY));
    assert_eq!(envelope.timestamp.to_rfc3339(), "2026-01-31T12:00:00+00:00");
    let extra = json!({"subject": "7", "tenant": 8, "urgent": true});
    assert_eq!(Value::Object(envelope.extra), extra);
}

#[test]
fn an_id_that_is_not_a_uuid_gives_one_and_is_kept() {
    let read = |id: &str, source: &str| {
        let mut event = event();
        event.insert("id".to_owned(), json!(id));
        event.insert("source".to_owned(), json!(source));
        Envelope::read_cloud_event(KEY, event).unwrap()
    };
    let one = read("A-1", "/lot");
    assert_eq!(one, read("A-1", "/lot"));
    assert_eq!(one.extra[FOREIGN_ID], "A-1");
    assert_ne!(one.id, read("A-2", "/lot").id);
    assert_ne!(one.id, read("A-1", "/yard").id);
    // Passed on as a CloudEvent it is the same envelope.
    let again = Envelope::read_cloud_event(KEY, one.to_cloud_event().unwrap()).unwrap();
    assert_eq!(again, one);
}

#[test]
fn what_is_not_an_event_of_version_1_with_json_is_refused() {
    let cases = [
        ("specversion", None, "without `specversion`"),
        ("specversion", Some(json!("0.3")), "CloudEvents \"0.3\" are not taken in"),
        ("specversion", Some(json!(1.0)), "CloudEvents 1.0 are not taken in"),
        ("id", None, "without `id`"),
        ("id", Some(json!(7)), "without `id`"),
        ("time", None, "without `time`"),
        ("time", Some(json!("noon")), "RFC 3339"),
        ("source", None, "missing field `source`"),
        ("type", None, "missing field `event_type`"),
        ("type", Some(json!("lot.other")), "says that it is `lot.other`"),
        ("data", None, "without `data`"),
        ("data", Some(json!("text")), "expected an object"),
        ("data_base64", Some(json!("aGk=")), "both `data` and `data_base64`"),
        ("datacontenttype", Some(json!("text/xml")), "not JSON"),
        ("datacontenttype", Some(json!(7)), "not JSON"),
        ("correlationid", Some(json!("x")), "a UUID with hyphens"),
        ("dataschema", Some(json!("no uri")), "a URI"),
        ("timestamp", Some(json!("x")), "is a field of the envelope"),
        ("event_type", Some(json!("x")), "is a field of the envelope"),
        (EXTRA, Some(json!("[]")), "not the text of a JSON object"),
        (EXTRA, Some(json!({})), "not the text of a JSON object"),
        (EXTRA, Some(json!(r#"{"source": "x"}"#)), "is a field of the envelope"),
    ];
    for (name, value, expected) in cases {
        let said = refused(name, value.clone());
        assert!(said.contains(expected), "{name} {value:?}: {said}");
    }
    let mut twice = event();
    twice.insert("tenant".to_owned(), json!(1));
    twice.insert(EXTRA.to_owned(), json!(r#"{"tenant": 2}"#));
    let error = Envelope::read_cloud_event(KEY, twice).unwrap_err();
    assert!(matches!(&error, EnvelopeError::Malformed(why) if why.contains("twice")), "{error}");
    let mut bytes = event();
    bytes.remove("data");
    bytes.insert("data_base64".to_owned(), json!("aGk="));
    let error = Envelope::read_cloud_event(KEY, bytes).unwrap_err().to_string();
    assert!(error.contains("with `data_base64`, not JSON"), "{error}");
}

#[test]
fn what_has_no_form_is_refused() {
    let named = |source: &str| Envelope::new(KEY, source, json!({}), Meta::new());
    for source in ["two words", "é", "", "a\nb"] {
        let error = named(source).to_cloud_event().unwrap_err();
        assert_eq!((error.field, error.code()), ("source", Code::NotACloudEvent), "{source}");
    }
    for source in ["lot", "urn:lot:7", "https://example.test/a%20b?c#d", "lot/7"] {
        named(source).to_cloud_event().unwrap();
    }
    let error = envelope(Meta::new().with_session_id("a\u{7}")).to_cloud_event().unwrap_err();
    assert_eq!(error.field, "session_id");
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let names = any::<String>();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names, inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn names() -> impl Strategy<Value = String> {
    let awkward = vec![
        "type",
        "time",
        "subject",
        "specversion",
        "datacontenttype",
        "dataschema",
        "correlationid",
        "data_base64",
        "",
        EXTRA,
        FOREIGN_ID,
        "tenant_id",
        "Tenant",
    ];
    prop_oneof![select(awkward).prop_map(str::to_owned), "[a-z0-9]{1,9}", any::<String>()]
        .prop_filter("a field of the envelope", |name| {
            !["id", "source", "schema", "data", "timestamp", "traceparent", "tracestate"]
                .contains(&&**name)
        })
}

proptest! {
    #[test]
    fn every_envelope_comes_back_as_it_was(
        ids in any::<[u128; 3]>(),
        micros in -62_167_219_200_000_000_i64..253_402_300_800_000_000,
        source in "[a-zA-Z0-9_./:-]{1,9}",
        session in prop::option::of("[^\\p{C}]{1,9}"),
        extra in prop::collection::vec((names(), values()), 0..5),
        data in prop::collection::vec((any::<String>(), values()), 0..4),
    ) {
        let [id, correlation, causation] = ids.map(Uuid::from_u128);
        let meta = Meta::new().with_id(id).with_correlation_id(correlation);
        let mut meta = meta.with_causation_id(causation)
            .with_timestamp(DateTime::from_timestamp_micros(micros).unwrap());
        meta.session_id = session;
        let data = Value::Object(data.into_iter().collect());
        let mut envelope = Envelope::new(KEY, source, data, meta);
        envelope.extra = extra.into_iter().collect();
        let Ok(event) = envelope.to_cloud_event() else { return Ok(()) };
        for (name, value) in &event {
            let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            prop_assert!(is_name && !name.is_empty(), "{name}");
            prop_assert!(name == "data" || !(value.is_array() || value.is_object() || value.is_null()));
        }
        let text = Value::Object(event).to_string();
        let event: Map<String, Value> = serde_json::from_str(&text).unwrap();
        let again = Envelope::read_cloud_event(KEY, event).unwrap();
        prop_assert_eq!(
            serde_json::to_value(&again).unwrap(),
            serde_json::from_slice::<Value>(&envelope.to_bytes().unwrap()).unwrap()
        );
    }

    #[test]
    fn whatever_is_said_nothing_panics(attributes in prop::collection::vec((names(), values()), 0..8)) {
        let mut event = event();
        event.extend(attributes);
        let _ = Envelope::read_cloud_event(KEY, event);
    }
}
