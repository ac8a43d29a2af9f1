//! What a command is answered with: `x-bloodbank-reply`.

use holyfields::finding::Finding;
use holyfields::{Catalog, lint, read_texts};
use serde_json::json;

/// A command that is answered like this.
fn command(reply: &str) -> String {
    format!(
        r#"{{
  "type": "object",
  "properties": {{ "event_type": {{ "const": "shop.order.pay" }} }},
  "required": ["event_type"],
  "x-bloodbank-reply": {reply}
}}"#
    )
}

const COMMAND: &str = "shop/commands/order.pay.v1.json";
const LIBRARY: (&str, &str) = (
    "_common/types.v1.json",
    r#"{ "$defs": { "receipt": { "type": "object", "properties": { "no": { "type": "integer" } } } } }"#,
);

fn read(path: &str, text: &str) -> (Catalog, Vec<Finding>) {
    let (catalog, mut findings) = read_texts([(path, text), LIBRARY]);
    findings.extend(lint::check(&catalog, &findings));
    (catalog, findings)
}

/// Rule and place of each finding about replies and references.
fn found(path: &str, text: &str) -> Vec<(&'static str, String)> {
    let (_, findings) = read(path, text);
    let about = |finding: &&Finding| ["HF010", "HF045", "HF046"].contains(&finding.rule.id);
    let findings = findings.iter().filter(about);
    findings.map(|finding| (finding.rule.id, finding.places[0].pointer.clone())).collect()
}

#[test]
fn the_bundle_carries_the_schema_of_the_answer_and_what_it_reaches() {
    let text = command(r##"{ "$ref": "../../_common/types.v1.json#/$defs/receipt" }"##);
    let (catalog, findings) = read(COMMAND, &text);
    assert!(findings.iter().all(|finding| finding.rule.id != "HF010"), "{findings:?}");
    let bundle = catalog.bundle();
    let contract = bundle.contract("shop.order.pay").unwrap();
    let reference = "#/$defs/_common~1types.v1/$defs/receipt";
    assert_eq!(bundle.reply(contract), Some(&json!({ "$ref": reference })));
    let document = bundle.reply_document(contract).unwrap();
    let root = "#/$defs/shop~1commands~1order.pay.v1/x-bloodbank-reply";
    assert_eq!(document["$ref"], root);
    assert!(document["$defs"].get("_common/types.v1").is_some(), "{document}");
}

#[test]
fn who_says_nothing_is_answered_with_anything() {
    let text = command("true").replace(",\n  \"x-bloodbank-reply\": true", "");
    let (catalog, _) = read(COMMAND, &text);
    let bundle = catalog.bundle();
    let contract = bundle.contract("shop.order.pay").unwrap();
    assert_eq!((bundle.reply(contract), bundle.reply_document(contract)), (None, None));
    assert!(catalog.shape.replies.is_empty());
}

#[test]
fn a_reference_that_leads_nowhere_is_found_at_its_place() {
    let text = command(r#"{ "$ref": "../receipt.json" }"#);
    assert_eq!(found(COMMAND, &text), [("HF010", "/x-bloodbank-reply/$ref".to_owned())]);
}

#[test]
fn a_misspelt_keyword_inside_is_found_at_its_place() {
    let text = command(r#"{ "type": "string", "maxLenght": 9 }"#);
    assert_eq!(found(COMMAND, &text), [("HF045", "/x-bloodbank-reply/maxLenght".to_owned())]);
}

#[test]
fn an_event_is_not_answered() {
    let event = command(r#"{ "type": "string" }"#).replace("order.pay", "order.paid");
    let expected = [("HF046", "/x-bloodbank-reply".to_owned())];
    assert_eq!(found("shop/order.paid.v1.json", &event), expected);
    let (catalog, _) = read("shop/order.paid.v1.json", &event);
    let bundle = catalog.bundle();
    assert_eq!(bundle.reply(bundle.contract("shop.order.paid").unwrap()), None);
    assert!(catalog.shape.replies.is_empty());
}

#[test]
fn only_the_root_of_a_command_counts() {
    let text = command("true").replace(
        r#""required""#,
        r#""additionalProperties": { "x-bloodbank-reply": { "type": "null" } }, "required""#,
    );
    let expected = [("HF046", "/additionalProperties/x-bloodbank-reply".to_owned())];
    assert_eq!(found(COMMAND, &text), expected);
}
