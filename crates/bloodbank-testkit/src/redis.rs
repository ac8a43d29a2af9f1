//! A private Redis server.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::child::{Child, Start, blocking, tail, until};
use crate::ports;

/// Where Debian puts it.
pub(crate) const SERVER: &str = "/usr/bin/redis-server";

/// The server that the tests of one binary share.
static SHARED: OnceCell<Redis> = OnceCell::const_new();

/// A private Redis server that keeps everything in memory. Ends with the process that started it,
/// however that ends.
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    port: u16,
    process: Mutex<Child>,
}

impl Redis {
    /// Starts a server of the caller's own, and waits until it answers.
    ///
    /// # Panics
    ///
    /// With the end of its log, if it does not answer within 20 seconds.
    pub async fn start() -> Redis {
        blocking(|| {
            let port = ports::free();
            let process = Mutex::new(spawn(port));
            let redis = Redis { inner: Arc::new(Inner { port, process }) };
            redis.inner.wait_ready();
            redis
        })
        .await
    }

    /// The server that all tests of this binary share. Do not stop it, and use keys of your own.
    pub async fn shared() -> &'static Redis {
        SHARED.get_or_init(Redis::start).await
    }

    /// The port. It stays the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port())
    }

    /// Ends the server with SIGKILL, and waits until it is gone.
    pub fn kill(&self) {
        let process = self.inner.process.lock().unwrap();
        process.signal("KILL");
        process.wait_gone(Duration::from_secs(20));
    }

    /// Lets the server hang: it takes connections and questions, and answers nothing.
    pub fn pause(&self) {
        self.inner.process.lock().unwrap().signal("STOP");
    }

    /// Lets a server that hangs go on.
    pub fn resume(&self) {
        self.inner.process.lock().unwrap().signal("CONT");
    }

    /// Starts the server again on the same port, empty, and waits until it answers. Ends it first
    /// if it is running.
    ///
    /// # Panics
    ///
    /// With the end of its log, if it does not answer within 20 seconds.
    pub async fn restart(&self) {
        self.kill();
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            *inner.process.lock().unwrap() = spawn(inner.port);
            inner.wait_ready();
        })
        .await;
    }
}

impl Inner {
    fn wait_ready(&self) {
        let up = until(Duration::from_secs(20), || self.answers().is_ok_and(|yes| yes));
        assert!(up, "Redis does not start: {}", tail(self.process.lock().unwrap().log()));
    }

    fn answers(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok(answer == *b"+PONG\r\n")
    }
}

fn spawn(port: u16) -> Child {
    let dir = tempfile::Builder::new().prefix("bloodbank-").tempdir().unwrap().keep();
    let port = port.to_string();
    let command =
        [SERVER, "--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    Child::start(&Start {
        command: &command.map(OsStr::new),
        environment: &[],
        dir: &dir,
        log: &dir.join("out"),
        remove: true,
        end: "KILL",
    })
}
