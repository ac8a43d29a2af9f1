//! What is asked of every request before anything is done: by which name, how often, and how long.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bloodbank_access::Caller;
use bloodbank_core::Code;
use lru::LruCache;

use crate::Gateway;
use crate::problem::Problem;

/// Refuses who asks for another host, where only this machine is answered: a web page whose name was bound
/// to 127.0.0.1 after it was loaded.
pub(crate) async fn host(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    if gateway.is_loopback_only() && !names_loopback(request.uri(), request.headers()) {
        let detail = "the service answers this machine only";
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Problem::new(status, Code::HostRefused, detail).into_response();
    }
    next.run(request).await
}

fn names_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(header::HOST).iter();
    let header = named.next().and_then(|host| host.to_str().ok());
    if named.next().is_some() {
        return false;
    }
    let Some(authority) = uri.authority().map(|authority| authority.as_str()).or(header) else {
        return false;
    };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// How long a caller may save up what it does not ask for.
const SAVED: f64 = 2.0;

/// The most callers that are remembered; of the others nothing was heard for longer.
const MOST_CALLERS: usize = 10_000;

/// A bucket for each caller, from which each request takes one.
pub(crate) struct Buckets(Mutex<LruCache<String, Bucket>>);

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Default for Buckets {
    fn default() -> Self {
        let most = std::num::NonZeroUsize::new(MOST_CALLERS).unwrap_or(std::num::NonZeroUsize::MIN);
        Buckets(Mutex::new(LruCache::new(most)))
    }
}

impl Buckets {
    /// Takes one from the bucket of a caller, or says when there will be one.
    fn take(&self, caller: &str, rate: u32, now: Instant) -> Result<(), Duration> {
        let rate = f64::from(rate.max(1));
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = Bucket { left: rate * SAVED, at: now };
        let bucket = buckets.get_or_insert_mut(caller.to_owned(), || full);
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        *bucket = Bucket { left: (bucket.left + passed * rate).min(rate * SAVED), at: now };
        if bucket.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.left) / rate));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

/// Refuses who asks too often: a token by its name, anybody else by the address.
pub(crate) async fn rate(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let Some(rate) = gateway.limits().rate else { return next.run(request).await };
    let token = request.extensions().get::<Caller>().filter(|caller| !caller.is_local());
    let name = match (token, request.extensions().get::<ConnectInfo<SocketAddr>>()) {
        (Some(caller), _) => format!("token {}", caller.name()),
        (None, Some(ConnectInfo(address))) => address.ip().to_string(),
        (None, None) => "unknown".to_owned(),
    };
    match gateway.buckets().take(&name, rate, Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            let detail = format!("more than {rate} requests a second");
            let status = StatusCode::TOO_MANY_REQUESTS;
            Problem::new(status, Code::TooManyRequests, detail).after(wait).into_response()
        }
    }
}

/// Bounds how long an answer may take to begin. Commands that are waited for have a bound of their own.
pub(crate) async fn time(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let limits = gateway.limits();
    let wait = match request.uri().path().starts_with("/commands/") {
        true => limits.wait,
        false => Duration::ZERO,
    };
    // A body is read within a time of its own.
    let most = limits.answer + limits.read + wait;
    match tokio::time::timeout(most, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("there was no answer in {} s", most.as_secs());
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let problem = Problem::new(status, Code::AnswerTimeout, detail);
            problem.after(Duration::from_secs(2)).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        let named = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            names_loopback(&Uri::from_static("/events"), &headers)
        };
        for host in
            ["localhost", "LOCALHOST:8682", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8682"]
        {
            assert!(named(host), "{host}");
        }
        for host in [
            "evil.test",
            "localhost.evil.test:80",
            "10.0.0.1",
            "0.0.0.0",
            "",
            "127.0.0.1.evil.test",
            "[::2]:80",
            "::1:x",
        ] {
            assert!(!named(host), "{host}");
        }
        assert!(!names_loopback(&Uri::from_static("/events"), &HeaderMap::new()));
    }

    #[test]
    fn a_bucket_fills_with_time_and_no_further() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        let after = |millis| now + Duration::from_millis(millis);
        for _ in 0..20 {
            assert_eq!(buckets.take("a", 10, now), Ok(()));
        }
        let wait = buckets.take("a", 10, now).unwrap_err();
        assert!(wait > Duration::from_millis(90) && wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(buckets.take("b", 10, now), Ok(()));
        assert_eq!(buckets.take("a", 10, after(110)), Ok(()));
        assert!(buckets.take("a", 10, after(110)).is_err());
        for _ in 0..20 {
            assert_eq!(buckets.take("a", 10, after(60_000)), Ok(()));
        }
        assert!(buckets.take("a", 10, after(60_000)).is_err());
    }
}
