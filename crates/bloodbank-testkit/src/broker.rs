//! A private RabbitMQ node.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::child::blocking;
use crate::node::{Home, Node, vhost};
use crate::{Certificates, Proxy};

/// How many vhosts are there from the start. Sixty more make each start a second slower.
pub(crate) const VHOSTS: usize = 8;

/// How many the shared broker has.
const VHOSTS_SHARED: usize = 64;

/// The broker that the tests of one binary share.
static SHARED: OnceCell<Broker> = OnceCell::const_new();

/// A private RabbitMQ node. Ends with the process that started it, however that ends.
///
/// The user is `guest`, the password `guest`. What is not `async` blocks; it is short, but for
/// [`ctl`](Broker::ctl), which takes a second.
pub struct Broker {
    node: Arc<Node>,
}

/// What a broker is started with.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    conf: String,
    tls: Option<String>,
    vhosts: usize,
}

impl BrokerOptions {
    /// Listens with TLS too, on a port of its own; see [`Broker::tls_url`]. A client's certificate
    /// is checked if there is one. The files must last as long as the broker.
    #[must_use]
    pub fn tls(mut self, certificates: &Certificates) -> BrokerOptions {
        self.tls = Some(format!(
            "ssl_options.cacertfile = {}\n\
             ssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\n\
             ssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = false",
            certificates.ca().display(),
            certificates.server_cert().display(),
            certificates.server_key().display(),
        ));
        self
    }

    /// More lines for `rabbitmq.conf`.
    #[must_use]
    pub fn conf(mut self, lines: &str) -> BrokerOptions {
        self.conf.push_str(lines);
        self.conf.push('\n');
        self
    }

    /// How many vhosts are there from the start: as many [fresh ones](Broker::fresh_vhost) cost
    /// nothing, each further one takes seconds. Usually 8.
    #[must_use]
    pub fn vhosts(mut self, count: usize) -> BrokerOptions {
        self.vhosts = count;
        self
    }

    /// Starts the broker, and waits until it is up.
    ///
    /// # Panics
    ///
    /// With the end of its log, if it does not come up within 60 seconds.
    pub async fn start(self) -> Broker {
        blocking(move || {
            retry(|| {
                let home = Arc::new(Home::new(self.vhosts));
                let node = Node::launch(&home, "n1", &self.conf, self.tls.as_deref());
                node.wait_ready().map(|()| Broker::new(node))
            })
        })
        .await
    }
}

/// Tries again where somebody has taken a port after we saw that it was free.
pub(crate) fn retry<T>(mut start: impl FnMut() -> Result<T, String>) -> T {
    for _ in 0..3 {
        match start() {
            Ok(started) => return started,
            Err(why) if why.contains("eaddrinuse") || why.contains("in use") => {}
            Err(why) => panic!("RabbitMQ does not start: {why}"),
        }
    }
    panic!("RabbitMQ does not start: three times somebody else took one of its ports");
}

impl Broker {
    pub(crate) fn new(node: Node) -> Broker {
        Broker { node: Arc::new(node) }
    }

    /// What a broker is started with, to be changed before the start.
    #[must_use]
    pub fn options() -> BrokerOptions {
        BrokerOptions { conf: String::new(), tls: None, vhosts: VHOSTS }
    }

    /// Starts a broker of the caller's own, and waits until it is up.
    ///
    /// # Panics
    ///
    /// With the end of its log, if it does not come up within 60 seconds.
    pub async fn start() -> Broker {
        Broker::options().start().await
    }

    /// The broker that all tests of this binary share. Do not stop it; take a
    /// [fresh vhost](Broker::fresh_url).
    pub async fn shared() -> &'static Broker {
        SHARED.get_or_init(|| Broker::options().vhosts(VHOSTS_SHARED).start()).await
    }

    /// The port for AMQP without TLS. It stays the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.node.port
    }

    /// The URL of a vhost.
    #[must_use]
    pub fn url(&self, vhost: &str) -> String {
        url("amqp", "127.0.0.1", self.port(), vhost)
    }

    /// The URL of a vhost by way of a proxy.
    #[must_use]
    pub fn url_via(&self, proxy: &Proxy, vhost: &str) -> String {
        url("amqp", "127.0.0.1", proxy.port(), vhost)
    }

    /// The port for AMQP with TLS.
    ///
    /// # Panics
    ///
    /// If the broker was started without [certificates](BrokerOptions::tls).
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.node.tls_port.expect("the broker was started without certificates")
    }

    /// The URL of a vhost with TLS.
    ///
    /// # Panics
    ///
    /// If the broker was started without [certificates](BrokerOptions::tls).
    #[must_use]
    pub fn tls_url(&self, vhost: &str) -> String {
        url("amqps", "localhost", self.tls_port(), vhost)
    }

    /// A vhost that no other caller got: empty, and guest may do everything there. The first ones
    /// cost nothing (8, of the shared broker 64), each further one takes seconds.
    pub fn fresh_vhost(&self) -> String {
        let number = self.node.home.given.fetch_add(1, Ordering::Relaxed);
        let name = vhost(number);
        if number >= self.node.home.vhosts {
            self.ctl(&["add_vhost", &name]);
            self.ctl(&["set_permissions", "-p", &name, "guest", ".*", ".*", ".*"]);
        }
        name
    }

    /// The URL of a [fresh vhost](Broker::fresh_vhost).
    pub fn fresh_url(&self) -> String {
        self.url(&self.fresh_vhost())
    }

    /// The process that is the broker. After a restart it is another.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.node.process.lock().unwrap().pid()
    }

    /// Ends the broker with SIGKILL, and waits until it is gone.
    pub fn kill(&self) {
        let process = self.node.process.lock().unwrap();
        process.signal("KILL");
        process.wait_gone(Duration::from_secs(20));
    }

    /// Ends the broker with SIGTERM, also a stopped one, and waits until it is gone.
    ///
    /// # Panics
    ///
    /// If it is not gone after 20 seconds.
    pub fn terminate(&self) {
        let process = self.node.process.lock().unwrap();
        process.signal("TERM");
        process.signal("CONT");
        process.wait_gone(Duration::from_secs(20));
    }

    /// Makes the broker stand still: connections stay, and nobody answers.
    pub fn stop_signal(&self) {
        self.node.process.lock().unwrap().signal("STOP");
    }

    /// Lets the broker go on after [`stop_signal`](Broker::stop_signal).
    pub fn cont_signal(&self) {
        self.node.process.lock().unwrap().signal("CONT");
    }

    /// Starts the same node again, on the same data, ports and name, and waits until it is up. Ends
    /// it first with SIGTERM if it is running.
    ///
    /// # Panics
    ///
    /// With the end of its log, if it does not come up within 60 seconds.
    pub async fn restart(&self) {
        let again = Broker { node: Arc::clone(&self.node) };
        blocking(move || {
            again.terminate();
            again.node.relaunch();
            if let Err(why) = again.node.wait_ready() {
                panic!("RabbitMQ does not start again: {why}");
            }
        })
        .await;
    }

    /// What `rabbitmqctl` prints, given these arguments.
    ///
    /// # Panics
    ///
    /// With all that it prints, if it fails.
    pub fn ctl(&self, args: &[&str]) -> String {
        self.node.ctl(args)
    }

    /// The same, where a failure is nothing unusual: while a cluster changes.
    ///
    /// # Errors
    ///
    /// All that it prints, if it fails.
    pub fn try_ctl(&self, args: &[&str]) -> Result<String, String> {
        self.node.try_ctl(args)
    }
}

/// The URL of a vhost as the user guest.
fn url(scheme: &str, host: &str, port: u16, vhost: &str) -> String {
    let vhost = vhost.replace('%', "%25").replace('/', "%2F");
    format!("{scheme}://guest:guest@{host}:{port}/{vhost}")
}
