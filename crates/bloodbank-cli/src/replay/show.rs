//! Replays as people read them.

use std::io;
use std::time::Duration;

use bloodbank::amqp::Exchanges;
use bloodbank::candystore::{Planned, ReplayOptions, ReplayPlan, ReplayRun, ReplayTarget};
use bloodbank::escape_control;

use crate::figures::{count, count_of};
use crate::progress::rate;
use crate::table::{Table, say};
use crate::when;

/// How many events that break their contract are shown.
const MOST_UNFIT: usize = 20;

/// How many characters wide a bar is.
const BAR: u64 = 30;

/// What would be sent, and where.
pub(super) fn plan(
    plan: &ReplayPlan,
    options: &ReplayOptions,
    exchanges: &Exchanges,
) -> io::Result<()> {
    let (Some(first), Some(last)) = (&plan.first, &plan.last) else { return Ok(()) };
    let mut table = Table::new(["key", "events"]);
    for (key, events) in &plan.keys {
        table.row([key, &count(*events)]);
    }
    table.print(&mut io::stdout().lock())?;
    say(format_args!("first   {}", place(first)))?;
    say(format_args!("last    {}", place(last)))?;
    say(format_args!("events  {}", count(plan.count)))?;
    say(format_args!("target  {}", target(&options.target, exchanges)))?;
    if plan.unfit > 0 {
        unfit(plan, options)?;
    }
    Ok(())
}

fn place(event: &Planned) -> String {
    let key = escape_control(&event.key);
    format!("position {}, {}, {key}", event.position, when::show(event.at))
}

fn target(target: &ReplayTarget, exchanges: &Exchanges) -> String {
    match target {
        ReplayTarget::Live => format!(
            "{}, LIVE: everybody gets them, as if they happened now",
            escape_control(&exchanges.events)
        ),
        ReplayTarget::Queue(name) => format!("queue `{}`", escape_control(name)),
        _ => format!("{}, for the queues that hear replays", exchanges.replay),
    }
}

fn unfit(plan: &ReplayPlan, options: &ReplayOptions) -> io::Result<()> {
    let what = match (plan.unfit, options.skip_invalid) {
        (1, true) => "breaks the contracts of today, and will be skipped",
        (1, false) => "breaks the contracts of today, and is in the way",
        (_, true) => "break the contracts of today, and will be skipped",
        (_, false) => "break the contracts of today, and are in the way",
    };
    say(format_args!("{} {what}:", count_of(plan.unfit, "event")))?;
    let mut table = Table::new(["position", "key", "violation"]);
    for unfit in plan.unfit_named.iter().take(MOST_UNFIT) {
        table.row([&unfit.position.to_string(), &unfit.key, &unfit.violation]);
    }
    table.print(&mut io::stdout().lock())?;
    let more = plan.unfit.saturating_sub(MOST_UNFIT as u64);
    if more > 0 { say(format_args!("and {} more", count(more))) } else { Ok(()) }
}

/// How it goes.
pub(super) fn line(before: &ReplayRun, now: &ReplayRun, took: Duration) -> String {
    let done = now.sent + now.skipped;
    let part = |of: u64| done.saturating_mul(of).checked_div(now.planned).unwrap_or(of).min(of);
    let filled = part(BAR);
    let bar: String = (0..BAR).map(|n| if n < filled { '#' } else { '.' }).collect();
    let rate = rate(now.sent.saturating_sub(before.sent), took);
    let held_up = match now.retries {
        0 => String::new(),
        n => format!("  {}", retries(n)),
    };
    format!(
        "[{bar}] {}%  {} of {}  {rate}  position {}{held_up}",
        part(100),
        count(done),
        count(now.planned),
        now.reached
    )
}

/// What came of it.
pub(super) fn summary(run: &ReplayRun) -> String {
    format!(
        "replay {} is {}: {} of {} sent, {} skipped, {}, up to position {}",
        run.id,
        run.state,
        count(run.sent),
        count(run.planned),
        count(run.skipped),
        retries(run.retries),
        run.reached
    )
}

fn retries(number: u64) -> String {
    let what = if number == 1 { "retry" } else { "retries" };
    format!("{} {what}", count(number))
}
