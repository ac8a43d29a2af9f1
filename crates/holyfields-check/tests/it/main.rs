//! Schema folders in, findings as people read them out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contracts;
mod corpus;
mod examples;
mod replies;
mod schemas;

use std::fs;

use holyfields::render::{Colour, render};

/// Everything that is found in a folder of these files, rendered; notes and the structural pass
/// included, so that a test shows what people see.
fn found(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (catalog, mut findings) = holyfields::read(folder.path(), None);
    findings.extend(holyfields_check::check(&catalog, &findings));
    holyfields::finding::sort(&mut findings, &catalog.sources);
    let rendered: Vec<_> = findings
        .iter()
        .map(|finding| render(finding, &catalog.sources, Colour::Off) + "\n")
        .collect();
    rendered.join("\n")
}
