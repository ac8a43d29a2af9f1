//! `store quarantine`: what came with the id of another event and is not the same.

use std::io;

use bloodbank::candystore::{Difference, EventStore, Quarantined, body_field};
use clap::Args;
use serde_json::json;

use crate::table::{Table, say};
use crate::when;

#[derive(Args)]
pub(crate) struct Quarantine {
    /// As JSON, one a line, with the bytes as they came: `body`, or `body_hex` if they are no UTF-8.
    #[arg(long)]
    json: bool,
    /// What came after the one of this number.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// The most to show.
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000))]
    limit: u64,
}

impl Quarantine {
    pub(crate) async fn run(&self, store: &EventStore) -> anyhow::Result<u8> {
        let all = store.quarantined(self.after, self.limit).await?;
        let heading = ["number", "came", "id", "key", "position", "differs"];
        let mut table = Table::new(heading);
        for one in &all {
            match self.json {
                true => say(as_json(one))?,
                false => add(&mut table, one),
            }
        }
        match all.last() {
            None => eprintln!("nothing in quarantine"),
            Some(_) if !self.json => table.print(&mut io::stdout().lock())?,
            Some(_) => {}
        }
        if let Some(last) = all.last()
            && all.len() as u64 == self.limit
        {
            eprintln!("there may be more: `--after {}`", last.number);
        }
        Ok(0)
    }
}

fn add(table: &mut Table, one: &Quarantined) {
    table.row([
        &one.number.to_string(),
        &when::show(one.received),
        &one.id.to_string(),
        &one.key,
        &one.position.to_string(),
        &one.difference.map_or_else(|| "that one was pruned".to_owned(), |d| words(d).join(", ")),
    ]);
}

fn words(difference: Difference) -> Vec<&'static str> {
    let words = [("kind", difference.kind), ("key", difference.key), ("data", difference.data)];
    words.iter().filter(|(_, differs)| *differs).map(|(word, _)| *word).collect()
}

fn as_json(one: &Quarantined) -> serde_json::Value {
    let (name, body) = body_field(&one.body);
    json!({
        "number": one.number,
        "received": one.received,
        "id": one.id,
        "position": one.position,
        "kind": one.kind.as_str(),
        "key": one.key,
        "differs": one.difference.map(words),
        "headers": one.headers,
        "properties": one.properties,
        name: body,
    })
}
