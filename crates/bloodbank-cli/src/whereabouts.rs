//! `where`: where a message is, and what became of it.

mod broker;
mod json;
mod rows;
mod show;
mod unknown;

use bloodbank::amqp::AmqpConfig;
use bloodbank::candystore::{self, EventStore};
use bloodbank::uuid::Uuid;
use clap::Args;

use self::broker::Found;
use crate::bus::{self, block_on};
use crate::contracts::{self, Source};
use crate::table::say;
use crate::{place, store};

#[derive(Args)]
pub(crate) struct Whereabouts {
    /// The id of its envelope.
    #[arg(value_parser = place::id)]
    id: Uuid,
    /// As JSON, on one line, without the payload.
    #[arg(long)]
    json: bool,
}

/// Everything that was found, and where it was looked for.
struct Known {
    id: Uuid,
    /// What the store knows; `None` if there is no store.
    stored: Option<candystore::Whereabouts>,
    /// What the broker knows; `None` on the bus in the store.
    broker: Option<Found>,
    searched: Vec<String>,
}

impl Known {
    fn is_unknown(&self) -> bool {
        self.stored.as_ref().is_none_or(candystore::Whereabouts::is_unknown)
            && self.broker.as_ref().is_none_or(|found| found.letters.is_empty())
    }
}

impl Whereabouts {
    /// Exits 1 if nothing is known of the id.
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        let contracts = contracts::at_hand(source)?;
        block_on(async {
            let config = AmqpConfig::from_env_and(contracts.bundle().exchange.as_ref())?;
            let store = match store::open_to_read(contracts::none()).await {
                Ok(store) => Some(store),
                Err(error) if config.is_none() => return Err(error),
                Err(error) => {
                    eprintln!("note: only the broker is asked: {error:#}");
                    None
                }
            };
            let mut known = self.ask_store(store.as_ref()).await?;
            if let Some(config) = config {
                let amqp = bus::connect(config).await?;
                let event = known.stored.as_ref().and_then(|stored| stored.event.as_ref());
                let asked = broker::ask(&amqp, contracts.bundle(), self.id, event).await;
                bloodbank::Transport::close(&amqp).await;
                let found = asked?;
                known.searched.extend(found.searched.iter().cloned());
                known.broker = Some(found);
            }
            match (self.json, known.is_unknown()) {
                (true, _) => say(json::of(&known))?,
                (false, true) => anyhow::bail!("{}", unknown::text(&known)),
                (false, false) => show::all(&known)?,
            }
            Ok(u8::from(known.is_unknown()))
        })
    }

    async fn ask_store(&self, store: Option<&EventStore>) -> anyhow::Result<Known> {
        let mut known = Known { id: self.id, stored: None, broker: None, searched: Vec::new() };
        if let Some(store) = store {
            known.stored = Some(store.whereabouts(self.id).await?);
            known.searched.push(format!(
                "the store {}: events, quarantine, scheduled messages, all queues of its bus with \
                 their dead letters, and what became of messages",
                store.url()
            ));
        }
        Ok(known)
    }
}
