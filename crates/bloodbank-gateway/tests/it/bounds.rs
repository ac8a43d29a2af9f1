//! What is asked of every request before anything is done.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode};
use bloodbank_access::Access;
use bloodbank_gateway::{Gateway, Limits};
use bloodbank_testkit::catalog;
use serde_json::json;

use crate::served::{Answered, Served};

async fn served(change: impl FnOnce(Gateway) -> Gateway) -> Served {
    Served::with(catalog::contracts(), |_| Access::open(), change).await
}

async fn ask(served: &Served, method: Method, path: &str, headers: &[(&str, &str)]) -> Answered {
    let request = Request::builder().method(method).uri(path);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    served.ask(request.body(Body::from("{}")).unwrap()).await
}

#[tokio::test]
async fn on_loopback_only_this_machine_is_answered() {
    let served = served(Gateway::on_loopback).await;
    for host in ["localhost:8682", "127.0.0.1:8682", "[::1]"] {
        let said = ask(&served, Method::GET, "/events", &[("Host", host)]).await;
        assert_eq!(said.status, StatusCode::OK, "{host}");
    }
    for host in ["rebound.test:8682", "10.0.0.7"] {
        ask(&served, Method::GET, "/events", &[("Host", host)]).await.problem(421, "host-refused");
    }
}

#[tokio::test]
async fn a_web_page_of_another_origin_changes_nothing_and_reads_nothing() {
    let json = ("Content-Type", "application/json");
    let here = ("Host", "bus.test");
    let page = ("Origin", "https://board.test");
    let closed = served(|gateway| gateway).await;
    let path = "/events/lot.parcel";
    ask(&closed, Method::POST, path, &[here, json, page]).await.problem(403, "origin-refused");
    let cross = ("Sec-Fetch-Site", "cross-site");
    ask(&closed, Method::POST, path, &[here, json, cross]).await.problem(403, "origin-refused");
    let own = ("Origin", "http://bus.test");
    assert_eq!(ask(&closed, Method::POST, path, &[here, json, own]).await.status, 202);
    let said = ask(&closed, Method::GET, "/events", &[here, page]).await;
    assert_eq!(said.header("access-control-allow-origin"), "");

    let open = served(|gateway| gateway.with_origins(["https://board.test".to_owned()])).await;
    let said = ask(&open, Method::POST, path, &[here, json, page]).await;
    assert_eq!(
        (said.status, said.header("access-control-allow-origin")),
        (StatusCode::ACCEPTED, page.1)
    );
    let asks = [
        here,
        page,
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
    ];
    let said = ask(&open, Method::OPTIONS, path, &asks).await;
    assert_eq!((said.status, said.header("access-control-allow-origin")), (StatusCode::OK, page.1));
    let other = ("Origin", "https://elsewhere.test");
    ask(&open, Method::POST, path, &[here, json, other]).await.problem(403, "origin-refused");
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let mut limits = Limits::default();
    limits.rate = Some(2);
    let served = served(|gateway| gateway.with_limits(limits)).await;
    let ask = async |address: &str| {
        let mut request = Request::get("/events").body(Body::empty()).unwrap();
        let address: SocketAddr = address.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(address));
        served.ask(request).await
    };
    let mut refused = 0;
    for _ in 0..20 {
        let said = ask("10.0.0.1:1").await;
        if said.status != StatusCode::OK {
            said.problem(429, "too-many-requests");
            assert_eq!(said.header("retry-after"), "1");
            refused += 1;
        }
    }
    assert!(refused > 5, "{refused}");
    assert_eq!(ask("10.0.0.2:1").await.status, StatusCode::OK);
}

#[tokio::test]
async fn answers_are_compressed_and_cannot_be_framed_or_run() {
    let served = served(|gateway| gateway).await;
    for n in 0..50 {
        served.post("/events/lot.parcel", &[], &json!({ "n": n })).await;
    }
    let said = ask(&served, Method::GET, "/events", &[("Accept-Encoding", "gzip")]).await;
    assert_eq!(said.header("content-encoding"), "gzip");
    assert!(said.header("vary").contains("accept-encoding"), "{:?}", said.headers);
    assert!(said.body.starts_with(&[0x1f, 0x8b]) && said.body.len() < 10_000);
    for path in ["/events", "/nothing", "/health"] {
        let said = served.get(path).await;
        assert_eq!(said.header("x-content-type-options"), "nosniff");
        assert!(said.header("content-security-policy").starts_with("default-src 'none'"));
    }
}

#[tokio::test]
async fn figures_are_served_where_the_service_keeps_some() {
    let none = served(|gateway| gateway).await;
    none.get("/metrics").await.problem(501, "unsupported");
    let some = served(|gateway| gateway.with_figures(|| "up 1\n".to_owned())).await;
    let said = some.get("/metrics").await;
    assert_eq!(
        (said.header("content-type"), &said.body[..]),
        ("text/plain; version=0.0.4; charset=utf-8", &b"up 1\n"[..])
    );
}
