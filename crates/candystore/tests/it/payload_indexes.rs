//! Indexes on fields of the payload.

use bloodbank_core::Meta;
use candystore::{Field, Filter};
use serde_json::json;

use crate::databases::{Database, event, on_both};

on_both!(long_texts_are_cut_alike_in_index_and_question,);

/// The index has the first 512 characters of a text, whatever they are, and a question cuts where it does.
async fn long_texts_are_cut_alike_in_index_and_question(database: Database) {
    let store = database.open().await;
    assert_eq!(store.add_payload_index("/text").await, Ok(true));
    // Of one, two, three and four bytes; the last is two units of UTF-16.
    let characters = ['a', 'ü', '€', '😀'];
    let text = |count: usize, end: &str| -> String {
        characters.iter().cycle().take(count).copied().chain(end.chars()).collect()
    };
    let texts: Vec<String> = [510, 511, 512, 513, 700]
        .into_iter()
        .flat_map(|count| ["", "x", "y", "€"].map(|end| text(count, end)))
        .collect();
    let events = texts.iter().map(|text| event("lot.parcel", json!({ "text": text }), Meta::new()));
    store.append(events.collect()).await.unwrap();
    for text in &texts {
        let same = texts.iter().filter(|other| *other == text).count() as u64;
        let filter = Filter::new().with_field(Field::new("/text", json!(text)).unwrap());
        let found = store.count(&filter).await.unwrap();
        assert_eq!(found, same, "{} characters", text.chars().count());
    }
}
