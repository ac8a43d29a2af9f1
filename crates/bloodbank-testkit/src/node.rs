//! One node of RabbitMQ: its files, its environment, its process.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs};

use crate::child::{Child, Start, tail, until};
use crate::ports;

/// Not the wrapper in the sbin folder, which changes the user.
pub(crate) const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CTL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// How long a node may take to come up.
const LIMIT: Duration = Duration::from_secs(60);

/// The salt 01 02 03 04, then the SHA-256 of the salt and "guest", in base64.
const GUEST_HASH: &str = "AQIDBEMMOXwY6PKx/JKP9PAqfsb4ozuD0Ta3pxxa9gEYBMmD";

/// What the nodes of one cluster share: a folder with the cookie, and the port mapper.
pub(crate) struct Home {
    dir: PathBuf,
    epmd_port: u16,
    /// How many vhosts are there from the start.
    pub(crate) vhosts: usize,
    /// How many vhosts were given out.
    pub(crate) given: AtomicUsize,
    /// Ends last, and removes the folder.
    _epmd: Child,
}

impl Home {
    pub(crate) fn new(vhosts: usize) -> Home {
        let dir = tempfile::Builder::new().prefix("bloodbank-").tempdir().unwrap().keep();
        let cookie = dir.join(".erlang.cookie");
        fs::write(&cookie, "BLOODBANKTESTKIT").unwrap();
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400)).unwrap();
        let epmd_port = ports::free();
        let port = epmd_port.to_string();
        let command = ["epmd", "-address", "127.0.0.1", "-port", &port].map(OsStr::new);
        let log = &dir.join("epmd.log");
        let epmd = Child::start(&Start {
            command: &command,
            environment: &[],
            dir: &dir,
            log,
            remove: true,
            end: "KILL",
        });
        let up = until(LIMIT, || TcpStream::connect((Ipv4Addr::LOCALHOST, epmd_port)).is_ok());
        assert!(up, "epmd does not come up: {}", tail(log));
        Home { dir, epmd_port, vhosts, given: AtomicUsize::new(0), _epmd: epmd }
    }
}

/// A node, running or not.
pub(crate) struct Node {
    name: String,
    dir: PathBuf,
    dist_port: u16,
    pub(crate) port: u16,
    pub(crate) tls_port: Option<u16>,
    pub(crate) process: Mutex<Child>,
    pub(crate) home: Arc<Home>,
}

impl Node {
    /// Writes the files of a new node and starts it; it is not up yet.
    pub(crate) fn launch(home: &Arc<Home>, name: &str, conf: &str, tls: Option<&str>) -> Node {
        let dir = home.dir.join(name);
        fs::create_dir_all(dir.join("mnesia")).unwrap();
        fs::create_dir_all(dir.join("log")).unwrap();
        fs::write(dir.join("enabled_plugins"), "[].\n").unwrap();
        fs::write(dir.join("definitions.json"), definitions(home.vhosts)).unwrap();
        let (port, dist_port) = (ports::free(), ports::free());
        let tls_port = tls.map(|_| ports::free());
        let mut text = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\n\
             loopback_users = none\n\
             disk_free_limit.absolute = 50MB\n\
             heartbeat = 10\n\
             definitions.import_backend = local_filesystem\n\
             definitions.local.path = {}/definitions.json\n\
             definitions.skip_if_unchanged = true\n",
            dir.display()
        );
        if let (Some(tls), Some(port)) = (tls, tls_port) {
            writeln!(text, "listeners.ssl.1 = 127.0.0.1:{port}\n{tls}").unwrap();
        }
        text.push_str(conf);
        fs::write(dir.join("rabbitmq.conf"), text).unwrap();
        let name = format!("{name}@localhost");
        let process = Mutex::new(spawn(home, &name, &dir, dist_port, port));
        Node { name, dir, dist_port, port, tls_port, process, home: Arc::clone(home) }
    }

    /// Starts the process again; the old one must be gone.
    pub(crate) fn relaunch(&self) {
        let mut process = self.process.lock().unwrap();
        *process = spawn(&self.home, &self.name, &self.dir, self.dist_port, self.port);
    }

    /// Waits until the node is up; if it does not come up, gives what it said.
    pub(crate) fn wait_ready(&self) -> Result<(), String> {
        let log = self.dir.join("out");
        let is_up = || fs::read_to_string(&log).is_ok_and(|text| text.contains("completed with"));
        let is_dead = || !self.process.lock().unwrap().is_alive();
        until(LIMIT, || is_up() || is_dead());
        if is_up() {
            return Ok(());
        }
        let why = if is_dead() { "ended while it started" } else { "did not come up in time" };
        let all = self.dir.join("log").join(format!("{}.log", self.name));
        let all = fs::read_to_string(all).unwrap_or_default();
        let errors: String = all
            .lines()
            .filter(|line| line.contains("[error]"))
            .take(20)
            .fold(String::new(), |text, line| text + line + "\n");
        Err(format!("{} {why}\n{errors}{}", self.name, tail(&log)))
    }

    /// `rabbitmqctl` for this node.
    pub(crate) fn ctl(&self, args: &[&str]) -> String {
        self.try_ctl(args).unwrap_or_else(|said| panic!("rabbitmqctl {args:?} failed\n{said}"))
    }

    /// The same; all that it prints, if it fails.
    pub(crate) fn try_ctl(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new(CTL)
            .args(["-n", &self.name])
            .args(args)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .env("LANG", "C.UTF-8")
            .envs(environment(&self.home, &self.name, &self.dir, self.dist_port, self.port))
            .output()
            .expect("rabbitmqctl does not start");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(text) } else { Err(format!("{text}{errors}")) }
    }
}

fn spawn(home: &Home, name: &str, dir: &Path, dist_port: u16, port: u16) -> Child {
    Child::start(&Start {
        command: &[OsStr::new(SERVER)],
        environment: &environment(home, name, dir, dist_port, port),
        dir,
        log: &dir.join("out"),
        remove: false,
        end: "KILL",
    })
}

fn environment(
    home: &Home,
    name: &str,
    dir: &Path,
    dist_port: u16,
    port: u16,
) -> Vec<(&'static str, String)> {
    let path = |file: &str| dir.join(file).display().to_string();
    vec![
        ("HOME", home.dir.display().to_string()),
        ("RABBITMQ_NODENAME", name.to_owned()),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_NODE_PORT", port.to_string()),
        ("RABBITMQ_DIST_PORT", dist_port.to_string()),
        ("RABBITMQ_MNESIA_BASE", path("mnesia")),
        ("RABBITMQ_LOG_BASE", path("log")),
        ("RABBITMQ_PID_FILE", path("pid")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
        ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("ERL_EPMD_PORT", home.epmd_port.to_string()),
        // The script becomes the server, so its pid is the server's.
        ("RUNNING_UNDER_SYSTEMD", "1".to_owned()),
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
                .to_owned(),
        ),
    ]
}

/// The name of the vhost with this number.
pub(crate) fn vhost(number: usize) -> String {
    format!("v{number}")
}

/// The vhosts, and the user guest with every right in each: where definitions are loaded, the
/// server makes none of its own.
fn definitions(vhosts: usize) -> String {
    let names: Vec<String> =
        [String::from("/")].into_iter().chain((0..vhosts).map(vhost)).collect();
    let list =
        |item: &dyn Fn(&String) -> String| names.iter().map(item).collect::<Vec<_>>().join(",");
    let vhosts = list(&|name| format!(r#"{{"name":"{name}"}}"#));
    let permissions = list(&|name| {
        format!(r#"{{"user":"guest","vhost":"{name}","configure":".*","write":".*","read":".*"}}"#)
    });
    format!(
        r#"{{"users":[{{"name":"guest","password_hash":"{GUEST_HASH}","hashing_algorithm":"rabbit_password_hashing_sha256","tags":["administrator"]}}],"vhosts":[{vhosts}],"permissions":[{permissions}]}}"#
    )
}
