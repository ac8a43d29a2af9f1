//! The real schemas of the first Holyfields, where they lie beside the checkout.

use std::fs;
use std::path::{Path, PathBuf};

use holyfields::rules;
use holyfields_codegen::Options;

use crate::scratch::{Scratch, succeeds, workspace};

/// The corpus is data that does not belong to the project; without it there is nothing to try.
fn corpus() -> Option<PathBuf> {
    let folder = workspace().join("../shared/corpus/holyfields");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

/// Copies a folder, without the files that `leave_out` names.
fn copy(from: &Path, to: &Path, leave_out: &dyn Fn(&Path) -> bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target, leave_out);
        } else if !leave_out(&path) {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn eight_contracts_accept_nothing_and_the_others_become_code_that_compiles() {
    let Some(corpus) = corpus() else { return };
    let (_, findings) = holyfields::read(&corpus, None);
    let dead: Vec<PathBuf> = findings
        .iter()
        .filter(|finding| finding.rule == rules::CLOSED_INHERITANCE)
        .map(|finding| corpus.join(&finding.places[0].file))
        .collect();
    assert_eq!(dead.len(), 8, "{findings:#?}");

    let scratch = Scratch::new("corpus");
    copy(&corpus, &scratch.path("schemas"), &|path| dead.contains(&path.to_owned()));
    let (catalog, _) = holyfields::read(&scratch.path("schemas"), None);
    assert_eq!(catalog.contracts.len(), 4);
    for file in holyfields_codegen::generate(&catalog, &Options::default()).unwrap() {
        scratch.write(&format!("generated/{}", file.path), &file.contents);
    }
    scratch.write(
        "src/main.rs",
        "#![deny(warnings)]\n#[path = \"../generated/rust/events.rs\"]\nmod events;\n\n\
         fn main() {\n    println!(\"{}\", events::examples::check().unwrap());\n}\n",
    );
    let said = succeeds(&scratch.cargo(&["run", "--quiet"]));
    assert!(said.starts_with("4 contracts"), "{said}");
}
