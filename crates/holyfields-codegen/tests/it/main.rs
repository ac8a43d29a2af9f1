//! Schema folders in, source files out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod definitions;
mod determinism;
mod fuzzed;
mod goldens;
#[path = "../../../holyfields/tests/it/schemas.rs"]
mod schemas;

use std::path::{Path, PathBuf};

use holyfields::Catalog;
use holyfields::render::{Colour, render};
use holyfields_codegen::{GeneratedFile, Options};

/// The folder of goldens; one folder a feature.
fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The catalog of a golden; fails on errors.
fn catalog(folder: &Path) -> Catalog {
    let registry = folder.join("registry.yaml");
    let registry = registry.exists().then_some(registry.as_path());
    let (catalog, findings) = holyfields::read(&folder.join("schemas"), registry);
    if holyfields::finding::has_errors(&findings) {
        let texts: Vec<String> =
            findings.iter().map(|f| render(f, &catalog.sources, Colour::Off)).collect();
        panic!("{}", texts.join("\n"));
    }
    catalog
}

fn generate(folder: &Path) -> Vec<GeneratedFile> {
    holyfields_codegen::generate(&catalog(folder), &Options::default()).unwrap()
}
