//! The names of one generated file: short where they are free, full paths where they are taken.

use std::collections::{BTreeMap, BTreeSet};

use holyfields::shape::TypeShape;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;
use syn::visit_mut::{self, VisitMut};
use syn::{Ident, Path, Type, TypePath};

use super::context::Context;

/// Names that generated code imports, by the path they come from. `crate` stands for the runtime.
const IMPORTS: [(&str, &str); 17] = [
    ("AnsweredWith", "crate"),
    ("Any", "crate"),
    ("BTreeMap", "std::collections"),
    ("Branches", "crate::codec"),
    ("Command", "crate"),
    ("Contract", "crate"),
    ("Contracts", "crate"),
    ("DateTime", "crate::chrono"),
    ("Deserialize", "crate::serde"),
    ("Deserializer", "crate::serde"),
    ("Event", "crate"),
    ("Kind", "crate"),
    ("Map", "crate::serde_json"),
    ("Serialize", "crate::serde"),
    ("Utc", "crate::chrono"),
    ("Uuid", "crate::uuid"),
    ("Value", "crate::serde_json"),
];

/// Names that need no import, and their full paths for where they are taken.
const PRELUDE: [(&str, &str); 7] = [
    ("Box", "::std::boxed"),
    ("Default", "::std::default"),
    ("Into", "::std::convert"),
    ("Option", "::std::option"),
    ("Result", "::std::result"),
    ("String", "::std::string"),
    ("Vec", "::std::vec"),
];

pub(super) struct Scope<'c> {
    pub(super) context: &'c Context<'c>,
    taken: BTreeSet<String>,
    used: BTreeSet<&'static str>,
}

impl<'c> Scope<'c> {
    /// `taken` are the types that the file defines itself.
    pub(super) fn new<'t>(
        context: &'c Context<'c>,
        taken: impl IntoIterator<Item = &'t str>,
    ) -> Self {
        let taken = taken.into_iter().map(str::to_owned).collect();
        Scope { context, taken, used: BTreeSet::new() }
    }

    /// A name of [`IMPORTS`] or [`PRELUDE`], as it is to be written in this file.
    pub(super) fn name(&mut self, name: &str) -> Path {
        let imported = IMPORTS.iter().find(|(known, _)| *known == name);
        let path = match imported {
            Some((known, _)) if !self.taken.contains(*known) => {
                self.used.insert(known);
                name.to_owned()
            }
            Some((_, from)) => format!("{}::{name}", self.full(from)),
            None if !self.taken.contains(name) => name.to_owned(),
            None => {
                let from = PRELUDE.iter().find(|(known, _)| *known == name);
                from.map_or(name.to_owned(), |(_, from)| format!("{from}::{name}"))
            }
        };
        path_of(&path)
    }

    /// The path of a named type from this file, whose types lie in `module`.
    pub(super) fn type_path(shape: &TypeShape, module: &str) -> Path {
        if shape.module == module {
            path_of(&shape.name)
        } else {
            path_of(&format!("super::{}::{}", shape.module, shape.name))
        }
    }

    /// The Rust type of a schema, in short names.
    pub(super) fn rust_type(&mut self, schema: &Value, module: &str) -> TokenStream {
        let text = self.context.rust_type(schema);
        // typify made the text from tokens, so it is one type.
        let Ok(mut parsed) = syn::parse_str::<Type>(text) else {
            let value = self.name("Value");
            return quote!(#value);
        };
        Shorten { scope: self, module }.visit_type_mut(&mut parsed);
        quote!(#parsed)
    }

    /// The lines that import what was used.
    pub(super) fn uses(&self) -> Vec<String> {
        let mut by_path: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, from) in IMPORTS.iter().filter(|(name, _)| self.used.contains(name)) {
            by_path.entry(self.full(from)).or_default().push(name);
        }
        // std first, as people write it.
        let mut lines: Vec<(bool, String)> = by_path
            .into_iter()
            .map(|(path, names)| match names.as_slice() {
                [one] => (!path.starts_with("std"), format!("use {path}::{one};")),
                several => {
                    (!path.starts_with("std"), format!("use {path}::{{{}}};", several.join(", ")))
                }
            })
            .collect();
        lines.sort();
        let mut text = Vec::new();
        for (index, (foreign, line)) in lines.iter().enumerate() {
            if *foreign && index > 0 && !lines[index - 1].0 {
                text.push(String::new());
            }
            text.push(line.clone());
        }
        text
    }

    fn full(&self, from: &str) -> String {
        match from.strip_prefix("crate") {
            Some(rest) => format!("{}{rest}", self.context.crate_path()),
            None => from.to_owned(),
        }
    }
}

/// Turns the full paths that typify writes into the names of a file.
struct Shorten<'s, 'c> {
    scope: &'s mut Scope<'c>,
    module: &'s str,
}

impl VisitMut for Shorten<'_, '_> {
    fn visit_type_path_mut(&mut self, found: &mut TypePath) {
        visit_mut::visit_type_path_mut(self, found);
        let Some(last) = found.path.segments.last().cloned() else { return };
        let name = last.ident.to_string();
        if let Some(shape) = self.scope.context.named(&name) {
            found.path = Scope::type_path(shape, self.module);
        } else if found.path.segments.len() > 1 {
            let mut short = self.scope.name(&name);
            if let Some(segment) = short.segments.last_mut() {
                segment.arguments = last.arguments;
            }
            found.path = short;
        }
    }
}

/// An identifier, maybe raw.
pub(super) fn ident(text: &str) -> Ident {
    match text.strip_prefix("r#") {
        Some(raw) => Ident::new_raw(raw, proc_macro2::Span::call_site()),
        None => format_ident!("{text}"),
    }
}

fn path_of(text: &str) -> Path {
    // Made from identifiers by naming.rs and the tables above.
    syn::parse_str(text).unwrap_or_else(|_| syn::parse_quote!(Value))
}
