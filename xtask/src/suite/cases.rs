//! The suite as it lies on disk.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};

/// A draft of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edition {
    V2020,
    V7,
}

impl Edition {
    pub(super) const ALL: [Edition; 2] = [Edition::V2020, Edition::V7];

    pub(super) fn name(self) -> &'static str {
        match self {
            Edition::V2020 => "draft 2020-12",
            Edition::V7 => "draft-07",
        }
    }

    /// Its folder, both in `tests/` and in `remotes/`.
    fn folder(self) -> &'static str {
        match self {
            Edition::V2020 => "draft2020-12",
            Edition::V7 => "draft7",
        }
    }

    pub(super) fn metaschema(self) -> &'static str {
        match self {
            Edition::V2020 => "https://json-schema.org/draft/2020-12/schema",
            Edition::V7 => "http://json-schema.org/draft-07/schema#",
        }
    }
}

/// A part of a draft's tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All but `format.json`, which asks that formats are not asserted.
    Required,
    /// What `optional/format/` asks of those who assert them, as both drafts permit.
    Formats,
}

impl Part {
    pub(super) const ALL: [Part; 2] = [Part::Required, Part::Formats];

    pub(super) fn name(self) -> &'static str {
        match self {
            Part::Required => "",
            Part::Formats => ", formats",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Part::Required => "",
            Part::Formats => "optional/format",
        }
    }
}

/// One schema and what it should accept.
pub(super) struct Case {
    pub(super) edition: Edition,
    /// The suite's file without `.json`, which names the keyword that is tested.
    pub(super) keyword: String,
    pub(super) description: String,
    pub(super) schema: Value,
    pub(super) tests: Vec<Test>,
    /// What the suite expects to lie on `http://localhost:1234/`: path and schema. Empty where the
    /// schema names nothing there.
    pub(super) remotes: Vec<(String, Value)>,
}

#[derive(Deserialize)]
struct Group {
    description: String,
    schema: Value,
    tests: Vec<Test>,
}

/// An instance and the specification's verdict.
#[derive(Deserialize)]
pub(super) struct Test {
    pub(super) description: String,
    pub(super) data: Value,
    pub(super) valid: bool,
}

/// The cases of a draft, in the order of the suite's files.
pub(super) fn read(suite: &Path, edition: Edition, part: Part) -> anyhow::Result<Vec<Case>> {
    let folder = suite.join("tests").join(edition.folder()).join(part.folder());
    let remotes = remotes(&suite.join("remotes"), edition)?;
    let mut cases = Vec::new();
    for path in json_files(&folder)? {
        let keyword = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if keyword == "format" && part == Part::Required {
            continue;
        }
        let groups: Vec<Group> = serde_json::from_value(parse(&path)?)
            .with_context(|| format!("{} holds no tests", path.display()))?;
        cases.extend(groups.into_iter().map(|group| Case {
            edition,
            keyword: keyword.clone(),
            description: group.description,
            remotes: needed(&group.schema, &remotes),
            schema: group.schema,
            tests: group.tests,
        }));
    }
    Ok(cases)
}

/// The remote schemas that a case may reach: all but those that are refused themselves, unless it
/// names them.
fn needed(schema: &Value, remotes: &[(String, Value)]) -> Vec<(String, Value)> {
    let text = schema.to_string();
    if !text.contains("localhost:1234") {
        return Vec::new();
    }
    let is_plain = |remote: &Value| {
        let remote = remote.to_string();
        !remote.contains("$dynamic") && !remote.contains("json-schema.org/draft/2020-12/meta/")
    };
    let is_needed = |(name, remote): &&(String, Value)| is_plain(remote) || text.contains(name);
    remotes.iter().filter(is_needed).cloned().collect()
}

/// Nothing is fetched here, so each remote schema becomes a file that says where it would lie.
fn remotes(folder: &Path, edition: Edition) -> anyhow::Result<Vec<(String, Value)>> {
    let mut remotes = Vec::new();
    let own = format!("{}/", edition.folder());
    let mut open = vec![folder.to_owned()];
    while let Some(here) = open.pop() {
        for entry in fs::read_dir(&here).with_context(|| format!("{}", here.display()))? {
            let path = entry?.path();
            let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
            let is_other = (name.starts_with("draft") || name.starts_with("v1"))
                && !format!("{name}/").starts_with(&own);
            if is_other {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if let Value::Object(schema) = parse(&path)? {
                let uri = format!("http://localhost:1234/{name}");
                let mut named = json!({ "$schema": edition.metaschema(), "$id": uri });
                if let Some(named) = named.as_object_mut() {
                    named.extend(schema);
                }
                remotes.push((name, named));
            }
        }
    }
    Ok(remotes)
}

fn json_files(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}

fn parse(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}", path.display()))
}
