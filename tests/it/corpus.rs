//! The real schemas of the first Holyfields, where they lie beside the checkout.

use std::fs;
use std::path::{Path, PathBuf};

use holyfields::rules;
use holyfields_cli::{Console, LintArgs, LintOptions, Outcome, lint};
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

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn the_dead_contracts_are_named_and_mended_and_then_everything_compiles() {
    let Some(corpus) = corpus() else { return };
    let scratch = Scratch::new("corpus");
    let schemas = scratch.path("schemas");
    copy(&corpus, &schemas);
    let dead = || {
        let (_, findings) = holyfields::read(&schemas, None);
        let closed = findings.iter().filter(|finding| finding.rule == rules::CLOSED_INHERITANCE);
        closed.count()
    };
    assert_eq!(dead(), 8);
    lint_fix(&schemas);
    assert_eq!(dead(), 0);
    let (catalog, _) = holyfields::read(&schemas, None);
    assert_eq!(catalog.contracts.len(), 13);
    for file in holyfields_codegen::generate(&catalog, &Options::default()).unwrap() {
        scratch.write(&format!("generated/{}", file.path), &file.contents);
    }
    scratch.write(
        "src/main.rs",
        "#![deny(warnings)]\n#[path = \"../generated/rust/events.rs\"]\nmod events;\n\n\
         fn main() {\n    println!(\"{}\", events::examples::check().unwrap());\n}\n",
    );
    let said = succeeds(&scratch.cargo(&["run", "--quiet"]));
    assert!(said.starts_with("13 contracts: 11 examples accepted"), "{said}");
}

/// `lint --fix` on a folder.
fn lint_fix(schemas: &Path) {
    let args = LintArgs {
        schemas: Some(schemas.to_owned()),
        registry: None,
        options: LintOptions { fix: true, ..LintOptions::default() },
    };
    let mut out = Vec::new();
    let mut err = Vec::new();
    let outcome = lint::run_on(&args, "lint", &mut Console::plain(&mut out, &mut err)).unwrap();
    assert_eq!(outcome, Outcome::Ok, "{}", String::from_utf8_lossy(&out));
    assert_eq!(String::from_utf8_lossy(&err).lines().count(), 8);
}
