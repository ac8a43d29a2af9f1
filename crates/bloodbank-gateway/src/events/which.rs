//! Which events are meant.

use std::str::FromStr;

use bloodbank_access::Caller;
use bloodbank_core::{Contracts, Kind, TopicPattern};
use candystore::{Field, Filter, Position, Standing};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::problem::{Answer, Problem};
use crate::when::When;

/// Which events are meant: those that pass everything that is given.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// A routing key, or a pattern of keys: `*` is one word, `#` any number of them. May be given more than
    /// once; one of them must match.
    #[serde(default)]
    #[param(example = json!(["theboard.#"]), max_items = 100)]
    pub(crate) key: Vec<String>,
    /// Commands, too.
    #[serde(default)]
    pub(crate) commands: Option<bool>,
    /// Who said it.
    pub(crate) source: Option<String>,
    /// The session that it belongs to.
    pub(crate) session: Option<String>,
    /// What has this correlation id, and the event of this id.
    pub(crate) correlation: Option<Uuid>,
    /// Stored then or later: a time, or an age, as in `10m`.
    #[param(schema_with = crate::when::schema)]
    pub(crate) since: Option<When>,
    /// Stored before then.
    #[param(schema_with = crate::when::schema)]
    pub(crate) until: Option<When>,
    /// From this position on.
    #[param(minimum = 1)]
    pub(crate) first: Option<Position>,
    /// Up to this position, with it.
    #[param(minimum = 1)]
    pub(crate) last: Option<Position>,
    /// What the contract said when it was stored.
    #[param(inline)]
    pub(crate) standing: Option<StandingBody>,
    /// A field of the payload and what it must be: `/topic="Budget"`. May be given more than once; all must
    /// be so.
    #[serde(default, rename = "where")]
    #[param(rename = "where", max_items = 20)]
    pub(crate) fields: Vec<String>,
}

/// What its contract said of an event when it was stored.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Standing)]
pub(crate) enum StandingBody {
    /// It keeps its contract.
    Valid,
    /// It breaks its contract.
    Invalid,
    /// No contract has its key.
    Unknown,
    /// It is not an envelope.
    Malformed,
}

impl From<StandingBody> for Standing {
    fn from(standing: StandingBody) -> Self {
        match standing {
            StandingBody::Valid => Standing::Valid,
            StandingBody::Invalid => Standing::Invalid,
            StandingBody::Unknown => Standing::Unknown,
            StandingBody::Malformed => Standing::Malformed,
        }
    }
}

/// The most keys, and the most fields, that a filter may name.
const MOST_NAMED: usize = 100;

impl Which {
    /// The filter, if the caller may ask for its fields: who may not see a value must not find it out by
    /// asking for it.
    pub(crate) fn filter(&self, contracts: &Contracts, caller: &Caller) -> Answer<Filter> {
        let mut filter = Filter::new();
        filter.keys = all::<TopicPattern>("key", &self.key)?;
        filter.fields = all::<Field>("where", &self.fields)?;
        check_fields(contracts, caller, &filter.fields)?;
        filter.kind = (self.commands != Some(true)).then_some(Kind::Event);
        if let Some(source) = &self.source {
            filter = filter.with_source(source);
        }
        if let Some(session) = &self.session {
            filter = filter.with_session(session);
        }
        filter.correlation = self.correlation;
        filter.since = self.since.map(|when| when.0);
        filter.until = self.until.map(|when| when.0);
        filter.first = self.first;
        filter.last = self.last;
        filter.standing = self.standing.map(Standing::from);
        Ok(filter)
    }
}

pub(crate) fn check_fields(contracts: &Contracts, caller: &Caller, fields: &[Field]) -> Answer<()> {
    let is_hidden = |field: &&Field| {
        let whole = field.value().is_object() || field.value().is_array();
        contracts.hides_anywhere(field.pointer(), whole)
    };
    match fields.iter().find(|field| !caller.sees_sensitive() && is_hidden(field)) {
        Some(_) => Err(caller.lacks("sensitive").into()),
        None => Ok(()),
    }
}

/// Each text as what it should be.
pub(crate) fn all<T: FromStr<Err: ToString>>(name: &str, texts: &[String]) -> Answer<Vec<T>> {
    if texts.len() > MOST_NAMED {
        let detail = format!("parameter `{name}` of the query: at most {MOST_NAMED} of them");
        return Err(Problem::parameter(detail));
    }
    let read = |text: &String| {
        text.parse().map_err(|error: T::Err| {
            let detail = format!("parameter `{name}` of the query: {}", error.to_string());
            Problem::parameter(detail)
        })
    };
    texts.iter().map(read).collect()
}
