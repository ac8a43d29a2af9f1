//! A schema folder made for one test.

use std::fs;
use std::path::{Path, PathBuf};

use holyfields::render::{Colour, render};
use holyfields::{Catalog, Finding};
use tempfile::TempDir;

/// A folder that goes away with the value.
pub(crate) struct Folder {
    folder: TempDir,
}

impl Folder {
    /// A folder with these files: path and text.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = Folder { folder: tempfile::tempdir().unwrap() };
        for (path, text) in files {
            folder.write(path, text.as_bytes());
        }
        folder
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self) -> (Catalog, Vec<Finding>) {
        holyfields::read(self.root(), None)
    }

    /// All findings, rendered, a blank line between two; `nothing` where there are none.
    pub(crate) fn found(&self) -> String {
        let (catalog, findings) = self.read();
        rendered(&catalog, &findings)
    }
}

/// Findings as the command line shows them.
pub(crate) fn rendered(catalog: &Catalog, findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "nothing\n".into();
    }
    let texts: Vec<String> = findings
        .iter()
        .map(|finding| render(finding, &catalog.sources, Colour::Off) + "\n")
        .collect();
    texts.join("\n")
}

/// What is found in a folder of these files.
pub(crate) fn found(files: &[(&str, &str)]) -> String {
    Folder::new(files).found()
}

/// The catalog of a folder in which nothing is found.
pub(crate) fn catalog(files: &[(&str, &str)]) -> Catalog {
    let (catalog, findings) = Folder::new(files).read();
    assert!(findings.is_empty(), "{}", rendered(&catalog, &findings));
    catalog
}

/// The same where notes and warnings are to be expected.
pub(crate) fn noted(files: &[(&str, &str)]) -> Catalog {
    let (catalog, findings) = Folder::new(files).read();
    assert!(!holyfields::finding::has_errors(&findings), "{}", rendered(&catalog, &findings));
    catalog
}
