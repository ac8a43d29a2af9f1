//! Folders in, exit codes, text and files out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod codegen;
mod lint;

use std::fs;
use std::path::{Path, PathBuf};

use holyfields_cli::{Console, Outcome};
use tempfile::TempDir;

const THING: &str = r#"{
  "$id": "https://example.com/demo/thing.made.v1.json",
  "title": "Thing made",
  "description": "Emitted when a thing was made.",
  "type": "object",
  "properties": {
    "event_type": { "const": "demo.thing.made" },
    "size": { "type": "integer", "minimum": 0, "maximum": 10, "description": "In cm." }
  },
  "required": ["event_type", "size"],
  "additionalProperties": false,
  "examples": [{ "event_type": "demo.thing.made", "size": 4 }]
}
"#;

const REGISTRY: &str = r#"version: "1.0"
services:
  maker:
    produces: [demo.thing.made]
"#;

/// A folder with `schemas/demo/thing.made.v1.json` and `registry.yaml`.
struct Project(TempDir);

impl Project {
    fn new() -> Self {
        let project = Project(tempfile::tempdir().unwrap());
        project.put("schemas/demo/thing.made.v1.json", THING);
        project.put("registry.yaml", REGISTRY);
        project
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn put(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// What a command gave, with the folder's name replaced by `DIR`.
struct Ran {
    outcome: Outcome,
    out: String,
    err: String,
}

fn ran(folder: &Path, command: impl FnOnce(&mut Console<'_>) -> anyhow::Result<Outcome>) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let outcome = command(&mut Console::plain(&mut out, &mut err)).unwrap();
    let text =
        |bytes| String::from_utf8(bytes).unwrap().replace(&folder.display().to_string(), "DIR");
    Ran { outcome, out: text(out), err: text(err) }
}
