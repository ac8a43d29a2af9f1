//! `list-events` and `list-commands`.

use std::io;

use bloodbank::{BundledContract, Kind};
use clap::{Args, ValueEnum};

use crate::Source;
use crate::table::Table;

/// What to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kinds {
    Event,
    Command,
}

#[derive(Args)]
pub(crate) struct List {
    /// Only this domain: the first word of the key.
    #[arg(long)]
    domain: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(crate) fn run(&self, kinds: Kinds, source: &Source) -> anyhow::Result<u8> {
        let kind = match kinds {
            Kinds::Event => Kind::Event,
            Kinds::Command => Kind::Command,
        };
        let known = source.read()?;
        let bundle = known.contracts.bundle();
        let wanted = |contract: &&BundledContract| {
            let domain = contract.key().split('.').next();
            contract.kind == kind && (self.domain.is_none() || self.domain.as_deref() == domain)
        };
        let contracts: Vec<&BundledContract> = bundle.contracts.iter().filter(wanted).collect();
        if self.json {
            let json = serde_json::to_writer_pretty(io::stdout().lock(), &contracts);
            json.map_err(io::Error::from)?;
            println!();
        } else if contracts.is_empty() {
            let of = self.domain.as_ref().map(|d| format!(" in the domain `{d}`"));
            eprintln!("no {kind}s{}", of.unwrap_or_default());
        } else {
            let mut table = Table::new(["key", "version", "type", "title"]);
            for contract in contracts {
                let keys: Vec<String> = contract.routes().collect();
                let version = contract.version.to_string();
                table.row([&keys.join(", "), &version, &contract.rust_type, &contract.title]);
            }
            table.print(&mut io::stdout().lock())?;
        }
        Ok(0)
    }
}
