//! One attempt to connect, and what its failure means.

use std::fs;
use std::path::Path;

use bloodbank_bus::TransportError;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties, ErrorKind};
use tokio::time::timeout;

use crate::config::{AmqpConfig, Tls, shown};

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Trying again is of no use: a wrong password, an unknown vhost, a certificate file that is not
    /// there.
    #[error("{reason}")]
    Refused {
        /// What is wrong, where, and what to do.
        reason: String,
    },
    /// It may work later.
    #[error("{reason}")]
    Unreachable {
        /// What was tried, and what came of it.
        reason: String,
    },
}

/// Connects to one host.
pub(crate) async fn connect(
    config: &AmqpConfig,
    uri: &AMQPUri,
    name: &str,
) -> Result<Connection, ConnectError> {
    let host = shown(uri);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let tls = certificates(&config.tls)
        .map_err(|reason| ConnectError::Refused { reason: format!("{host}: {reason}") })?;
    let runtime = lapin::runtime::default_runtime()
        .map_err(|error| ConnectError::Refused { reason: error.to_string() })?;
    let attempt = Connection::connect_uri_with_config(uri.clone(), properties, tls, runtime);
    match timeout(config.connect_timeout, attempt).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(meaning(&host, uri, &error)),
        Err(_) => Err(ConnectError::Unreachable {
            reason: format!("{host}: no answer in {:?}", config.connect_timeout),
        }),
    }
}

fn certificates(tls: &Tls) -> Result<OwnedTLSConfig, String> {
    let read = |path: &Path| {
        fs::read(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))
    };
    let cert_chain = match &tls.ca {
        None => None,
        Some(path) => Some(
            String::from_utf8(read(path)?)
                .map_err(|_| format!("`{}` is not a PEM file", path.display()))?,
        ),
    };
    let identity = match &tls.identity {
        None => None,
        Some((pem, key)) => Some(OwnedIdentity::PKCS8 { pem: read(pem)?, key: read(key)? }),
    };
    Ok(OwnedTLSConfig { identity, cert_chain })
}

/// Which errors are final is said by AMQP's codes.
fn meaning(host: &str, uri: &AMQPUri, error: &lapin::Error) -> ConnectError {
    let refused =
        |what: &str| ConnectError::Refused { reason: format!("{host}: {what} ({error})") };
    if let ErrorKind::ProtocolError(amqp) = error.kind() {
        match amqp.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                return refused(
                    "wrong user or password, or no permission for the vhost; check RABBIT_URL",
                );
            }
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
                if !amqp.get_message().as_str().contains("limit") =>
            {
                return refused(&format!(
                    "vhost `{}` is unknown or not permitted; create it with `rabbitmqctl add_vhost`",
                    uri.vhost
                ));
            }
            _ => {}
        }
    }
    if says(error, "UnknownIssuer") || says(error, "BadSignature") {
        return refused(
            "nobody whom we trust has signed the broker's certificate; name its authority in \
             RABBIT_CA_FILE",
        );
    }
    ConnectError::Unreachable { reason: format!("{host}: {error}") }
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
            TransportError::Other { reason: amqp.get_message().as_str().to_owned() }
        }
        _ => TransportError::Disconnected { reason: error.to_string() },
    }
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
