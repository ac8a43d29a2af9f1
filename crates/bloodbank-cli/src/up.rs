//! `up`: store, bus and HTTP in one process.

mod address;
mod crew;
mod demo;
mod queues;
mod reload;
mod server;
mod signals;
mod summary;
mod systemd;
mod tls;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bloodbank::candystore::{EventStore, Recorder, ReportKeeper, Scheduler};
use bloodbank::{Bus, Contracts, Exchange, LiveContracts, Prometheus, Queue, TopicPattern};
use bloodbank_access::{Access, TokenFile};
use bloodbank_gateway::{Gateway, Reloaded};
use clap::Args;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::level_filters::LevelFilter;

use self::address::{Address, is_local};
use self::crew::{Crew, Stopped};
use self::demo::{Demo, DemoFlags};
use self::queues::OnBroker;
use self::reload::Reloader;
use self::server::Server;
use self::signals::{Asked, Signals};
use self::summary::Summary;
use self::tls::{Tls, TlsFiles};
use crate::bus::Connected;
use crate::contracts::{Known, Source};
use crate::figures::count_of;
use crate::{hints, store, token};

/// How long what was accepted may take to be finished.
const DRAIN: Duration = Duration::from_secs(30);

/// How long closing the bus may take after that.
const CLOSING: Duration = Duration::from_secs(5);

/// The queue of everything on RabbitMQ, where no service of registry.yaml records events.
const RECORDER: &str = "bloodbank.recorder";

#[derive(Args)]
#[command(
    after_help = "Without RABBIT_URL the bus lies in the store; without DATABASE_URL the store is a file. \
                  SIGHUP reads contracts, registry and certificate again; SIGTERM and Ctrl-C end it, once what \
                  was accepted is finished."
)]
pub(crate) struct Up {
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    tls: TlsFiles,
    #[command(flatten)]
    demo: DemoFlags,
}

/// Everything that runs.
struct Running {
    gateway: Gateway,
    crew: Crew,
    reloader: Arc<Reloader>,
    ending: watch::Sender<bool>,
    /// Gives whether everything that was accepted was finished.
    server: JoinHandle<bool>,
    demo: Option<Demo>,
}

impl Up {
    /// How much is logged unless the environment says so: it runs for long, and nobody looks at each call.
    /// The handlers of the demo fail on purpose.
    pub(crate) fn log_level(&self) -> LevelFilter {
        match self.demo.wanted() {
            Some(_) => LevelFilter::OFF,
            None => LevelFilter::WARN,
        }
    }

    /// Exits 0 when all that was accepted was finished, 1 when not.
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let ended = runtime.block_on(self.serve(source));
        // What has not ended by now was waited for.
        runtime.shutdown_background();
        ended
    }

    async fn serve(&self, source: &Source) -> anyhow::Result<u8> {
        let signals = signals::hear().context("signals cannot be heard")?;
        let known = reload::read(source)?;
        if self.demo.wanted().is_some() {
            demo::check(&known.contracts)?;
        }
        let access = Access::by(TokenFile::at(token::place()?));
        let (address, tls) = (self.address.resolve()?, self.tls.read()?);
        address::permit(address, &access)?;
        // Before anything else is opened: most often it is this that is wrong.
        let listener = address::listen(address).await?;
        let address = listener.local_addr()?;
        let figures = Prometheus::install()?;

        let live = LiveContracts::from(known.contracts.clone());
        let (bus, store) = open(&live).await?;
        if matches!(bus, Connected::RabbitMq(_)) {
            // Before anything is published by HTTP.
            let queue = recorder_queue(&known.contracts);
            let recorder = Recorder::new(store.clone(), bus.transport(), queue);
            recorder.declare().await.context("the queues of the record cannot be declared")?;
        }
        let crew = crew(&bus, &store, &known.contracts);
        let reloader = Reloader::new(source, &live, tls.clone());
        let reloader = Arc::new(match &bus {
            Connected::RabbitMq(_) => reloader.with_exchange(),
            Connected::Embedded(_) => reloader,
        });
        let by_http = reloader.clone();
        let mut gateway =
            Gateway::new(bus.transport(), store.clone(), live.clone(), access.clone())
                .with_figures(move || figures.render())
                .with_reload(move || reload(by_http.clone()));
        gateway = match &bus {
            Connected::Embedded(embedded) => gateway.with_queues(embedded.clone()),
            Connected::RabbitMq(amqp) => gateway.with_queues(OnBroker {
                amqp: amqp.clone(),
                contracts: live.clone(),
                recorder: recorder_queue(&known.contracts),
            }),
        };
        for part in crew.parts() {
            gateway = gateway.with_part(part.clone());
        }
        if is_local(address.ip()) {
            gateway = gateway.on_loopback();
        }
        let (ending, told) = watch::channel(false);
        let router = bloodbank_gateway::router(gateway.clone());
        let server = Server { listener, tls: tls.clone(), router };
        let server = tokio::spawn(server.run(told, DRAIN));
        let demo = match self.demo.wanted() {
            Some(rate) => Some(Demo::start(&Bus::new(bus.transport(), live), rate).await?),
            None => None,
        };
        self.summary(address, tls.as_ref(), &bus, &store, &known, &access).await?.print()?;
        systemd::ready();

        Running { gateway, crew, reloader, ending, server, demo }.until_told(signals).await
    }

    async fn summary<'s>(
        &self,
        address: std::net::SocketAddr,
        tls: Option<&'s Tls>,
        bus: &Connected,
        store: &EventStore,
        known: &'s Known,
        access: &'s Access,
    ) -> anyhow::Result<Summary<'s>> {
        let (bus, parts) = match bus {
            Connected::RabbitMq(amqp) => {
                let hosts = amqp.config().hosts().into_iter().map(|host| crate::bus::place(&host));
                let hosts: Vec<_> = hosts.collect();
                (hosts.join(", "), vec!["recorder", "reports", "scheduler"])
            }
            Connected::Embedded(_) => ("in the store".to_owned(), vec!["scheduler"]),
        };
        let events = count_of(store.position().await?, "event");
        Ok(Summary {
            address,
            certificate: tls.map(Tls::certificate),
            bus,
            store: format!("{}, {events} so far", store.url()),
            known,
            access,
            parts: parts.into_iter().map(str::to_owned).collect(),
            demo: self.demo.wanted(),
        })
    }
}

/// The bus that the environment names, and the store beside it.
async fn open(live: &LiveContracts) -> anyhow::Result<(Connected, EventStore)> {
    let store = store::open(live.clone()).await?;
    let bus = Connected::beside(live.current(), &store).await?;
    Ok((bus, store))
}

/// What runs beside the gateway: on RabbitMQ what takes messages and reports into the store; and what
/// sends scheduled messages when they are due.
fn crew(bus: &Connected, store: &EventStore, contracts: &Contracts) -> Crew {
    let mut crew = Crew::new();
    let transport = bus.transport();
    if matches!(bus, Connected::RabbitMq(_)) {
        let (kept, on, queue) = (store.clone(), transport.clone(), recorder_queue(contracts));
        crew.add("recorder", move |stopped: Stopped| {
            let recorder = Recorder::new(kept.clone(), on.clone(), queue.clone());
            async move { recorder.run_until(stopped.wait()).await.map(|_| ()) }
        });
        let (kept, on) = (store.clone(), transport.clone());
        crew.add("reports", move |stopped: Stopped| {
            let keeper = ReportKeeper::from_env(kept.clone(), on.clone());
            async move {
                match keeper {
                    Some(keeper) => keeper.run_until(stopped.wait()).await,
                    None => Ok(()),
                }
            }
        });
    }
    let kept = store.clone();
    crew.add("scheduler", move |stopped: Stopped| {
        let scheduler = Scheduler::new(kept.clone(), transport.clone());
        async move { scheduler.run_until(stopped.wait()).await }
    });
    crew
}

/// That of the service of registry.yaml that records events; else one of our own.
fn recorder_queue(contracts: &Contracts) -> Queue {
    let mut queues = contracts.bundle().services.iter().flat_map(Queue::all_of);
    let named = queues.find(|queue| queue.recorder);
    named.unwrap_or_else(|| {
        Queue::new(RECORDER).bind(Exchange::Events, TopicPattern::everything()).recorder()
    })
}

impl Running {
    /// Obeys signals until one says to end, and ends.
    async fn until_told(mut self, mut signals: Signals) -> anyhow::Result<u8> {
        {
            let mut watchdog = pin!(systemd::watchdog());
            loop {
                tokio::select! {
                    () = &mut watchdog => {}
                    asked = signals.next() => match asked {
                        Asked::Reload => drop(reload(self.reloader.clone()).await),
                        Asked::End => break,
                    },
                    ended = &mut self.server => {
                        ended.context("the server has ended by itself")?;
                        anyhow::bail!("the server has ended by itself");
                    }
                }
            }
        }
        systemd::stopping();
        eprintln!("ending: what was accepted is finished, in at most 30 s; Ctrl-C ends at once");
        tokio::spawn(signals::end_at_once(signals));
        self.end().await
    }

    async fn end(self) -> anyhow::Result<u8> {
        let until = Instant::now() + DRAIN;
        let left = || until.saturating_duration_since(Instant::now());
        self.ending.send_replace(true);
        self.gateway.end_streams();
        if let Some(demo) = self.demo {
            demo.stop().await;
        }
        let mut unfinished = Vec::new();
        if !self.server.await.context("the server has failed")? {
            unfinished.push("requests");
        }
        // What they have accepted is on the bus by now, and can be recorded.
        if !self.crew.stop(left().max(CLOSING)).await {
            unfinished.push("what runs beside the gateway");
        }
        let transport = self.gateway.transport().clone();
        if tokio::time::timeout(left().max(CLOSING), transport.close()).await.is_err() {
            unfinished.push("the bus");
        }
        match unfinished.is_empty() {
            true => {
                eprintln!("ended; everything that was accepted is finished");
                Ok(0)
            }
            false => {
                eprintln!("ended after 30 s, and not finished: {}", unfinished.join(", "));
                Ok(1)
            }
        }
    }
}

/// Reads the contracts again, and says what came of it, here and to who has asked.
async fn reload(reloader: Arc<Reloader>) -> Result<Reloaded, String> {
    let done = tokio::task::spawn_blocking(move || reloader.reload()).await;
    let done = match done {
        Ok(done) => done.map_err(|error| hints::explained(&error)),
        Err(error) => Err(error.to_string()),
    };
    match &done {
        Ok(reloaded) => eprintln!("reloaded: {}", reload::said(reloaded)),
        Err(why) => eprintln!("not reloaded: {why}"),
    }
    done
}
