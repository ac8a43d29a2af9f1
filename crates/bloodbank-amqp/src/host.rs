//! A broker that is connected to, and why that failed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bloodbank_bus::{Outage, TransportError};
use bloodbank_core::Code;
use lapin::uri::{AMQPScheme, AMQPUri};

/// One broker of a configuration, without the password.
///
/// Shown as `amqp://user@host:port/vhost`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BrokerHost {
    /// The user.
    pub user: String,
    /// Its name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The vhost.
    pub vhost: String,
}

impl BrokerHost {
    pub(crate) fn of(uri: &AMQPUri) -> Self {
        BrokerHost {
            user: uri.authority.userinfo.username.clone(),
            host: uri.authority.host.clone(),
            port: uri.authority.port,
            tls: uri.scheme == AMQPScheme::AMQPS,
            vhost: uri.vhost.clone(),
        }
    }
}

impl fmt::Display for BrokerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        let BrokerHost { user, host, port, vhost, .. } = self;
        write!(f, "{scheme}://{user}@{host}:{port}/{vhost}")
    }
}

/// A broker that is not connected to, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostFailure {
    /// The broker.
    pub host: BrokerHost,
    /// Why.
    pub cause: HostError,
}

impl HostFailure {
    pub(crate) fn of(uri: &AMQPUri, cause: HostError) -> Self {
        HostFailure { host: BrokerHost::of(uri), cause }
    }
}

impl fmt::Display for HostFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.host, self.cause)
    }
}

/// Why a broker is not connected to. A `reason` is in the words of the broker, of the system or of the
/// client library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// It refuses user and password, or the user has no permission for the vhost.
    #[error("wrong user or password, or no permission for the vhost ({reason})")]
    Login {
        /// What it says.
        reason: String,
    },
    /// It does not have the vhost, or does not let the user in.
    #[error("vhost `{vhost}` is unknown or not permitted ({reason})")]
    Vhost {
        /// The vhost.
        vhost: String,
        /// What it says.
        reason: String,
    },
    /// Its certificate was not signed by an authority that is trusted.
    #[error("the broker's certificate is not signed by an authority that is trusted ({reason})")]
    Untrusted {
        /// What the TLS library says.
        reason: String,
    },
    /// A certificate or key that was named cannot be used.
    #[error("`{}` cannot be read: {reason}", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// There is no tokio runtime.
    #[error("not inside a tokio runtime: {reason}")]
    Runtime {
        /// What the client library says.
        reason: String,
    },
    /// It did not answer in this time; `None` where an attempt is still under way.
    #[error("{}", silence(*waited))]
    Silent {
        /// How long was waited.
        waited: Option<Duration>,
    },
    /// What listens there is not a broker that speaks AMQP 0-9-1.
    #[error("it does not speak AMQP 0-9-1")]
    NotABroker,
    /// The URL says `amqp`, and the port speaks TLS.
    #[error("the port speaks TLS; use amqps://")]
    SpeaksTls,
    /// The URL says `amqps`, and the port does not speak TLS.
    #[error("the port does not speak TLS; use amqp:// ({reason})")]
    SpeaksNoTls {
        /// What the TLS library says.
        reason: String,
    },
    /// It was connected to, and what was declared before cannot be declared there.
    #[error(transparent)]
    Topology(TransportError),
    /// It was connected to, and the connection ended.
    #[error("{0}")]
    Ended(Outage),
    /// Something else, such as that nothing listens there.
    #[error("{reason}")]
    Other {
        /// What the system or the client library says.
        reason: String,
    },
}

impl HostError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            HostError::Login { .. } => Code::LoginRefused,
            HostError::Vhost { .. } => Code::VhostRefused,
            HostError::Untrusted { .. } => Code::CertificateUntrusted,
            HostError::Certificate { .. } => Code::CertificateUnreadable,
            HostError::Runtime { .. } => Code::NoRuntime,
            HostError::Silent { .. } => Code::BrokerSilent,
            HostError::NotABroker => Code::NotABroker,
            HostError::SpeaksTls => Code::TlsExpected,
            HostError::SpeaksNoTls { .. } => Code::TlsUnexpected,
            HostError::Topology(error) => error.code(),
            HostError::Ended(_) => Code::Disconnected,
            HostError::Other { .. } => Code::BrokerUnreachable,
        }
    }
}

fn silence(waited: Option<Duration>) -> String {
    match waited {
        Some(waited) => format!("no answer in {waited:?}"),
        None => "no answer yet".to_owned(),
    }
}
