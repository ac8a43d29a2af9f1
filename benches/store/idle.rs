//! What a process costs for whom nothing comes.

use std::process;
use std::time::Duration;

use tokio::sync::watch;

use crate::delivery::{consume, declare, end};
use crate::embedded::{bus, publish};
use crate::place::Places;
use crate::report::{at_most, cpu_time};
use crate::support::heading;

const QUEUES: usize = 16;
/// How long it settles down, and is watched.
const BEFORE: Duration = Duration::from_secs(15);
const WATCHED: Duration = Duration::from_secs(60);

pub(crate) async fn run(places: &Places) {
    heading(&format!("store: {QUEUES} subscribers for whom nothing comes"));
    for backend in places.backends() {
        let bus = bus(places, *backend).await;
        declare(&bus, QUEUES).await;
        publish(&bus.publisher(), 1, 1).await;
        let stop = watch::Sender::new(false);
        let consuming = consume(&bus, QUEUES, &stop, |_| {});
        tokio::time::sleep(BEFORE).await;
        let before = cpu_time(process::id());
        tokio::time::sleep(WATCHED).await;
        let part = (cpu_time(process::id()) - before) / WATCHED.as_secs_f64() * 100.0;
        println!("{:<12} of a core {part:>8.3}% {}", backend.name(), at_most(part, 0.1));
        end(&bus, &stop, consuming).await;
    }
}
