//! Syntax → text, laid out as a person would.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::{File, Item};

use super::context::Context;
use crate::{CodegenError, GeneratedFile, MARK};

/// A file before it is printed.
pub(super) struct Source {
    /// Lines that import names; may be empty.
    pub(super) uses: Vec<String>,
    /// One blank line goes between two of these.
    pub(super) items: Vec<TokenStream>,
}

/// Prints a file.
pub(super) fn file(
    name: &str,
    source: Source,
    _context: &Context<'_>,
) -> Result<GeneratedFile, CodegenError> {
    let mut text = format!("// {MARK}. Edit the schema, not this file.\n");
    if !source.uses.is_empty() {
        text.push('\n');
        for line in source.uses {
            text.push_str(&line);
            text.push('\n');
        }
    }
    for item in source.items {
        let parsed = parse(name, item)?;
        text.push('\n');
        push_spaced(&mut text, &prettyplease::unparse(&parsed));
    }
    let file = name.trim_start_matches("r#");
    Ok(GeneratedFile { path: format!("rust/{file}.rs"), contents: text })
}

fn parse(module: &str, item: TokenStream) -> Result<File, CodegenError> {
    syn::parse2(item)
        .map_err(|error| CodegenError::Syntax { module: module.into(), reason: error.to_string() })
}

/// Prints only the structs and enums of these names.
pub(super) fn definitions(
    module: &str,
    items: Vec<TokenStream>,
    names: &BTreeSet<&str>,
) -> Result<String, CodegenError> {
    let mut definitions = Vec::new();
    for item in items {
        let mut parsed = parse(module, item)?;
        parsed.items.retain(|item| match item {
            Item::Struct(item) => names.contains(item.ident.unraw().to_string().as_str()),
            Item::Enum(item) => names.contains(item.ident.unraw().to_string().as_str()),
            _ => false,
        });
        if !parsed.items.is_empty() {
            definitions.push(prettyplease::unparse(&parsed));
        }
    }
    Ok(definitions.join("\n"))
}

/// prettyplease leaves no blank line between the functions of an impl; people do.
fn push_spaced(text: &mut String, printed: &str) {
    let mut previous = "";
    for line in printed.lines() {
        let ends_function = previous == "    }";
        let starts_function = line.starts_with("    fn ") && previous.starts_with("    const ");
        if (ends_function && line != "}") || starts_function {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
        previous = line;
    }
}
