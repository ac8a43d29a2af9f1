//! What to connect to, and how to behave there.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bloodbank_core::BundledExchange;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

use crate::config_error::{ConfigError, ConfigFault, ConfigProblem};
use crate::{BrokerHost, Exchanges};

/// Seconds between heartbeats, unless the URL says so.
const HEARTBEAT: u16 = 10;

/// How to reach RabbitMQ, and how to behave there.
#[derive(Clone)]
#[non_exhaustive]
pub struct AmqpConfig {
    /// Tried in turn; at least one.
    pub(crate) hosts: Vec<AMQPUri>,
    /// For `amqps`.
    pub tls: Tls,
    /// Names of the exchanges.
    pub exchanges: Exchanges,
    /// What to do about exchanges and queues.
    pub mode: Mode,
    /// Shown in the broker's list of connections.
    pub name: String,
    /// How long a publish may take, from the call to its outcome; 5 s.
    pub deadline: Duration,
    /// How many messages of a lane are on their way to the broker at a time; 256.
    pub window: usize,
    /// How many messages of a lane are held at a time, those on their way included; 4,096. When all
    /// places are taken, publishing waits.
    pub capacity: usize,
    /// How long the broker may be away or blocked before publishing fails at once; 1 s.
    pub grace: Duration,
    /// How long a connection attempt may take; 5 s.
    pub connect_timeout: Duration,
    /// How long [`Amqp::connect`](crate::Amqp::connect) waits for the first connection; 10 s.
    pub patience: Duration,
    /// How long a broker is left alone, more or less, that took us before and refuses us now: another
    /// password, a queue that was declared otherwise; 30 s.
    pub refused_pause: Duration,
    /// How often is looked whether the exchanges that were declared are still there; they are bound to
    /// each other again each time; 5 s.
    pub look_at_exchanges: Duration,
    /// The same for queues, which are bound again each time; 60 s. They are bound at once where an
    /// exchange was missing. Where another process has declared it again before this one looked, they
    /// hear nothing for so long.
    pub look_at_queues: Duration,
}

/// Certificates for `amqps`, as PEM files. The system's authorities are trusted, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// Authorities to trust; `RABBIT_CA_FILE`.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its PKCS #8 key; `RABBIT_CERT_FILE` and `RABBIT_KEY_FILE`.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What to do about exchanges, queues and bindings; `RABBIT_TOPOLOGY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// `create`: declare what is missing, also later, when somebody has deleted it. Nothing is ever
    /// deleted.
    #[default]
    Create,
    /// `verify`: fail if something is missing, and log an error if it is missing later. Needs no right
    /// to configure.
    Verify,
    /// `off`: take for granted that all is there.
    Off,
}

impl AmqpConfig {
    /// The brokers at these URLs, `amqp[s]://user:password@host:port/vhost`, separated by commas.
    ///
    /// # Errors
    /// If one of them is no such URL.
    pub fn from_urls(urls: &str) -> Result<Self, ConfigError> {
        let get = |name: &str| (name == "RABBIT_URL").then(|| urls.to_owned());
        // `from_lookup` gives none only where there is no `RABBIT_URL`.
        let config = AmqpConfig::from_lookup(get, None)?;
        Ok(config.unwrap_or_else(|| AmqpConfig::of(Vec::new())))
    }

    /// What the environment says; `None` if it names neither `RABBIT_URL` nor `RABBIT_HOST`.
    ///
    /// # Errors
    /// If a variable is not what it should be; all of them at once.
    pub fn from_env() -> Result<Option<Self>, ConfigError> {
        AmqpConfig::from_env_and(None)
    }

    /// What the environment says, and where it says nothing of the exchange of events, registry.yaml:
    /// the [`exchange`](bloodbank_core::Bundle::exchange) of the contracts. `None` if the environment
    /// names neither `RABBIT_URL` nor `RABBIT_HOST`.
    ///
    /// # Errors
    /// If a variable is not what it should be, or says something else than registry.yaml; all of them
    /// at once.
    pub fn from_env_and(declared: Option<&BundledExchange>) -> Result<Option<Self>, ConfigError> {
        AmqpConfig::from_lookup(variable, declared)
    }

    fn from_lookup(
        get: impl Fn(&str) -> Option<String>,
        declared: Option<&BundledExchange>,
    ) -> Result<Option<Self>, ConfigError> {
        let mut faults = Vec::new();
        let hosts = match get("RABBIT_URL") {
            Some(urls) => hosts_of_urls(&urls, &mut faults),
            None => hosts_of_parts(&get, &mut faults),
        };
        if hosts.is_empty() && faults.is_empty() {
            return Ok(None);
        }
        let mut config = AmqpConfig::of(hosts);
        config.exchanges = Exchanges::from_lookup(&get, declared, &mut faults);
        match get("RABBIT_TOPOLOGY").as_deref() {
            None | Some("create") => {}
            Some("verify") => config.mode = Mode::Verify,
            Some("off") => config.mode = Mode::Off,
            Some(other) => {
                let expected = "`create`, `verify` or `off`";
                faults.push(ConfigFault::unexpected("RABBIT_TOPOLOGY", other, expected));
            }
        }
        config.tls.ca = get("RABBIT_CA_FILE").map(PathBuf::from);
        config.tls.identity = match (get("RABBIT_CERT_FILE"), get("RABBIT_KEY_FILE")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => {
                faults.push(ConfigFault {
                    variables: vec!["RABBIT_CERT_FILE", "RABBIT_KEY_FILE"],
                    entry: None,
                    problem: ConfigProblem::Incomplete,
                });
                None
            }
        };
        if faults.is_empty() { Ok(Some(config)) } else { Err(ConfigError { faults }) }
    }

    fn of(hosts: Vec<AMQPUri>) -> Self {
        AmqpConfig {
            hosts,
            tls: Tls::default(),
            exchanges: Exchanges::default(),
            mode: Mode::default(),
            name: "bloodbank".to_owned(),
            deadline: Duration::from_secs(5),
            window: 256,
            capacity: 4_096,
            grace: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(10),
            refused_pause: Duration::from_secs(30),
            look_at_exchanges: Duration::from_secs(5),
            look_at_queues: Duration::from_secs(60),
        }
    }

    /// The brokers, without passwords.
    pub fn hosts(&self) -> Vec<BrokerHost> {
        self.hosts.iter().map(BrokerHost::of).collect()
    }

    /// Whether the user `guest` is used for a host that is not this one. RabbitMQ refuses that.
    pub fn uses_guest_remotely(&self) -> bool {
        self.hosts.iter().any(|uri| {
            let host = uri.authority.host.as_str();
            let local = matches!(host, "localhost" | "::1" | "[::1]") || host.starts_with("127.");
            uri.authority.userinfo.username == "guest" && !local
        })
    }
}

/// A variable of the environment; empty is not set.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl fmt::Debug for AmqpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("AmqpConfig");
        debug.field("hosts", &self.hosts()).field("mode", &self.mode);
        debug.field("exchanges", &self.exchanges).finish_non_exhaustive()
    }
}

/// A URL in which the end of the password is where its author means it: a part of the password could pass
/// for a port or a vhost otherwise, and be shown as such.
fn parse(url: &str) -> Result<AMQPUri, String> {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |at| authority + at);
    if url[end..].contains(['@', '#']) {
        return Err("a `/`, `?`, `#` or `@` is not percent-encoded".to_owned());
    }
    url.parse()
}

fn hosts_of_urls(urls: &str, faults: &mut Vec<ConfigFault>) -> Vec<AMQPUri> {
    let mut hosts = Vec::new();
    for (index, url) in urls.split(',').map(str::trim).filter(|url| !url.is_empty()).enumerate() {
        match parse(url) {
            Ok(mut uri) => {
                uri.query.heartbeat.get_or_insert(HEARTBEAT);
                // What most people mean by a slash at the end.
                if uri.vhost.is_empty() {
                    uri.vhost = "/".to_owned();
                }
                hosts.push(uri);
            }
            // The text may hold a password, so it is not repeated.
            Err(error) => faults.push(ConfigFault {
                entry: Some(index + 1),
                ..ConfigFault::new("RABBIT_URL", ConfigProblem::NotAUrl { reason: error })
            }),
        }
    }
    hosts
}

fn hosts_of_parts(
    get: &impl Fn(&str) -> Option<String>,
    faults: &mut Vec<ConfigFault>,
) -> Vec<AMQPUri> {
    let Some(hosts) = get("RABBIT_HOST") else { return Vec::new() };
    let default_port = match get("RABBIT_PORT").map(|text| (text.parse(), text)) {
        None => 5672,
        Some((Ok(port), _)) => port,
        Some((Err(_), text)) => {
            faults.push(ConfigFault::unexpected("RABBIT_PORT", text, "a port number"));
            5672
        }
    };
    let uri = |host: &str| {
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().unwrap_or(default_port)),
            None => (host, default_port),
        };
        AMQPUri {
            scheme: if port == 5671 { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: get("RABBIT_USER").unwrap_or_else(|| "guest".to_owned()),
                    password: get("RABBIT_PASSWORD").unwrap_or_else(|| "guest".to_owned()),
                },
                host: host.to_owned(),
                port,
            },
            vhost: get("RABBIT_VHOST").unwrap_or_else(|| "/".to_owned()),
            query: AMQPQueryString { heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() },
        }
    };
    hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).map(uri).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Option<AmqpConfig>, ConfigError> {
        let map: HashMap<_, _> = variables.iter().copied().collect();
        AmqpConfig::from_lookup(|name| map.get(name).map(|value| (*value).to_owned()), None)
    }

    fn shown(config: &AmqpConfig) -> Vec<String> {
        config.hosts().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn several_hosts_by_url_or_by_parts() {
        let by_url =
            config(&[("RABBIT_URL", "amqp://u:p@a:1/v, amqps://u:p@b/v")]).unwrap().unwrap();
        assert_eq!(shown(&by_url), ["amqp://u@a:1/v", "amqps://u@b:5671/v"]);
        let parts = [("RABBIT_HOST", "a:1,b"), ("RABBIT_PORT", "2"), ("RABBIT_VHOST", "v")];
        let by_parts = config(&parts).unwrap().unwrap();
        assert_eq!(shown(&by_parts), ["amqp://guest@a:1/v", "amqp://guest@b:2/v"]);
        assert!(by_parts.uses_guest_remotely());
        assert!(config(&[]).unwrap().is_none());
    }

    #[test]
    fn every_fault_is_told_and_no_password() {
        let error = config(&[
            ("RABBIT_URL", "http://u:secret@a"),
            ("EXCHANGE_DURABLE", "maybe"),
            ("EXCHANGE_TYPE", "banana"),
            ("RABBIT_TOPOLOGY", "delete"),
            ("RABBIT_CERT_FILE", "c.pem"),
        ])
        .unwrap_err();
        let variables: Vec<_> = error.faults.iter().map(|fault| fault.variables[0]).collect();
        assert_eq!(
            variables,
            [
                "RABBIT_URL",
                "EXCHANGE_TYPE",
                "EXCHANGE_DURABLE",
                "RABBIT_TOPOLOGY",
                "RABBIT_CERT_FILE"
            ]
        );
        let url = &error.faults[0];
        assert!(matches!(url.problem, ConfigProblem::NotAUrl { .. }) && url.entry == Some(1));
        assert_eq!(error.code(), bloodbank_core::Code::ConfigInvalid);
        assert!(!error.to_string().contains("secret"), "{error}");
        let config = config(&[("RABBIT_URL", "amqp://u:secret@a")]).unwrap().unwrap();
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn no_part_of_a_password_is_shown_whatever_stands_in_it() {
        // Digits, which could pass for a port.
        let [first, second] = ["717", "9292"];
        let is_silent = |url: &str| {
            let (shown, hosts) = match config(&[("RABBIT_URL", url)]) {
                Ok(Some(config)) => (format!("{config:?} {:?}", config.hosts()), config.hosts()),
                Ok(None) => panic!("{url} is set"),
                Err(error) => (format!("{error} {error:?}"), Vec::new()),
            };
            assert!(!shown.contains(first) && !shown.contains(second), "{url}: {shown}");
            hosts.first().map(ToString::to_string)
        };
        for c in ' '..='~' {
            let url = format!("amqp://ada:{first}%{:02X}{second}@db:5673/v", u32::from(c));
            assert_eq!(is_silent(&url).as_deref(), Some("amqp://ada@db:5673/v"), "{url}");
            is_silent(&format!("amqp://ada:{first}{c}{second}@db:5673/v"));
        }
    }
}
