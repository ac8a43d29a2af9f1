//! Values of schemas as Rust: what a field is set to where there is nothing to choose.

use holyfields::shape::{self, Body, Choice, Field, TypeShape};
use proc_macro2::{Literal, TokenStream};
use quote::quote;
use serde_json::Value;

use super::scope::{Scope, ident};

/// A value without parts, as `Value::from` takes it.
pub(super) fn literal(value: &Value) -> Option<TokenStream> {
    Some(match value {
        Value::Null => quote!(()),
        Value::Bool(value) => quote!(#value),
        Value::String(text) => quote!(#text),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => {
                negated(number < 0, Literal::u64_unsuffixed(number.unsigned_abs()))
            }
            (_, Some(number), _) => negated(false, Literal::u64_unsuffixed(number)),
            (_, _, Some(number)) => {
                negated(number.is_sign_negative(), Literal::f64_unsuffixed(number.abs()))
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn negated(negative: bool, literal: Literal) -> TokenStream {
    if negative { quote!(-#literal) } else { quote!(#literal) }
}

/// What a field's bare type is set to for a value of its schema, where that can be written simply.
pub(super) fn of_field(
    scope: &Scope<'_>,
    shape: &TypeShape,
    field: &Field,
    value: &Value,
) -> Option<TokenStream> {
    if let Some((ty, choices)) = choices(scope, shape, field) {
        let choice = choices.iter().find(|choice| *value == choice.wire)?;
        let variant = ident(&choice.ident);
        return Some(quote!(#ty::#variant));
    }
    let kind = field.schema.get("type").and_then(Value::as_str)?;
    match (kind, value) {
        ("boolean", Value::Bool(_)) => literal(value),
        ("string", Value::String(_)) if field.schema.get("format").is_none() => literal(value),
        ("integer", Value::Number(number)) => {
            let is_unsigned = field.schema["format"] == "uint64";
            let fits = if is_unsigned { number.is_u64() } else { number.is_i64() };
            if fits { literal(value) } else { None }
        }
        ("number", Value::Number(number)) => {
            let float = number.as_f64()?;
            Some(negated(float.is_sign_negative(), Literal::f64_unsuffixed(float.abs())))
        }
        _ => None,
    }
}

/// The enum that a field holds.
pub(super) fn choices<'s>(
    scope: &Scope<'s>,
    shape: &TypeShape,
    field: &Field,
) -> Option<(syn::Path, &'s [Choice])> {
    let named = shape::referenced_id(&field.schema).and_then(|id| scope.context.named(id))?;
    match &named.body {
        Body::Enum(choices) => Some((Scope::type_path(named, &shape.module), choices)),
        _ => None,
    }
}
