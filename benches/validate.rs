//! A payload against its contract, beside another validator and beside decoding into the type.
#![allow(clippy::expect_used)]

mod support;

use std::hint::black_box;

use bloodbank::events::{self, llm, theboard};
use bloodbank::serde_json::{self, Value};
use bloodbank::{Contract, serde};
use support::{heading, median, row};

const ROUNDS: usize = 101;
const CALLS: u32 = 1000;

fn main() {
    measure::<theboard::MeetingCreated>("flat, 7 fields");
    measure::<llm::CompletionFinished>("nested, 11 fields");
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
