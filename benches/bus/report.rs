//! Medians over the rounds, and a table of them beside what is wished for.

use std::collections::BTreeMap;

use crate::support::heading;

/// What was measured: the contender, and its window, prefetch or rate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Round {
    pub(crate) what: &'static str,
    pub(crate) who: &'static str,
    pub(crate) size: usize,
}

/// The figures of all rounds.
#[derive(Default)]
pub(crate) struct Medians(BTreeMap<Round, Vec<Vec<f64>>>);

impl Medians {
    pub(crate) fn add(&mut self, round: Round, figures: Vec<f64>) {
        self.0.entry(round).or_default().push(figures);
    }

    /// The median of one figure over the rounds; `None` if nobody took part.
    fn of(&self, round: Round, figure: usize) -> Option<f64> {
        let mut all: Vec<f64> = self.0.get(&round)?.iter().map(|round| round[figure]).collect();
        all.sort_by(f64::total_cmp);
        Some(all[all.len() / 2])
    }
}

/// A ratio and what it should be.
struct Goal {
    /// Compared with whom.
    other: &'static str,
    bound: Bound,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn at_least(bound: f64, other: &'static str) -> Option<Goal> {
        Some(Goal { other, bound: Bound::AtLeast(bound) })
    }

    fn at_most(bound: f64, other: &'static str) -> Option<Goal> {
        Some(Goal { other, bound: Bound::AtMost(bound) })
    }

    fn shown(&self, ratio: f64) -> String {
        let (sign, bound, is_reached) = match self.bound {
            Bound::AtLeast(bound) => ('≥', bound, ratio >= bound),
            Bound::AtMost(bound) => ('≤', bound, ratio <= bound),
        };
        let verdict = if is_reached { "reached" } else { "missed" };
        format!("{ratio:>6.2} × {:<14} wanted {sign} {bound:.2}  {verdict}", self.other)
    }
}

/// Everything that was measured.
pub(crate) fn print(
    medians: &Medians,
    windows: &[usize],
    prefetch: usize,
    rates: &[usize],
    rounds: usize,
) {
    heading(&format!("bus: RabbitMQ, one quorum queue, {rounds} rounds"));
    let has = |what| medians.0.keys().any(|round| round.what == what);
    if has("publish") {
        windows.iter().for_each(|window| publishing(medians, *window));
    }
    if has("consume") {
        consuming(medians, prefetch);
    }
    if has("latency") {
        rates.iter().for_each(|rate| latency(medians, *rate));
    }
}

fn publishing(medians: &Medians, window: usize) {
    println!("\n{:<42} {:>9} {:>9}", format!("publish, window {window}"), "per s", "CPU µs");
    let table = Table { medians, what: "publish", size: window };
    let beats_python = (window >= 1_000).then(|| Goal::at_least(3.0, "aio-pika")).flatten();
    table.row("ours", "ours: typed, checked, confirmed", Goal::at_least(0.95, "lapin"));
    table.more("ours", 0, beats_python);
    if window >= 1_000 {
        table.more("ours", 1, Goal::at_most(1.15, "lapin (CPU)"));
    }
    table.row("lapin", "lapin: ready bytes", None);
    table.row("amqprs", "amqprs: ready bytes", None);
    table.row("aio-pika", "aio-pika: Pydantic", None);
}

fn consuming(medians: &Medians, prefetch: usize) {
    println!("\n{:<42} {:>9} {:>9}", format!("consume, prefetch {prefetch}"), "per s", "CPU µs");
    let table = Table { medians, what: "consume", size: prefetch };
    table.row("ours", "ours: typed, checked", Goal::at_least(2.0, "lapin"));
    table.more("ours", 0, Goal::at_least(0.9, "lapin-multiple"));
    table.row("ours-layers", "ours: and three layers", Goal::at_least(0.98, "ours"));
    table.more("ours-layers", 1, Goal::at_most(1.02, "ours (CPU)"));
    table.row("ours-ordered", "ours: 16 keys in order, 1 partition", Goal::at_least(0.7, "ours"));
    table.row("ours-partitioned", "ours: 16 keys in order, 16 partitions", None);
    table.row("ours-dedup", "ours: and deduplicated", Goal::at_least(2.0, "lapin"));
    table.row("lapin", "lapin: bytes, each acknowledged", None);
    table.row("lapin-multiple", "lapin: bytes, acknowledged by 100", None);
    table.row("aio-pika", "aio-pika: Pydantic, each acknowledged", None);
}

fn latency(medians: &Medians, rate: usize) {
    println!(
        "\n{:<42} {:>9} {:>9}",
        format!("publish to handler, {rate} per s"),
        "p50 ms",
        "p99 ms"
    );
    let table = Table { medians, what: "latency", size: rate };
    for (who, name) in
        [("ours", "ours: typed, checked"), ("lapin", "lapin: bytes, each acknowledged")]
    {
        let figure = |figure| table.of(who, figure);
        if let (Some(p50), Some(p99)) = (figure(0), figure(1)) {
            let goal = (who == "ours" && rate >= 5_000).then(|| Goal::at_most(1.1, "lapin (p99)"));
            let goal = table.against(who, 1, goal.flatten());
            let row = format!("{name:<42} {:>9.2} {:>9.2}  {goal}", p50 * 1e3, p99 * 1e3);
            println!("{}", row.trim_end());
        }
    }
}

/// One part of the table.
struct Table<'m> {
    medians: &'m Medians,
    what: &'static str,
    size: usize,
}

impl Table<'_> {
    fn of(&self, who: &'static str, figure: usize) -> Option<f64> {
        self.medians.of(Round { what: self.what, who, size: self.size }, figure)
    }

    fn row(&self, who: &'static str, name: &str, goal: Option<Goal>) {
        let (Some(rate), Some(cpu)) = (self.of(who, 0), self.of(who, 1)) else { return };
        let goal = self.against(who, 0, goal);
        let row = format!("{name:<42} {rate:>9.0} {:>9.1}  {goal}", cpu * 1e6);
        println!("{}", row.trim_end());
    }

    /// Another goal of the row above.
    fn more(&self, who: &'static str, figure: usize, goal: Option<Goal>) {
        let goal = self.against(who, figure, goal);
        if !goal.is_empty() {
            println!("{:<62}  {goal}", "");
        }
    }

    fn against(&self, who: &'static str, figure: usize, goal: Option<Goal>) -> String {
        let Some(goal) = goal else { return String::new() };
        let other = goal.other.split(' ').next().unwrap_or_default();
        let other = CONTENDERS.iter().find(|name| **name == other).copied();
        let ours = self.of(who, figure);
        match (ours, other.and_then(|other| self.of(other, figure))) {
            (Some(ours), Some(other)) => goal.shown(ours / other),
            _ => String::new(),
        }
    }
}

/// Those that ours are compared with.
const CONTENDERS: [&str; 4] = ["ours", "lapin", "lapin-multiple", "aio-pika"];
