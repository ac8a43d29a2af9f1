//! Enums of strings.

use holyfields::shape::{Choice, TypeShape};
use proc_macro2::TokenStream;
use quote::quote;

use super::scope::{Scope, ident};
use super::{contract, docs};

pub(super) fn emit(
    scope: &mut Scope<'_>,
    shape: &TypeShape,
    choices: &[Choice],
    items: &mut Vec<TokenStream>,
) {
    let name = ident(&shape.name);
    let (serialize, deserialize) = (scope.name("Serialize"), scope.name("Deserialize"));
    let serde = format!("{}::serde", scope.context.crate_path());
    let documentation = contract::documentation(scope, shape);
    let deprecated = shape.deprecated.then(|| quote!(#[deprecated]));
    let regular = choices.iter().all(|choice| snake_case(&choice.ident) == choice.wire);
    let rename_all = regular.then(|| quote!(, rename_all = "snake_case"));
    let idents: Vec<_> = choices.iter().map(|choice| ident(&choice.ident)).collect();
    let wires: Vec<&str> = choices.iter().map(|choice| choice.wire.as_str()).collect();
    // Where there is nothing to choose, nothing need be said.
    let (default, first) = match choices.len() {
        1 => (Some(quote!(Default,)), Some(quote!(#[default]))),
        _ => (None, None),
    };
    let variants = idents.iter().zip(choices).map(|(ident, choice)| {
        let wire = &choice.wire;
        let rename = (!regular).then(|| quote!(#[serde(rename = #wire)]));
        let documentation = docs::paragraphs(choice.docs.iter().map(String::as_str));
        quote!(#documentation #first #rename #ident)
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
                match self { #(Self::#idents => #wires,)* }
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
