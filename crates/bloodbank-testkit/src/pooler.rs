//! A private pooler before a PostgreSQL server.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use crate::child::{Child, Start, blocking, tail, until};
use crate::postgres::{NOT_ROOT, give_to_owner, is_root};
use crate::{Postgres, ports};

/// Where Debian puts it.
pub(crate) const SERVER: &str = "/usr/sbin/pgbouncer";

/// PgBouncer in transaction mode on 127.0.0.1, before a [`Postgres`]: few connections to each database,
/// of which a client has one only as long as its transaction lasts. Ends with the process that started
/// it, however that ends.
pub struct Pooler {
    port: u16,
    server: u16,
    _process: Mutex<Child>,
}

impl Pooler {
    /// Starts a pooler with so many connections to each database, and waits until it answers.
    ///
    /// # Panics
    ///
    /// With the end of its log, if it does not answer within 20 seconds.
    pub async fn start(server: &Postgres, connections: u32) -> Pooler {
        let server = server.port();
        blocking(move || {
            let port = ports::free();
            let process = spawn(port, server, connections);
            let answers = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            let up = until(Duration::from_secs(20), answers);
            assert!(up, "PgBouncer does not start: {}", tail(process.log()));
            Pooler { port, server, _process: Mutex::new(process) }
        })
        .await
    }

    /// The URL of the server's, with the pooler in its place.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        url.replace(&format!(":{}/", self.server), &format!(":{}/", self.port))
    }
}

fn spawn(port: u16, server: u16, connections: u32) -> Child {
    let dir = tempfile::Builder::new().prefix("bloodbank-").tempdir().unwrap().keep();
    let file = dir.join("pgbouncer.ini");
    fs::write(&file, settings(port, server, connections)).unwrap();
    if is_root() {
        give_to_owner(&dir);
    }
    let prefix: &[&str] = if is_root() { &NOT_ROOT } else { &[] };
    let command: Vec<&OsStr> = prefix
        .iter()
        .map(OsStr::new)
        .chain([OsStr::new(SERVER), Path::new(&file).as_os_str()])
        .collect();
    Child::start(&Start {
        command: &command,
        environment: &[],
        dir: &dir,
        log: &dir.join("out"),
        remove: true,
        end: "KILL",
    })
}

fn settings(port: u16, server: u16, connections: u32) -> String {
    format!(
        "[databases]\n* = host=127.0.0.1 port={server} user=bloodbank\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = any\npool_mode = transaction\nmax_client_conn = 500\n\
         default_pool_size = {connections}\n"
    )
}
