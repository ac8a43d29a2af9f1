//! The bundle against the files it was made of: a validator that was given the raw files, and finds
//! references by itself, has the same verdict on every payload.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use bloodbank_core::schema::Validator;
use bloodbank_core::{Violation, Violations};
use holyfields::Catalog;
use holyfields::file::Draft;
use jsonschema::{PatternOptions, Registry};
use serde_json::{Map, Value, json};

/// Files go by their path below this, whatever their `$id` says, as references do.
const BASE: &str = "https://files.example/";

/// Compares both on the examples of every contract, and on each with one member changed or gone.
fn compare(schemas: &Path) -> usize {
    let (catalog, _) = holyfields::read(schemas, None);
    let registry = raw_files(&catalog).prepare().unwrap();
    let bundle = catalog.bundle();
    let mut compared = 0;
    for (contract, bundled) in catalog.contracts.iter().zip(&bundle.contracts) {
        let ours = Validator::new(&bundle.document(bundled)).unwrap();
        let raw = jsonschema::options()
            .with_registry(&registry)
            .with_pattern_options(PatternOptions::fancy_regex())
            .should_validate_formats(true)
            .offline()
            .build(&json!({ "$ref": format!("{BASE}{}", catalog.file(contract).path) }))
            .unwrap();
        for payload in bundle.examples(bundled).iter().flat_map(variations) {
            // Draft-07 has no `uuid`; we assert it there too.
            let is_format = |violation: &Violation| violation.rule == "format";
            let by_format = |all: Violations| all.list.iter().all(is_format);
            let stricter = catalog.file(contract).draft == Draft::V7
                && ours.check(&payload).is_err_and(by_format);
            let agree = ours.is_valid(&payload) == raw.is_valid(&payload);
            assert!(agree || stricter, "{} {payload}", bundled.key());
            compared += 1;
        }
    }
    compared
}

fn raw_files(catalog: &Catalog) -> jsonschema::RegistryBuilder<'static> {
    catalog.files.iter().fold(Registry::new(), |registry, file| {
        let mut schema = file.schema.clone();
        if let Some(object) = schema.as_object_mut() {
            object.shift_remove("$id");
        }
        registry.add(format!("{BASE}{}", file.path), schema).unwrap()
    })
}

fn variations(payload: &Value) -> Vec<Value> {
    let mut all = vec![payload.clone()];
    let empty = Map::new();
    let members = payload.as_object().unwrap_or(&empty);
    for name in members.keys() {
        let mut without = payload.clone();
        without.as_object_mut().unwrap().remove(name);
        all.push(without);
        for other in
            [json!(null), json!(-1), json!(0.5), json!(""), json!("x"), json!([]), json!({})]
        {
            let mut changed = payload.clone();
            changed[name] = other;
            all.push(changed);
        }
    }
    let mut more = payload.clone();
    more["unheard_of"] = json!(1);
    all.push(more);
    all
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn the_bundle_of_our_contracts_says_what_their_files_say() {
    let compared = compare(&workspace().join("schemas"));
    assert!(compared > 1000, "{compared}");
}

#[test]
fn the_bundle_of_the_first_holyfields_says_what_its_files_say() {
    let corpus = workspace().join("../shared/corpus/holyfields");
    if corpus.is_dir() {
        let compared = compare(&corpus);
        assert!(compared > 100, "{compared}");
    }
}
