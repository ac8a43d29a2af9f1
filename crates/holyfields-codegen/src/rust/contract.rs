//! What makes a struct a contract: `impl Contract`, and `Event` or `Command`.

use holyfields::Contract;
use holyfields::identity::Identity;
use holyfields::key::Kind;
use holyfields::shape::{self, Body, Struct, TypeShape};
use proc_macro2::TokenStream;
use quote::quote;

use super::docs;
use super::scope::{Scope, ident};

pub(super) fn emit(
    scope: &mut Scope<'_>,
    shape: &TypeShape,
    contract: &Contract,
    body: &Struct,
    items: &mut Vec<TokenStream>,
) {
    let name = ident(&shape.name);
    let file = scope.context.catalog.file(contract);
    let schema_id = file.text("$id").unwrap_or(&file.path);
    let version = proc_macro2::Literal::u32_unsuffixed(contract.identity.version);
    let routes: Vec<String> = contract.routes().collect();
    let variant = match contract.identity.kind {
        Kind::Event => quote!(Event),
        Kind::Command => quote!(Command),
    };
    let (kind, contracts) = (scope.name("Kind"), scope.name("Contracts"));
    let contract_trait = scope.name("Contract");
    let key = key_of_value(scope, shape, contract, body);
    items.push(quote! {
        impl #contract_trait for #name {
            const KIND: #kind = #kind::#variant;
            const KEYS: &'static [&'static str] = &[#(#routes),*];
            const VERSION: u32 = #version;
            const SCHEMA_ID: &'static str = #schema_id;
            fn contracts() -> #contracts {
                super::contracts()
            }
            #key
        }
    });
    match contract.identity.kind {
        Kind::Event => {
            let event = scope.name("Event");
            items.push(quote!(impl #event for #name {}));
        }
        Kind::Command => command(scope, shape, contract, items),
    }
}

/// A command, and what it may be answered with: anything, unless its schema says what.
fn command(
    scope: &mut Scope<'_>,
    shape: &TypeShape,
    contract: &Contract,
    items: &mut Vec<TokenStream>,
) {
    let name = ident(&shape.name);
    let (command, answered) = (scope.name("Command"), scope.name("AnsweredWith"));
    let (generics, reply, answer) = match scope.context.catalog.shape.replies.get(&contract.file) {
        Some(reply) => {
            let reply = scope.rust_type(reply, &shape.module);
            (quote!(), reply.clone(), reply)
        }
        None => {
            // Another name than the command's.
            let any = ident(if shape.name == "R" { "T" } else { "R" });
            let value = scope.name("Value");
            (quote!(<#any>), quote!(#value), quote!(#any))
        }
    };
    items.push(quote! {
        impl #command for #name {
            type Reply = #reply;
        }
    });
    items.push(quote!(impl #generics #answered<#answer> for #name {}));
}

/// One struct for several keys: its own field says which.
fn key_of_value(
    scope: &Scope<'_>,
    shape: &TypeShape,
    contract: &Contract,
    body: &Struct,
) -> Option<TokenStream> {
    let Identity { keys, key_property, version, .. } = &contract.identity;
    let property = key_property.filter(|_| keys.len() > 1)?;
    let field = body.fields.iter().find(|field| field.wire == property)?;
    let named = shape::referenced_id(&field.schema).and_then(|id| scope.context.named(id))?;
    let Body::Enum(choices) = &named.body else { return None };
    let enum_path = Scope::type_path(named, &shape.module);
    let present = field.required && !field.nullable;
    let arms = choices.iter().filter_map(|choice| {
        let key = keys.iter().find(|key| key.as_str() == choice.wire)?;
        let (route, variant) = (key.route(*version), ident(&choice.ident));
        Some(match present {
            true => quote!(#enum_path::#variant => #route),
            false => quote!(Some(#enum_path::#variant) => #route),
        })
    });
    let otherwise = (!present).then(|| quote!(None => Self::KEYS[0],));
    let ident = ident(&field.ident);
    let value = match field.nullable && !field.required {
        true => quote!(self.#ident.flatten()),
        false => quote!(self.#ident),
    };
    Some(quote! {
        fn key(&self) -> &'static str {
            match #value {
                #(#arms,)*
                #otherwise
            }
        }
    })
}

/// The doc comment of a type; that of a contract also names its key and its schema.
pub(super) fn documentation(scope: &Scope<'_>, shape: &TypeShape) -> TokenStream {
    let origin = scope.context.contract(shape).map(|contract| {
        let routes: Vec<String> = contract.routes().map(|route| format!("`{route}`")).collect();
        let kind = match contract.identity.kind {
            Kind::Event => "Event",
            Kind::Command => "Command",
        };
        let plural = if routes.len() > 1 { "s" } else { "" };
        let path = &scope.context.catalog.file(contract).path;
        format!("{kind}{plural} {}, from `{path}`.", routes.join(", "))
    });
    docs::paragraphs(shape.docs.iter().map(String::as_str).chain(origin.as_deref()))
}
