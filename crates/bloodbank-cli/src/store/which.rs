//! Which events are meant.

use bloodbank::candystore::{Field, Filter, Standing};
use bloodbank::chrono::{DateTime, Utc};
use bloodbank::uuid::Uuid;
use bloodbank::{Kind, TopicPattern};
use clap::Args;

use crate::{hints, place, when};

/// Which events are meant: those that pass everything that is given.
#[derive(Args)]
pub(crate) struct Which {
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// Who said it.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The session it belongs to.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// What has this correlation id, and the event of this id.
    #[arg(long, value_name = "UUID", value_parser = place::id)]
    correlation: Option<Uuid>,
    /// Stored so long ago or later, or since a time: `10m`, `2026-01-31T12:00:00Z`.
    #[arg(long, value_name = "AGE|TIME", value_parser = when::parse)]
    since: Option<DateTime<Utc>>,
    /// Stored before then.
    #[arg(long, value_name = "AGE|TIME", value_parser = when::parse)]
    until: Option<DateTime<Utc>>,
    /// What its contract said: valid, invalid, unknown (no contract), malformed (not an envelope).
    #[arg(long)]
    standing: Option<Standing>,
    #[command(flatten)]
    fields: Where,
}

/// What payloads must hold.
#[derive(Args)]
pub(crate) struct Where {
    /// A field of the payload and what it must be: `/topic="Budget"`. May be given more than once.
    #[arg(id = "where", long = "where", value_name = "/POINTER=JSON")]
    #[arg(value_parser = hints::value::<Field>)]
    pub(crate) fields: Vec<Field>,
}

/// Which keys are meant.
#[derive(Args)]
pub(crate) struct Keys {
    /// Keys, or patterns: `*` is one word, `#` any number of them. All if there is none.
    #[arg(value_name = "PATTERN")]
    patterns: Vec<TopicPattern>,
    /// Commands, too.
    #[arg(long)]
    commands: bool,
}

impl Keys {
    pub(crate) fn filter(&self) -> Filter {
        let mut filter = Filter::new();
        filter.keys.clone_from(&self.patterns);
        filter.kind = (!self.commands).then_some(Kind::Event);
        filter
    }
}

impl Which {
    pub(crate) fn filter(&self) -> Filter {
        let mut filter = self.keys.filter();
        filter.source.clone_from(&self.source);
        filter.session.clone_from(&self.session);
        filter.correlation = self.correlation;
        filter.since = self.since;
        filter.until = self.until;
        filter.standing = self.standing;
        filter.fields.clone_from(&self.fields.fields);
        filter
    }
}
