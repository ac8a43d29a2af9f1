//! What a stream sends, whatever carries it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use bloodbank_access::Caller;
use bloodbank_core::Code;
use candystore::{Position, StoreError};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, sleep_until};

use super::feed::{Fed, Feed};
use super::hub::Passed;
use super::summary::Summary;
use crate::Gateway;
use crate::caller::caller_of;
use crate::events::DamagedBody;

/// How often a summary is sent, at the most.
const SUMMARY: Duration = Duration::from_millis(50);

/// How long to leave a store alone that cannot be asked.
const PAUSE: Duration = Duration::from_millis(500);

/// One thing that a stream sends.
pub(super) struct Frame {
    /// What it is: `event`, `summary`, `gap`, `pruned`, `damaged`, `alive` or `end`.
    pub(super) name: &'static str,
    /// The position behind which a reader goes on.
    pub(super) position: Position,
    /// Its contents, as JSON.
    pub(super) json: Arc<str>,
}

/// What a stream waits for.
enum Happened {
    /// The service is being ended.
    Ending,
    /// What was gathered is to be told.
    SummaryDue,
    /// Nothing, for a while.
    Heartbeat,
    /// Something has passed.
    Fed(Result<Fed, StoreError>),
}

/// What a stream sends.
pub(super) struct Frames {
    gateway: Gateway,
    caller: Caller,
    /// Those of the request: the token in them is asked for again from time to time.
    headers: HeaderMap,
    feed: Feed,
    summary: Option<Summary>,
    last_summary: Instant,
    has_begun: bool,
    is_over: bool,
    ending: watch::Receiver<bool>,
    heartbeat: Interval,
    /// Given back when the stream ends.
    _seat: OwnedSemaphorePermit,
}

impl Frames {
    pub(super) fn new(
        gateway: Gateway,
        caller: Caller,
        headers: HeaderMap,
        feed: Feed,
        is_summary: bool,
        seat: OwnedSemaphorePermit,
    ) -> Self {
        let (period, now) = (gateway.limits().heartbeat, Instant::now());
        let mut heartbeat = interval_at(now + period, period);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Frames {
            ending: gateway.ending(),
            gateway,
            caller,
            headers,
            summary: is_summary.then(|| Summary::behind(feed.seen())),
            feed,
            last_summary: now - SUMMARY,
            has_begun: false,
            is_over: false,
            heartbeat,
            _seat: seat,
        }
    }

    /// The next frame; `None` once the stream has ended. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        if self.is_over {
            return None;
        }
        if !self.has_begun {
            self.has_begun = true;
            return Some(self.alive());
        }
        loop {
            let frame = match self.wait().await {
                Happened::Ending => Some(self.end(Code::ServiceEnding)),
                Happened::SummaryDue => self.summed(),
                Happened::Heartbeat => Some(match caller_of(&self.gateway, &self.headers) {
                    Ok(caller) if caller.may_read() => self.alive(),
                    Ok(_) => self.end(Code::RightMissing),
                    Err(problem) => self.end(problem.code()),
                }),
                Happened::Fed(Ok(fed)) => self.frame(fed),
                Happened::Fed(Err(error)) => self.failed(&error).await,
            };
            if frame.is_some() {
                return frame;
            }
        }
    }

    async fn wait(&mut self) -> Happened {
        let is_gathered = self.summary.as_ref().is_some_and(|summary| !summary.is_empty());
        let due = self.last_summary + SUMMARY;
        tokio::select! {
            biased;
            // An error means that the gateway is gone.
            _ = self.ending.wait_for(|ending| *ending) => Happened::Ending,
            () = sleep_until(due), if is_gathered => Happened::SummaryDue,
            _ = self.heartbeat.tick() => Happened::Heartbeat,
            fed = self.feed.next() => Happened::Fed(fed),
        }
    }

    /// What is told of it at once, if anything is.
    fn frame(&mut self, fed: Fed) -> Option<Frame> {
        let position = self.feed.seen();
        let frame = |name, json: serde_json::Value| {
            Some(Frame { name, position, json: json.to_string().into() })
        };
        match fed {
            Fed::Gap { first, last } => frame("gap", json!({ "first": first, "last": last })),
            Fed::Passed(passed) => match (&*passed, &mut self.summary) {
                (Passed::Event(passed), Some(summary)) => {
                    summary.add(&passed.event);
                    None
                }
                (Passed::Event(passed), None) => {
                    let json = passed.shown(&self.gateway.contracts(), &self.caller);
                    Some(Frame { name: "event", position, json })
                }
                (Passed::Damaged(damaged), _) => {
                    frame("damaged", json!(DamagedBody::from(damaged.clone())))
                }
                (Passed::Pruned(range), _) => {
                    frame("pruned", json!({ "first": range.first, "last": range.last }))
                }
            },
        }
    }

    /// What was gathered.
    fn summed(&mut self) -> Option<Frame> {
        let position = self.feed.seen();
        let mut summary = self.summary.replace(Summary::behind(position))?;
        summary.last = position;
        self.last_summary = Instant::now();
        // It always has a JSON form.
        let json = serde_json::to_string(&summary).unwrap_or_default().into();
        Some(Frame { name: "summary", position, json })
    }

    fn alive(&self) -> Frame {
        let position = self.feed.seen();
        Frame { name: "alive", position, json: json!({ "position": position }).to_string().into() }
    }

    /// The last frame, which says why it is.
    fn end(&mut self, code: Code) -> Frame {
        self.is_over = true;
        let json = json!({ "code": code.as_str(), "title": code.meaning() }).to_string().into();
        Frame { name: "end", position: self.feed.seen(), json }
    }

    async fn failed(&mut self, error: &StoreError) -> Option<Frame> {
        if !error.is_retryable() {
            return Some(self.end(error.code()));
        }
        sleep(PAUSE).await;
        None
    }
}
