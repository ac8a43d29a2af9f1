//! `outbox`: the messages that wait in the database of a service.

use std::io;

use anyhow::{Context, bail};
use bloodbank::candystore::{StoreUrl, UrlError};
use bloodbank::chrono::Utc;
use bloodbank::outbox::{self, Dialect, Postgres, Source, Sqlite, Tables, Waiting};
use bloodbank::uuid::Uuid;
use clap::{Args, Subcommand};

use crate::bus::block_on;
use crate::figures::count_of;
use crate::table::{Table, say};
use crate::{place, span};

/// The most characters of an error in a line.
const LONGEST_ERROR: usize = 120;

#[derive(Subcommand)]
pub(crate) enum Outbox {
    /// Print the statements that make the tables of outbox and inbox, for a migration of the service.
    Ddl {
        #[command(flatten)]
        dialect: Which,
        #[command(flatten)]
        names: Names,
    },
    /// List what waits and what is parked, in the order of sending.
    Ls {
        #[command(flatten)]
        at: At,
        /// The most messages to list.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Put back what is parked or has failed, so that the relay tries it again.
    Retry {
        /// The id of one message.
        #[arg(value_parser = place::id, required_unless_present = "all")]
        id: Option<Uuid>,
        /// All of them.
        #[arg(long, conflicts_with = "id")]
        all: bool,
        #[command(flatten)]
        at: At,
    },
}

/// Which SQL.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// In the words of PostgreSQL.
    #[arg(long)]
    postgres: bool,
    /// In the words of SQLite.
    #[arg(long)]
    sqlite: bool,
}

#[derive(Args)]
pub(crate) struct Names {
    /// The name of the outbox.
    #[arg(long, value_name = "NAME", default_value = "bloodbank_outbox")]
    outbox: String,
    /// The name of the inbox.
    #[arg(long, value_name = "NAME", default_value = "bloodbank_inbox")]
    inbox: String,
}

/// Where an outbox is.
#[derive(Args)]
pub(crate) struct At {
    /// The service's own database: `sqlite:<file>` or `postgres://user:password@host/database`.
    // Read later: clap would repeat a value that is wrong, with its password.
    #[arg(long, value_name = "URL")]
    database: String,
    /// The name of the outbox.
    #[arg(long, value_name = "NAME", default_value = "bloodbank_outbox")]
    outbox: String,
}

impl At {
    fn url(&self) -> anyhow::Result<StoreUrl> {
        self.database.parse().map_err(|mut error: UrlError| {
            error.name = "--database".to_owned();
            error.into()
        })
    }

    fn source(&self) -> anyhow::Result<Box<dyn Source>> {
        let tables = Tables::new().with_outbox(&self.outbox);
        Ok(match self.url()? {
            StoreUrl::Sqlite(path) if !path.is_file() => {
                bail!("there is no file {}", path.display())
            }
            StoreUrl::Sqlite(path) => Box::new(Sqlite::new(path).tables(tables)),
            StoreUrl::Postgres(url) => Box::new(Postgres::from_url(&url)?.tables(tables)),
            other => bail!("{other} cannot hold an outbox"),
        })
    }
}

impl Outbox {
    /// Exits 0; 1 if there is nothing to put back.
    pub(crate) fn run(&self) -> anyhow::Result<u8> {
        match self {
            Outbox::Ddl { dialect, names } => {
                let Names { outbox, inbox } = names;
                let dialect = if dialect.postgres { Dialect::Postgres } else { Dialect::Sqlite };
                let tables = Tables::new().with_outbox(outbox).with_inbox(inbox);
                say(tables.ddl(dialect).trim_end())?;
                Ok(0)
            }
            Outbox::Ls { at, limit } => block_on(ls(at, *limit)),
            Outbox::Retry { at, id, .. } => block_on(retry(at, *id)),
        }
    }
}

async fn ls(at: &At, limit: u32) -> anyhow::Result<u8> {
    let waiting = outbox::list(&mut at.source()?, limit).await;
    let waiting = waiting.context(at.url()?)?;
    if waiting.is_empty() {
        eprintln!("nothing waits");
        return Ok(0);
    }
    let mut table = Table::new(["seq", "age", "key", "id", "failed", "state", "error"]);
    for message in &waiting {
        let failed = match message.attempts {
            0 => String::new(),
            n => n.to_string(),
        };
        table.row([
            &message.seq.to_string(),
            &age(message),
            &message.key,
            &message.id.to_string(),
            &failed,
            if message.parked.is_some() { "parked" } else { "waits" },
            &short(message.last_error.as_deref().unwrap_or_default()),
        ]);
    }
    table.without_empty_columns().print(&mut io::stdout().lock())?;
    Ok(0)
}

fn age(message: &Waiting) -> String {
    let age = message.created.and_then(|at| Utc::now().signed_duration_since(at).to_std().ok());
    age.map(span::show).unwrap_or_default()
}

/// As much of an error as a line has room for.
fn short(error: &str) -> String {
    match error.char_indices().nth(LONGEST_ERROR) {
        Some((end, _)) => format!("{}…", error[..end].trim_end()),
        None => error.to_owned(),
    }
}

async fn retry(at: &At, id: Option<Uuid>) -> anyhow::Result<u8> {
    let count = outbox::retry(&mut at.source()?, id).await;
    let count = count.context(at.url()?)?;
    match (count, id) {
        (0, Some(id)) => {
            eprintln!("no message in the outbox has the id {id}");
            Ok(1)
        }
        (0, None) => {
            eprintln!("nothing is parked or has failed");
            Ok(0)
        }
        (count, _) => {
            say(format_args!("{} put back", count_of(count, "message")))?;
            Ok(0)
        }
    }
}
