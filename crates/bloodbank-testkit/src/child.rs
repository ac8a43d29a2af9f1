//! A server process that ends with ours.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child as Guard, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, panic, thread};

/// Starts the server, says its pid, and waits for the end of its input, which is a pipe that we
/// hold: the kernel closes it when we end, however we end. Then nothing of the server remains: it has
/// five seconds to end at the signal it is sent, before SIGKILL.
const GUARD: &str = r#"
log=$1; remove=$2; end=$3; shift 3
"$@" >"$log" 2>&1 </dev/null &
pid=$!
echo "$pid"
exec >/dev/null
cat
kill -s "$end" "$pid"
tries=0
while [ "$tries" -lt 100 ] && kill -0 "$pid"; do
    sleep 0.05
    tries=$((tries + 1))
done
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
    /// The signal that ends it when we end.
    pub(crate) end: &'a str,
}

impl Child {
    pub(crate) fn start(start: &Start<'_>) -> Child {
        let remove = if start.remove { start.dir.as_os_str() } else { OsStr::new("") };
        // The shell empties it too, but maybe later than somebody reads what the last process said.
        fs::write(start.log, "").expect("the log cannot be written");
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard"])
            .args([start.log.as_os_str(), remove, OsStr::new(start.end)])
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
        is_alive(self.pid)
    }

    /// Sends a signal, if the process is there.
    pub(crate) fn signal(&self, signal: &str) {
        if self.is_alive() {
            send(signal, self.pid);
        }
    }

    /// Ends the process and those that it has started with SIGKILL, and waits until all are gone.
    pub(crate) fn kill_family(&self, limit: Duration) {
        self.signal("STOP");
        // Until it stands still, it may start one more.
        until(limit, || !matches!(stat(self.pid), Some(('R' | 'S' | 'D', _))));
        let children = children(self.pid);
        self.signal("KILL");
        for child in children.iter().filter(|child| is_alive(**child)) {
            send("KILL", *child);
        }
        self.wait_gone(limit);
        let gone = until(limit, || !children.iter().any(|child| is_alive(*child)));
        assert!(gone, "of {children:?}, started by {}, some are there after {limit:?}", self.pid);
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

/// The state of a process and the process that started it; nothing if there is none.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state parent …", and a name may contain parentheses.
    let mut rest = stat.rsplit(')').next()?.split_whitespace();
    Some((rest.next()?.chars().next()?, rest.next()?.parse().ok()?))
}

fn is_alive(pid: u32) -> bool {
    !matches!(stat(pid), None | Some(('Z' | 'X', _)))
}

fn children(parent: u32) -> Vec<u32> {
    let names = fs::read_dir("/proc").expect("there is no /proc").flatten();
    names
        .filter_map(|name| name.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|(_, by)| by == parent))
        .collect()
}

fn send(signal: &str, pid: u32) {
    let status = Command::new("/bin/sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "kill", signal, &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .expect("/bin/sh does not start");
    assert!(status.success() || !is_alive(pid), "SIG{signal} did not go to {pid}");
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
