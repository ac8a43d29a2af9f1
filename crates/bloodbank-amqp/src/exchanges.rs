//! The exchanges of the bus, by name.
//!
//! Events are published to one exchange and heard at another behind it, so that "nobody listens" has
//! a meaning: what records everything is bound to the first, what listens to the second, and the
//! alternate exchange of the second catches what no listener wants.
//!
//! ```text
//! events ──#──► events.listeners ──pattern──► queues of services
//!    └──#──► recorders     └──nobody──► events.unrouted ──► queue events.unrouted
//! ```
//!
//! Commands, their record and replays have an exchange each, with nothing behind it.

use std::time::Duration;

use bloodbank_bus::Exchange;
use bloodbank_core::BundledExchange;
use lapin::ExchangeKind;

use crate::config::variable;
use crate::config_error::{ConfigError, ConfigFault, ConfigProblem};

/// Names and properties of the exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchanges {
    /// Where events are published; `EXCHANGE_NAME`, `bloodbank.events.v1`.
    pub events: String,
    /// Its type; `EXCHANGE_TYPE`, `topic`. Any other type is taken as it is, without listeners.
    pub events_type: String,
    /// Whether it outlives the broker's restart; `EXCHANGE_DURABLE`, true.
    pub durable: bool,
    /// Where commands are sent.
    pub commands: String,
    /// Where commands are copied to for the record.
    pub audit: String,
    /// Where events of the past are published again.
    pub replay: String,
    /// Where messages go that are not due yet.
    pub scheduled: String,
}

impl Default for Exchanges {
    fn default() -> Self {
        Exchanges {
            events: Exchange::Events.name().to_owned(),
            events_type: "topic".to_owned(),
            durable: true,
            commands: Exchange::Commands.name().to_owned(),
            audit: Exchange::Audit.name().to_owned(),
            replay: Exchange::Replay.name().to_owned(),
            scheduled: Exchange::Scheduled.name().to_owned(),
        }
    }
}

/// Types of exchanges that every RabbitMQ has.
const TYPES: [&str; 4] = ["topic", "direct", "fanout", "headers"];

impl Exchanges {
    /// What the environment says, also where it names no broker.
    ///
    /// # Errors
    /// If a variable is not what it should be; all of them at once.
    pub fn from_env() -> Result<Self, ConfigError> {
        Exchanges::from_env_and(None)
    }

    /// What the environment says, and where it says nothing, registry.yaml: the
    /// [`exchange`](bloodbank_core::Bundle::exchange) of the contracts.
    ///
    /// # Errors
    /// If a variable is not what it should be, or says something else than registry.yaml; all of them
    /// at once.
    pub fn from_env_and(declared: Option<&BundledExchange>) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let exchanges = Exchanges::from_lookup(&variable, declared, &mut faults);
        if faults.is_empty() { Ok(exchanges) } else { Err(ConfigError { faults }) }
    }

    /// The same exchanges, with what registry.yaml says of the exchange of events.
    #[must_use]
    pub fn with_declared(mut self, declared: &BundledExchange) -> Self {
        let BundledExchange { name, exchange_type, durable } = declared;
        self.events = name.clone().unwrap_or(self.events);
        self.events_type = exchange_type.clone().unwrap_or(self.events_type);
        self.durable = durable.unwrap_or(self.durable);
        self
    }

    pub(crate) fn from_lookup(
        get: &impl Fn(&str) -> Option<String>,
        declared: Option<&BundledExchange>,
        faults: &mut Vec<ConfigFault>,
    ) -> Self {
        let mut exchanges = Exchanges::from_variables(get, faults);
        if let Some(declared) = declared {
            let faults_before = faults.len();
            exchanges.find_disagreements(get, declared, faults);
            if faults.len() == faults_before {
                exchanges = exchanges.with_declared(declared);
            }
        }
        exchanges
    }

    /// What a variable says otherwise than registry.yaml.
    fn find_disagreements(
        &self,
        get: &impl Fn(&str) -> Option<String>,
        declared: &BundledExchange,
        faults: &mut Vec<ConfigFault>,
    ) {
        let durable = declared.durable.map(|durable| durable.to_string());
        let said = [
            ("EXCHANGE_NAME", "name", self.events.clone(), &declared.name),
            ("EXCHANGE_TYPE", "type", self.events_type.clone(), &declared.exchange_type),
            ("EXCHANGE_DURABLE", "durable", self.durable.to_string(), &durable),
        ];
        for (variable, field, value, declared) in said {
            let Some(declared) = declared.as_ref().filter(|declared| **declared != value) else {
                continue;
            };
            if get(variable).is_some() {
                let declared = declared.clone();
                let problem = ConfigProblem::Disagrees { value, field, declared };
                faults.push(ConfigFault::new(variable, problem));
            }
        }
    }

    fn from_variables(
        get: &impl Fn(&str) -> Option<String>,
        faults: &mut Vec<ConfigFault>,
    ) -> Self {
        let mut exchanges = Exchanges::default();
        exchanges.events = get("EXCHANGE_NAME").unwrap_or(exchanges.events);
        if let Some(kind) = get("EXCHANGE_TYPE") {
            if !kind.starts_with("x-") && !TYPES.contains(&&*kind) {
                let expected = "`topic`, `direct`, `fanout`, `headers`, or a plugin's, which begins \
                                with `x-`";
                faults.push(ConfigFault::unexpected("EXCHANGE_TYPE", &*kind, expected));
            }
            exchanges.events_type = kind;
        }
        match get("EXCHANGE_DURABLE").as_deref() {
            None | Some("true" | "1") => {}
            Some("false" | "0") => exchanges.durable = false,
            Some(other) => {
                let expected = "`true` or `false`";
                faults.push(ConfigFault::unexpected("EXCHANGE_DURABLE", other, expected));
            }
        }
        exchanges
    }

    /// Where a message for this exchange is published.
    pub(crate) fn entry(&self, exchange: Exchange) -> &str {
        match exchange {
            Exchange::Commands => &self.commands,
            Exchange::Audit => &self.audit,
            Exchange::Replay => &self.replay,
            Exchange::Scheduled => &self.scheduled,
            _ => &self.events,
        }
    }

    /// Where a queue that listens to this exchange is bound; a recorder is bound at the entry.
    pub(crate) fn listening(&self, exchange: Exchange, recorder: bool) -> String {
        match exchange {
            Exchange::Events if self.is_topic() && !recorder => self.listeners(),
            other => self.entry(other).to_owned(),
        }
    }

    pub(crate) fn is_topic(&self) -> bool {
        self.events_type == "topic"
    }

    /// The exchange that listeners are bound to.
    pub(crate) fn listeners(&self) -> String {
        format!("{}.listeners", self.events)
    }

    /// The exchange and the queue for events that nobody listens to.
    pub(crate) fn unrouted(&self) -> String {
        // `bloodbank.events.v1` → `bloodbank.unrouted`; another name keeps its own.
        match self.events == Exchange::Events.name() {
            true => "bloodbank.unrouted".to_owned(),
            false => format!("{}.unrouted", self.events),
        }
    }

    pub(crate) fn kind(&self) -> ExchangeKind {
        match self.events_type.as_str() {
            "topic" => ExchangeKind::Topic,
            "direct" => ExchangeKind::Direct,
            "fanout" => ExchangeKind::Fanout,
            "headers" => ExchangeKind::Headers,
            other => ExchangeKind::Custom(other.to_owned()),
        }
    }
}

/// The queue in which messages of another wait this long.
pub(crate) fn waiting_queue_of(queue: &str, delay: Duration) -> String {
    let millis = delay.as_millis();
    let (number, unit) = match millis {
        0 => (0, "ms"),
        _ if millis.is_multiple_of(3_600_000) => (millis / 3_600_000, "h"),
        _ if millis.is_multiple_of(60_000) => (millis / 60_000, "m"),
        _ if millis.is_multiple_of(1_000) => (millis / 1_000, "s"),
        _ => (millis, "ms"),
    };
    format!("{queue}.retry.{number}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        variables: &[(&str, &str)],
        declared: &BundledExchange,
    ) -> Result<Exchanges, Vec<String>> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let mut faults = Vec::new();
        let exchanges = Exchanges::from_lookup(&get, Some(declared), &mut faults);
        let faults = faults.iter().map(ToString::to_string).collect::<Vec<_>>();
        if faults.is_empty() { Ok(exchanges) } else { Err(faults) }
    }

    fn other() -> BundledExchange {
        BundledExchange {
            name: Some("other".to_owned()),
            exchange_type: Some("direct".to_owned()),
            durable: Some(false),
        }
    }

    #[test]
    fn registry_yaml_counts_where_the_environment_is_silent() {
        let exchanges = read(&[], &other()).unwrap();
        assert_eq!(exchanges, Exchanges::default().with_declared(&other()));
        assert_eq!(exchanges.events, "other");
        assert_eq!(exchanges.events_type, "direct");
        assert!(!exchanges.durable);
        assert_eq!(exchanges.unrouted(), "other.unrouted");
        let nameless = BundledExchange { name: None, ..other() };
        let exchanges = read(&[("EXCHANGE_NAME", "mine")], &nameless).unwrap();
        assert_eq!((&*exchanges.events, &*exchanges.events_type), ("mine", "direct"));
        assert_eq!(read(&[], &BundledExchange::default()).unwrap(), Exchanges::default());
    }

    #[test]
    fn where_environment_and_registry_yaml_agree_all_is_well() {
        let same =
            [("EXCHANGE_NAME", "other"), ("EXCHANGE_TYPE", "direct"), ("EXCHANGE_DURABLE", "0")];
        assert_eq!(read(&same, &other()).unwrap().events, "other");
    }

    #[test]
    fn where_they_disagree_every_fault_names_both() {
        let otherwise =
            [("EXCHANGE_NAME", "mine"), ("EXCHANGE_TYPE", "topic"), ("EXCHANGE_DURABLE", "true")];
        let faults = read(&otherwise, &other()).unwrap_err();
        assert_eq!(
            faults,
            [
                "EXCHANGE_NAME says `mine`, and registry.yaml says `other` (`exchange:`, `name:`); \
                 change one of the two, or remove it",
                "EXCHANGE_TYPE says `topic`, and registry.yaml says `direct` (`exchange:`, \
                 `type:`); change one of the two, or remove it",
                "EXCHANGE_DURABLE says `true`, and registry.yaml says `false` (`exchange:`, \
                 `durable:`); change one of the two, or remove it",
            ]
        );
    }

    #[test]
    fn a_waiting_queue_is_named_after_its_time() {
        let name = |millis| waiting_queue_of("q", Duration::from_millis(millis));
        assert_eq!(name(50), "q.retry.50ms");
        assert_eq!(name(1_000), "q.retry.1s");
        assert_eq!(name(90_000), "q.retry.90s");
        assert_eq!(name(600_000), "q.retry.10m");
        assert_eq!(name(7_200_000), "q.retry.2h");
    }
}
