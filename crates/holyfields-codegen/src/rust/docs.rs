//! Doc comments.

use proc_macro2::TokenStream;
use quote::quote;
use serde_json::Value;

/// A line of a doc comment has at most so many characters, indentation aside.
const WIDTH: usize = 92;

/// Doc comments of these paragraphs, with a blank line between them.
pub(super) fn paragraphs<'t>(texts: impl IntoIterator<Item = &'t str>) -> TokenStream {
    let mut lines: Vec<String> = Vec::new();
    for text in texts.into_iter().filter(|text| !text.trim().is_empty()) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(wrap(text));
    }
    attributes(&lines)
}

/// A description and, on a line of its own, what the validator asks for and what the default is.
pub(super) fn of_field(
    description: &str,
    limits: &[String],
    default: Option<&Value>,
) -> TokenStream {
    let mut lines = wrap(description);
    let mut sentences: Vec<String> = Vec::new();
    if !limits.is_empty() {
        let mut limits = limits.join("; ");
        if let Some(first) = limits.chars().next() {
            limits.replace_range(..first.len_utf8(), &first.to_uppercase().to_string());
        }
        sentences.push(format!("{limits}."));
    }
    let default = default.map(Value::to_string);
    if let Some(default) = default.filter(|text| text.len() <= WIDTH && !text.contains('`')) {
        sentences.push(format!("Default: `{default}`."));
    }
    lines.extend(wrap(&sentences.join(" ")));
    attributes(&lines)
}

fn attributes(lines: &[String]) -> TokenStream {
    let lines = lines.iter().map(|line| {
        let line = if line.is_empty() { String::new() } else { format!(" {line}") };
        quote!(#[doc = #line])
    });
    quote!(#(#lines)*)
}

/// Characters that rustc refuses in comments, as they show text other than it is.
fn unshowable(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && !c.is_whitespace())
}

/// The words of a text in lines. Nothing in it is taken for a code block.
fn wrap(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split("\n\n") {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let mut line = String::new();
        for word in paragraph.replace("```", "'''").replace(unshowable, "").split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            lines.push(line);
        }
    }
    lines
}
