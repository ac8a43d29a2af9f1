//! One catalog, one text.

use std::fs;
use std::path::{Path, PathBuf};

use holyfields_codegen::Options;
use proptest::prelude::*;
use serde_json::Value;

use crate::schemas::schemas;
use crate::{generate, goldens};

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(goldens()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// All files below a folder, in the order in which the file system lists them.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn twice_gives_equal_bytes() {
    for folder in folders() {
        assert_eq!(generate(&folder), generate(&folder), "{}", folder.display());
    }
}

#[test]
fn the_order_of_files_on_the_disk_makes_no_difference() {
    for folder in folders() {
        let mut paths = Vec::new();
        files(&folder, &mut paths);
        paths.sort();
        let mut copies = Vec::new();
        for backwards in [false, true] {
            let copy = tempfile::tempdir().unwrap();
            if backwards {
                paths.reverse();
            }
            for path in &paths {
                let to = copy.path().join(path.strip_prefix(&folder).unwrap());
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(path, to).unwrap();
            }
            copies.push(generate(copy.path()));
        }
        assert_eq!(copies[0], copies[1], "{}", folder.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// What has no errors becomes code, each time the same.
    #[test]
    fn random_schemas_become_code(
        properties in prop::collection::vec(("[a-z]{1,3}", schemas()), 1..6),
        library in schemas(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, schema: &Value| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, schema.to_string()).unwrap();
        };
        // A property that is an error would hide all others.
        let mut kept = serde_json::Map::new();
        write("a/b.json", &library);
        for (name, schema) in properties {
            let mut tried = kept.clone();
            tried.insert(name, schema);
            let defs = serde_json::json!({ "a": tried.values().next(), "b": { "$ref": "#/properties/a" } });
            let event = serde_json::json!({ "type": "object", "properties": tried, "$defs": defs });
            write("a/x.y.v1.json", &event);
            let (catalog, findings) = holyfields::read(folder.path(), None);
            if holyfields::finding::has_errors(&findings) {
                continue;
            }
            kept = tried;
            let files = holyfields_codegen::generate(&catalog, &Options::default());
            let files = files.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let again = holyfields_codegen::generate(&catalog, &Options::default()).unwrap();
            prop_assert_eq!(files, again);
        }
    }
}
