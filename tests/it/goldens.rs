//! The goldens of holyfields-codegen, compiled: every feature in one crate, every example through
//! its type and back.

use std::fs;
use std::path::PathBuf;

use holyfields_codegen::Options;

use crate::scratch::{Scratch, succeeds, workspace};

/// The folders of goldens, sorted; one folder a feature.
fn features() -> Vec<PathBuf> {
    let goldens = workspace().join("crates/holyfields-codegen/tests/golden");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(goldens).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

#[test]
fn every_golden_compiles_without_a_warning_and_keeps_its_examples() {
    let scratch = Scratch::new("goldens");
    let (mut modules, mut checks) = (String::new(), String::new());
    for folder in features() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let registry = folder.join("registry.yaml");
        let registry = registry.exists().then_some(registry.as_path());
        let (catalog, _) = holyfields::read(&folder.join("schemas"), registry);
        for file in holyfields_codegen::generate(&catalog, &Options::default()).unwrap() {
            scratch.write(&format!("generated/{name}/{}", file.path), &file.contents);
        }
        modules += &format!("#[path = \"../generated/{name}/rust/events.rs\"]\nmod {name};\n");
        checks += &format!(
            "    match {name}::examples::check() {{\n        \
             Ok(checked) => println!(\"{name}: {{checked}}\"),\n        \
             Err(failures) => failed.push(format!(\"{name}: {{failures}}\")),\n    }}\n"
        );
    }
    scratch.write(
        "src/main.rs",
        &format!(
            "#![deny(warnings)]\n{modules}\nfn main() {{\n    \
             let mut failed: Vec<String> = Vec::new();\n{checks}    \
             assert!(failed.is_empty(), \"{{}}\", failed.join(\"\\n\"));\n    {USES}\n}}\n"
        ),
    );
    let said = succeeds(&scratch.cargo(&["run", "--quiet"]));
    assert_eq!(said.lines().count(), features().len(), "{said}");
}

/// What generated types do beyond their examples.
const USES: &str = r##"
    // What is marked sensitive does not show.
    let card = sensitive::library::CardIssued::new("Ada", "0000")
        .with_spare_pins(vec!["1111".into()]);
    let shown = format!("{card:?}");
    assert!(shown.contains("Ada") && !shown.contains("0000") && !shown.contains("1111"), "{shown}");

    let proof = sensitive::library::CardIssuedProof::String("3333".into());
    assert_eq!(format!("{proof:?}"), "String((hidden))");
    assert_eq!(format!("{:?}", sensitive::library::CardIssuedProof::Integer(3)), "Integer(3)");

    // What is required and has a default makes one; what is optional stays absent.
    use defaults::library::{AlarmSet, AlarmSetTone};
    assert_eq!(AlarmSet::default(), AlarmSet::new(5, AlarmSetTone::Bell, 1.0, Some("Closing.".into())));
    assert_eq!(AlarmSet::default().repeat, None);

    // A branch of a union by shape is found by what only it asks for.
    use bloodbank::codec::Payload as _;
    use shape_union::library::{CopyFound, CopyFoundPlace, CopyFoundScan};
    let found = bloodbank::serde_json::from_str::<bloodbank::serde_json::Value>(
        r#"{ "place": { "to": "b", "from": "a" }, "scan": { "version": 2.0, "code": 7 } }"#,
    ).unwrap();
    let found = CopyFound::from_valid("library.copy.found", &found).unwrap();
    assert!(matches!(found.place, CopyFoundPlace::OnTheWay(_)), "{found:?}");
    assert!(matches!(found.scan, Some(CopyFoundScan::Version2(_))), "{found:?}");

    // The key of a value is that of its own field, also where a base lists the keys in another order.
    use bloodbank::Contract as _;
    use several_keys::library::{Lamp, LampEventType, RoomV2, RoomV2EventType};
    assert_eq!(RoomV2::new(RoomV2EventType::LibraryRoomOpened, "Maps").key(), "library.room.opened.v2");
    assert_eq!(RoomV2::new(RoomV2EventType::LibraryRoomClosed, "Maps").key(), "library.room.closed.v2");
    assert_eq!(Lamp::new().with_event_type(LampEventType::LibraryLampOut).key(), "library.lamp.out");

    // A literal, a constructor and a setter say the same.
    use absent_and_null::library::ReaderChanged;
    let by_setter = ReaderChanged::new(None, None, Default::default()).with_nickname(None);
    let literal = ReaderChanged { nickname: Some(None), ..by_setter.clone() };
    assert_eq!(by_setter, literal);
"##;
