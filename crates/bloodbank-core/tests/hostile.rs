//! Refusing takes bounded work and memory, whatever the payload and whatever the schema.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bloodbank_core::schema::Validator;
use bloodbank_core::{Violation, Violations};
use serde_json::{Map, Value, json};

/// One payload that a schema refuses, and what refusing it may take.
struct Case {
    name: &'static str,
    schema: Value,
    payload: String,
    /// The first violation: pointer and rule.
    first: (&'static str, &'static str),
    /// How many there are, listed or not; none where finding all is out of proportion.
    all: Option<u64>,
    /// Steps that explaining may take.
    steps: u64,
}

/// A union of objects told apart by the constant `kind`; `arg` is the union again.
fn kinds(number: usize, itself: &str) -> Value {
    let kind = |i| {
        json!({
            "type": "object",
            "properties": {"kind": {"const": format!("k{i}")}, "arg": {"$ref": itself}},
            "required": ["kind"],
            "additionalProperties": false,
        })
    };
    json!({"oneOf": (0..number).map(kind).collect::<Vec<_>>()})
}

/// A union without discriminators; `arg` is the union again.
fn lookalikes() -> Value {
    let branch =
        |i| json!({"properties": {"arg": {"$ref": "#/$defs/e"}}, "required": [format!("r{i}")]});
    json!({"anyOf": (0..10).map(branch).collect::<Vec<_>>()})
}

/// A schema whose `v` is `#/$defs/e`.
fn with_e(e: Value) -> Value {
    json!({"properties": {"v": {"$ref": "#/$defs/e"}}, "$defs": {"e": e}})
}

fn nested(depth: usize, open: &str, inner: &str, close: &str) -> String {
    format!("{{\"v\":{}{inner}{}}}", open.repeat(depth), close.repeat(depth))
}

fn list(number: usize, item: &str) -> String {
    format!("[{}]", vec![item; number].join(","))
}

fn object(number: usize) -> String {
    let members: Vec<_> = (0..number).map(|i| format!("\"q{i}\":1")).collect();
    format!("{{{}}}", members.join(","))
}

fn declared() -> Value {
    let names = (0..12).map(|i| (format!("field_{i}"), json!({"type": "string"})));
    Value::Object(names.collect::<Map<_, _>>())
}

/// Two copies of the schema in every branch, so deep: no reference, and still every branch descends.
fn inlined(depth: usize) -> Value {
    (0..depth).fold(json!({"type": "integer"}), |inner, i| {
        json!({"anyOf": [
            {"properties": {"arg": inner}, "required": ["arg"]},
            {"properties": {"arg": inner}, "required": [format!("r{i}")]},
        ]})
    })
}

fn unions() -> Vec<Case> {
    let deep = |depth| nested(depth, r#"{"kind":"k1","arg":"#, r#"{"kind":"oops"}"#, "}");
    let at_seven = "/v/arg/arg/arg/arg/arg/arg/arg/kind";
    vec![
        Case {
            name: "a recursive union of ten, seven deep",
            schema: with_e(kinds(10, "#/$defs/e")),
            payload: deep(7),
            first: (at_seven, "const"),
            all: Some(1),
            steps: 5_000,
        },
        Case {
            name: "a recursive union of ten, a hundred deep",
            schema: with_e(kinds(10, "#/$defs/e")),
            payload: deep(100),
            first: ("", "const"),
            all: Some(1),
            steps: 40_000,
        },
        Case {
            name: "the same without the discriminator",
            schema: with_e(kinds(10, "#/$defs/e")),
            payload: nested(100, r#"{"arg":"#, r#"{"x":1}"#, "}"),
            first: ("/v/kind", "required"),
            all: None,
            steps: 450_000,
        },
        Case {
            name: "branches that nothing tells apart",
            schema: with_e(lookalikes()),
            payload: nested(100, r#"{"arg":"#, "{}", "}"),
            first: ("", "anyOf"),
            all: None,
            steps: 450_000,
        },
        Case {
            name: "a union in a union, written out",
            schema: json!({"properties": {"v": inlined(10)}}),
            payload: nested(60, r#"{"arg":"#, "{}", "}"),
            first: ("", "type"),
            all: Some(1),
            steps: 400_000,
        },
        Case {
            name: "the same reference twice in every allOf",
            schema: with_e(json!({
                "properties": {"arg": {"allOf": [{"$ref": "#/$defs/e"}, {"$ref": "#/$defs/e"}]}},
                "required": ["q"],
            })),
            payload: nested(100, r#"{"arg":"#, "{}", "}"),
            first: ("", "required"),
            // 101 objects; the innermost takes so few steps that it is not remembered, and counts twice.
            all: Some(102),
            steps: 50_000,
        },
        Case {
            name: "20,000 items of a union of fifty, of no kind",
            schema: json!({"items": kinds(50, "#")}),
            payload: list(20_000, r#"{"kind":"oops","a":1}"#),
            first: ("/0/kind", "const"),
            all: None,
            steps: 8_000_000,
        },
        Case {
            name: "20,000 items of a union of fifty, each with a fault",
            schema: json!({"items": kinds(50, "#")}),
            payload: list(20_000, r#"{"kind":"k7","a":1}"#),
            first: ("/0/a", "additionalProperties"),
            all: None,
            steps: 8_000_000,
        },
        Case {
            name: "a union of two thousand",
            schema: json!({"items": kinds(2_000, "#")}),
            payload: list(1, r#"{"kind":"oops"}"#),
            first: ("/0/kind", "const"),
            all: Some(1),
            steps: 50_000,
        },
    ]
}

fn members() -> Vec<Case> {
    let closed = json!({"properties": declared(), "additionalProperties": false});
    vec![
        Case {
            name: "20,000 properties too many",
            schema: closed.clone(),
            payload: object(20_000),
            first: ("/q0", "additionalProperties"),
            all: Some(20_000),
            steps: 200_000,
        },
        Case {
            name: "20,000 unevaluated properties",
            schema: json!({"allOf": [{"properties": declared()}], "unevaluatedProperties": false}),
            payload: object(20_000),
            first: ("/q0", "unevaluatedProperties"),
            all: Some(20_000),
            steps: 250_000,
        },
        Case {
            name: "20,000 names that do not match",
            schema: json!({"propertyNames": {"pattern": "^a"}}),
            payload: object(20_000),
            first: ("/q0", "propertyNames"),
            all: Some(20_000),
            steps: 700_000,
        },
        Case {
            name: "20,000 values under a pattern",
            schema: json!({"patternProperties": {"^q": {"type": "string"}}}),
            payload: object(20_000),
            first: ("/q0", "type"),
            all: Some(20_000),
            steps: 400_000,
        },
        Case {
            name: "two schemas for all members of 20,000",
            schema: json!({"dependentSchemas": {
                "q1": {"additionalProperties": {"type": "string"}},
                "q2": {"additionalProperties": {"type": "string"}},
            }}),
            payload: object(20_000),
            first: ("/q0", "type"),
            // Counted without comparing: the second schema finds them again.
            all: Some(40_000),
            steps: 250_000,
        },
        Case {
            name: "a hundred faults below a name of a megabyte",
            schema: json!({"additionalProperties": {"items": {"type": "string"}}}),
            payload: format!("{{\"{}\":{}}}", "k".repeat(1_000_000), list(100, "1")),
            first: ("", "type"),
            all: Some(100),
            steps: 1_000_000,
        },
    ]
}

fn values() -> Vec<Case> {
    let text = format!("\"{}\"", "a".repeat(1_000_000));
    let fifty: Vec<_> = (0..50).map(|i| json!({"maxLength": i})).collect();
    let numbers: Vec<_> = (0..200_000).map(|i| i.to_string()).collect();
    vec![
        Case {
            name: "a megabyte of text",
            schema: json!({"maxLength": 10, "pattern": "^b"}),
            payload: text.clone(),
            first: ("", "maxLength"),
            all: Some(2),
            steps: 1_000_000,
        },
        Case {
            name: "a megabyte of text for a union of fifty",
            schema: json!({"anyOf": fifty}),
            payload: text,
            first: ("", "anyOf"),
            all: None,
            steps: 4_500_000,
        },
        Case {
            name: "200,000 items, two of them equal",
            schema: json!({"uniqueItems": true}),
            payload: format!("[{},7]", numbers.join(",")),
            first: ("", "uniqueItems"),
            all: Some(1),
            steps: 4_000_000,
        },
        Case {
            name: "200,000 items, none as `contains` asks",
            schema: json!({"contains": {"const": "x"}}),
            payload: list(200_000, "1"),
            first: ("", "contains"),
            all: Some(1),
            steps: 4_000_000,
        },
        Case {
            name: "unevaluated items behind 200,000 others",
            schema: json!({
                "prefixItems": [{}], "contains": {"type": "integer"}, "unevaluatedItems": false,
            }),
            payload: format!("[{},\"x\"]", vec!["1"; 200_000].join(",")),
            first: ("", "unevaluatedItems"),
            all: Some(1),
            steps: 1_000_000,
        },
        Case {
            name: "lists a hundred deep, a fault at the end of the innermost",
            schema: json!({"$ref": "#/$defs/e", "$defs": {"e": {
                "anyOf": [{"type": "array", "items": {"$ref": "#/$defs/e"}}, {"type": "string"}],
            }}}),
            payload: format!(
                "{}{},1{}",
                "[".repeat(100),
                vec!["\"x\""; 20_000].join(","),
                "]".repeat(100)
            ),
            first: ("", "anyOf"),
            all: Some(1),
            steps: 2_000_000,
        },
    ]
}

/// Runs on a thread of its own, so that what does not end fails.
fn within_a_minute<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    outcome.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("{name}: no end"))
}

fn explained(schema: &Value, payload: &str) -> (Violations, u64) {
    let validator = Validator::new(schema).unwrap();
    let payload: Value = serde_json::from_str(payload).unwrap();
    assert!(!validator.is_valid(&payload));
    assert_eq!(validator.check(&payload), Err(validator.explain(&payload).0));
    validator.explain(&payload)
}

fn try_all(cases: Vec<Case>) {
    for case in cases {
        let Case { name, schema, payload, first, all, steps: most } = case;
        let bytes = payload.len() as u64;
        let (found, steps) = within_a_minute(name, move || explained(&schema, &payload));
        let told = &found.list[0];
        assert!(steps <= most, "{name}: {steps} steps");
        assert!(steps <= 500_000 + 32 * bytes, "{name}: {steps} steps for {bytes} bytes");
        assert!(found.list.len() <= 100, "{name}: {}", found.list.len());
        assert_eq!(told.rule, first.1, "{name}: {told}");
        assert!(first.0.is_empty() || told.pointer == first.0, "{name}: {told}");
        assert!(!is_without_reason(told), "{name}");
        if let Some(all) = all {
            assert!(found.is_complete, "{name}");
            assert_eq!(found.list.len() as u64 + found.more, all, "{name}");
        }
        let text: usize = found.list.iter().skip(1).map(|v| v.pointer.len() + v.found.len()).sum();
        assert!(text < 1_500_000, "{name}: {text} bytes of text");
    }
}

/// What is said where the walk found nothing.
fn is_without_reason(violation: &Violation) -> bool {
    violation.rule == "false" && violation.schema.is_empty() && violation.pointer.is_empty()
}

#[test]
fn unions_are_explained_with_few_steps() {
    try_all(unions());
}

#[test]
fn many_members_are_explained_with_few_steps() {
    try_all(members());
}

#[test]
fn large_values_are_explained_with_few_steps() {
    try_all(values());
}

#[test]
fn steps_run_out_in_proportion_to_the_payload() {
    // Every item is to be tried with two thousand branches, of which each fits but for its last word.
    let branch =
        |i| json!({"properties": {"a": {"type": "integer"}}, "required": [format!("r{i}")]});
    let schema = json!({"items": {"anyOf": (0..2_000).map(branch).collect::<Vec<_>>()}});
    let payload = list(1_000, r#"{"a":1}"#);
    let (found, steps) = within_a_minute("no end", move || explained(&schema, &payload));
    assert!(!found.is_complete);
    assert!((500_000..1_000_000).contains(&steps), "{steps}");
    assert_eq!((found.list[0].pointer.as_str(), found.list[0].rule.as_str()), ("/0", "anyOf"));
}

#[test]
fn what_cannot_be_found_in_time_is_still_refused() {
    let branch = |i| json!({"properties": {"a": {"minimum": i}}});
    let branches: Vec<_> = (0..100_000).map(branch).collect();
    let schema = json!({
        "properties": {"many": {"allOf": branches}, "bad": {"type": "string"}},
    });
    let (found, _) = explained(&schema, r#"{"many":{"a":100000},"bad":1}"#);
    assert!(!found.is_complete);
    assert_eq!((found.list.len(), found.more), (1, 0));
    assert!(is_without_reason(&found.list[0]), "{}", found.list[0]);
    assert_eq!(found.list[0].found, "an object with 2 properties");
}

#[test]
fn what_lies_too_deep_is_still_refused() {
    let link =
        |i: usize| (format!("d{i}"), json!({"allOf": [{"$ref": format!("#/$defs/d{}", i + 1)}]}));
    let mut links: Map<_, _> = (0..400).map(link).collect();
    links.insert("d400".to_owned(), json!({"type": "string"}));
    let schema = json!({"$ref": "#/$defs/d0", "$defs": links});
    let (found, _) = within_a_minute("no end", move || explained(&schema, "1"));
    assert!(!found.is_complete);
    assert!(is_without_reason(&found.list[0]), "{}", found.list[0]);
}

/// What fuzzing kept: see `fuzz/fuzz_targets/refusal.rs`.
#[test]
fn what_fuzzing_kept_is_explained_with_few_steps() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/refusal");
    let mut refused = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (schema, payload) = text.split_once('\n').unwrap();
        let Ok(validator) = Validator::new(&serde_json::from_str(schema).unwrap()) else {
            continue;
        };
        let payload: Value = serde_json::from_str(payload).unwrap();
        if validator.is_valid(&payload) {
            continue;
        }
        let bytes = text.len() as u64;
        let name = path.display().to_string();
        let (found, steps) = within_a_minute(&name, move || validator.explain(&payload));
        assert!(steps <= 500_000 + 32 * bytes, "{name}: {steps} steps");
        assert!(found.is_complete && !is_without_reason(&found.list[0]), "{name}");
        refused += 1;
    }
    assert!(refused >= 5, "{refused}");
}

/// Refuses in a process of its own, which may not take more than a gigabyte.
#[cfg(unix)]
#[test]
fn a_gigabyte_is_enough_to_refuse_any_of_them() {
    use std::process::Command;

    if std::env::var_os(ALONE).is_some() {
        return;
    }
    let this = std::env::current_exe().unwrap();
    let status = Command::new("sh")
        .args(["-c", "ulimit -v 1000000 && exec \"$0\" \"$@\""])
        .arg(this)
        .args(["--test-threads=1", "are_explained_with_few_steps"])
        .env(ALONE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

#[cfg(unix)]
const ALONE: &str = "BLOODBANK_TEST_ALONE";
