//! The validator's errors in our words.

use std::mem;

use jsonschema::error::{TypeKind, ValidationErrorKind as Rule};
use jsonschema::{JsonType, JsonTypeSet, ValidationError};
use serde_json::Value;

/// Characters of a value that are shown.
const LONGEST_VALUE: usize = 60;

/// Choices of an `enum` that are shown.
const MOST_CHOICES: usize = 12;

/// A value as a sentence shows it: texts quoted, containers counted, long ones cut.
pub(crate) fn found(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("an array with {}", count(items.len() as u64, "item")),
        Value::Object(members) => {
            format!("an object with {}", count(members.len() as u64, "property"))
        }
        scalar => shortened(scalar.to_string()),
    }
}

/// What a schema asked for: "an integer", "at most 3".
pub(crate) fn expected(error: &ValidationError<'_>) -> String {
    match error.kind() {
        Rule::Type { kind: TypeKind::Single(json_type) } => type_name(*json_type).to_owned(),
        Rule::Type { kind: TypeKind::Multiple(types) } => type_names(types),
        Rule::Constant { expected_value } => shortened(expected_value.to_string()),
        Rule::Enum { options } => choices(options),
        Rule::MinLength { limit } => format!("text of at least {}", count(*limit, "character")),
        Rule::MaxLength { limit } => format!("text of at most {}", count(*limit, "character")),
        Rule::Pattern { pattern } => format!("text that matches `{pattern}`"),
        Rule::Format { format } => format!("text of the format `{format}`"),
        Rule::Minimum { limit } => format!("at least {limit}"),
        Rule::Maximum { limit } => format!("at most {limit}"),
        Rule::ExclusiveMinimum { limit } => format!("more than {limit}"),
        Rule::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Rule::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Rule::MinItems { limit } => format!("an array of at least {}", count(*limit, "item")),
        Rule::MaxItems { limit } => format!("an array of at most {}", count(*limit, "item")),
        Rule::AdditionalItems { limit } => {
            format!("an array of at most {}", count(*limit as u64, "item"))
        }
        Rule::UniqueItems => "an array of items that all differ".to_owned(),
        Rule::MinProperties { limit } => {
            format!("an object with at least {}", count(*limit, "property"))
        }
        Rule::MaxProperties { limit } => {
            format!("an object with at most {}", count(*limit, "property"))
        }
        Rule::FalseSchema => "absent".to_owned(),
        Rule::Not { .. } => "what the schema under `not` refuses".to_owned(),
        Rule::PropertyNames { error } => format!("named by {}", expected(error)),
        Rule::AnyOf { context } => alternatives(error, context),
        Rule::OneOfNotValid { context } => alternatives(error, context),
        Rule::OneOfMultipleValid { context } => {
            format!("exactly one of {} alternatives", context.len())
        }
        kind => format!("as `{}` asks", kind.keyword()),
    }
}

/// `1 item`, `3 properties`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{n} {stem}ies"),
        None => format!("{n} {noun}s"),
    }
}

/// The errors of the one branch of a union that a value was meant for, as far as one can tell: it
/// takes values of this type, and has no const that is another.
pub(crate) fn meant_branch<'e>(
    error: &'e ValidationError<'_>,
) -> Option<&'e [ValidationError<'static>]> {
    let (Rule::AnyOf { context } | Rule::OneOfNotValid { context }) = error.kind() else {
        return None;
    };
    let is_elsewhere = |below: &ValidationError<'_>| match below.kind() {
        Rule::Type { .. } => below.instance_path() == error.instance_path(),
        Rule::Constant { .. } => true,
        Rule::Enum { options } => {
            let options = options.as_array().map_or(&[][..], Vec::as_slice);
            let is_same_kind =
                |option| mem::discriminant(option) == mem::discriminant(&**below.instance());
            !options.iter().any(is_same_kind)
        }
        _ => false,
    };
    let mut meant = context.iter().filter(|branch| !branch.iter().any(is_elsewhere));
    let first = meant.next()?;
    meant.next().is_none().then_some(first.as_slice())
}

/// What each branch asks for, where all speak of the value itself; else only their number.
fn alternatives(error: &ValidationError<'_>, branches: &[Vec<ValidationError<'_>>]) -> String {
    let asks = |branch: &Vec<ValidationError<'_>>| match branch.as_slice() {
        [only] if only.instance_path() == error.instance_path() => Some(expected(only)),
        _ => None,
    };
    match branches.iter().map(asks).collect::<Option<Vec<_>>>() {
        Some(mut asks) => {
            asks.dedup();
            asks.join(", or ")
        }
        None => format!("one of {} alternatives", branches.len()),
    }
}

fn choices(options: &Value) -> String {
    let options = options.as_array().map_or(&[][..], Vec::as_slice);
    let shown: Vec<String> =
        options.iter().take(MOST_CHOICES).map(|option| shortened(option.to_string())).collect();
    match options.len() {
        1 => shown.concat(),
        n if n > MOST_CHOICES => format!("one of {n} values: {}, …", shown.join(", ")),
        _ => format!("one of {}", shown.join(", ")),
    }
}

fn type_names(types: &JsonTypeSet) -> String {
    let all = [
        JsonType::String,
        JsonType::Integer,
        JsonType::Number,
        JsonType::Boolean,
        JsonType::Array,
        JsonType::Object,
        JsonType::Null,
    ];
    let names = all.into_iter().filter(|&json_type| types.contains(json_type)).map(type_name);
    names.collect::<Vec<_>>().join(" or ")
}

fn type_name(json_type: JsonType) -> &'static str {
    match json_type {
        JsonType::Null => "null",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::String => "a string",
        JsonType::Array => "an array",
        JsonType::Object => "an object",
    }
}

/// The text, cut where it is long.
pub(crate) fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
