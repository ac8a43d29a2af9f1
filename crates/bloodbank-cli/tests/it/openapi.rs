//! The OpenAPI document of the contracts of this repository, as it is checked in.

use bloodbank::events;
use expect_test::expect_file;

#[test]
fn the_document_in_generated_is_the_one_that_is_served() {
    let document = bloodbank_gateway::document(&events::contracts()).unwrap();
    let text = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
    expect_file!["../../../../generated/openapi.json"].assert_eq(&text);
}
