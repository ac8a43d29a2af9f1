//! `scheduled`: messages that are not due yet.

use std::io;

use bloodbank::candystore::{EventStore, Scheduled as Message, Scheduler, body_field};
use bloodbank::chrono::Utc;
use bloodbank::escape_control;
use bloodbank::uuid::Uuid;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::bus::{Connected, block_on, interrupted};
use crate::contracts::{self, Source};
use crate::mask::Mask;
use crate::table::{Table, say};
use crate::{place, store, when};

#[derive(Subcommand)]
pub(crate) enum Scheduled {
    /// List them, the first to be due first; payloads only with `--json`.
    Ls(Ls),
    /// Take messages back before they are sent, by the ids of their envelopes.
    Cancel {
        /// The ids.
        #[arg(required = true, value_name = "UUID", value_parser = place::id)]
        ids: Vec<Uuid>,
    },
    /// Keep the scheduled messages of the bus in the store, and send each when it is due, until it is
    /// interrupted.
    Run,
}

#[derive(Args)]
pub(crate) struct Ls {
    /// As JSON, one a line, with the bytes of the envelope: `body`.
    #[arg(long)]
    json: bool,
    /// Also what contracts mark as sensitive.
    #[arg(long, requires = "json")]
    reveal: bool,
    /// The most to show.
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000))]
    limit: u64,
}

impl Scheduled {
    /// Exits 0; 1 if a message that was to be cancelled is not there any more.
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        block_on(async {
            match self {
                Scheduled::Ls(ls) => {
                    let mask = Mask::new(source, ls.reveal || !ls.json)?;
                    ls.run(&store::open_to_read(contracts::none()).await?, &mask).await
                }
                Scheduled::Cancel { ids } => {
                    cancel(&store::open_existing(contracts::none()).await?, ids).await
                }
                Scheduled::Run => run(source).await,
            }
        })
    }
}

impl Ls {
    async fn run(&self, store: &EventStore, mask: &Mask) -> anyhow::Result<u8> {
        let all = store.scheduled(self.limit).await?;
        let mut table = Table::new(["due", "id", "kind", "key", "scheduled", "failed", "why"])
            .without_empty_columns();
        for message in &all {
            match self.json {
                true => say(as_json(message, mask))?,
                false => add(&mut table, message),
            }
        }
        match all.len() {
            0 => eprintln!("nothing is scheduled"),
            _ if self.json => {}
            _ => table.print(&mut io::stdout().lock())?,
        }
        if all.len() as u64 == self.limit {
            eprintln!("there may be more: `--limit {}`", self.limit.saturating_mul(10).min(10_000));
        }
        Ok(0)
    }
}

fn add(table: &mut Table, message: &Message) {
    let attempts = message.attempts;
    table.row([
        &when::show(message.due),
        &message.id.to_string(),
        message.kind.as_str(),
        &message.key,
        &when::show(message.since),
        &if attempts == 0 { String::new() } else { attempts.to_string() },
        &escape_control(&why(message)),
    ]);
}

/// Why it was not sent, if it is due.
fn why(message: &Message) -> String {
    match &message.error {
        Some(error) => error.clone(),
        None if message.due < Utc::now() => {
            "due; no process on the bus that knows its contract has sent it yet".to_owned()
        }
        None => String::new(),
    }
}

fn as_json(message: &Message, mask: &Mask) -> serde_json::Value {
    let body = mask.body(&message.key, &message.body);
    let (name, body) = body_field(&body);
    json!({
        "id": message.id,
        "kind": message.kind.as_str(),
        "key": message.key,
        "due": message.due,
        "scheduled": message.since,
        "failed": message.attempts,
        "error": message.error,
        "headers": message.headers,
        name: body,
    })
}

async fn cancel(store: &EventStore, ids: &[Uuid]) -> anyhow::Result<u8> {
    let mut code = 0;
    for id in ids {
        if store.cancel_scheduled(*id).await? {
            say(format_args!("cancelled  {id}"))?;
        } else {
            eprintln!("{id} is not scheduled, or is being sent");
            code = 1;
        }
    }
    Ok(code)
}

/// Runs until it is interrupted.
async fn run(source: &Source) -> anyhow::Result<u8> {
    let contracts = source.read_own()?.contracts;
    let bus = Connected::open(contracts.clone()).await?;
    let store = match &bus {
        Connected::Embedded(embedded) => embedded.store().clone(),
        Connected::RabbitMq(_) => store::open(contracts).await?,
    };
    eprintln!("keeping scheduled messages in {}; Ctrl-C ends", store.url());
    let ended = Scheduler::new(store, bus.transport()).run_until(interrupted()).await;
    bus.transport().close().await;
    ended?;
    Ok(0)
}
