//! Unions: one of several types.

use holyfields::shape::{Told, TypeShape, Union, Variant};
use proc_macro2::TokenStream;
use quote::quote;

use super::contract;
use super::scope::{Scope, ident};
use super::values::literal;

pub(super) fn emit(
    scope: &mut Scope<'_>,
    shape: &TypeShape,
    union: &Union,
    items: &mut Vec<TokenStream>,
) {
    items.push(definition(scope, shape, union));
    if hides(union) {
        items.push(debug(shape, union));
    }
    if let Told::Shape(order) = &union.told {
        items.push(by_trial(scope, shape, union, order));
    }
}

fn hides(union: &Union) -> bool {
    union.variants.iter().any(|variant| variant.sensitive)
}

fn definition(scope: &mut Scope<'_>, shape: &TypeShape, union: &Union) -> TokenStream {
    let name = ident(&shape.name);
    let serialize = scope.name("Serialize");
    let by_trial = matches!(union.told, Told::Shape(_));
    let deserialize = (!by_trial).then(|| scope.name("Deserialize"));
    let serde = format!("{}::serde", scope.context.crate_path());
    let documentation = contract::documentation(scope, shape);
    let deprecated = shape.deprecated.then(|| quote!(#[deprecated]));
    let debug = (!hides(union)).then(|| quote!(Debug,));
    let told = match &union.told {
        Told::Tag(tag) => quote!(tag = #tag),
        Told::JsonType | Told::Shape(_) => quote!(untagged),
    };
    let variants = union.variants.iter().map(|variant| {
        let ident = ident(&variant.ident);
        let mut ty = scope.rust_type(&variant.schema, &shape.module);
        if scope.context.nests_unions(&variant.schema, &shape.id) {
            let boxed = scope.name("Box");
            ty = quote!(#boxed<#ty>);
        }
        let rename = match (&union.told, &variant.only) {
            (Told::Tag(_), Some((_, wire))) => {
                let wire = wire.as_str().unwrap_or_default();
                Some(quote!(#[serde(rename = #wire)]))
            }
            _ => None,
        };
        quote!(#rename #ident(#ty))
    });
    let variants: Vec<_> = variants.collect();
    quote! {
        #documentation
        #deprecated
        #[derive(Clone, #debug PartialEq, #serialize, #deserialize)]
        #[serde(crate = #serde, #told)]
        pub enum #name { #(#variants,)* }
    }
}

/// `Debug` that does not show what is marked sensitive.
fn debug(shape: &TypeShape, union: &Union) -> TokenStream {
    let name = ident(&shape.name);
    let arms = union.variants.iter().map(|Variant { ident: label, sensitive, .. }| {
        let ident = ident(label);
        match sensitive {
            true => {
                let hidden = format!("{label}((hidden))");
                quote!(Self::#ident(_) => f.write_str(#hidden))
            }
            false => quote!(Self::#ident(value) => f.debug_tuple(#label).field(value).finish()),
        }
    });
    quote! {
        impl std::fmt::Debug for #name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self { #(#arms,)* }
            }
        }
    }
}

/// `Deserialize` that takes the first variant which keeps the whole value.
fn by_trial(
    scope: &mut Scope<'_>,
    shape: &TypeShape,
    union: &Union,
    order: &[usize],
) -> TokenStream {
    let name = ident(&shape.name);
    let (deserialize, deserializer) = (scope.name("Deserialize"), scope.name("Deserializer"));
    let (branches, result) = (scope.name("Branches"), scope.name("Result"));
    let trials = order.iter().filter_map(|index| union.variants.get(*index)).map(|variant| {
        let ident = ident(&variant.ident);
        match &variant.only {
            Some((property, value)) => {
                let value = literal(value);
                quote!(.or_where(#property, #value, Self::#ident))
            }
            None => quote!(.or(Self::#ident)),
        }
    });
    quote! {
        impl<'de> #deserialize<'de> for #name {
            fn deserialize<D: #deserializer<'de>>(deserializer: D) -> #result<Self, D::Error> {
                #branches::read(deserializer)? #(#trials)* .finish()
            }
        }
    }
}
