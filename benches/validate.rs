//! A payload against its contract, beside another validator and beside decoding into the type.
#![allow(clippy::expect_used)]

mod support;

use std::hint::black_box;

use bloodbank::events::{self, llm, theboard};
use bloodbank::serde_json::{self, Value, json};
use bloodbank::{Contract, Contracts, serde};
use support::{heading, median, row};

const ROUNDS: usize = 101;
const CALLS: u32 = 1000;

fn main() {
    measure::<theboard::MeetingCreated>("flat, 7 fields");
    measure::<llm::CompletionFinished>("nested, 11 fields");
    refuse_many();
    refuse_deep();
}

/// 20,000 properties that the contract does not know, beside parsing them and the verdict alone.
fn refuse_many() {
    let key = theboard::MeetingCreated::KEYS[0];
    let unknown: Vec<String> = (0..20_000).map(|i| format!("\"q{i}\":1")).collect();
    let text = format!("{{{}}}", unknown.join(","));
    refuse("20,000 unknown properties", events::contracts(), key, &text);
}

/// A union of ten, a hundred deep, with one fault at the bottom.
fn refuse_deep() {
    let kind = |i| {
        json!({
            "type": "object",
            "properties": {
                "kind": {"const": format!("k{i}")},
                "arg": {"$ref": "#/$defs/bench~1deep/$defs/expression"},
            },
            "required": ["kind"],
            "additionalProperties": false,
        })
    };
    let schema = json!({
        "properties": {"v": {"$ref": "#/$defs/bench~1deep/$defs/expression"}},
        "$defs": {"expression": {"oneOf": (0..10).map(kind).collect::<Vec<_>>()}},
    });
    let bundle = json!({
        "contracts": [{
            "kind": "event", "keys": ["bench.deep"], "version": 1, "schema_id": "bench/deep",
            "title": "Deep", "rust_type": "bench::Deep", "definition": "bench/deep",
        }],
        "$defs": {"bench/deep": schema},
    });
    let contracts = Contracts::from_json(&bundle.to_string()).expect("a bundle");
    let (open, close) = (r#"{"kind":"k1","arg":"#.repeat(100), "}".repeat(100));
    let text = format!(r#"{{"v":{open}{{"kind":"oops"}}{close}}}"#);
    refuse("a union of ten, 100 deep", &contracts, "bench.deep", &text);
}

fn refuse(name: &str, contracts: &Contracts, key: &str, text: &str) {
    heading(&format!("refuse: {name}, {} bytes", text.len()));
    let none = || {};
    let parsed = || serde_json::from_str::<Value>(black_box(text)).expect("JSON");
    let parse = median(ROUNDS, 1, none, || drop(black_box(parsed())));
    row("serde_json: text to Value", parse, None);
    let payload = parsed();
    let refusal = median(ROUNDS, 1, none, || {
        contracts.check(key, black_box(&payload)).expect_err("refused");
    });
    row("Contracts::check, with reasons", refusal, Some(("parsing", parse)));
    let both = median(ROUNDS, 1, none, || {
        contracts.check(key, &parsed()).expect_err("refused");
    });
    row("both", both, Some(("parsing", parse)));
}

fn measure<T: Contract + serde::de::DeserializeOwned>(name: &str) {
    let contracts = events::contracts();
    let bundle = contracts.bundle();
    let contract = contracts.contract(T::KEYS[0]).expect("a contract");
    let example: &Value = &bundle.examples(contract)[0];
    let document = bundle.document(contract);

    heading(&format!("validate: {} ({name})", T::KEYS[0]));
    let none = || {};
    let ours = median(ROUNDS, CALLS, none, || {
        contracts.check(T::KEYS[0], black_box(example)).expect("valid");
    });
    row("Contracts::check", ours, None);

    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("https://bench/schema.json", document.clone()).expect("a resource");
    let index = compiler.compile("https://bench/schema.json", &mut schemas).expect("compiles");
    let boon = median(ROUNDS, CALLS, none, || {
        schemas.validate(black_box(example), index).expect("valid");
    });
    row("boon", boon, Some(("Contracts::check", ours)));

    let text = example.to_string();
    let parse = median(ROUNDS, CALLS, none, || {
        black_box(serde_json::from_str::<Value>(black_box(&text)).expect("JSON"));
    });
    row("serde_json: text to Value", parse, Some(("Contracts::check", ours)));
    let typed = median(ROUNDS, CALLS, none, || {
        black_box(serde_json::from_str::<T>(black_box(&text)).expect("decodes"));
    });
    row("serde_json: text to the type, nothing checked", typed, Some(("Contracts::check", ours)));

    let mut broken = example.clone();
    broken.as_object_mut().expect("an object").insert("surplus".into(), Value::Null);
    let refuse = median(ROUNDS, CALLS / 10, none, || {
        contracts.check(T::KEYS[0], black_box(&broken)).expect_err("refused");
    });
    row("Contracts::check, refusing, with reasons", refuse, Some(("Contracts::check", ours)));
}
