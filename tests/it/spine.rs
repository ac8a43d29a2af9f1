//! Edit a schema, build, and the bus refuses what it accepted before.

use crate::scratch::{Scratch, succeeds, texts};

const SCHEMA: &str = r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "oven.oven.heated" },
    "celsius": { "type": "integer", "maximum": 300 }
  },
  "required": ["event_type", "celsius"],
  "additionalProperties": false
}"#;

const MAIN: &str = r#"
mod events { bloodbank::include_events!(); }

fn main() {
    let event = events::oven::OvenHeated { celsius: 250 };
    match bloodbank::Contract::validate(&event) {
        Ok(()) => println!("accepted"),
        Err(refusal) => println!("{refusal}"),
    }
}
"#;

fn oven(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.write("build.rs", "fn main() { holyfields_build::compile(\"schemas\"); }");
    scratch.write("schemas/oven/oven.heated.v1.json", SCHEMA);
    scratch.write("src/main.rs", MAIN);
    scratch
}

#[test]
fn a_lowered_maximum_refuses_the_old_value_after_a_plain_build() {
    let scratch = oven("lowered-maximum");
    assert_eq!(succeeds(&scratch.cargo(&["run", "--quiet"])), "accepted\n");

    let lowered = SCHEMA.replace("300", "200");
    scratch.write("schemas/oven/oven.heated.v1.json", &lowered);
    let said = succeeds(&scratch.cargo(&["run", "--quiet"]));
    assert!(said.contains("/celsius") && said.contains("200") && said.contains("250"), "{said}");
}

#[test]
fn a_renamed_field_stops_the_build_where_the_old_name_is_used() {
    let scratch = oven("renamed-field");
    scratch.write("schemas/oven/oven.heated.v1.json", &SCHEMA.replace("celsius", "kelvin"));
    let output = scratch.cargo(&["check", "--quiet"]);
    let (_, said) = texts(&output);
    assert!(!output.status.success());
    assert!(said.contains("no field named `celsius`"), "{said}");
    assert!(said.contains("src/main.rs:5"), "{said}");
}

#[test]
fn a_broken_schema_stops_the_build_with_every_finding() {
    let scratch = oven("broken-schema");
    let broken = SCHEMA
        .replace("oven.oven.heated", "Oven")
        .replace("\"maximum\": 300", "\"$ref\": \"missing.json\"");
    scratch.write("schemas/oven/oven.heated.v1.json", &broken);
    let output = scratch.cargo(&["check"]);
    let (_, said) = texts(&output);
    assert!(!output.status.success());
    assert!(said.contains("[HF010]") && said.contains("[HF022]"), "{said}");
    assert!(said.contains("oven/oven.heated.v1.json:5:"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
