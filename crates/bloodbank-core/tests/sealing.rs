//! Sealing: the contract and the registry are asked, and nothing is sent.
#![allow(clippy::unwrap_used)]

use std::thread;

use bloodbank_core::{Contracts, Kind, LiveContracts, Meta, SealError, Sealer};
use serde_json::{Value, json};

/// Contracts of a bakery: `kitchen` may publish what the oven says, up to so many degrees.
fn bakery(hottest: u32) -> Contracts {
    let contract = |kind: &str, key: &str, id: &str, definition: &str| {
        json!({
            "kind": kind, "keys": [key], "version": 1, "schema_id": id, "title": key,
            "rust_type": "T", "definition": definition,
        })
    };
    let service = |name: &str, produces: &[&str], sends: &[&str]| {
        json!({
            "name": name, "rust_type": "S", "produces": produces, "consumes": [], "sends": sends,
            "handles": [],
        })
    };
    let bundle = json!({
        "contracts": [
            contract("event", "bakery.oven.heated", "https://bakery.example/heated", "heated"),
            contract("command", "bakery.oven.heat", "bakery/commands/oven.heat", "heated"),
        ],
        "services": [
            service("kitchen", &["bakery.oven.heated"], &["bakery.oven.heat"]),
            service("shop", &[], &[]),
        ],
        "$defs": { "heated": {
            "type": "object",
            "properties": { "celsius": { "type": "integer", "maximum": hottest } },
            "required": ["celsius"],
        } },
    });
    Contracts::from_json(&bundle.to_string()).unwrap()
}

fn heated(celsius: i64) -> Value {
    json!({ "celsius": celsius })
}

#[test]
fn what_the_contract_and_the_registry_accept_is_sealed() {
    let sealer = Sealer::for_service(bakery(300).into(), "kitchen").named("kitchen@oven-2");
    let meta = Meta::new().with_idempotency_key("bread-1");
    let sealed = sealer.seal(Kind::Event, "bakery.oven.heated", heated(220), meta).unwrap();
    assert_eq!(sealed.kind(), Kind::Event);
    assert_eq!(sealed.source, "kitchen@oven-2");
    assert_eq!(sealed.schema.as_deref(), Some("https://bakery.example/heated"));
    let command = sealer.seal(Kind::Command, "bakery.oven.heat", heated(1), Meta::new()).unwrap();
    assert_eq!(command.kind(), Kind::Command);
    assert_eq!(command.schema, None, "a path means nothing to others");
}

#[test]
fn a_service_seals_only_what_the_registry_gives_it() {
    let seal = |service: &str, kind: Kind, key: &str| {
        let sealer = Sealer::for_service(bakery(300).into(), service);
        sealer.seal(kind, key, heated(220), Meta::new()).map(drop)
    };
    let heated = "bakery.oven.heated";
    seal("kitchen", Kind::Event, heated).unwrap();
    let shop = seal("shop", Kind::Event, heated).unwrap_err();
    assert!(matches!(&shop, SealError::NotAllowed { service, .. } if service == "shop"), "{shop}");
    let nobody = seal("cellar", Kind::Event, heated).unwrap_err();
    assert!(matches!(nobody, SealError::UnknownService { .. }), "{nobody}");
    let wrong = seal("kitchen", Kind::Command, heated).unwrap_err();
    assert!(matches!(wrong, SealError::WrongKind { kind: Kind::Event, .. }), "{wrong}");
    let unknown = seal("kitchen", Kind::Event, "bakery.oven.heatd").unwrap_err();
    assert!(unknown.to_string().contains("did you mean `bakery.oven.heat`"), "{unknown}");
}

#[test]
fn contracts_are_swapped_for_all_who_hold_them_and_what_was_taken_stays() {
    let live = LiveContracts::from(bakery(300));
    let sealer = Sealer::for_service(live.clone(), "kitchen");
    let seal = || sealer.seal(Kind::Event, "bakery.oven.heated", heated(220), Meta::new());
    let before = live.current();
    seal().unwrap();
    let old = live.replace(bakery(200));
    let refused = seal().unwrap_err();
    assert_eq!(refused.refusal().unwrap().violations[0].pointer, "/celsius");
    for contracts in [before, old] {
        contracts.check("bakery.oven.heated", &heated(220)).unwrap();
    }
}

#[test]
fn contracts_are_swapped_while_others_seal() {
    let live = LiveContracts::from(bakery(300));
    let sealer = Sealer::for_service(live.clone(), "kitchen");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for celsius in (0..400).cycle().take(2_000) {
                    let sealed = sealer.seal(
                        Kind::Event,
                        "bakery.oven.heated",
                        heated(celsius),
                        Meta::new(),
                    );
                    // Whichever of the two is in force: below both limits valid, above both not.
                    match celsius {
                        ..=200 => assert!(sealed.is_ok()),
                        301.. => assert!(sealed.is_err()),
                        _ => {}
                    }
                }
            });
        }
        scope.spawn(|| {
            for n in 0..200 {
                live.replace(bakery(if n % 2 == 0 { 200 } else { 300 }));
            }
        });
    });
}

#[test]
fn a_folder_with_an_error_gives_no_contracts_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let schemas = folder.path().join("schemas/bakery");
    std::fs::create_dir_all(&schemas).unwrap();
    std::fs::write(schemas.join("oven.heated.v1.json"), r#"{"type": "object"}"#).unwrap();
    let read = || Contracts::read(&folder.path().join("schemas"), None);
    assert!(read().unwrap().contract("bakery.oven.heated").is_some());
    std::fs::write(schemas.join("oven.cooled.v1.json"), "{\n  \"type\": \n}").unwrap();
    let error = read().unwrap_err();
    assert!(error.to_string().contains("oven.cooled.v1.json:3:1"), "{error}");
    assert!(error.to_string().ends_with("1 error"), "{error}");
}
