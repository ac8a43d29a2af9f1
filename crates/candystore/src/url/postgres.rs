//! What a text says of a PostgreSQL server: what the driver reads, and what only libpq knows.

use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// A server, as a text names it.
pub(crate) struct Server {
    /// Everything that the driver knows.
    pub(crate) config: Config,
    pub(crate) tls: Tls,
}

/// What the text says of TLS, in libpq's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) verify: Verify,
    /// `sslrootcert`: the file of the authorities; `system` is those of the machine.
    pub(crate) authorities: Option<PathBuf>,
    /// `sslcert` and `sslkey`: the files of the client's own certificate.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// `sslmode` in libpq's words.
    pub(crate) fn mode(&self, driver: SslMode) -> &'static str {
        match (self.verify, driver) {
            (Verify::Host, _) => "verify-full",
            (Verify::Authority, _) => "verify-ca",
            (Verify::Nothing, SslMode::Disable) => "disable",
            (Verify::Nothing, SslMode::Require) => "require",
            (Verify::Nothing, _) => "prefer",
        }
    }
}

/// What the server's certificate has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Anything.
    #[default]
    Nothing,
    /// Signed by one of the authorities.
    Authority,
    /// The same, and made for the host that the text names.
    Host,
}

/// Parameters of libpq that neither the driver nor we know. Others are not named in errors: they may be
/// a part of a password.
const UNSUPPORTED: [&str; 19] = [
    "client_encoding",
    "fallback_application_name",
    "gssencmode",
    "gsslib",
    "krbsrvname",
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslpassword",
    "sslsni",
];

/// What the driver knows.
const KNOWN: [&str; 19] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslmode",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Reads a URL, or a list of `keyword=value`.
///
/// # Errors
/// Why it cannot be read, without any part of it that may be secret.
pub(crate) fn parse(text: &str) -> Result<Server, String> {
    let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    if !is_url {
        let config = text.parse().map_err(|error| told(&error))?;
        return Ok(Server { config, tls: Tls::default() });
    }
    let (place, query) = split(text)?;
    let (mut ours, mut theirs) = (Ours::default(), Vec::new());
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if !ours.take(name, value)? {
            check_name(name)?;
            theirs.push(parameter);
        }
    }
    let text = match theirs.is_empty() {
        true => place.to_owned(),
        false => format!("{place}?{}", theirs.join("&")),
    };
    let mut config: Config = text.parse().map_err(|error| told(&error))?;
    let (mode, tls) = ours.tls()?;
    config.ssl_mode(mode);
    Ok(Server { config, tls })
}

/// The text before the parameters, and those. An `@` is where libpq and the driver both take it for the
/// end of the password; elsewhere a part of a password could pass for a host.
fn split(url: &str) -> Result<(&str, &str), String> {
    let start = url.find("://").map_or(0, |at| at + 3);
    let body = &url[start..];
    let end = body.find('@').unwrap_or(0);
    if body[..end].contains('/') || body.matches('@').count() > 1 {
        let reason = "an `@` or `/` of user, password or parameters is not percent-encoded (`%40`, \
                      `%2F`)";
        return Err(reason.to_owned());
    }
    Ok(match body[end..].find('?') {
        Some(at) => (&url[..start + end + at], &body[end + at + 1..]),
        None => (url, ""),
    })
}

fn check_name(name: &str) -> Result<(), String> {
    match name {
        name if KNOWN.contains(&name) => Ok(()),
        name if UNSUPPORTED.contains(&name) => Err(format!("`{name}` is not supported")),
        _ => Err("a parameter is not one of libpq's".to_owned()),
    }
}

/// What the driver says, as far as it repeats nothing but the name of an option of its own.
fn told(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    match cause {
        Some(cause) if cause.starts_with("invalid value for option") => cause,
        _ => "something is not as libpq reads it".to_owned(),
    }
}

/// The parameters that we read ourselves.
#[derive(Default)]
struct Ours {
    mode: Option<String>,
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Ours {
    /// Whether it is one of ours.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let file = match name {
            "sslmode" => {
                self.mode = Some(decoded(name, value)?);
                return Ok(true);
            }
            "sslrootcert" => &mut self.authorities,
            "sslcert" => &mut self.certificate,
            "sslkey" => &mut self.key,
            _ => return Ok(false),
        };
        *file = Some(decoded(name, value)?.into());
        Ok(true)
    }

    fn tls(self) -> Result<(SslMode, Tls), String> {
        let own = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("`sslcert` and `sslkey` are not both given".to_owned()),
        };
        let (mode, verify) = match self.mode.as_deref() {
            Some("disable") => (SslMode::Disable, Verify::Nothing),
            None | Some("prefer") => (SslMode::Prefer, Verify::Nothing),
            // As libpq takes it: who names authorities wants to know them.
            Some("require") if self.authorities.is_some() => (SslMode::Require, Verify::Authority),
            Some("require") => (SslMode::Require, Verify::Nothing),
            Some("verify-ca") => (SslMode::Require, Verify::Authority),
            Some("verify-full") => (SslMode::Require, Verify::Host),
            Some(_) => {
                let reason = "`sslmode` is not one of `disable`, `prefer`, `require`, `verify-ca` and \
                              `verify-full`";
                return Err(reason.to_owned());
            }
        };
        Ok((mode, Tls { verify, authorities: self.authorities, own }))
    }
}

/// A value without its percent-encoding.
fn decoded(name: &str, value: &str) -> Result<String, String> {
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8();
    decoded.map(Into::into).map_err(|_| format!("`{name}` is not UTF-8"))
}

impl Server {
    /// The server as it may be shown: `postgres://user@host:port/database`.
    pub(crate) fn place(&self) -> String {
        let config = &self.config;
        let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
        let database = config.get_dbname().map(|name| format!("/{name}")).unwrap_or_default();
        let mut hosts: Vec<String> = config.get_hosts().iter().map(name_of).collect();
        if hosts.is_empty() {
            hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
        }
        let ports = config.get_ports();
        for (index, host) in hosts.iter_mut().enumerate() {
            if let Some(port) = ports.get(index).or(ports.first()) {
                *host = format!("{host}:{port}");
            }
        }
        format!("postgres://{user}{}{database}", hosts.join(","))
    }
}

fn name_of(host: &Host) -> String {
    match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests;
