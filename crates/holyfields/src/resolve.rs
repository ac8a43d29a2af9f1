//! `$ref`: which place each one means.
//!
//! A reference is looked up by relative path and by `$id`. Path wins; where the two disagree it is
//! a warning, where neither resolves an error. Nothing is fetched, nothing outside the root read.
//!
//! A `$dynamicRef` is followed where it can mean one place only, and refused elsewhere.

use std::collections::{HashMap, HashSet};

use fluent_uri::{Uri, UriRef};
use serde_json::Value;

use crate::file::{Draft, SchemaFile};
use crate::finding::{Finding, Place};
use crate::rules::{self, Rule};
use crate::{pointer, walk};

/// A place in a catalog: the index of a file, and a pointer into it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Index into the catalog's files.
    pub file: usize,
    /// JSON Pointer.
    pub pointer: String,
}

/// What every `$ref` of a catalog means, by the place of the schema object that holds it.
#[derive(Clone, Debug, Default)]
pub struct References {
    targets: HashMap<Target, Target>,
    /// Files that another file refers to.
    shared: HashSet<usize>,
}

impl References {
    /// Where the `$ref` of the schema at a place leads; none if it has none or it is dangling.
    pub fn target(&self, at: &Target) -> Option<&Target> {
        self.targets.get(at)
    }

    /// All references: from where, to where.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Target, &Target)> {
        self.targets.iter()
    }

    /// Whether some reference leads into this file from another one.
    pub(crate) fn is_referenced(&self, file: usize) -> bool {
        self.shared.contains(&file)
    }
}

/// Resolves all references.
pub(crate) fn resolve(files: &[SchemaFile], findings: &mut Vec<Finding>) -> References {
    let mut resolver = Resolver::index(files, findings);
    for (file, content) in files.iter().enumerate() {
        resolver.visit(Target { file, pointer: String::new() }, &content.schema, 0);
    }
    findings.append(&mut resolver.findings);
    let targets = resolver.resolved;
    let across = targets.iter().filter(|(from, to)| from.file != to.file);
    References { shared: across.map(|(_, to)| to.file).collect(), targets }
}

/// A schema that sets the base for the references inside it: a file's root, or one with an `$id`.
struct Resource {
    root: Target,
    uri: Option<Uri<String>>,
    anchors: HashMap<String, String>,
}

struct Resolver<'a> {
    files: &'a [SchemaFile],
    by_path: HashMap<&'a str, usize>,
    by_uri: HashMap<String, usize>,
    resources: Vec<Resource>,
    /// The resource that starts at a place.
    starts: HashMap<Target, usize>,
    /// Every place that is a schema.
    schemas: HashSet<Target>,
    /// How many schemas carry a `$dynamicAnchor`.
    dynamic_anchors: HashMap<&'a str, usize>,
    resolved: HashMap<Target, Target>,
    findings: Vec<Finding>,
}

impl<'a> Resolver<'a> {
    fn index(files: &'a [SchemaFile], findings: &mut Vec<Finding>) -> Self {
        let by_path = files.iter().enumerate().map(|(i, f)| (f.path.as_str(), i)).collect();
        let mut resolver = Resolver {
            files,
            by_path,
            by_uri: HashMap::new(),
            resources: Vec::new(),
            starts: HashMap::new(),
            schemas: HashSet::new(),
            dynamic_anchors: HashMap::new(),
            resolved: HashMap::new(),
            findings: Vec::new(),
        };
        for (file, content) in files.iter().enumerate() {
            resolver.index_schema(Target { file, pointer: String::new() }, &content.schema, None);
        }
        findings.append(&mut resolver.findings);
        resolver
    }

    fn index_schema(&mut self, at: Target, schema: &'a Value, within: Option<usize>) {
        self.schemas.insert(at.clone());
        let id = schema.get("$id").and_then(Value::as_str);
        // In draft-07 an `$id` that is only a fragment is an anchor, and siblings of `$ref` count
        // for nothing.
        let draft = self.files[at.file].draft;
        let lone_ref = draft == Draft::V7 && schema.get("$ref").is_some();
        let id = id.filter(|_| !lone_ref);
        let starts = id.is_some_and(|id| !id.starts_with('#')) || within.is_none();
        let resource = match within {
            Some(resource) if !starts => resource,
            _ => self.start_resource(&at, id, within),
        };
        let fragment = id.and_then(|id| id.strip_prefix('#')).filter(|_| draft == Draft::V7);
        let dynamic = dynamic_word(schema, "$dynamicAnchor", draft);
        if let Some(anchor) = dynamic {
            *self.dynamic_anchors.entry(anchor).or_default() += 1;
        }
        let anchors = [schema.get("$anchor").and_then(Value::as_str), fragment, dynamic];
        for anchor in anchors.into_iter().flatten() {
            self.resources[resource].anchors.insert(anchor.to_owned(), at.pointer.clone());
        }
        let mut below = Vec::new();
        walk::children(schema, &at.pointer, draft, &mut |p, child| below.push((p, child)));
        for (pointer, child) in below {
            self.index_schema(Target { file: at.file, pointer }, child, Some(resource));
        }
    }

    fn start_resource(&mut self, at: &Target, id: Option<&str>, within: Option<usize>) -> usize {
        let base = within.and_then(|outer| self.resources[outer].uri.clone());
        let uri = id.filter(|id| !id.starts_with('#')).and_then(|id| absolute(id, base.as_ref()));
        let index = self.resources.len();
        if let Some(uri) = &uri {
            if let Some(&other) = self.by_uri.get(uri.as_str()) {
                let other = &self.resources[other].root;
                let first =
                    Place::value(&self.files[other.file].path, format!("{}/$id", other.pointer));
                let here = Place::value(&self.files[at.file].path, format!("{}/$id", at.pointer));
                let message = format!("`{uri}` is the `$id` of two schemas; it should name one");
                self.findings.push(
                    Finding::new(rules::DUPLICATE_ID, message, here)
                        .also(first.labelled("first here"))
                        .help("give this schema an `$id` of its own"),
                );
            } else {
                self.by_uri.insert(uri.as_str().to_owned(), index);
            }
        }
        self.resources.push(Resource { root: at.clone(), uri, anchors: HashMap::new() });
        self.starts.insert(at.clone(), index);
        index
    }

    fn visit(&mut self, at: Target, schema: &Value, within: usize) {
        let resource = self.starts.get(&at).copied().unwrap_or(within);
        let draft = self.files[at.file].draft;
        if let Some(target) = self.target(&at, schema, resource, draft) {
            self.resolved.insert(at.clone(), target);
        }
        let mut below = Vec::new();
        walk::children(schema, &at.pointer, draft, &mut |p, child| below.push((p, child)));
        for (pointer, child) in below {
            self.visit(Target { file: at.file, pointer }, child, resource);
        }
    }

    /// Where the reference of a schema leads, if it has one.
    fn target(
        &mut self,
        at: &Target,
        schema: &Value,
        resource: usize,
        draft: Draft,
    ) -> Option<Target> {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            if dynamic_word(schema, "$dynamicRef", draft).is_some() {
                self.refuse_dynamic(at, "it stands beside a `$ref`");
            }
            return self.follow(at, reference, resource);
        }
        let reference = dynamic_word(schema, "$dynamicRef", draft)?;
        let target = self.follow(at, reference, resource)?;
        let anchor = dynamic_word(self.schema(&target)?, "$dynamicAnchor", draft);
        // Only by the name of the anchor it is dynamic; by pointer it is an ordinary reference.
        let anchor =
            anchor.filter(|anchor| reference.split_once('#').is_some_and(|r| r.1 == *anchor));
        if let Some(&schemas @ 2..) = anchor.and_then(|anchor| self.dynamic_anchors.get(anchor)) {
            let why = format!(
                "its target depends on the way there, as {schemas} schemas have that `$dynamicAnchor`"
            );
            self.refuse_dynamic(at, &why);
        }
        Some(target)
    }

    fn refuse_dynamic(&mut self, at: &Target, why: &str) {
        let message = format!("this `$dynamicRef` is not supported: {why}");
        self.findings.push(
            Finding::new(rules::UNSUPPORTED_KEYWORD, message, self.place(at))
                .help("use `$ref` with a fixed target"),
        );
    }

    fn schema(&self, at: &Target) -> Option<&'a Value> {
        self.files[at.file].schema.pointer(&at.pointer)
    }

    fn follow(&mut self, at: &Target, reference: &str, resource: usize) -> Option<Target> {
        let (path, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let by_path = if path.is_empty() {
            Ok(None)
        } else {
            self.by_path(at, &pointer::from_fragment(path))
        };
        let by_uri = if path.is_empty() { Some(resource) } else { self.by_uri(path, resource) };
        let by_path = match by_path {
            Ok(found) => found,
            Err(()) if by_uri.is_none() => {
                let message = format!("`{reference}` leads out of the schema folder");
                let help = "move the file it means into the schema folder";
                return self.fail(rules::ESCAPING_REF, at, message, help);
            }
            Err(()) => None,
        };
        if let (Some(one), Some(other)) = (by_path, by_uri)
            && self.resources[one].root != self.resources[other].root
        {
            self.warn_ambiguous(at, reference, one, other);
        }
        let Some(found) = by_path.or(by_uri) else {
            return self.unresolved(at, reference, path);
        };
        let file = &self.files[self.resources[found].root.file].path;
        let Some(target) = self.within(found, fragment) else {
            let message = format!("`{reference}` leads nowhere: `{file}` has no `#{fragment}`");
            return self.fail(rules::UNRESOLVED_REF, at, message, "correct the part behind `#`");
        };
        if !self.schemas.contains(&target) {
            let message = format!(
                "`{reference}` leads to a value of `{file}` that no keyword makes a schema"
            );
            return self.fail(rules::UNRESOLVED_REF, at, message, "move it under `$defs`");
        }
        Some(target)
    }

    /// The resource at the root of the file that a relative path means; `Err` where it escapes.
    fn by_path(&self, at: &Target, path: &str) -> Result<Option<usize>, ()> {
        if path.contains(':') {
            return Ok(None);
        }
        let here = &self.files[at.file].path;
        let folder = here.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut words: Vec<&str> = folder.split('/').filter(|word| !word.is_empty()).collect();
        if path.starts_with('/') {
            return Err(());
        }
        for word in path.split('/') {
            match word {
                "." | "" => {}
                ".." => drop(words.pop().ok_or(())?),
                _ => words.push(word),
            }
        }
        let file = self.by_path.get(words.join("/").as_str()).copied();
        let root = file.map(|file| Target { file, pointer: String::new() });
        Ok(root.and_then(|root| self.starts.get(&root).copied()))
    }

    fn by_uri(&self, path: &str, resource: usize) -> Option<usize> {
        let uri = absolute(path, self.resources[resource].uri.as_ref())?;
        self.by_uri.get(uri.as_str()).copied()
    }

    /// The place that a fragment means inside a resource.
    fn within(&self, resource: usize, fragment: &str) -> Option<Target> {
        let resource = &self.resources[resource];
        let root = &resource.root;
        let decoded = pointer::from_fragment(fragment);
        let pointer = match decoded.as_str() {
            "" => root.pointer.clone(),
            path if path.starts_with('/') => format!("{}{path}", root.pointer),
            anchor => resource.anchors.get(anchor)?.clone(),
        };
        self.files[root.file].schema.pointer(&pointer)?;
        Some(Target { file: root.file, pointer })
    }

    fn unresolved(&mut self, at: &Target, reference: &str, path: &str) -> Option<Target> {
        if path.contains(':') {
            let message = format!(
                "`{reference}` leads to no `$id` of this folder, and nothing is ever fetched"
            );
            let help = "copy the schema into the folder and refer to it by relative path";
            return self.fail(rules::REMOTE_REF, at, message, help);
        }
        let message = format!("`{reference}` leads nowhere: no file `{path}` beside this one");
        let known = self.by_path.keys().copied();
        let last = path.rsplit('/').next().unwrap_or(path);
        let near = known.filter(|known| known.rsplit('/').next() == Some(last)).min();
        let help = match near {
            Some(near) => format!("did you mean `{near}` (from the schema root)?"),
            None => "correct the path; it counts from the folder of this file".into(),
        };
        self.fail(rules::UNRESOLVED_REF, at, message, help)
    }

    fn fail(
        &mut self,
        rule: &'static Rule,
        at: &Target,
        message: String,
        help: impl Into<String>,
    ) -> Option<Target> {
        self.findings.push(Finding::new(rule, message, self.place(at)).help(help));
        None
    }

    fn warn_ambiguous(&mut self, at: &Target, reference: &str, by_path: usize, by_uri: usize) {
        let path = |resource: usize| &self.files[self.resources[resource].root.file].path;
        let message = format!(
            "`{reference}` means `{}` by path and `{}` by `$id`; the path counts",
            path(by_path),
            path(by_uri),
        );
        let finding = Finding::new(rules::AMBIGUOUS_REF, message, self.place(at))
            .help("let the `$id`s mirror the folder, or leave them out");
        self.findings.push(finding);
    }

    fn place(&self, at: &Target) -> Place {
        let has_ref = self.schema(at).is_some_and(|schema| schema.get("$ref").is_some());
        let keyword = if has_ref { "$ref" } else { "$dynamicRef" };
        Place::value(&self.files[at.file].path, pointer::join(&at.pointer, keyword))
    }
}

/// The text of a keyword that only 2020-12 knows.
fn dynamic_word<'a>(schema: &'a Value, keyword: &str, draft: Draft) -> Option<&'a str> {
    schema.get(keyword).filter(|_| draft == Draft::V2020)?.as_str()
}

/// A URI reference made absolute, without its fragment; none where there is no base to do it with.
fn absolute(reference: &str, base: Option<&Uri<String>>) -> Option<Uri<String>> {
    let reference = UriRef::parse(reference).ok()?;
    let mut uri = match base {
        Some(base) => reference.resolve_against(base).ok()?,
        None => Uri::parse(reference.as_str()).ok()?.to_owned(),
    };
    uri.set_fragment(None);
    Some(uri)
}
