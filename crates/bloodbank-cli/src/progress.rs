//! How something goes that takes a while: a line on stderr, again and again.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How often on a terminal, where one line takes the place of the other.
const ON_TERMINAL: Duration = Duration::from_millis(500);

/// How often elsewhere.
const IN_LOG: Duration = Duration::from_secs(10);

/// Shows a line for each change, but not too often, until whoever makes the changes is gone. `line`
/// gets what was shown last, what is now, and how long ago the first was.
pub(crate) async fn tell<T: Clone + PartialEq>(
    mut changes: watch::Receiver<T>,
    line: impl Fn(&T, &T, Duration) -> String,
) {
    let terminal = stderr().is_terminal();
    let period = if terminal { ON_TERMINAL } else { IN_LOG };
    let (mut before, mut since) = (changes.borrow().clone(), Instant::now());
    loop {
        // Nothing is waited for but the end.
        let is_over = timeout(period, changes.wait_for(|_| false)).await.is_ok();
        let now = changes.borrow().clone();
        if now != before {
            let line = line(&before, &now, since.elapsed());
            if terminal { over(&line) } else { show(&format!("{line}\n")) }
        }
        if is_over {
            return show(if terminal { "\n" } else { "" });
        }
        (before, since) = (now, Instant::now());
    }
}

/// A line in the place of the one before, on a terminal; elsewhere nothing.
pub(crate) fn over(line: &str) {
    if stderr().is_terminal() {
        show(&format!("\r{line}\x1b[K"));
    }
}

/// Takes the line away.
pub(crate) fn clear() {
    over("");
}

fn show(text: &str) {
    // That nobody reads it is no reason to stop what it is about.
    let _ = stderr().write_all(text.as_bytes());
}

/// So many a second, as text.
pub(crate) fn rate(count: u64, took: Duration) -> String {
    format!("{:.0}/s", count as f64 / took.as_secs_f64().max(0.001))
}
