//! From the validator's errors to [`Violation`]s in our words: one keyword each.

use holyfields::{pointer, suggest};
use jsonschema::error::{TypeKind, ValidationErrorKind as Rule};
use jsonschema::{JsonType, JsonTypeSet, ValidationError};
use serde_json::Value;

use crate::Violation;
use crate::describe::{self, HIDDEN, count};
use crate::explain::facts::Facts;
use crate::refusal::MAX_VIOLATIONS;

/// The violations that one error of a keyword amounts to, which the validator found at `at` with the
/// schema under `schema`.
pub(crate) fn one(
    error: &ValidationError<'_>,
    at: &str,
    schema: &str,
    facts: &Facts,
) -> Vec<Violation> {
    let at = &format!("{at}{}", error.instance_path().as_str());
    match error.kind() {
        Rule::AdditionalProperties { unexpected } | Rule::UnevaluatedProperties { unexpected } => {
            let property = |name: &String| {
                let schema = format!("{schema}{}", error.schema_path().as_str());
                let value = error.instance().get(name);
                let near = similar(name, facts);
                unexpected_property(&keyword(error), at, name, value, schema, near, facts)
            };
            unexpected.iter().take(MAX_VIOLATIONS).map(property).collect()
        }
        Rule::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![Violation {
                pointer: pointer::join(at, name),
                rule: keyword(error),
                expected: format!("property `{}` to be present", describe::escape_control(name)),
                found: "nothing".to_owned(),
                ..plain(error, at, schema, facts)
            }]
        }
        Rule::PropertyNames { error: inner } => {
            let name = inner.instance().as_str().unwrap_or_default().to_owned();
            let place = pointer::join(at, &name);
            let found =
                if facts.hides(&place) { HIDDEN.to_owned() } else { describe::quoted(&name) };
            vec![Violation {
                pointer: place,
                rule: keyword(error),
                expected: format!("a property name that is {}", expected(inner)),
                found,
                ..plain(error, at, schema, facts)
            }]
        }
        Rule::OneOfMultipleValid { context } => {
            let fitting = context.iter().filter(|errors| errors.is_empty()).count();
            let found = format!("a value that fits {fitting} of them");
            vec![Violation { found, ..plain(error, at, schema, facts) }]
        }
        _ => vec![plain(error, at, schema, facts)],
    }
}

/// A violation at the place of the error, of the value there.
pub(crate) fn plain(
    error: &ValidationError<'_>,
    at: &str,
    schema: &str,
    facts: &Facts,
) -> Violation {
    Violation {
        pointer: at.to_owned(),
        rule: keyword(error),
        expected: expected(error),
        found: if facts.hides(at) { HIDDEN.to_owned() } else { describe::found(error.instance()) },
        schema: format!("{schema}{}", error.schema_path().as_str()),
        similar: None,
    }
}

/// A violation by a property that should not be in the object at `at`.
pub(crate) fn unexpected_property(
    rule: &str,
    at: &str,
    name: &str,
    value: Option<&Value>,
    schema: String,
    similar: Option<&str>,
    facts: &Facts,
) -> Violation {
    // What stands under a misspelled name may be just what is marked under the right one.
    let value = value.filter(|_| !facts.any_sensitive());
    let mut expected = "no property of this name".to_owned();
    if let Some(near) = similar {
        expected.push_str(&format!(" (did you mean `{}`?)", describe::escape_control(near)));
    }
    Violation {
        pointer: pointer::join(at, name),
        rule: rule.to_owned(),
        expected,
        found: value.map_or_else(|| HIDDEN.to_owned(), describe::found),
        schema,
        similar: similar.map(str::to_owned),
    }
}

/// The declared name that an undeclared one was meant to be.
///
/// A name that is declared elsewhere is no slip of the pen: the nearest to it is itself.
pub(crate) fn similar<'f>(name: &str, facts: &'f Facts) -> Option<&'f str> {
    let near = suggest::nearest(name, facts.declared.iter().map(String::as_str));
    near.first().copied().filter(|near| *near != name)
}

/// The keyword at fault; the library's name for it, except where two keywords share one.
fn keyword(error: &ValidationError<'_>) -> String {
    let last = error.schema_path().as_str().rsplit('/').next().unwrap_or_default();
    match error.kind() {
        Rule::FalseSchema => "false".to_owned(),
        Rule::Required { .. } if error.schema_path().as_str().contains("/dependentRequired") => {
            "dependentRequired".to_owned()
        }
        Rule::Contains if matches!(last, "minContains" | "maxContains") => last.to_owned(),
        Rule::PropertyNames { .. } => "propertyNames".to_owned(),
        kind => kind.keyword().to_owned(),
    }
}

fn expected(error: &ValidationError<'_>) -> String {
    match error.kind() {
        Rule::Type { kind: TypeKind::Single(json_type) } => describe::type_name(*json_type).into(),
        Rule::Type { kind: TypeKind::Multiple(types) } => types_or(types),
        Rule::Constant { expected_value } => describe::constant(expected_value),
        Rule::Enum { options } => {
            let options: Vec<&Value> = options.as_array().into_iter().flatten().collect();
            describe::choices(&options)
        }
        Rule::MaxLength { limit } => format!("at most {}", count(*limit, "character")),
        Rule::MinLength { limit } => format!("at least {}", count(*limit, "character")),
        Rule::MaxItems { limit } => format!("at most {}", count(*limit, "item")),
        Rule::MinItems { limit } => format!("at least {}", count(*limit, "item")),
        Rule::AdditionalItems { limit } => format!("at most {}", count(*limit as u64, "item")),
        Rule::UnevaluatedItems { .. } => "no further items".into(),
        Rule::UniqueItems => "items that all differ".into(),
        Rule::Contains => "items as `contains` asks for".into(),
        Rule::MaxProperties { limit } => format!("at most {}", count(*limit, "property")),
        Rule::MinProperties { limit } => format!("at least {}", count(*limit, "property")),
        Rule::Maximum { limit } => format!("at most {limit}"),
        Rule::Minimum { limit } => format!("at least {limit}"),
        Rule::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Rule::ExclusiveMinimum { limit } => format!("more than {limit}"),
        Rule::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Rule::Pattern { pattern } => {
            format!("text that matches `{}`", describe::escape_control(pattern))
        }
        Rule::BacktrackLimitExceeded { .. } | Rule::RegexEngineFailure { .. } => {
            "text that its `pattern` can decide on in reasonable time".into()
        }
        Rule::Format { format } => describe::format_name(format),
        Rule::ContentEncoding { content_encoding } => format!("text encoded as {content_encoding}"),
        Rule::FromUtf8 { .. } => "encoded UTF-8 text".into(),
        Rule::ContentMediaType { content_media_type } => {
            format!("text of type {content_media_type}")
        }
        Rule::FalseSchema => "nothing here".into(),
        Rule::Not { .. } => "a value that the schema under `not` refuses".into(),
        Rule::AnyOf { context } => format!("one of {} alternatives", context.len()),
        Rule::OneOfNotValid { context } | Rule::OneOfMultipleValid { context } => {
            format!("exactly one of {} alternatives", context.len())
        }
        kind => format!("what `{}` asks for", kind.keyword()),
    }
}

fn types_or(types: &JsonTypeSet) -> String {
    let known = [
        JsonType::String,
        JsonType::Integer,
        JsonType::Number,
        JsonType::Boolean,
        JsonType::Array,
        JsonType::Object,
        JsonType::Null,
    ];
    let names = known.into_iter().filter(|&t| types.contains(t)).map(describe::type_name);
    names.collect::<Vec<_>>().join(" or ")
}

/// The options of a `const` or `enum` error.
pub(crate) fn options<'e>(error: &'e ValidationError<'_>) -> Option<&'e [Value]> {
    match error.kind() {
        Rule::Constant { expected_value } => Some(std::slice::from_ref(expected_value.as_ref())),
        Rule::Enum { options } => options.as_array().map(Vec::as_slice),
        _ => None,
    }
}
