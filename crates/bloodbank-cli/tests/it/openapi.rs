//! The OpenAPI document of the contracts of this repository, as it is checked in.

use std::path::Path;

use bloodbank::events;

#[test]
fn the_document_in_generated_is_the_one_that_is_served() {
    let document = bloodbank_gateway::document(&events::contracts()).unwrap();
    let text = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../generated/openapi.json");
    let is_fresh = std::fs::read_to_string(file).unwrap() == text;
    assert!(is_fresh, "run `cargo bloodbank openapi > generated/openapi.json`");
}
