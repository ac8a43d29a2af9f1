//! Names in generated code. Every rule about them is here.

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};

use crate::file::SchemaFile;
use crate::identity::Identity;
use crate::key::{Kind, RoutingKey, version_word};

/// Modules of generated code that are ours: no domain may have one of these names.
pub const RESERVED_MODULES: [&str; 4] = ["events", "examples", "keys", "services"];

/// The module of a contract, and of the types that only it uses: its domain.
pub fn module(key: &RoutingKey) -> String {
    match key.domain() {
        domain if RESERVED_MODULES.contains(&domain) => format!("{domain}_domain"),
        domain => identifier(domain),
    }
}

/// The module of a library's types: its topmost folder, `common` where it lies in none.
pub(crate) fn library_module(file: &SchemaFile) -> String {
    let folder = file.path.rsplit_once('/').map_or("common", |(folder, _)| folder);
    let top = folder.split('/').next().unwrap_or(folder).trim_start_matches('_');
    match top.to_snake_case() {
        name if RESERVED_MODULES.contains(&name.as_str()) => format!("{name}_domain"),
        name => identifier(&name),
    }
}

/// The name of a library's root type: its file name without version 1.
pub(crate) fn library_type(file: &SchemaFile) -> String {
    let name = file.stem().rsplit('/').next().unwrap_or_default();
    let (name, version) = match name.rsplit_once('.') {
        Some((rest, last)) => version_word(last).map_or((name, 1), |version| (rest, version)),
        None => (name, 1),
    };
    versioned(type_name(name), version)
}

/// The type of a contract: `MeetingCreated` for an event, `MergePullRequest` for a command.
///
/// The domain is left to the module. A command reads as an order, action first.
pub fn contract_type(file: &SchemaFile, identity: &Identity) -> String {
    let version = identity.version;
    if identity.keys.len() > 1 {
        // One struct for several keys: named after the file, as no key is its own.
        let name = file.stem().rsplit('/').next().unwrap_or_default();
        let name = name
            .rsplit_once('.')
            .map_or(name, |(rest, last)| if version_word(last).is_some() { rest } else { name });
        return versioned(type_name(name), version);
    }
    let mut words: Vec<&str> = identity.keys[0].words().skip(1).collect();
    if identity.kind == Kind::Command {
        words.rotate_right(1);
    }
    versioned(type_name(&words.join("_")), version)
}

/// `THEBOARD_MEETING_CREATED`, `THEBOARD_MEETING_CREATED_V2`.
pub fn key_constant(route: &str) -> String {
    route.to_shouty_snake_case()
}

/// The variant of `AnyEvent` for an event: `TheboardMeetingCreated`.
pub fn any_event_variant(module: &str, type_name: &str) -> String {
    format!("{}{type_name}", self::type_name(module.trim_start_matches("r#")))
}

/// A type's name: `top_comment` → `TopComment`.
pub fn type_name(text: &str) -> String {
    let name = ascii(text).to_upper_camel_case();
    match name.chars().next() {
        None if text.is_empty() => "Empty".into(),
        None => "Value".into(),
        Some(first) if first.is_ascii_digit() => format!("N{name}"),
        Some(_) if name == "Self" => "Self_".into(),
        Some(_) => name,
    }
}

/// A field's or module's name, raw where Rust has the word for itself: `type` → `r#type`.
pub fn identifier(text: &str) -> String {
    let name = ascii(text).to_snake_case();
    match name.as_str() {
        "" => "field".into(),
        "self" | "super" | "crate" | "_" => format!("{name}_"),
        word if KEYWORDS.contains(&word) => format!("r#{word}"),
        word if word.starts_with(|c: char| c.is_ascii_digit()) => format!("n{word}"),
        _ => name,
    }
}

/// The marker type of a service: `theboard-producer` → `TheboardProducer`.
pub fn service_type(name: &str) -> String {
    type_name(name)
}

fn versioned(name: String, version: u32) -> String {
    if version == 1 { name } else { format!("{name}V{version}") }
}

/// Other characters become separators, so that every text gives an identifier.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// The words that edition 2024 keeps and that may be written raw.
const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_camel_case_and_valid() {
        let names = ["top_comment", "s3-location", "3d_model", "", "-", "self", "émotion"];
        let types: Vec<String> = names.into_iter().map(type_name).collect();
        assert_eq!(
            types,
            ["TopComment", "S3Location", "N3dModel", "Empty", "Value", "Self_", "Motion"]
        );
    }

    #[test]
    fn fields_are_snake_case_and_valid() {
        let names = ["type", "fooBar", "a-b", "$schema", "_x", "self", "2nd", "gen"];
        let fields: Vec<String> = names.into_iter().map(identifier).collect();
        assert_eq!(fields, ["r#type", "foo_bar", "a_b", "schema", "x", "self_", "n2nd", "r#gen"]);
    }
}
