//! Generated code, one feature a folder: `tests/golden/<feature>/schemas` becomes the `*.rs` beside
//! it. That it compiles, and that its examples come through, `tests/it/goldens.rs` of the workspace
//! shows. To accept a change: `UPDATE_EXPECT=1 cargo test -p holyfields-codegen`.

use std::fs;

use expect_test::expect_file;

use crate::{generate, goldens};

/// The generated files of a feature that are compared; the others are the same for all.
const FILES: [(&str, &[&str]); 30] = [
    ("absent_and_null", &["library"]),
    ("all_of", &["common", "library"]),
    ("base", &["library"]),
    ("command", &["events", "library"]),
    ("conditional", &["library"]),
    ("defaults", &["library"]),
    ("deprecated", &["events", "library"]),
    ("documented_enum", &["library"]),
    ("draft_07", &["library"]),
    ("flat_event", &["events", "examples", "keys", "library"]),
    ("lists_and_maps", &["library"]),
    ("maps", &["library"]),
    ("nullable", &["library"]),
    ("open_object", &["library"]),
    ("property_names", &["library"]),
    ("recursion", &["library"]),
    ("reply", &["common", "shop"]),
    ("same_name", &["common", "library"]),
    ("sensitive", &["library"]),
    ("services", &["services"]),
    ("several_keys", &["events", "keys", "library"]),
    ("shape_union", &["library"]),
    ("shared_definition", &["common", "library"]),
    ("string_enum", &["library"]),
    ("tagged_union", &["library"]),
    ("tuples", &["library"]),
    ("type_names", &["events", "option", "poll"]),
    ("type_union", &["library"]),
    ("union_in_object", &["library"]),
    ("versions", &["keys", "library"]),
];

#[test]
fn generated_code_is_as_it_was_reviewed() {
    for (feature, files) in FILES {
        let folder = goldens().join(feature);
        let generated = generate(&folder);
        for name in files {
            let path = format!("rust/{name}.rs");
            let found = generated.iter().find(|file| file.path == path);
            let found = found.unwrap_or_else(|| panic!("{feature} gives no {path}"));
            expect_file![folder.join(format!("{name}.rs"))].assert_eq(&found.contents);
        }
    }
}

#[test]
fn every_folder_is_a_golden_and_every_file_is_compared() {
    let mut folders: Vec<String> = Vec::new();
    for entry in fs::read_dir(goldens()).unwrap() {
        let entry = entry.unwrap();
        let feature = entry.file_name().into_string().unwrap();
        let (_, files) = FILES.iter().find(|(known, _)| *known == feature).expect(&feature);
        let rust = fs::read_dir(entry.path()).unwrap().map(|file| file.unwrap().path());
        for file in rust.filter(|file| file.extension().is_some_and(|kind| kind == "rs")) {
            let name = file.file_stem().unwrap().to_str().unwrap();
            assert!(files.contains(&name), "{} is compared with nothing", file.display());
        }
        folders.push(feature);
    }
    assert_eq!(folders.len(), FILES.len(), "{folders:?}");
}

#[test]
fn no_line_ends_in_blanks_and_every_file_says_where_it_comes_from() {
    for (feature, _) in FILES {
        for file in generate(&goldens().join(feature)) {
            let at = format!("{feature}/{}", file.path);
            assert!(file.contents.ends_with('\n') && !file.contents.ends_with("\n\n"), "{at}");
            assert!(!file.contents.contains("\n\n\n"), "{at}");
            assert!(file.contents.lines().all(|line| line.trim_end() == line), "{at}");
            let is_marked = file.contents.contains(holyfields_codegen::MARK);
            assert!(is_marked || file.path.ends_with(".json"), "{at}");
        }
    }
}
