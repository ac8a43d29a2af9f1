//! Enums of strings, and unions.

use holyfields::naming;
use holyfields::shape::{TypeShape, Union};
use proc_macro2::TokenStream;
use quote::quote;

use super::contract;
use super::scope::{Scope, ident};

pub(super) fn emit_enum(
    scope: &mut Scope<'_>,
    shape: &TypeShape,
    values: &[String],
    items: &mut Vec<TokenStream>,
) {
    let name = ident(&shape.name);
    let (serialize, deserialize) = (scope.name("Serialize"), scope.name("Deserialize"));
    let serde = format!("{}::serde", scope.context.crate_path());
    let documentation = contract::documentation(scope, shape);
    let deprecated = shape.deprecated.then(|| quote!(#[deprecated]));
    let names: Vec<String> = values.iter().map(|value| naming::type_name(value)).collect();
    let regular = names.iter().zip(values).all(|(name, value)| snake_case(name) == *value);
    let rename_all = regular.then(|| quote!(, rename_all = "snake_case"));
    let idents: Vec<_> = names.iter().map(|name| ident(name)).collect();
    // Where there is nothing to choose, nothing need be said.
    let (default, first) = match values.len() {
        1 => (Some(quote!(Default,)), Some(quote!(#[default]))),
        _ => (None, None),
    };
    let variants = idents.iter().zip(values).map(|(ident, value)| {
        let rename = (!regular).then(|| quote!(#[serde(rename = #value)]));
        quote!(#first #rename #ident)
    });
    items.push(quote! {
        #documentation
        #deprecated
        #[derive(Clone, Copy, Debug, #default PartialEq, Eq, Hash, #serialize, #deserialize)]
        #[serde(crate = #serde #rename_all)]
        pub enum #name { #(#variants,)* }
    });
    items.push(quote! {
        impl #name {
            /// The value as it stands in JSON.
            pub fn as_str(self) -> &'static str {
                match self { #(Self::#idents => #values,)* }
            }
        }
    });
    items.push(quote! {
        impl std::fmt::Display for #name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    });
}

pub(super) fn emit_union(
    scope: &mut Scope<'_>,
    shape: &TypeShape,
    union: &Union,
    items: &mut Vec<TokenStream>,
) {
    let name = ident(&shape.name);
    let (serialize, deserialize) = (scope.name("Serialize"), scope.name("Deserialize"));
    let serde = format!("{}::serde", scope.context.crate_path());
    let documentation = contract::documentation(scope, shape);
    let deprecated = shape.deprecated.then(|| quote!(#[deprecated]));
    let told = match &union.tag {
        Some(tag) => quote!(tag = #tag),
        None => quote!(untagged),
    };
    let variants = union.variants.iter().map(|variant| {
        let ident = ident(&variant.ident);
        let mut ty = scope.rust_type(&variant.schema, &shape.module);
        if scope.context.nests_unions(&variant.schema, &shape.id) {
            let boxed = scope.name("Box");
            ty = quote!(#boxed<#ty>);
        }
        let wire = &variant.wire;
        let rename = union.tag.is_some().then(|| quote!(#[serde(rename = #wire)]));
        quote!(#rename #ident(#ty))
    });
    let variants: Vec<_> = variants.collect();
    items.push(quote! {
        #documentation
        #deprecated
        #[derive(Clone, Debug, PartialEq, #serialize, #deserialize)]
        #[serde(crate = #serde, #told)]
        pub enum #name { #(#variants,)* }
    });
}

/// What serde's `rename_all = "snake_case"` makes of a variant.
fn snake_case(variant: &str) -> String {
    let mut snake = String::new();
    for (index, c) in variant.char_indices() {
        if index > 0 && c.is_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
