//! The catalog's view of contracts.

use crate::folder::catalog;

#[test]
fn a_contract_knows_its_examples_and_counterexamples() {
    let text = r#"{
        "type": "object",
        "title": "Made",
        "description": "It was made.",
        "examples": [{"a": 1}, {}],
        "x-bloodbank-counterexamples": [{"why": "no", "data": 3}, {"data": 4}]
    }"#;
    let bundle = catalog(&[("a/b.made.v2.json", text)]).bundle();
    let contract = bundle.contract("a.b.made.v2").unwrap();
    assert_eq!((contract.title.as_str(), contract.version), ("Made", 2));
    assert_eq!(contract.schema_id, "a/b.made.v2.json");
    assert_eq!(bundle.examples(contract).len(), 2);
    let counter: Vec<&str> = bundle.counterexamples(contract).map(|c| c.why).collect();
    assert_eq!(counter, ["no"]);
    assert!(bundle.contract("a.b.made").is_none());
}

#[test]
fn a_bundle_comes_back_from_its_text() {
    let bundle = catalog(&[("a/b.made.v1.json", r#"{"type": "object"}"#)]).bundle();
    let text = serde_json::to_string(&bundle).unwrap();
    assert_eq!(serde_json::from_str::<holyfields::Bundle>(&text).unwrap(), bundle);
}
