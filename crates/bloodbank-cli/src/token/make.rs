//! `token new`.

use anyhow::bail;
use bloodbank::{BundledContract, Kind, TopicPattern};
use bloodbank_access::{Keys, Rights, TokenFile};
use clap::Args;

use super::{audited, rights};
use crate::contracts::{Origin, Source};
use crate::hints;
use crate::table::say;

#[derive(Args)]
#[command(group = clap::ArgGroup::new("rights").required(true).multiple(true)
    .args(["service", "publish", "send", "read", "operate", "sensitive"]))]
pub(crate) struct Make {
    /// What it is called: in lists, in the audit, and as the source of what it publishes by `--publish`.
    name: String,
    /// It may publish and send what registry.yaml gives this service.
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["publish", "send"])]
    service: Option<String>,
    /// It may publish the events whose keys match. Can be repeated.
    #[arg(long, value_name = "PATTERN", value_parser = hints::value::<TopicPattern>)]
    publish: Vec<TopicPattern>,
    /// It may send the commands whose keys match. Can be repeated.
    #[arg(long, value_name = "PATTERN", value_parser = hints::value::<TopicPattern>)]
    send: Vec<TopicPattern>,
    /// It may read what is stored and what passes; values marked as sensitive are hidden.
    #[arg(long)]
    read: bool,
    /// It may redrive, purge, replay, and reload the contracts.
    #[arg(long)]
    operate: bool,
    /// It sees values that contracts mark as sensitive.
    #[arg(long)]
    sensitive: bool,
}

impl Make {
    pub(super) fn run(&self, file: &TokenFile, source: &Source) -> anyhow::Result<u8> {
        self.check(source)?;
        let made = self.rights();
        let words = rights(&made);
        let secret = file.create(&self.name, made)?;
        // The token alone, so that a script can take it.
        say(secret.as_str())?;
        eprintln!(
            "note: token `{}` may: {words}\nnote: it is shown this once; {} keeps its hash",
            self.name,
            file.path().display()
        );
        audited("token.new", &self.name, words)
    }

    fn rights(&self) -> Rights {
        let keys = match &self.service {
            Some(service) => Keys::Service(service.clone()),
            None => Keys::Patterns { publish: self.publish.clone(), send: self.send.clone() },
        };
        let Make { read, operate, sensitive, .. } = *self;
        Rights { keys, read, operate, sensitive }
    }

    /// Whether the contracts at hand know what it may publish and send. Where there is no schema folder,
    /// the ones who know are somewhere else.
    fn check(&self, source: &Source) -> anyhow::Result<()> {
        let known = source.silently()?;
        if known.origin == Origin::BuiltIn {
            return Ok(());
        }
        let bundle = known.contracts.bundle();
        if let Some(service) = &self.service
            && bundle.service(service).is_none()
        {
            let names: Vec<_> = bundle.services.iter().map(|it| it.name.as_str()).collect();
            bail!(
                "the registry has no service `{service}`\nhelp: its services are {}",
                names.join(", ")
            );
        }
        let unmatched = |pattern: &&TopicPattern, kind| {
            let mut of_kind = bundle.contracts.iter().filter(|contract| contract.kind == kind);
            !of_kind.any(|contract: &BundledContract| {
                let mut keys = contract.keys.iter();
                keys.any(|key| pattern.matches(key.as_str()))
                    || contract.routes().any(|route| pattern.matches(&route))
            })
        };
        let events = self.publish.iter().filter(|it| unmatched(it, Kind::Event));
        let commands = self.send.iter().filter(|it| unmatched(it, Kind::Command));
        for (pattern, kind) in
            events.map(|it| (it, "event")).chain(commands.map(|it| (it, "command")))
        {
            eprintln!("note: `{pattern}` matches no {kind} of the contracts at hand");
        }
        Ok(())
    }
}
