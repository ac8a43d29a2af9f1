//! What fuzzing found: every text of `fuzz/corpus` goes the whole way again, without a fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

use holyfields::render::{Colour, render};
use holyfields::{finding, read_texts};
use holyfields_codegen::{Options, generate};

/// The texts that a fuzz target keeps.
fn corpus(target: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(text) = String::from_utf8(fs::read(&path).unwrap()) {
            texts.push((path, text));
        }
    }
    assert!(texts.len() > 10, "only {} texts", texts.len());
    texts
}

/// Reads a text as a contract, shows all findings and, if none is an error, generates code.
fn compile(path: &Path, text: &str) {
    let (catalog, findings) = read_texts([("theboard/meeting.created.v1.json", text)]);
    for finding in &findings {
        assert!(!render(finding, &catalog.sources, Colour::Off).is_empty());
    }
    if !finding::has_errors(&findings) {
        let code = generate(&catalog, &Options::default());
        assert!(code.is_ok(), "{}: {}", path.display(), code.unwrap_err());
    }
}

#[test]
fn any_text_is_refused_or_becomes_rust() {
    for target in ["loader", "renderer"] {
        for (path, text) in corpus(target) {
            compile(&path, &text);
        }
    }
}

#[test]
fn any_schema_of_a_property_is_refused_or_becomes_rust() {
    for (path, schema) in corpus("shape") {
        compile(&path, &format!(r#"{{"type": "object", "properties": {{"value": {schema}}}}}"#));
    }
}
