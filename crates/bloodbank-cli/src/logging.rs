//! Logs on stderr, where they are asked for: `BLOODBANK_LOG` says how much (`error`, `warn`, `info`,
//! `debug`, `trace`, `off`), `BLOODBANK_LOG_FORMAT=json` a line of JSON each.
//!
//! Without it there are none, or only warnings of what runs for long: what a command has to say it says
//! itself, once.

use std::env;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

/// Starts logging for this process; so much, unless the environment says otherwise.
pub(crate) fn start(unless_said: LevelFilter) {
    let level = level(&variable("BLOODBANK_LOG"), unless_said);
    let output = fmt::layer().with_writer(std::io::stderr);
    let output = match is_json(&variable("BLOODBANK_LOG_FORMAT")) {
        true => output.json().boxed(),
        false => output.boxed(),
    };
    // An error means that somebody else logs already.
    let _ = registry().with(output.with_filter(level)).try_init();
}

/// A variable of the environment; empty is not set.
fn variable(name: &str) -> String {
    env::var_os(name).unwrap_or_default().to_string_lossy().into_owned()
}

fn level(text: &str, unless_said: LevelFilter) -> LevelFilter {
    if text.is_empty() {
        return unless_said;
    }
    text.parse().unwrap_or_else(|_| {
        unexpected("BLOODBANK_LOG", text, "`off`, `error`, `warn`, `info`, `debug` or `trace`");
        unless_said
    })
}

fn is_json(text: &str) -> bool {
    match text {
        "json" => true,
        "" | "text" => false,
        other => {
            unexpected("BLOODBANK_LOG_FORMAT", other, "`text` or `json`");
            false
        }
    }
}

/// A word on a variable that is taken as not set.
fn unexpected(name: &str, text: &str, expected: &str) {
    let text = bloodbank::escape_control(text);
    eprintln!("note: {name} is `{text}`; expected {expected}");
}
