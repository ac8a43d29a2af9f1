//! `dlq`: the dead letters.

use std::io;
use std::time::Duration;

use anyhow::anyhow;
use bloodbank::candystore::body_field;
use bloodbank::chrono::Utc;
use bloodbank::dead_letters::{self, DeadLetter, Filter};
use bloodbank::uuid::Uuid;
use bloodbank::{
    Bundle, Contracts, Reason, TopicPattern, Topology, Transport, TransportError, dead_letters_of,
    escape_control,
};
use clap::{Args, Subcommand};

use crate::bus::{Connected, block_on};
use crate::contracts::{self, Source};
use crate::mask::Mask;
use crate::table::{Table, say};
use crate::trail::Trail;
use crate::{place, span};

/// The most characters of an error in a line.
const LONGEST_ERROR: usize = 120;

#[derive(Subcommand)]
pub(crate) enum Dlq {
    /// How many dead letters each queue has, and for which reasons.
    Ls(Which),
    /// The dead letters, one a line; with `--json` whole, payload included.
    Show {
        #[command(flatten)]
        which: Which,
        /// As JSON, one a line, with the bytes as they came: `body`, or `body_hex` if they are no
        /// UTF-8.
        #[arg(long)]
        json: bool,
        /// Also what contracts mark as sensitive.
        #[arg(long, requires = "json")]
        reveal: bool,
    },
    /// Bring dead letters back to the queue they were parked from, and unrouted events to those who
    /// listen by now. A dry run without `--yes`.
    Redrive {
        #[command(flatten)]
        which: Which,
        /// Do it.
        #[arg(long)]
        yes: bool,
        /// The most messages a second.
        #[arg(long, value_name = "N", default_value_t = 100)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        rate: u32,
    },
    /// Let dead letters go for good; unrouted events only where their queue is named. A dry run
    /// without `--yes`.
    Purge {
        #[command(flatten)]
        which: Which,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
}

/// Which dead letters are meant.
#[derive(Args)]
pub(crate) struct Which {
    /// The queue that they were parked from, or its dead-letter queue, or that of unrouted events;
    /// if none is named, those of registry.yaml, and the unrouted events.
    queue: Option<String>,
    /// Those whose key matches.
    #[arg(long, value_name = "PATTERN")]
    key: Option<TopicPattern>,
    /// Those that were parked for this reason.
    #[arg(long)]
    reason: Option<Reason>,
    /// Those that were parked at least this long ago: `10m`, `2h`, `1d`.
    #[arg(long, value_name = "AGE", value_parser = span::parse)]
    older_than: Option<Duration>,
    /// The one of this envelope id.
    #[arg(long, value_name = "UUID", value_parser = place::id)]
    id: Option<Uuid>,
}

impl Which {
    fn filter(&self) -> Filter {
        let mut filter = Filter::all();
        filter.key.clone_from(&self.key);
        filter.reason = self.reason;
        filter.older_than = self.older_than;
        filter.id = self.id.map(|id| id.to_string());
        filter
    }

    /// The contracts to look for queues in; where a queue is named, those that are at hand.
    fn contracts(&self, source: &Source, changes: bool) -> anyhow::Result<Contracts> {
        Ok(match (&self.queue, changes) {
            (Some(_), _) => contracts::at_hand(source)?,
            (None, true) => source.read_own()?.contracts,
            (None, false) => source.read()?.contracts,
        })
    }
}

/// The dead letters that are meant, on a bus.
struct Meant<'m> {
    transport: &'m dyn Transport,
    which: &'m Which,
    /// The dead-letter queues of registry.yaml.
    known: Vec<String>,
    /// Whether unrouted events are meant where no queue is named.
    unrouted: bool,
    trail: Trail,
}

impl Meant<'_> {
    /// The queues that are meant.
    fn queues(&self) -> Vec<String> {
        let unrouted = self.transport.unrouted_queue();
        match &self.which.queue {
            Some(queue) if queue.ends_with(".dlq") || Some(queue) == unrouted.as_ref() => {
                vec![queue.clone()]
            }
            Some(queue) => vec![dead_letters_of(queue)],
            None => {
                let unrouted = unrouted.filter(|_| self.unrouted);
                self.known.iter().cloned().chain(unrouted).collect()
            }
        }
    }

    /// Why there is no such queue, with those that can be named.
    fn missing(&self, error: TransportError) -> anyhow::Error {
        let unrouted = self.transport.unrouted_queue();
        if unrouted.is_none() && self.which.queue.as_ref().is_some_and(|q| q.ends_with(".unrouted"))
        {
            return anyhow!(
                "{error}\nhelp: this bus does not put unrouted events aside; all events are in the \
                 store, and `bloodbank replay` brings them to queues"
            );
        }
        let known: String =
            self.known.iter().chain(&unrouted).map(|name| format!("\n  {name}")).collect();
        match known.is_empty() {
            true => error.into(),
            false => anyhow!("{error}\nhelp: the dead-letter queues of registry.yaml are{known}"),
        }
    }

    /// The dead letters, by queue. Without a named queue, those that the bus does not have are left
    /// out.
    async fn list(&self) -> anyhow::Result<Vec<(String, Vec<DeadLetter>)>> {
        let mut all = Vec::new();
        for queue in self.queues() {
            match dead_letters::list(self.transport, &queue, &self.which.filter()).await {
                Ok(letters) => all.push((queue, letters)),
                Err(TransportError::Undeclared { .. }) if self.which.queue.is_none() => {}
                Err(error @ TransportError::Undeclared { .. }) => return Err(self.missing(error)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(all)
    }
}

impl Meant<'_> {
    /// Writes into the audit what came of it: how many, and whether that were all.
    async fn noted(
        &self,
        action: &str,
        queue: &str,
        came: Result<(u64, bool), &TransportError>,
        what: &str,
    ) {
        match came {
            Ok((count, true)) => self.trail.done(action, queue, format!("{count} {what}")).await,
            Ok((count, false)) => {
                let detail = format!("{count} {what}, others stayed");
                self.trail.failed(action, queue, detail).await;
            }
            Err(error) => self.trail.failed(action, queue, error.code().to_string()).await,
        }
    }
}

/// The dead-letter queues of everything in registry.yaml.
pub(crate) fn dead_letter_queues(bundle: &Bundle) -> Vec<String> {
    let queues = Topology::of(bundle).queues.into_iter();
    let mut names: Vec<String> = queues.filter_map(|queue| queue.dead_letters).collect();
    names.sort_unstable();
    names
}

impl Dlq {
    /// Whether it changes something, and is not a dry run.
    fn changes(&self) -> bool {
        matches!(self, Dlq::Redrive { yes: true, .. } | Dlq::Purge { yes: true, .. })
    }

    /// Exits 0 when all went well, 1 when some dead letters could not be brought back.
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        let (which, changes) = match self {
            Dlq::Ls(which) | Dlq::Show { which, .. } => (which, false),
            Dlq::Redrive { which, .. } | Dlq::Purge { which, .. } => (which, true),
        };
        let contracts = which.contracts(source, changes)?;
        let known = dead_letter_queues(contracts.bundle());
        block_on(async {
            let bus = Connected::open(contracts).await?;
            let transport = bus.transport();
            let trail = if self.changes() { Trail::beside(&bus).await } else { Trail::none() };
            // Nobody has said that unrouted events are of no use.
            let unrouted = !matches!(self, Dlq::Purge { .. });
            let meant = Meant { transport: &*transport, which, known, unrouted, trail };
            let done = match self {
                Dlq::Ls(_) => ls(&meant).await,
                Dlq::Show { json, reveal, .. } => {
                    show(&meant, *json, &Mask::new(source, *reveal || !*json)?).await
                }
                Dlq::Redrive { yes, rate, .. } => redrive(&meant, *yes, *rate).await,
                Dlq::Purge { yes, .. } => purge(&meant, *yes).await,
            };
            transport.close().await;
            done
        })
    }
}

async fn ls(meant: &Meant<'_>) -> anyhow::Result<u8> {
    let mut table = Table::new(["queue", "messages", "oldest", "reasons"]);
    let mut none = true;
    for (queue, letters) in meant.list().await? {
        if letters.is_empty() && meant.which.queue.is_none() {
            continue;
        }
        none = false;
        let oldest = letters.iter().filter_map(|letter| letter.parked_at).min();
        let oldest = oldest.and_then(|at| Utc::now().signed_duration_since(at).to_std().ok());
        table.row([
            &queue,
            &letters.len().to_string(),
            &oldest.map(span::show).unwrap_or_default(),
            &reasons(&letters),
        ]);
    }
    if none {
        say_none();
    } else {
        table.print(&mut io::stdout().lock())?;
    }
    Ok(0)
}

fn reasons(letters: &[DeadLetter]) -> String {
    let count = |reason: Reason| letters.iter().filter(|l| l.reason == Some(reason)).count();
    let counts = Reason::ALL.iter().map(|&reason| (reason.as_str(), count(reason)));
    let unknown = letters.iter().filter(|letter| letter.reason.is_none()).count();
    let counts = counts.chain([("unknown", unknown)]).filter(|(_, count)| *count > 0);
    counts.map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
}

/// Where there is nothing to show, and nothing to do.
fn say_none() {
    eprintln!("no dead letters");
}

async fn show(meant: &Meant<'_>, json: bool, mask: &Mask) -> anyhow::Result<u8> {
    let heading = ["parked", "key", "id", "reason", "from", "tried", "error"];
    let (mut table, mut none) = (Table::new(heading), true);
    for (queue, letters) in meant.list().await? {
        for letter in &letters {
            none = false;
            match json {
                true => say(as_json(&queue, letter, mask))?,
                false => add(&mut table, letter),
            }
        }
    }
    if none {
        say_none();
    } else if !json {
        table.print(&mut io::stdout().lock())?;
    }
    Ok(0)
}

fn add(table: &mut Table, letter: &DeadLetter) {
    let parked = letter.parked_at.map(|at| at.format("%F %TZ").to_string());
    table.row([
        &parked.unwrap_or_default(),
        &letter.key,
        letter.id.as_deref().unwrap_or("not an envelope"),
        letter.reason.map_or("unknown", Reason::as_str),
        letter.parked_from.as_deref().unwrap_or(match letter.reason {
            Some(Reason::Unrouted) => "no queue",
            _ => "unknown",
        }),
        &attempts(letter),
        &short(letter.error.as_deref().unwrap_or("none noted")),
    ]);
}

/// As much of an error as a line has room for.
fn short(error: &str) -> String {
    match error.char_indices().nth(LONGEST_ERROR) {
        Some((end, _)) => format!("{}…", error[..end].trim_end()),
        None => error.to_owned(),
    }
}

fn attempts(letter: &DeadLetter) -> String {
    let count = |n: u32, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    match letter.redrives {
        0 => count(letter.attempts, "attempt"),
        n => format!("{}, {}", count(letter.attempts, "attempt"), count(n, "redrive")),
    }
}

fn as_json(queue: &str, letter: &DeadLetter, mask: &Mask) -> serde_json::Value {
    let mut json = serde_json::json!({
        "queue": queue,
        "id": letter.id,
        "key": letter.key,
        "reason": letter.reason.map(Reason::as_str),
        "error": letter.error,
        "parked_from": letter.parked_from,
        "parked_at": letter.parked_at,
        "first_failed": letter.first_failed,
        "attempts": letter.attempts,
        "redrives": letter.redrives,
    });
    let body = mask.body(&letter.key, &letter.body);
    let (name, body) = body_field(&body);
    json[name] = body.into();
    json
}

async fn redrive(meant: &Meant<'_>, yes: bool, rate: u32) -> anyhow::Result<u8> {
    if !yes {
        return dry_run(meant, "would go back to their queues").await;
    }
    let (mut failed, mut none) = (false, true);
    for (queue, letters) in meant.list().await? {
        if letters.is_empty() {
            continue;
        }
        none = false;
        let redriven =
            dead_letters::redrive(meant.transport, &queue, &meant.which.filter(), rate).await;
        let came = redriven.as_ref().map(|it| (it.count, it.failed.is_empty()));
        meant.noted("dlq.redrive", &queue, came, "went back").await;
        let redriven = redriven?;
        match redriven.unrouted {
            0 => say(format_args!("{queue}: {} went back", redriven.count))?,
            still => say(format_args!(
                "{queue}: {} went back; nobody listens to {still} of them, which lie here again",
                redriven.count
            ))?,
        }
        for (key, error) in &redriven.failed {
            failed = true;
            eprintln!("{queue}: `{}` stayed: {error}", escape_control(key));
        }
    }
    if none {
        say_none();
    }
    Ok(u8::from(failed))
}

async fn purge(meant: &Meant<'_>, yes: bool) -> anyhow::Result<u8> {
    if !yes {
        return dry_run(meant, "would be gone for good").await;
    }
    let mut none = true;
    for (queue, letters) in meant.list().await? {
        if !letters.is_empty() {
            none = false;
            let purged = dead_letters::purge(meant.transport, &queue, &meant.which.filter()).await;
            let came = purged.as_ref().map(|count| (*count, true));
            meant.noted("dlq.purge", &queue, came, "gone").await;
            let count = purged?;
            say(format_args!("{queue}: {count} gone"))?;
        }
    }
    if none {
        say_none();
    }
    Ok(0)
}

async fn dry_run(meant: &Meant<'_>, what: &str) -> anyhow::Result<u8> {
    let mut total = 0;
    for (queue, letters) in meant.list().await? {
        total += letters.len();
        if !letters.is_empty() {
            say(format_args!("{queue}: {} {what} ({})", letters.len(), reasons(&letters)))?;
        }
    }
    eprintln!("{}", if total == 0 { "no dead letters" } else { "a dry run; `--yes` does it" });
    Ok(0)
}
