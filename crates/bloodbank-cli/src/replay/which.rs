//! Which events are to be replayed.

use bloodbank::TopicPattern;
use bloodbank::candystore::Filter;
use bloodbank::uuid::Uuid;
use clap::Args;

use crate::place::{self, Place};
use crate::store::which::Where;

/// The names of these arguments.
pub(crate) const NAMES: [&str; 6] = ["keys", "from", "to", "source", "correlation", "where"];

/// Which events are meant: those that pass everything that is given.
#[derive(Args)]
pub(crate) struct Which {
    /// Keys, or patterns: `*` is one word, `#` any number of them. May be given more than once.
    #[arg(long = "key", value_name = "PATTERN")]
    keys: Vec<TopicPattern>,
    /// From this position on, or stored so long ago or later: `1`, `10m`, `2026-01-31T12:00:00Z`.
    #[arg(long, value_name = "POSITION|AGE|TIME", value_parser = place::parse)]
    from: Option<Place>,
    /// Up to this position, or stored before then.
    #[arg(long, value_name = "POSITION|AGE|TIME", value_parser = place::parse)]
    to: Option<Place>,
    /// Who said it.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// What has this correlation id, and the event of this id.
    #[arg(long, value_name = "UUID", value_parser = place::id)]
    correlation: Option<Uuid>,
    #[command(flatten)]
    fields: Where,
}

impl Which {
    pub(crate) fn filter(&self) -> Filter {
        let mut filter = Filter::new();
        filter.keys.clone_from(&self.keys);
        filter.source.clone_from(&self.source);
        filter.correlation = self.correlation;
        filter.fields.clone_from(&self.fields.fields);
        match self.from {
            Some(Place::Position(first)) => filter.first = Some(first),
            Some(Place::Time(since)) => filter.since = Some(since),
            None => {}
        }
        match self.to {
            Some(Place::Position(last)) => filter.last = Some(last),
            Some(Place::Time(until)) => filter.until = Some(until),
            None => {}
        }
        filter
    }
}
