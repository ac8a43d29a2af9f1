//! `cargo xtask bench`: the benchmarks of `benches/`, each with the alternative beside it.

use clap::ValueEnum;

use crate::{cargo, provision};

/// What to measure.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Bench {
    /// Schemas to Rust: generating, and compiling what was generated.
    Codegen,
    /// A payload against its contract.
    Validate,
    /// A typed event into the transport in memory.
    Publish,
    /// Events over RabbitMQ: publishing, consuming, latency, CPU time.
    Bus,
    /// The store and the bus on it: appending, questions, recording, publishing, delivery.
    ///
    /// Its parts are `append`, `questions`, `record`, `embedded`, `delivery`, and, only where it is named,
    /// `services`: 50 services on one PostgreSQL server, for a minute, and `idle`: 16 subscribers for whom
    /// nothing comes.
    /// `BENCH_STORE_EVENTS` is the number of events that questions are asked about, 1,000,000 by
    /// default.
    Store,
    /// Events over HTTP, beside a service of FastAPI: requests, batches, streams.
    ///
    /// Its parts are `requests`, `batches` and `streams`.
    Http,
}

/// Runs one benchmark; the code generator also unoptimised, as a build script runs it.
pub(crate) fn run(what: Bench, parts: &[String]) -> anyhow::Result<u8> {
    match what {
        Bench::Codegen => {
            cargo([
                "bench",
                "--quiet",
                "--bench",
                "codegen",
                "--profile",
                "dev",
                "--",
                "generate",
            ])?;
            cargo(["bench", "--quiet", "--bench", "codegen"])
        }
        Bench::Validate => cargo(["bench", "--quiet", "--bench", "validate"]),
        Bench::Publish => cargo(["bench", "--quiet", "--bench", "publish"]),
        Bench::Bus => {
            provision::run()?;
            cargo(["bench", "--quiet", "--bench", "bus"])
        }
        Bench::Store => {
            provision::run()?;
            let mut args =
                vec!["bench", "--quiet", "--bench", "store", "--features", "postgres", "--"];
            args.extend(parts.iter().map(String::as_str));
            cargo(args)
        }
        Bench::Http => {
            provision::run_for_http()?;
            let mut args = vec!["bench", "--quiet", "-p", "bloodbank-cli", "--bench", "http", "--"];
            args.extend(parts.iter().map(String::as_str));
            cargo(args)
        }
    }
}
