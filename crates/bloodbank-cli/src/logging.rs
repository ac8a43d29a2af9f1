//! Logs on stderr: `BLOODBANK_LOG` says how much (`error`, `warn`, `info`, `debug`, `trace`, `off`),
//! `BLOODBANK_LOG_FORMAT=json` a line of JSON each.

use std::env;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

/// Starts logging for this process.
pub(crate) fn start() {
    let level = env::var("BLOODBANK_LOG").ok().and_then(|level| level.parse().ok());
    let level: LevelFilter = level.unwrap_or(LevelFilter::WARN);
    // The client library logs returned messages whole, and payloads are not for logs; what it calls
    // an error is often an answer that we asked for.
    let targets = Targets::new()
        .with_default(LevelFilter::OFF)
        .with_target("bloodbank", level)
        .with_target("bloodbank_amqp", level)
        .with_target("bloodbank_bus", level);
    let json = env::var("BLOODBANK_LOG_FORMAT").is_ok_and(|format| format == "json");
    let output = fmt::layer().with_writer(std::io::stderr);
    let output = if json { output.json().boxed() } else { output.boxed() };
    // An error means that somebody else logs already.
    let _ = registry().with(output.with_filter(targets)).try_init();
}
