//! Where the service listens, and whether it may.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use anyhow::{Context, bail};
use bloodbank_access::Access;
use clap::Args;
use tokio::net::TcpListener;

/// Where to listen.
#[derive(Args)]
pub(crate) struct Address {
    /// The address to listen at. One that other machines reach needs tokens.
    #[arg(long, value_name = "HOST", env = "HTTP_HOST", default_value = "127.0.0.1")]
    host: String,
    /// The port; 0 is one that is free.
    #[arg(long, value_name = "PORT", env = "HTTP_PORT", default_value_t = 8682)]
    port: u16,
}

impl Address {
    /// The address that is meant.
    ///
    /// # Errors
    /// If the host is not known.
    pub(super) fn resolve(&self) -> anyhow::Result<SocketAddr> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let found = (host, self.port).to_socket_addrs();
        let found = found.with_context(|| format!("HTTP_HOST: `{host}` is not a host"))?;
        let mut found: Vec<_> = found.collect();
        // Of several, one that only this machine reaches.
        found.sort_by_key(|address| !is_local(address.ip()));
        found.into_iter().next().with_context(|| format!("HTTP_HOST: `{host}` has no address"))
    }
}

/// Whether only this machine reaches it.
pub(super) fn is_local(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Lets an address be served that only this machine reaches, or that needs tokens.
///
/// # Errors
/// If everybody could do everything from other machines; if the tokens cannot be read.
pub(super) fn permit(address: SocketAddr, access: &Access) -> anyhow::Result<()> {
    if is_local(address.ip()) || access.count()? > 0 {
        return Ok(());
    }
    let file = access.file().map(|file| file.path().display().to_string()).unwrap_or_default();
    let why = match access.is_open()? {
        true => format!("there are no tokens: {file} is not there"),
        false => format!("there are no tokens in {file}"),
    };
    bail!(
        "other machines reach {address}, and {why}\nhelp: `bloodbank token new NAME --read` makes one; or \
         listen at 127.0.0.1, which only this machine reaches"
    )
}

/// Listens.
///
/// # Errors
/// If it cannot, with what to do.
pub(super) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    use std::io::ErrorKind;
    TcpListener::bind(address).await.map_err(|error| {
        let help = match error.kind() {
            ErrorKind::AddrInUse => {
                "another program listens there; end it, or name another port with --port or HTTP_PORT"
            }
            ErrorKind::PermissionDenied => {
                "ports below 1024 take the right to; name another one with --port or HTTP_PORT"
            }
            ErrorKind::AddrNotAvailable => "this machine does not have the address; see HTTP_HOST",
            _ => "name another address with --host and --port",
        };
        anyhow::anyhow!("cannot listen at {address}: {error}\nhelp: {help}")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_loopback_is_local() {
        for (address, expected) in [
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_local(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn hosts_are_found_with_and_without_brackets() {
        let resolve = |host: &str| Address { host: host.to_owned(), port: 1 }.resolve();
        assert_eq!(resolve("[::1]").unwrap().to_string(), "[::1]:1");
        assert_eq!(resolve("127.0.0.1").unwrap().to_string(), "127.0.0.1:1");
        assert!(resolve("no such host").unwrap_err().to_string().contains("is not a host"));
    }
}
