//! `publish` and `send`: one message, by hand.

use std::fs;
use std::io::{self, Read};

use anyhow::{Context, anyhow, bail};
use bloodbank::chrono::{DateTime, Utc};
use bloodbank::uuid::Uuid;
use bloodbank::{
    BundledContract, Contracts, Encoded, Envelope, Headers, Kind, Meta, SealError, Sealer,
    TransportError, Validated, escape_control, headers,
};
use clap::Args;
use serde_json::Value;

use crate::FINDINGS;
use crate::bus::{Connected, block_on};
use crate::contracts::{self, Source};
use crate::table::say;
use crate::{place, when};

#[derive(Args)]
pub(crate) struct Publish {
    /// A routing key, as in `shop.order.paid`; version 2 is `shop.order.paid.v2`.
    key: String,
    #[command(flatten)]
    payload: Payload,
    /// The piece of work that it belongs to.
    #[arg(long, value_name = "UUID", value_parser = place::id)]
    correlation_id: Option<Uuid>,
    /// The message that it follows from.
    #[arg(long, value_name = "UUID", value_parser = place::id)]
    causation_id: Option<Uuid>,
    /// Makes the id: the same key twice is the same message, and handled once.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Not before this time: `10m`, that is in ten minutes, or `2026-01-31T12:00:00Z`.
    #[arg(long, value_name = "WHEN", value_parser = when::parse_future)]
    not_before: Option<DateTime<Utc>>,
    /// Who says it.
    #[arg(long, value_name = "NAME", default_value = "bloodbank-cli")]
    source: String,
    /// Check it and show the envelope; publish nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Payload {
    /// The payload as JSON; `@FILE` reads it from a file, `-` from standard input.
    #[arg(long, value_name = "JSON|@FILE|-")]
    data: Option<String>,
    /// The contract's first example.
    #[arg(long)]
    example: bool,
}

impl Publish {
    /// Exits 0 when the bus has the message, 100 when its contract refuses it.
    pub(crate) fn run(&self, kind: Kind, source: &Source) -> anyhow::Result<u8> {
        let contracts = source.read()?.contracts;
        let contract = contracts::find(&contracts, &self.key, None)?;
        let data = self.payload.read(&contracts, contract)?;
        let sealer = Sealer::unrestricted(contracts.clone().into(), &self.source);
        let envelope = match sealer.seal(kind, &self.key, data, self.meta()) {
            Ok(envelope) => envelope,
            Err(SealError::Refused(refusal)) => {
                eprintln!("refused    {refusal}");
                return Ok(FINDINGS);
            }
            Err(SealError::WrongKind { key, kind: Kind::Event }) => {
                bail!("`{key}` is an event; use `bloodbank publish`")
            }
            Err(SealError::WrongKind { key, kind: Kind::Command }) => {
                bail!("`{key}` is a command; use `bloodbank send`")
            }
            Err(error) => return Err(error.into()),
        };
        if self.dry_run {
            say(format_args!("{:#}", serde_json::to_value(envelope.get())?))?;
            return Ok(0);
        }
        let (id, key) = (envelope.id, escape_control(&envelope.event_type));
        block_on(publish(envelope, self.not_before, contracts))?;
        if let Some(due) = self.not_before.filter(|due| *due > Utc::now()) {
            say(format_args!("scheduled  {key}  {id}  for {}", when::show(due)))?;
            return Ok(0);
        }
        let done = if kind == Kind::Event { "published" } else { "sent     " };
        say(format_args!("{done}  {key}  {id}"))?;
        Ok(0)
    }

    fn meta(&self) -> Meta {
        let mut meta = Meta::new();
        meta.correlation_id = self.correlation_id;
        meta.causation_id = self.causation_id;
        meta.idempotency_key.clone_from(&self.idempotency_key);
        meta
    }
}

impl Payload {
    fn read(&self, contracts: &Contracts, contract: &BundledContract) -> anyhow::Result<Value> {
        let Some(data) = &self.data else {
            let example = contracts.bundle().examples(contract).first().cloned();
            return example.ok_or_else(|| {
                anyhow!("the contract has no example; give the payload with --data")
            });
        };
        let (name, text) = match data.as_str() {
            "-" => {
                let mut text = Vec::new();
                io::stdin().read_to_end(&mut text).context("standard input cannot be read")?;
                ("standard input", text)
            }
            file if file.starts_with('@') => {
                let name = &file[1..];
                (name, fs::read(name).with_context(|| format!("`{name}` cannot be read"))?)
            }
            json => ("--data", json.as_bytes().to_vec()),
        };
        contracts::parse(name, &text)
    }
}

async fn publish(
    envelope: Validated<Envelope>,
    not_before: Option<DateTime<Utc>>,
    contracts: Contracts,
) -> anyhow::Result<()> {
    let (what, done) = match envelope.kind() {
        Kind::Event => ("the event", "published"),
        Kind::Command => ("the command", "sent"),
    };
    let not_done = || format!("{what} was not {done}");
    let bus = Connected::open(contracts).await.with_context(not_done)?;
    let transport = bus.transport();
    let due = not_before.map(|due| (headers::NOT_BEFORE.to_owned(), headers::of_time(due)));
    let headers: Headers = due.into_iter().collect();
    let message = Encoded::new(envelope, headers).with_context(not_done)?;
    let outcome = transport.publish(message).await;
    transport.close().await;
    outcome.map_err(|error| match error {
        TransportError::Unknown => anyhow!(
            "{what} may be {done} or not: there was no answer in time\nhelp: with \
             --idempotency-key it can be {done} again, and is handled once"
        ),
        error => anyhow::Error::from(error).context(not_done()),
    })
}
