//! One attempt to connect, and what its failure means.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bloodbank_bus::{Outage, TransportError};
use bloodbank_core::Code;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind};
use tokio::time::timeout;

use crate::config::{AmqpConfig, Tls};
use crate::host::{HostError, HostFailure};
use crate::{probe, quiet};

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Trying again is of no use: a wrong password, an unknown vhost, a certificate file that is not
    /// there.
    #[error("{0}")]
    Refused(HostFailure),
    /// It may work later.
    #[error("{}", list(hosts))]
    Unreachable {
        /// Every host, with what came of it.
        hosts: Vec<HostFailure>,
        /// How long it was tried.
        waited: Duration,
    },
}

impl ConnectError {
    /// Its code: that of the host's error if it was refused, else [`Code::BrokerUnreachable`].
    pub fn code(&self) -> Code {
        match self {
            ConnectError::Refused(failure) => failure.cause.code(),
            ConnectError::Unreachable { .. } => Code::BrokerUnreachable,
        }
    }
}

fn list(hosts: &[HostFailure]) -> String {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    hosts.join("; ")
}

/// Connects to one host.
pub(crate) async fn connect(
    config: &AmqpConfig,
    uri: &AMQPUri,
    name: &str,
) -> Result<Connection, HostError> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let tls = certificates(&config.tls)?;
    let runtime =
        quiet::runtime().map_err(|error| HostError::Runtime { reason: error.to_string() })?;
    let attempt = Connection::connect_uri_with_config(uri.clone(), properties, tls, runtime);
    match timeout(config.connect_timeout, quiet::quiet(attempt)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(match meaning(uri, &error) {
            cause @ HostError::Other { .. } if uri.scheme == AMQPScheme::AMQP => {
                tls_or(cause, uri).await
            }
            cause => cause,
        }),
        Err(_) => Err(HostError::Silent { waited: Some(config.connect_timeout) }),
    }
}

/// That the port speaks TLS, which the client library cannot tell from garbage; else the cause.
async fn tls_or(cause: HostError, uri: &AMQPUri) -> HostError {
    match probe::greets(uri).await {
        Err(HostError::SpeaksTls) => HostError::SpeaksTls,
        _ => cause,
    }
}

impl HostError {
    /// Whether trying again is of no use.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            HostError::Login { .. }
            | HostError::Vhost { .. }
            | HostError::Untrusted { .. }
            | HostError::Certificate { .. }
            | HostError::SpeaksTls
            | HostError::SpeaksNoTls { .. }
            | HostError::Runtime { .. } => true,
            HostError::Topology(_)
            | HostError::Silent { .. }
            | HostError::NotABroker
            | HostError::Ended(_)
            | HostError::Other { .. } => false,
        }
    }
}

fn certificates(tls: &Tls) -> Result<OwnedTLSConfig, HostError> {
    let unreadable =
        |path: &Path, reason: String| HostError::Certificate { file: path.to_owned(), reason };
    let read = |path: &Path| fs::read(path).map_err(|error| unreadable(path, error.to_string()));
    let cert_chain = match &tls.ca {
        None => None,
        Some(path) => {
            let pem = String::from_utf8(read(path)?);
            Some(pem.map_err(|error| unreadable(path, error.to_string()))?)
        }
    };
    let identity = match &tls.identity {
        None => None,
        Some((pem, key)) => Some(OwnedIdentity::PKCS8 { pem: read(pem)?, key: read(key)? }),
    };
    Ok(OwnedTLSConfig { identity, cert_chain })
}

/// Which errors are final is said by AMQP's codes.
fn meaning(uri: &AMQPUri, error: &lapin::Error) -> HostError {
    let reason = error.to_string();
    if let ErrorKind::ProtocolError(amqp) = error.kind() {
        match amqp.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                return HostError::Login { reason };
            }
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
                if !amqp.get_message().as_str().contains("limit") =>
            {
                return HostError::Vhost { vhost: uri.vhost.clone(), reason };
            }
            _ => {}
        }
    }
    if says(error, "UnknownIssuer") || says(error, "BadSignature") {
        return HostError::Untrusted { reason };
    }
    // What came was not a record of TLS.
    if says(error, "InvalidContentType") {
        return HostError::SpeaksNoTls { reason };
    }
    HostError::Other { reason }
}

/// Whether an error, or what caused it, says this. TLS has no better way to tell.
fn says(error: &lapin::Error, word: &str) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains(word) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What an error on a channel means to whoever asked for something there.
pub(crate) fn channel_error(error: &lapin::Error) -> TransportError {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) if is_complaint(error) => {
            broker_error(amqp.get_message().as_str())
        }
        _ => disconnected(error),
    }
}

/// Something that the broker says, in its words.
pub(crate) fn broker_error(reason: impl Into<String>) -> TransportError {
    TransportError::Other { code: Code::BrokerError, reason: reason.into() }
}

pub(crate) fn disconnected(error: &lapin::Error) -> TransportError {
    TransportError::Disconnected { outage: Outage::said(error) }
}

/// Whether it is the broker that complains, and about us: not that it shuts down, or that something
/// broke inside it.
pub(crate) fn is_complaint(error: &lapin::Error) -> bool {
    const PASSING: [AMQPHardError; 2] =
        [AMQPHardError::CONNECTIONFORCED, AMQPHardError::INTERNALERROR];
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => {
            !PASSING.iter().any(|passing| *amqp.kind() == AMQPErrorKind::Hard(passing.clone()))
        }
        _ => false,
    }
}

/// The broker's code, if it is the broker that complains.
pub(crate) fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => Some(amqp.get_id()),
        _ => None,
    }
}
