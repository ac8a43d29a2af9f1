//! One schema file: read, parsed, and nothing more.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::finding::{Finding, Place};
use crate::source::{self, Sources};
use crate::{pointer, rules};

/// A larger file is refused: no schema that people write is that long. In bytes.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// The draft a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draft {
    /// `https://json-schema.org/draft/2020-12/schema`, also where `$schema` is absent.
    V2020,
    /// `http://json-schema.org/draft-07/schema#`.
    V7,
}

/// A schema file as it was read.
#[derive(Clone, Debug)]
pub struct SchemaFile {
    /// Its path below the schema root, with `/`: `theboard/meeting.created.v1.json`.
    pub path: String,
    /// Its draft.
    pub draft: Draft,
    /// Its content: an object, or `true` or `false`.
    pub schema: Value,
}

impl SchemaFile {
    /// The path without `.json` and `.schema.json`.
    pub fn stem(&self) -> &str {
        let path = self.path.strip_suffix(".json").unwrap_or(&self.path);
        path.strip_suffix(".schema").unwrap_or(path)
    }

    /// The name of this file's schema in the bundle: the path without `.json`.
    pub fn definition(&self) -> &str {
        self.path.strip_suffix(".json").unwrap_or(&self.path)
    }

    /// The root's text under a keyword.
    pub fn text(&self, keyword: &str) -> Option<&str> {
        self.schema.get(keyword)?.as_str()
    }
}

/// Reads every `*.json` under a folder, sorted by path. Hidden files are left out.
pub(crate) fn read_all(
    root: &Path,
    sources: &mut Sources,
    findings: &mut Vec<Finding>,
) -> Vec<SchemaFile> {
    let real_root = match root.canonicalize() {
        Ok(real_root) if real_root.is_dir() => real_root,
        other => {
            let error = other.map_or_else(|error| error.to_string(), |_| "it is no folder".into());
            let message = format!("the schema folder cannot be read: {error}");
            let place = Place::file(root.display().to_string());
            findings.push(Finding::new(rules::UNREADABLE, message, place));
            return Vec::new();
        }
    };
    let mut walk = Walk {
        real_root,
        seen: HashSet::new(),
        links: VecDeque::new(),
        paths: Vec::new(),
        findings,
    };
    walk.folder(root, "");
    while let Some((path, folder)) = walk.links.pop_front() {
        walk.folder(&folder, &path);
    }
    let mut paths = walk.paths;
    paths.sort();
    paths.iter().filter_map(|(path, real)| read(path, real, sources, findings)).collect()
}

/// The schema files of texts, sorted by path; of two with one path the later counts.
pub(crate) fn read_texts<'a>(
    texts: impl IntoIterator<Item = (&'a str, &'a str)>,
    sources: &mut Sources,
    findings: &mut Vec<Finding>,
) -> Vec<SchemaFile> {
    let texts: BTreeMap<&str, &str> = texts.into_iter().collect();
    let files = texts.into_iter().map(|(path, text)| {
        sources.insert(path, text);
        parse(path, text, findings)
    });
    files.flatten().collect()
}

struct Walk<'a> {
    real_root: PathBuf,
    seen: HashSet<PathBuf>,
    /// Links to folders come last, so that a file goes by the name of its real folder.
    links: VecDeque<(String, PathBuf)>,
    paths: Vec<(String, PathBuf)>,
    findings: &'a mut Vec<Finding>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, below: &str) {
        // A link to a folder above would go round for ever.
        if !folder.canonicalize().is_ok_and(|real| self.seen.insert(real)) {
            return;
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(below, &error.to_string()),
        };
        let mut found = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => found.push(entry),
                Err(error) => self.unreadable(below, &error.to_string()),
            }
        }
        found.sort_by_key(fs::DirEntry::file_name);
        for entry in found {
            self.entry(&entry, below);
        }
    }

    fn entry(&mut self, entry: &fs::DirEntry, below: &str) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            return;
        }
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let is_json = path.ends_with(".json");
        match entry.path().canonicalize() {
            Ok(real) if !real.starts_with(&self.real_root) => {
                let message = format!("`{path}` is a link that leads out of the schema folder");
                self.findings.push(
                    Finding::new(rules::OUTSIDE_ROOT, message, Place::file(path))
                        .help("copy the file into the schema folder"),
                );
            }
            Ok(real) if real.is_dir() && entry.path().is_symlink() => {
                self.links.push_back((path, entry.path()));
            }
            Ok(real) if real.is_dir() => self.folder(&entry.path(), &path),
            Ok(real) if is_json && real.is_file() => self.paths.push((path, real)),
            Ok(_) if is_json => self.unreadable(&path, "it is no file"),
            Ok(_) => {}
            Err(error) if is_json => self.unreadable(&path, &error.to_string()),
            Err(_) => {}
        }
    }

    fn unreadable(&mut self, path: &str, why: &str) {
        let path = if path.is_empty() { "." } else { path };
        let message = format!("`{path}` cannot be read: {why}");
        self.findings.push(Finding::new(rules::UNREADABLE, message, Place::file(path)));
    }
}

fn read(
    path: &str,
    real: &Path,
    sources: &mut Sources,
    findings: &mut Vec<Finding>,
) -> Option<SchemaFile> {
    let text = match read_text(real) {
        Ok(text) => text,
        Err(why) => {
            let message = format!("`{path}` cannot be read: {why}");
            findings.push(Finding::new(rules::UNREADABLE, message, Place::file(path)));
            return None;
        }
    };
    sources.insert(path, text.as_str());
    parse(path, &text, findings)
}

fn read_text(real: &Path) -> Result<String, String> {
    let length = fs::metadata(real).map_err(|error| error.to_string())?.len();
    if length > MAX_FILE_BYTES {
        return Err(format!("it has {length} bytes; a schema may have {MAX_FILE_BYTES}"));
    }
    let bytes = fs::read(real).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        format!("it is not UTF-8 text (byte {})", error.utf8_error().valid_up_to())
    })
}

/// Parses one file's text; says what is wrong with it.
fn parse(path: &str, text: &str, findings: &mut Vec<Finding>) -> Option<SchemaFile> {
    let schema: Value = match serde_json::from_str(text) {
        Ok(schema) => schema,
        Err(error) => {
            let mut start = source::offset_of(text, error.line(), error.column());
            let mut end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
            let said = source::json_problem(&error);
            let mut problem = said.as_str();
            if problem == "expected ident" {
                problem = "expected `true`, `false` or `null`";
                start = text[..start].trim_end_matches(char::is_alphanumeric).len();
                let word = text[start..].find(|c: char| !c.is_alphanumeric());
                end = word.map_or(text.len(), |length| start + length);
            }
            let message = format!("`{path}` is not valid JSON: {problem}");
            let place = Place::bytes(path, start..end);
            findings.push(Finding::new(rules::SYNTAX, message, place));
            return None;
        }
    };
    for duplicate in source::duplicate_names(text) {
        let name = duplicate.pointer.rsplit('/').next().unwrap_or_default();
        let name = pointer::unescape(name);
        let message = format!("`{name}` stands twice in one object; only one can count");
        let place = Place::bytes(path, duplicate.second).at_pointer(duplicate.pointer.as_str());
        let first = Place::bytes(path, duplicate.first).labelled("first here");
        findings.push(
            Finding::new(rules::DUPLICATE_NAME, message, place).also(first).help("remove one"),
        );
    }
    if !(schema.is_object() || schema.is_boolean()) {
        let message = format!("`{path}` holds no JSON Schema: a schema is an object");
        findings.push(Finding::new(rules::NOT_A_SCHEMA, message, Place::value(path, "")));
        return None;
    }
    let draft = draft(path, &schema, findings)?;
    Some(SchemaFile { path: path.into(), draft, schema })
}

fn draft(path: &str, schema: &Value, findings: &mut Vec<Finding>) -> Option<Draft> {
    let Some(named) = schema.get("$schema") else {
        return Some(Draft::V2020);
    };
    match named.as_str().map(|uri| uri.trim_end_matches('#')) {
        Some("https://json-schema.org/draft/2020-12/schema") => Some(Draft::V2020),
        Some("http://json-schema.org/draft-07/schema") => Some(Draft::V7),
        _ => {
            let message = format!("`$schema` is {named}; only 2020-12 and draft-07 are read");
            findings.push(
                Finding::new(rules::UNKNOWN_DRAFT, message, Place::value(path, "/$schema"))
                    .help("write \"https://json-schema.org/draft/2020-12/schema\""),
            );
            None
        }
    }
}
