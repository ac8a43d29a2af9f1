//! Schemas to Rust: how long generating takes at 10, 100 and 1,000 contracts, and how long the
//! compiler takes over what came out. Beside it: typify alone, given the same schemas whole.
//!
//! `generate` as argument leaves the compiler out.
#![allow(clippy::expect_used)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use holyfields_codegen::Options;
use serde_json::{Value, json};
use support::{heading, row};

fn main() {
    generating();
    let only_generate = std::env::args().any(|argument| argument == "generate");
    if !only_generate {
        compiling();
    }
}

fn generating() {
    heading("codegen: contracts of 12 fields, 5 of them constrained strings");
    for count in [10, 100, 1000] {
        let folder = tempfile::tempdir().expect("a folder");
        write_schemas(folder.path(), count);
        let ours = median_of(5, || {
            let (catalog, findings) = holyfields::read(folder.path(), None);
            assert!(!holyfields::finding::has_errors(&findings));
            holyfields_codegen::generate(&catalog, &Options::default()).expect("code");
        });
        row(&format!("read and generate {count} contracts"), ours, None);
        row(&format!("  per contract, of {count}"), ours / count, None);
        let schemas: Vec<Value> = (0..count).map(schema).collect();
        let typify = median_of(if count > 100 { 1 } else { 5 }, || drop(typify_alone(&schemas)));
        row(&format!("typify alone, {count} schemas"), typify, Some(("ours", ours)));
    }
}

/// Types for the schemas as typify makes them when it is given everything.
fn typify_alone(schemas: &[Value]) -> String {
    let mut settings = typify::TypeSpaceSettings::default();
    settings.with_struct_builder(true);
    let mut space = typify::TypeSpace::new(&settings);
    for schema in schemas {
        let root = serde_json::from_value(schema.clone()).expect("a schema");
        space.add_root_schema(root).expect("a type");
    }
    prettyplease::unparse(&syn::parse2(space.to_stream()).expect("Rust"))
}

fn compiling() {
    for (profile, arguments) in [("dev", &["build"][..]), ("release", &["build", "--release"])] {
        heading(&format!("compile the generated code, {profile} profile"));
        let bare = compile(arguments, 0, Code::Ours);
        for count in [25, 100, 400] {
            let time = compile(arguments, count, Code::Ours).saturating_sub(bare);
            row(&format!("{count} contracts"), time, None);
            row(&format!("  per contract, of {count}"), time / count, None);
        }
        let empty = compile(arguments, 0, Code::Typify);
        let ours = compile(arguments, 25, Code::Ours).saturating_sub(bare) / 25;
        let typify = compile(arguments, 25, Code::Typify).saturating_sub(empty) / 25;
        row("typify alone: per schema, of 25", typify, Some(("ours", ours)));
    }
}

#[derive(Clone, Copy)]
enum Code {
    Ours,
    Typify,
}

/// The median time of three builds (one where they are long) of a crate that holds nothing but generated code.
fn compile(arguments: &[&str], count: u32, code: Code) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    write_crate(folder.path(), count, code);
    let build = || {
        let status = Command::new("cargo")
            .args(arguments)
            .args(["--quiet", "--offline"])
            .current_dir(folder.path())
            .env("CARGO_TARGET_DIR", target())
            .env("CARGO_INCREMENTAL", "0")
            .status()
            .expect("cargo");
        assert!(status.success());
    };
    build();
    median_of(if count > 100 { 1 } else { 3 }, || {
        // A new time on the file makes cargo compile this crate and nothing else.
        let main = folder.path().join("src/lib.rs");
        let text = fs::read_to_string(&main).expect("the file");
        fs::write(&main, text).expect("the file");
        build();
    })
}

fn write_crate(folder: &Path, count: u32, code: Code) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut manifest = String::from(
        "[workspace]\n[package]\nname = \"bench\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n",
    );
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let source = match code {
        Code::Ours => {
            let _ = writeln!(manifest, "bloodbank = {{ path = \"{}\" }}", root.display());
            write_schemas(&folder.join("schemas"), count);
            let (catalog, _) = holyfields::read(&folder.join("schemas"), None);
            let files = holyfields_codegen::generate(&catalog, &Options::default()).expect("code");
            for file in files {
                let path = folder.join("src").join(&file.path);
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(path, file.contents).expect("written");
            }
            "#[path = \"rust/events.rs\"]\npub mod events;\n".to_owned()
        }
        Code::Typify => {
            manifest.push_str("serde = { version = \"1\", features = [\"derive\"] }\nserde_json = \"1\"\nchrono = { version = \"0.4\", default-features = false, features = [\"serde\", \"clock\"] }\nuuid = { version = \"1\", features = [\"serde\"] }\n");
            let schemas: Vec<Value> = (0..count).map(schema).collect();
            format!("#![allow(warnings)]\n{}", typify_alone(&schemas))
        }
    };
    fs::write(folder.join("src/lib.rs"), source).expect("written");
    fs::write(folder.join("Cargo.toml"), manifest).expect("written");
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("copied");
}

/// Where dependencies of the measured crates are built, once.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench")
}

fn write_schemas(folder: &Path, count: u32) {
    fs::create_dir_all(folder).expect("a folder");
    for index in 0..count {
        let domain = folder.join(format!("domain{:02}", index % 20));
        fs::create_dir_all(&domain).expect("a folder");
        let text = schema(index).to_string();
        fs::write(domain.join(format!("thing{index}.happened.v1.json")), text).expect("written");
    }
}

fn schema(index: u32) -> Value {
    let text = |least: u32, most: u32| json!({ "type": "string", "minLength": least, "maxLength": most, "description": "A text." });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("Thing {index} happened"),
        "description": "Something happened to a thing, and here is what.",
        "type": "object",
        "properties": {
            "event_type": { "const": format!("domain{:02}.thing{index}.happened", index % 20) },
            "id": { "type": "string", "format": "uuid", "description": "The thing." },
            "at": { "type": "string", "format": "date-time", "description": "When." },
            "name": text(1, 100),
            "title": text(1, 200),
            "reason": text(0, 1000),
            "place": text(2, 50),
            "owner": text(1, 64),
            "count": { "type": "integer", "minimum": 0, "maximum": 1000, "description": "How many." },
            "share": { "type": "number", "minimum": 0, "maximum": 1, "description": "Which part." },
            "state": { "enum": ["new", "open", "closed"], "description": "How it stands." },
            "labels": { "type": "array", "items": { "type": "string" }, "description": "Words." }
        },
        "required": ["event_type", "id", "at", "name", "count", "state"],
        "additionalProperties": false
    })
}

fn median_of(rounds: usize, mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}
