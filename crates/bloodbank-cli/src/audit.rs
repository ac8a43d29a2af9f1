//! `audit`: who did what.

use std::io;

use bloodbank::candystore::{AuditFilter, Audited};
use bloodbank::chrono::{DateTime, Utc};
use clap::Args;

use crate::bus::block_on;
use crate::table::{Table, say};
use crate::{contracts, store, when};

#[derive(Args)]
pub(crate) struct Audit {
    /// What happened since then: an age (`2h`) or a time (`2026-01-31T12:00:00Z`).
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    since: Option<DateTime<Utc>>,
    /// What somebody did: the name of a token, or `user@host`.
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Go on below this number, where another list ended.
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// The most to show.
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000))]
    limit: u64,
    /// As JSON, one a line.
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(crate) fn run(&self) -> anyhow::Result<u8> {
        block_on(async {
            let store = store::open_to_read(contracts::none()).await?;
            let mut filter = AuditFilter::new();
            (filter.since, filter.who, filter.before) = (self.since, self.who.clone(), self.before);
            let lines = store.audited(&filter, self.limit).await?;
            self.show(&lines)?;
            if let Some(last) = lines.last().filter(|_| lines.len() as u64 == self.limit) {
                eprintln!("there may be more: `--before {}`", last.number);
            }
            Ok(0)
        })
    }

    fn show(&self, lines: &[Audited]) -> io::Result<()> {
        if self.json {
            return lines.iter().try_for_each(|line| say(as_json(line)));
        }
        if lines.is_empty() {
            eprintln!("nothing in the audit");
            return Ok(());
        }
        let heading = ["number", "when", "who", "did", "on", "outcome", "detail", "from"];
        let mut table = Table::new(heading);
        for Audited { number, happened, entry, .. } in lines {
            table.row([
                &number.to_string(),
                &when::show(*happened),
                &entry.who,
                &entry.action,
                &entry.subject,
                entry.outcome.as_str(),
                entry.detail.as_deref().unwrap_or_default(),
                &entry.origin,
            ]);
        }
        table.without_empty_columns().print(&mut io::stdout().lock())
    }
}

fn as_json(line: &Audited) -> serde_json::Value {
    let Audited { number, happened, entry, .. } = line;
    serde_json::json!({
        "number": number,
        "happened": happened,
        "who": entry.who,
        "action": entry.action,
        "subject": entry.subject,
        "outcome": entry.outcome.as_str(),
        "detail": entry.detail,
        "origin": entry.origin,
    })
}
