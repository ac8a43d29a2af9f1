//! The processes that answer.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::load;

/// How long a service may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service that is ready. Dropped, it is ended.
pub(crate) struct Service {
    child: Child,
    port: u16,
}

/// `bloodbank up` with the contracts of this repository and a store in a folder; on the broker, if one
/// is named, else embedded.
pub(crate) fn bloodbank(folder: &Path, broker: Option<&str>) -> Service {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bloodbank"));
    command
        .args(["up", "--schemas", &format!("{workspace}/schemas")])
        .args(["--registry", &format!("{workspace}/services/registry.yaml")])
        .current_dir(folder)
        .env("DATABASE_URL", format!("sqlite:{}", folder.join("store.db").display()))
        .env_remove("RABBIT_HOST")
        .env_remove("RABBIT_URL");
    if let Some(url) = broker {
        command.env("RABBIT_URL", url);
    }
    start(command)
}

/// FastAPI with a worker for each core.
pub(crate) fn fastapi(python: &Path, broker: &str) -> Service {
    let mut command = Command::new(python);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).to_string();
    command
        .args(["-m", "uvicorn", "fastapi_service:app", "--no-access-log"])
        .args(["--log-level", "error", "--workers", &workers])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/http"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("RABBIT_URL", broker);
    start(command)
}

fn start(mut command: Command) -> Service {
    let port = free_port();
    let is_python = command.get_args().any(|argument| argument == "uvicorn");
    if is_python {
        command.args(["--port", &port.to_string()]);
    } else {
        command.env("HTTP_PORT", port.to_string());
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut service = Service { child, port };
    let started = Instant::now();
    while !load::is_ready(&service.url("/ready")) {
        let ended = service.child.try_wait().expect("its state");
        assert!(ended.is_none(), "the service has ended: {ended:?}");
        assert!(started.elapsed() < PATIENCE, "the service is not ready after {PATIENCE:?}");
        sleep(Duration::from_millis(50));
    }
    service
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Service {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Seconds of CPU time so far, with those of its children.
    pub(crate) fn cpu(&self) -> f64 {
        family(self.child.id()).into_iter().map(cpu_of).sum()
    }

    /// Bytes of memory that are its own, or it shares.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        kilobytes.unwrap_or(0_u64) * 1_024
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        for process in family(self.child.id()) {
            let _ = Command::new("kill").args(["-TERM", &process.to_string()]).status();
        }
        let _ = self.child.wait();
    }
}

/// A process and all that it has started.
fn family(process: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    let mut all: Vec<u32> = children.flat_map(family).collect();
    all.push(process);
    all
}

/// Seconds of CPU time of one process: the 14th and 15th field of its `stat`, in hundredths.
fn cpu_of(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field, the name, may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
