//! TLS: a certificate and its key, which can be read again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a caller may take to agree on a connection.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The files of a certificate and its key.
#[derive(Args, Clone)]
pub(crate) struct TlsFiles {
    /// The certificate, with those that it was signed by, in a PEM file: TLS, and nothing else.
    #[arg(long = "tls-cert", value_name = "FILE", env = "HTTP_TLS_CERT")]
    cert: Option<PathBuf>,
    /// Its key, in a PEM file.
    #[arg(long = "tls-key", value_name = "FILE", env = "HTTP_TLS_KEY")]
    key: Option<PathBuf>,
}

/// What agrees on connections. Cheap to clone; clones have the same certificate.
#[derive(Clone)]
pub(super) struct Tls {
    cert: PathBuf,
    key: PathBuf,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl TlsFiles {
    /// Reads them; `None` if none are named.
    ///
    /// # Errors
    /// If only one is named, or they are not a certificate and its key.
    pub(super) fn read(&self) -> anyhow::Result<Option<Tls>> {
        let named = |file: &Option<PathBuf>| file.clone().filter(|it| !it.as_os_str().is_empty());
        match (named(&self.cert), named(&self.key)) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => {
                let config = Arc::new(RwLock::new(config(&cert, &key)?));
                Ok(Some(Tls { cert, key, config }))
            }
            (Some(_), None) => bail!("HTTP_TLS_CERT names a certificate, and HTTP_TLS_KEY no key"),
            (None, Some(_)) => bail!("HTTP_TLS_KEY names a key, and HTTP_TLS_CERT no certificate"),
        }
    }
}

impl Tls {
    /// Reads the files again. Connections from now on get what they hold.
    ///
    /// # Errors
    /// If they are not a certificate and its key; the old ones stay.
    pub(super) fn reload(&self) -> anyhow::Result<()> {
        let new = config(&self.cert, &self.key)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Where the certificate is.
    pub(super) fn certificate(&self) -> &Path {
        &self.cert
    }

    /// Agrees on a connection.
    ///
    /// # Errors
    /// If the other side does not speak TLS, or takes too long.
    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await?
    }
}

fn config(cert: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let chain =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unreadable("HTTP_TLS_CERT", cert, &error))?;
    if chain.is_empty() {
        bail!("HTTP_TLS_CERT: {} holds no certificate", cert.display());
    }
    let secret = PrivateKeyDer::from_pem_file(key);
    let secret = secret.map_err(|error| unreadable("HTTP_TLS_KEY", key, &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| format!("{} and {} do not fit", cert.display(), key.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn unreadable(name: &str, file: &Path, error: &dyn std::fmt::Display) -> anyhow::Error {
    anyhow!("{name}: {} cannot be read: {error}; expected a PEM file", file.display())
}
