//! Syntax → text, laid out as a person would.

use proc_macro2::TokenStream;
use syn::File;

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
        let parsed: File = syn::parse2(item).map_err(|error| CodegenError::Syntax {
            module: name.into(),
            reason: error.to_string(),
        })?;
        text.push('\n');
        push_spaced(&mut text, &prettyplease::unparse(&parsed));
    }
    let file = name.trim_start_matches("r#");
    Ok(GeneratedFile { path: format!("rust/{file}.rs"), contents: text })
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
