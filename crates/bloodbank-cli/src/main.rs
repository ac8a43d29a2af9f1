//! The command `bloodbank`: look at contracts, check payloads, generate code, try the bus.

mod audit;
mod bus;
mod contracts;
mod demo;
mod dlq;
mod doctor;
mod figures;
mod folder;
mod hints;
mod list;
mod logging;
mod mask;
mod openapi;
mod outbox;
mod place;
mod pretty;
mod progress;
mod publish;
mod replay;
mod scheduled;
mod show;
mod span;
mod store;
mod table;
mod tail;
mod token;
mod topology;
mod trail;
mod up;
mod validate;
mod when;
mod whereabouts;

use std::io;
use std::process::ExitCode;

use bloodbank::Kind;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use holyfields_cli::{ExplainArgs, Outcome, explain};
use tracing::level_filters::LevelFilter;

use contracts::Source;
use list::{Kinds, List};

/// Exit code for a payload or a schema that is not what it should be.
const FINDINGS: u8 = 100;

/// A typed event bus that refuses whatever breaks its JSON Schema contracts.
#[derive(Parser)]
#[command(name = "bloodbank", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    source: Source,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the whole bus: store, bus and HTTP in one process.
    Up(up::Up),
    /// List events: key, version, Rust type, title.
    ListEvents {
        #[command(flatten)]
        list: List,
        /// What to list.
        #[arg(long = "type", value_name = "TYPE", default_value = "event")]
        kind: Kinds,
    },
    /// List commands: key, version, Rust type, title.
    ListCommands {
        #[command(flatten)]
        list: List,
    },
    /// Show one contract: its fields, schema, example or Rust type.
    Show(show::Show),
    /// Check a payload against the contract of a key; every violation, with its place.
    Validate(validate::Validate),
    /// Write the code for a schema folder, or check that it is up to date.
    Codegen(folder::Codegen),
    /// Say everything that is wrong with a schema folder.
    Lint(folder::Lint),
    /// Say what a lint rule looks for, why, and what to do; without one, list them all.
    Explain(ExplainArgs),
    /// Publish an event, once it keeps its contract.
    Publish(publish::Publish),
    /// Send a command to its worker queue, once it keeps its contract.
    Send(publish::Publish),
    /// Show the events that pass.
    Tail(tail::Tail),
    /// Look at the dead letters, bring them back, let them go.
    #[command(subcommand)]
    Dlq(dlq::Dlq),
    /// Look at messages that are not due yet, cancel them, send them when they are due.
    #[command(subcommand)]
    Scheduled(scheduled::Scheduled),
    /// Look at the messages that wait in a service's own database; print the tables for them.
    #[command(subcommand)]
    Outbox(outbox::Outbox),
    /// Send events of the past again. A dry run without `--yes`.
    Replay(replay::Replay),
    /// Say where an event or a command is, and what became of it in each queue.
    #[command(name = "where")]
    Whereabouts(whereabouts::Whereabouts),
    /// Look into the record of every event.
    #[command(subcommand)]
    Store(store::Store),
    /// Print the OpenAPI document of the HTTP service with these contracts.
    Openapi,
    /// Make, list and revoke the tokens of the HTTP service.
    #[command(subcommand)]
    Token(token::Token),
    /// Show who did what: what was refused for lack of rights, and what operators did.
    Audit(audit::Audit),
    /// Show the exchanges and queues that registry.yaml asks for; compare them with the broker.
    Topology(topology::ShowTopology),
    /// Look at the configuration and the broker, and say what to do about what is wrong.
    Doctor(doctor::Doctor),
    /// Publish, refuse, receive, restart, chain and replay, on a bus in a file of its own, or in DATABASE_URL.
    Demo,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let Cli { source, command } = Cli::parse();
    logging::start(match &command {
        Command::Up(up) => up.log_level(),
        _ => LevelFilter::OFF,
    });
    match run(command, &source) {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", hints::explained(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, source: &Source) -> anyhow::Result<u8> {
    match command {
        Command::Up(up) => up.run(source),
        Command::ListEvents { list, kind } => list.run(kind, source),
        Command::ListCommands { list } => list.run(Kinds::Command, source),
        Command::Show(show) => show.run(source),
        Command::Validate(validate) => validate.run(source),
        Command::Codegen(codegen) => codegen.run(source),
        Command::Lint(lint) => lint.run(source),
        Command::Explain(args) => explain::run(&args).map(Outcome::code),
        Command::Publish(publish) => publish.run(Kind::Event, source),
        Command::Send(publish) => publish.run(Kind::Command, source),
        Command::Tail(tail) => tail.run(source),
        Command::Dlq(dlq) => dlq.run(source),
        Command::Scheduled(scheduled) => scheduled.run(source),
        Command::Outbox(outbox) => outbox.run(),
        Command::Replay(replay) => replay.run(source),
        Command::Whereabouts(whereabouts) => whereabouts.run(source),
        Command::Store(store) => store.run(source),
        Command::Openapi => openapi::run(source),
        Command::Token(token) => token.run(source),
        Command::Audit(audit) => audit.run(),
        Command::Topology(topology) => topology.run(source),
        Command::Doctor(doctor) => doctor.run(source),
        Command::Demo => demo::run(),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "bloodbank", &mut io::stdout());
            Ok(0)
        }
    }
}

/// `bloodbank list-events | head -1` ends the pipe early; that is no error.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io_error = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io_error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
