//! What passes, told as it passes.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use bloodbank_access::Access;
use bloodbank_bus::Transport;
use bloodbank_gateway::{Gateway, Limits};
use bloodbank_testkit::catalog;
use candystore::{Filter, Incoming};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceExt;

use crate::served::{Served, clinic};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A reader of server-sent events, as the standard reads them.
struct Reader {
    body: BodyDataStream,
    buffer: String,
}

#[derive(Debug)]
struct Frame {
    name: String,
    id: u64,
    data: Value,
}

impl Reader {
    async fn open(served: &Served, query: &str, last: Option<u64>) -> Self {
        let mut request =
            Request::get(format!("/stream?{query}")).header("Accept-Encoding", "gzip");
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last.to_string());
        }
        let request = request.body(Body::empty()).unwrap();
        let response = served.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(!response.headers().contains_key("content-encoding"));
        let mut reader =
            Reader { body: response.into_body().into_data_stream(), buffer: String::new() };
        // That it lives, at once.
        assert!(reader.block().await.unwrap().ends_with(": alive"));
        reader
    }

    /// The next block of lines; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(block);
            }
            let chunk = timeout(PATIENCE, self.body.next()).await.expect("nothing came")?;
            self.buffer.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    /// The next frame that has data.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| {
                let mut lines = block.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            if let Some(data) = field("data") {
                return Some(Frame {
                    name: field("event").unwrap_or("message").to_owned(),
                    id: field("id").unwrap().parse().unwrap(),
                    data: serde_json::from_str(data).unwrap(),
                });
            }
        }
    }

    async fn positions(&mut self, count: usize) -> Vec<u64> {
        let mut seen = Vec::new();
        while seen.len() < count {
            let frame = self.next().await.unwrap();
            assert_eq!(
                (frame.name.as_str(), &frame.data["position"]),
                ("message", &json!(frame.id))
            );
            seen.push(frame.id);
        }
        seen
    }
}

async fn parcels(served: &Served, count: u32) {
    publish(served, count, &json!({})).await;
}

/// Stores so many events in one transaction.
async fn publish(served: &Served, count: u32, data: &Value) {
    let incoming = |_| {
        let envelope = catalog::envelope("lot.parcel", data.clone());
        Incoming::new(envelope.kind(), "lot.parcel", envelope.to_bytes().unwrap())
    };
    served.store.append((0..count).map(incoming).collect()).await.unwrap();
}

async fn limited(change: impl FnOnce(&mut Limits)) -> Served {
    let mut limits = Limits::default();
    change(&mut limits);
    Served::with(catalog::contracts(), |_| Access::open(), |it: Gateway| it.with_limits(limits))
        .await
}

#[tokio::test]
async fn a_stream_tells_what_passes_and_goes_on_behind_the_last_that_was_seen() {
    let served = Served::harbour().await;
    parcels(&served, 3).await;
    let mut now = Reader::open(&served, "", None).await;
    let mut all = Reader::open(&served, "after=0", None).await;
    let mut resumed = Reader::open(&served, "", Some(2)).await;
    let mut first = Reader::open(&served, "first=2", None).await;
    let mut since = Reader::open(&served, "since=1h", None).await;
    let said = served.post("/events/lot.parcel", &[], &json!({ "n": 4 })).await;
    assert_eq!(all.positions(4).await, [1, 2, 3, 4]);
    assert_eq!(resumed.positions(2).await, [3, 4]);
    assert_eq!(first.positions(3).await, [2, 3, 4]);
    assert_eq!(since.positions(4).await, [1, 2, 3, 4]);
    let frame = now.next().await.unwrap();
    assert_eq!((frame.id, &frame.data["envelope"]), (4, &said.json()));
    assert_eq!(frame.data, served.get("/events/4").await.json());
    served.get("/stream?after=5").await.problem(400, "parameter-refused");
    let request = Request::get("/stream").header("Last-Event-ID", "x").body(Body::empty());
    served.ask(request.unwrap()).await.problem(400, "parameter-refused");
}

#[tokio::test]
async fn filters_of_a_stream_mean_what_those_of_the_store_mean() {
    let served = Served::harbour().await;
    let board = [("X-Source", "board"), ("X-Session-Id", "s")];
    let created = crate::served::mooring("Budget");
    let queries = [
        "key=terminal.%23",
        "key=lot.*",
        "source=board",
        "session=s",
        "standing=valid",
        "where=/n=2",
        "where=/topic=%22Budget%22",
        "commands=true",
        "first=2&last=3",
        "until=1h",
    ];
    let mut live = Vec::new();
    for query in queries {
        live.push(Reader::open(&served, &format!("after=0&{query}"), None).await);
    }
    for n in 0..3 {
        served.post("/events/lot.parcel", &[], &json!({ "n": n })).await;
    }
    served.post("/events/terminal.mooring.created", &board, &created).await;
    for (query, mut live) in queries.into_iter().zip(live) {
        let page = served.get(&format!("/events?order=oldest&{query}")).await.json();
        let events = page["events"].as_array().unwrap().iter();
        let expected: Vec<u64> = events.map(|event| event["position"].as_u64().unwrap()).collect();
        assert_eq!(live.positions(expected.len()).await, expected, "{query}");
    }
}

#[tokio::test]
async fn who_comes_back_while_much_is_written_gets_every_position_once() {
    let served = Served::harbour().await;
    let (store, total) = (served.store.clone(), 3_000);
    let writer = tokio::spawn(async move {
        for _ in 0..total / 10 {
            let incoming = |_| {
                let envelope = catalog::envelope("lot.parcel", json!({}));
                Incoming::new(envelope.kind(), "lot.parcel", envelope.to_bytes().unwrap())
            };
            store.append((0..10).map(incoming).collect()).await.unwrap();
        }
    });
    let (mut seen, mut part) = (Vec::new(), 1);
    while seen.len() < total {
        let mut reader = Reader::open(&served, "after=0", seen.last().copied()).await;
        part = (part * 7) % 401;
        seen.extend(reader.positions(part.min(total - seen.len())).await);
    }
    writer.await.unwrap();
    let expected: Vec<u64> = (1..=total as u64).collect();
    let wrong = seen.iter().zip(&expected).find(|(seen, expected)| seen != expected);
    assert_eq!((wrong, seen.len()), (None, expected.len()));
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_has_missed_and_finds_it_in_the_store() {
    let served = limited(|limits| limits.stream_lag = 8).await;
    let mut reader = Reader::open(&served, "", None).await;
    // It reads on from what was stored to what passes.
    let quiet = timeout(Duration::from_millis(100), reader.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    parcels(&served, 1).await;
    assert_eq!(reader.positions(1).await, [1]);
    for _ in 0..20 {
        parcels(&served, 10).await;
    }
    let (mut seen, mut gaps) = (BTreeSet::new(), 0);
    while seen.last() != Some(&201) {
        let frame = reader.next().await.unwrap();
        if frame.name == "gap" {
            gaps += 1;
            let (first, last) = (&frame.data["first"], &frame.data["last"]);
            assert_eq!(json!(frame.id), *last);
            let path = format!("/events?first={first}&last={last}&limit=1000");
            for event in served.get(&path).await.json()["events"].as_array().unwrap() {
                assert!(seen.insert(event["position"].as_u64().unwrap()));
            }
        } else {
            assert!(seen.insert(frame.id));
        }
    }
    assert!(gaps > 0, "nothing was missed");
    assert_eq!(seen, (2..=201).collect());
}

#[tokio::test]
async fn a_summary_counts_all_that_passes_without_its_messages() {
    let served = limited(|limits| limits.stream_lag = 16).await;
    let mut reader = Reader::open(&served, "view=summary", None).await;
    parcels(&served, 1).await;
    let first = reader.next().await.unwrap();
    assert_eq!(
        (first.name.as_str(), &first.data["counts"]),
        ("summary", &json!({ "lot.parcel": 1 }))
    );
    let row = &first.data["rows"][0];
    assert_eq!((&row["position"], &row["key"]), (&json!(1), &json!("lot.parcel")));
    assert!(row.get("envelope").is_none());
    for _ in 0..30 {
        parcels(&served, 100).await;
    }
    let (mut count, mut next) = (0, 2);
    while next <= 3_001 {
        let Frame { data, .. } = reader.next().await.unwrap();
        assert_eq!(data["first"], json!(next));
        next = data["last"].as_u64().unwrap() + 1;
        assert_eq!(data["counts"]["lot.parcel"], data["count"]);
        assert!(data["rows"].as_array().unwrap().len() <= 50);
        count += data["count"].as_u64().unwrap();
    }
    assert_eq!(count, 3_000);
}

#[tokio::test]
async fn large_messages_come_whole_and_sensitive_values_do_not() {
    let served = Served::harbour().await;
    let mut reader = Reader::open(&served, "key=lot.%23", None).await;
    let text = "x".repeat(100_000);
    publish(&served, 2, &json!({ "text": text })).await;
    let frame = reader.next().await.unwrap();
    assert_eq!(frame.data["envelope"]["data"]["text"], text);
    assert_eq!(reader.positions(1).await, [2]);

    let served = Served::with(clinic(), |_| Access::open(), |it| it).await;
    let mut reader = Reader::open(&served, "", None).await;
    let patient = json!({ "ward": "B2", "diagnosis": "measles" });
    served.post("/events/clinic.patient.admitted", &[], &patient).await;
    // Who needs no token sees everything.
    assert_eq!(reader.next().await.unwrap().data["envelope"]["data"], patient);
}

#[tokio::test]
async fn streams_are_counted_and_told_when_the_service_ends() {
    let served = limited(|limits| {
        limits.streams = 2;
        limits.heartbeat = Duration::from_millis(20);
    })
    .await;
    let mut one = Reader::open(&served, "", None).await;
    let two = Reader::open(&served, "", None).await;
    let said = served.get("/stream").await;
    said.problem(503, "too-many-streams");
    assert!(!said.header("retry-after").is_empty());
    drop(two);
    let _three = Reader::open(&served, "", None).await;
    // A stream with nothing to say says that it lives, and how far it is.
    parcels(&served, 1).await;
    assert_eq!(one.positions(1).await, [1]);
    assert_eq!(one.block().await.unwrap(), "id: 1\n: alive");

    served.gateway.end_streams();
    let end = one.next().await.unwrap();
    assert_eq!((end.name.as_str(), &end.data["code"]), ("end", &json!("service-ending")));
    assert!(one.next().await.is_none());
    served.get("/stream").await.problem(503, "service-ending");
}

#[tokio::test]
async fn a_websocket_has_the_same_frames() {
    let served = Served::harbour().await;
    served.get("/ws").await.problem(426, "upgrade-expected");
    parcels(&served, 2).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = served.router.clone();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("ws://{address}/ws?after=0");
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(&url, stream).await.unwrap();
    let mut next = async || match timeout(PATIENCE, socket.next()).await.unwrap() {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
        other => json!({ "closed": format!("{other:?}") }),
    };
    let alive: Value = next().await;
    assert_eq!((&alive["type"], &alive["position"]), (&json!("alive"), &json!(0)));
    for position in 1..=2 {
        let frame = next().await;
        assert_eq!((&frame["type"], &frame["position"]), (&json!("event"), &json!(position)));
        assert_eq!(frame["data"], served.get(&format!("/events/{position}")).await.json());
    }
    served.gateway.end_streams();
    assert_eq!(next().await["type"], "end");
    assert!(next().await["closed"].as_str().unwrap().contains("Close"));

    // A page of another origin may not listen.
    let request = tokio_tungstenite::tungstenite::http::Request::get(&url)
        .header("Host", address.to_string())
        .header("Origin", "https://elsewhere.test")
        .header("Connection", "upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let refused = tokio_tungstenite::client_async(request, stream).await.unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
    serving.abort();
    served.bus.close().await;
    assert_eq!(served.store.count(&Filter::new()).await.unwrap(), 2);
}
