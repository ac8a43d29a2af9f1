//! One event a request.

use std::path::Path;
use std::time::Duration;

use bloodbank_testkit::Broker;

use crate::contenders::{self, Service};
use crate::load::{self, Load};
use crate::report::{at_least, at_most, line, median};

const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(4);
pub(crate) const PATH: &str = "/events/theboard.meeting.created";
/// Requests a second, for the times of answers.
const RATE: usize = 2_000;

pub(crate) const PAYLOAD: &str = r#"{
    "event_type": "theboard.meeting.created",
    "meeting_id": "0190b3a2-7c1e-7d3f-8a5b-1c2d3e4f5a6b",
    "topic": "How do we make the roadmap legible?",
    "strategy": "multi_agent",
    "max_rounds": 5,
    "agent_count": 4,
    "scheduled_for": "2026-01-31T12:00:00Z"
}"#;

/// What one contender has reached in each round.
#[derive(Default)]
struct Rounds {
    rate: Vec<f64>,
    cpu: Vec<f64>,
    p99: Vec<f64>,
    failed: f64,
}

impl Rounds {
    /// CPU time for each request, in microseconds.
    fn cpu(&self) -> f64 {
        median(&self.cpu) * 1e6
    }

    fn rate(&self) -> f64 {
        median(&self.rate)
    }

    fn most(&mut self, service: &Service, body: &Path) {
        let before = service.cpu();
        let load = load::most(&service.url(PATH), body, TIME);
        self.cpu.push((service.cpu() - before) / load.answered);
        self.rate.push(load.rate);
        self.failed += load.failed;
    }

    fn paced(&mut self, service: &Service, body: &Path) {
        let Load { p99, failed, .. } = load::paced(&service.url(PATH), body, RATE, TIME);
        self.p99.push(p99);
        self.failed += failed;
    }

    fn tell(&self, name: &str, verdicts: &[String]) {
        let figures = format!(
            "{:>8.0}/s {:>8.1} µs CPU {:>8.2} ms p99",
            self.rate(),
            self.cpu(),
            median(&self.p99)
        );
        let mut verdicts = verdicts.iter();
        line(name, &figures, verdicts.next().map_or("", String::as_str));
        verdicts.for_each(|verdict| line("", "", verdict));
        if self.failed > 0.0 {
            line("", &format!("{:.0} requests were not answered by 2xx", self.failed), "");
        }
    }
}

/// Runs the rounds, and tells the table.
pub(crate) fn run() {
    let (true, Some(python)) = (bloodbank_testkit::rabbitmq(), bloodbank_testkit::python()) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let broker = runtime.block_on(Broker::start());
    let url = broker.fresh_url();
    let folder = tempfile::tempdir().expect("a folder");
    let body = folder.path().join("payload.json");
    std::fs::write(&body, PAYLOAD).expect("a file");
    let place = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        path
    };
    // First, as it declares the exchange.
    let on_broker = contenders::bloodbank(&place("broker"), Some(&url));
    let embedded = contenders::bloodbank(&place("embedded"), None);
    let fastapi = contenders::fastapi(&python, &url);
    let services = [&embedded, &on_broker, &fastapi];
    let mut rounds = [Rounds::default(), Rounds::default(), Rounds::default()];
    for _ in 0..ROUNDS {
        for (service, rounds) in services.iter().zip(&mut rounds) {
            rounds.most(service, &body);
            rounds.paced(service, &body);
        }
    }
    let [embedded, on_broker, fastapi] = &rounds;
    println!("one event a request, {} connections; p99 at {RATE}/s\n", load::CONNECTIONS);
    let fast = |rate: f64, wanted| at_least(rate / fastapi.rate(), "FastAPI", wanted);
    let quick = |rounds: &Rounds| at_most(median(&rounds.p99), "ms p99", 10.0);
    let cheap = at_most(on_broker.cpu() / fastapi.cpu(), "of FastAPI's CPU", 0.1);
    embedded.tell("bloodbank up, embedded", &[fast(embedded.rate(), 10.0), quick(embedded)]);
    on_broker
        .tell("bloodbank up on RabbitMQ", &[fast(on_broker.rate(), 4.0), cheap, quick(on_broker)]);
    fastapi.tell("FastAPI, Pydantic, aio-pika on RabbitMQ", &[]);
}
