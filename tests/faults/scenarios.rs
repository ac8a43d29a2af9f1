//! The faults, one scenario after the other.

use std::sync::Arc;
use std::time::Duration;

use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::{Bus, Exchange, Queue, RedisDedup, Topology, Transport, events};
use bloodbank_testkit::{Broker, Cluster, Proxy, Redis};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::load::{Load, Options, QUEUE};
use crate::signs::{reconnects, repairs};
use crate::table::{Faults, Row};

/// Where events are published.
const EVENTS: &str = "bloodbank.events.v1";

/// How long and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// What every run of the tests does.
    Short,
    /// What `cargo xtask test faults` does.
    Full,
}

impl Form {
    fn pick<T>(self, short: T, full: T) -> T {
        match self {
            Form::Short => short,
            Form::Full => full,
        }
    }

    /// How long everything goes well between two faults.
    fn steady(self) -> Duration {
        self.pick(seconds(1.0), seconds(2.0))
    }

    /// Whether it runs a scenario unasked.
    pub(crate) fn has(self, scenario: Scenario) -> bool {
        let short = [Scenario::Kill, Scenario::Cut, Scenario::HalfOpen];
        self == Form::Full || short.contains(&scenario)
    }
}

/// What is done to the broker, or to the way there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Kill,
    Terminate,
    Stop,
    Alarm,
    Cut,
    HalfOpen,
    Delete,
    Exchange,
    Password,
    Flapping,
    Full,
    Leader,
    Redis,
}

impl Scenario {
    pub(crate) const ALL: [Scenario; 13] = [
        Scenario::Kill,
        Scenario::Terminate,
        Scenario::Stop,
        Scenario::Alarm,
        Scenario::Cut,
        Scenario::HalfOpen,
        Scenario::Delete,
        Scenario::Exchange,
        Scenario::Password,
        Scenario::Flapping,
        Scenario::Full,
        Scenario::Leader,
        Scenario::Redis,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Scenario::Kill => "broker_killed_and_restarted",
            Scenario::Terminate => "broker_terminated_and_restarted",
            Scenario::Stop => "broker_stopped_for_10_s",
            Scenario::Alarm => "memory_alarm",
            Scenario::Cut => "connection_cut",
            Scenario::HalfOpen => "connection_half_open",
            Scenario::Delete => "queue_deleted",
            Scenario::Exchange => "exchange_deleted",
            Scenario::Password => "password_wrong_for_a_while",
            Scenario::Flapping => "network_flapping",
            Scenario::Full => "queue_of_a_dead_service_full",
            Scenario::Leader => "leader_of_three_killed",
            Scenario::Redis => "redis_stopped",
        }
    }

    /// Runs it; `broker` is up before and after.
    pub(crate) async fn run(self, form: Form, broker: &Broker) -> Row {
        let vhost = broker.fresh_vhost();
        let proxy = Proxy::start(("127.0.0.1", broker.port())).await;
        let options = options(self, form);
        if self == Scenario::Leader {
            let cluster = Cluster::start(3).await;
            let vhost = cluster.fresh_vhost();
            let load = start(options, &cluster.urls(&vhost).join(",")).await;
            let faults = kill_leaders(form, &load, &cluster, &vhost).await;
            return row(self, form, faults, load).await;
        }
        if self == Scenario::Redis {
            let redis = Redis::start().await;
            let dedup = RedisDedup::connect(&redis.url()).await.expect("Redis is up");
            let options = Options { dedup: Arc::new(dedup), ..options };
            let load = start(options, &broker.url(&vhost)).await;
            let faults = stop_redis(form, &load, &redis).await;
            return row(self, form, faults, load).await;
        }
        let url = match self {
            Scenario::Cut | Scenario::HalfOpen | Scenario::Password | Scenario::Flapping => {
                broker.url_via(&proxy, &vhost)
            }
            _ => broker.url(&vhost),
        };
        let load = start(options, &url).await;
        let faults = match self {
            Scenario::Kill => kill(form, &load, broker).await,
            Scenario::Terminate => terminate(form, &load, broker).await,
            Scenario::Stop => stop(form, &load, broker).await,
            Scenario::Alarm => alarm(form, &load, broker).await,
            Scenario::Cut => cut(form, &load, &proxy).await,
            Scenario::HalfOpen => half_open(form, &load, &proxy).await,
            Scenario::Delete => delete(form, &load, broker, &vhost).await,
            Scenario::Exchange => delete_exchange(form, &load, &url).await,
            Scenario::Password => change_password(form, &load, broker, &proxy).await,
            Scenario::Flapping => flap(form, &load, &proxy).await,
            Scenario::Full => fill(form, &load, &url).await,
            Scenario::Leader | Scenario::Redis => Faults::default(),
        };
        row(self, form, faults, load).await
    }
}

fn options(scenario: Scenario, form: Form) -> Options {
    // In the full form as users have it.
    let deadline = seconds(form.pick(2.0, 5.0));
    Options { unrouted: scenario == Scenario::Delete, ..Options::new(deadline) }
}

async fn start(options: Options, urls: &str) -> Load {
    let mut config = AmqpConfig::from_urls(urls).expect("a URL");
    config.deadline = options.deadline;
    config.refused_pause = seconds(1.0);
    let amqp = Amqp::connect(config).await.expect("the broker is up");
    let load = Load::start(Bus::new(std::sync::Arc::new(amqp), events::contracts()), options).await;
    pass(1.5).await;
    load
}

async fn row(scenario: Scenario, form: Form, faults: Faults, load: Load) -> Row {
    pass(1.0).await;
    let report = load.finish().await;
    Row { name: scenario.name(), faults, deadline: options(scenario, form).deadline, report }
}

/// Injects a fault so many times; each says whether anything came of it.
async fn repeat(times: u32, mut fault: impl AsyncFnMut() -> bool) -> Faults {
    let mut faults = Faults::default();
    for _ in 0..times {
        faults.injected += 1;
        faults.felt += u32::from(fault().await);
    }
    faults
}

async fn kill(form: Form, load: &Load, broker: &Broker) -> Faults {
    repeat(form.pick(1, 3), async || {
        let before = reconnects();
        block_in_place(|| broker.kill());
        pass(1.0).await;
        broker.restart().await;
        load.flows(form.steady()).await;
        reconnects() > before
    })
    .await
}

async fn terminate(form: Form, load: &Load, broker: &Broker) -> Faults {
    repeat(3, async || {
        let before = reconnects();
        block_in_place(|| broker.terminate());
        pass(1.0).await;
        broker.restart().await;
        load.flows(form.steady()).await;
        reconnects() > before
    })
    .await
}

async fn stop(form: Form, load: &Load, broker: &Broker) -> Faults {
    repeat(2, async || {
        let before = load.failed_calls();
        block_in_place(|| broker.stop_signal());
        pass(10.0).await;
        block_in_place(|| broker.cont_signal());
        load.flows(form.steady()).await;
        load.failed_calls() > before
    })
    .await
}

async fn alarm(form: Form, load: &Load, broker: &Broker) -> Faults {
    repeat(3, async || {
        let before = load.failed_calls();
        limit_memory(broker, &["absolute", "1MB"]);
        pass(6.0).await;
        limit_memory(broker, &["0.4"]);
        load.flows(form.steady()).await;
        load.failed_calls() > before
    })
    .await
}

fn limit_memory(broker: &Broker, limit: &[&str]) {
    let command = [&["set_vm_memory_high_watermark"], limit].concat();
    block_in_place(|| broker.ctl(&command));
}

async fn cut(form: Form, load: &Load, proxy: &Proxy) -> Faults {
    repeat(form.pick(4, 10), async || {
        let before = reconnects();
        proxy.cut();
        load.flows(form.steady() / 2).await;
        reconnects() > before
    })
    .await
}

/// It lasts longer than the deadline of a call.
async fn half_open(form: Form, load: &Load, proxy: &Proxy) -> Faults {
    repeat(form.pick(1, 3), async || {
        let before = load.failed_calls();
        proxy.half_open(true);
        pass(form.pick(3.0, 7.0)).await;
        proxy.half_open(false);
        load.flows(form.steady()).await;
        load.failed_calls() > before
    })
    .await
}

/// What a deleted queue held is gone by somebody's order, so it holds nothing when it is deleted.
/// What is published before the consumer has declared it again goes to the queue for what nobody
/// listens to, and must be there. The queue afterwards is another one, led by another process of the
/// broker.
async fn delete(form: Form, load: &Load, broker: &Broker, vhost: &str) -> Faults {
    let process =
        || block_in_place(|| broker.ctl(&["-q", "-p", vhost, "list_queues", "name", "pid"]));
    let process = || line_of_queue(&process());
    repeat(3, async || {
        let before = process();
        load.pause().await;
        block_in_place(|| broker.ctl(&["-p", vhost, "delete_queue", QUEUE]));
        load.go_on();
        load.flows(form.steady()).await;
        let after = process();
        !before.is_empty() && !after.is_empty() && before != after
    })
    .await
}

/// The exchange that events are published to is declared again, at the latest by a new connection.
async fn delete_exchange(form: Form, load: &Load, url: &str) -> Faults {
    let properties = lapin::ConnectionProperties::default();
    let connection = lapin::Connection::connect(url, properties).await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    repeat(3, async || {
        let before = repairs() + reconnects();
        let options = lapin::options::ExchangeDeleteOptions::default();
        channel.exchange_delete(EVENTS.into(), options).await.expect("it was there");
        load.flows(form.steady()).await;
        repairs() + reconnects() > before
    })
    .await
}

/// Connections are cut while the broker takes another password.
async fn change_password(form: Form, load: &Load, broker: &Broker, proxy: &Proxy) -> Faults {
    repeat(2, async || {
        let before = load.failed_calls();
        block_in_place(|| broker.ctl(&["change_password", "guest", "another"]));
        proxy.cut();
        pass(2.0).await;
        block_in_place(|| broker.ctl(&["change_password", "guest", "guest"]));
        load.flows(form.steady()).await;
        load.failed_calls() > before
    })
    .await
}

/// Each cut comes before all is well again.
async fn flap(form: Form, load: &Load, proxy: &Proxy) -> Faults {
    repeat(form.pick(1, 3), async || {
        let before = reconnects();
        for _ in 0..8 {
            proxy.cut();
            pass(0.3).await;
        }
        load.flows(form.steady()).await;
        reconnects() > before
    })
    .await
}

/// Another service hears the same events, has room for few, and is not there.
async fn fill(form: Form, load: &Load, url: &str) -> Faults {
    let amqp = Amqp::connect(AmqpConfig::from_urls(url).expect("a URL")).await;
    let amqp = amqp.expect("the broker is up");
    let pattern = events::keys::LLM_PROMPT.parse().expect("a key");
    let dead = Queue::new("dead").bind(Exchange::Events, pattern).with_max_len(100);
    amqp.declare(&Topology::new().with_parked_queue(dead)).await.expect("it is new");
    let faults = repeat(1, async || {
        let before = load.failed_calls();
        load.flows(form.steady()).await;
        let overflown = amqp.depth("dead.dlq").await.is_ok_and(|depth| depth > 0);
        overflown && load.failed_calls() == before
    });
    let faults = faults.await;
    amqp.close().await;
    faults
}

/// Another node leads the queue afterwards.
async fn kill_leaders(form: Form, load: &Load, cluster: &Cluster, vhost: &str) -> Faults {
    repeat(3, async || {
        whole(cluster, vhost).await;
        let killed = leader(cluster, vhost);
        block_in_place(|| killed.kill());
        load.flows(form.steady()).await;
        killed.restart().await;
        load.flows(form.steady()).await;
        leader(cluster, vhost).port() != killed.port()
    })
    .await
}

/// It hangs, and later dies and forgets everything; events are handled all the same.
async fn stop_redis(form: Form, load: &Load, redis: &Redis) -> Faults {
    repeat(form.pick(1, 2), async || {
        let before = load.unasked();
        block_in_place(|| redis.pause());
        pass(4.0).await;
        let while_hanging = load.unasked();
        block_in_place(|| redis.resume());
        load.flows(form.steady()).await;
        redis.restart().await;
        load.flows(form.steady()).await;
        while_hanging > before
    })
    .await
}

/// Waits until all three have the queue: without two of them it stands still, as it must.
async fn whole(cluster: &Cluster, vhost: &str) {
    for _ in 0..60 {
        if about_queue(cluster, vhost, "online").matches("@localhost").count() == 3 {
            return;
        }
        pass(1.0).await;
    }
    panic!("a node that was started again does not have the queue after a minute");
}

/// What the cluster says about the queue.
fn about_queue(cluster: &Cluster, vhost: &str, column: &str) -> String {
    let asked = cluster.nodes().first().expect("a node");
    let command = ["-q", "-p", vhost, "list_queues", "name", column];
    // It fails now and then while a node comes back.
    line_of_queue(&block_in_place(|| asked.try_ctl(&command)).unwrap_or_default())
}

/// What a list of queues says about ours; nothing if it is not there.
fn line_of_queue(list: &str) -> String {
    let mut lines = list.lines().filter_map(|line| line.split_once('\t'));
    let about = lines.find(|(name, _)| *name == QUEUE).map(|(_, about)| about.to_owned());
    about.unwrap_or_default()
}

/// The node that leads the queue.
fn leader<'c>(cluster: &'c Cluster, vhost: &str) -> &'c Broker {
    let name = about_queue(cluster, vhost, "leader");
    let number = name.trim_start_matches('c').split('@').next().expect("a name");
    let number: usize = number.parse().expect("c1@localhost and so on");
    cluster.nodes().get(number - 1).expect("a node of the cluster")
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

async fn pass(time: f64) {
    sleep(seconds(time)).await;
}
