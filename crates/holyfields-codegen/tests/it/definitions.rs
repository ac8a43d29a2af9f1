//! The types of one contract, for people.

use std::fs;

use holyfields::Catalog;
use holyfields_codegen::Options;

use crate::{catalog, generate, goldens};

fn types_of(catalog: &Catalog, route: &str) -> String {
    let is_it = |contract: &&holyfields::Contract| contract.routes().any(|known| known == route);
    let contract = catalog.contracts.iter().find(is_it).unwrap();
    holyfields_codegen::rust_types(catalog, contract, &Options::default()).unwrap()
}

/// The names that a text defines.
fn names(text: &str) -> Vec<String> {
    let items = syn::parse_file(text).unwrap().items;
    let name = |item: syn::Item| match item {
        syn::Item::Struct(item) => item.ident.to_string(),
        syn::Item::Enum(item) => item.ident.to_string(),
        _ => panic!("neither a struct nor an enum: {text}"),
    };
    items.into_iter().map(name).collect()
}

#[test]
fn a_version_has_its_own_types_and_not_those_of_the_other() {
    let catalog = catalog(&goldens().join("versions"));
    let mut all = Vec::new();
    for contract in &catalog.contracts {
        let found = names(&types_of(&catalog, &contract.routes().next().unwrap()));
        assert_eq!(found[0], contract.type_name);
        let others = catalog.contracts.iter().filter(|other| other.type_name != found[0]);
        for other in others {
            assert!(!found.contains(&other.type_name), "{found:?}");
        }
        all.extend(found);
    }
    assert!(all.len() > 1, "{all:?}");
}

#[test]
fn every_contract_has_its_types_word_for_word_as_in_the_generated_file() {
    for folder in fs::read_dir(goldens()).unwrap().map(|entry| entry.unwrap().path()) {
        let catalog = catalog(&folder);
        let files = generate(&folder);
        for contract in &catalog.contracts {
            let text = types_of(&catalog, &contract.routes().next().unwrap());
            let path = format!("rust/{}.rs", contract.module.trim_start_matches("r#"));
            let file = files.iter().find(|file| file.path == path).unwrap();
            assert!(names(&text).contains(&contract.type_name), "{text}");
            for definition in text.trim_end().split("\n\n") {
                assert!(file.contents.contains(definition), "{path}:\n{definition}");
            }
        }
    }
}
