//! A server process that ends with ours.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child as Guard, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, panic, thread};

/// Starts the server, says its pid, and waits for the end of its input, which is a pipe that we
/// hold: the kernel closes it when we end, however we end. Then nothing of the server remains.
const GUARD: &str = r#"
log=$1; remove=$2; shift 2
"$@" >"$log" 2>&1 </dev/null &
pid=$!
echo "$pid"
exec >/dev/null
cat
kill -9 "$pid"
wait
[ -n "$remove" ] || exit 0
cd /
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf "$remove"
    sleep 0.2
    [ -e "$remove" ] || exit 0
done
"#;

/// A running server, and the shell that ends it when we end.
pub(crate) struct Child {
    guard: Guard,
    pid: u32,
    log: PathBuf,
}

/// What to start.
pub(crate) struct Start<'a> {
    /// The program and its arguments.
    pub(crate) command: &'a [&'a OsStr],
    /// All of its environment, but for PATH.
    pub(crate) environment: &'a [(&'a str, String)],
    /// Where it runs.
    pub(crate) dir: &'a Path,
    /// Where its output goes; written anew.
    pub(crate) log: &'a Path,
    /// Whether `dir` is removed when it has ended.
    pub(crate) remove: bool,
}

impl Child {
    pub(crate) fn start(start: &Start<'_>) -> Child {
        let remove = if start.remove { start.dir.as_os_str() } else { OsStr::new("") };
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard"])
            .args([start.log.as_os_str(), remove])
            .args(start.command)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .env("LANG", "C.UTF-8")
            .envs(start.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(start.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // What a terminal sends to us, such as Ctrl-C, must not end the guard.
            .process_group(0)
            .spawn()
            .expect("/bin/sh does not start");
        let mut line = String::new();
        let stdout = guard.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the guard does not speak");
        let pid = line.trim().parse().expect("the guard does not say the server's pid");
        Child { guard, pid, log: start.log.to_owned() }
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process is there, and not just its entry in the table.
    pub(crate) fn is_alive(&self) -> bool {
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.pid)) else {
            return false;
        };
        // "pid (name) state …", and a name may contain parentheses.
        let state = stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
        !matches!(state, None | Some('Z' | 'X'))
    }

    /// Sends a signal, if the process is there.
    pub(crate) fn signal(&self, signal: &str) {
        if self.is_alive() {
            let script = "kill -s \"$1\" \"$2\"";
            let status = Command::new("/bin/sh")
                .args(["-c", script, "kill", signal, &self.pid.to_string()])
                .stderr(Stdio::null())
                .status()
                .expect("/bin/sh does not start");
            assert!(status.success() || !self.is_alive(), "SIG{signal} did not go to {}", self.pid);
        }
    }

    /// Waits until the process is gone.
    pub(crate) fn wait_gone(&self, limit: Duration) {
        let pid = self.pid;
        assert!(until(limit, || !self.is_alive()), "process {pid} is there after {limit:?}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Asks again and again, and says whether the answer became yes in time.
pub(crate) fn until(limit: Duration, mut yes: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !yes() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// The last lines of a file.
pub(crate) fn tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Blocking work beside the runtime of the test, whose clock may be paused. A panic goes through.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => panic::resume_unwind(payload),
            Err(error) => panic!("the runtime ended: {error}"),
        },
    }
}
