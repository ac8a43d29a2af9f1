//! A gateway on a store of its own, and a caller that speaks to its router.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bloodbank_access::Access;
use bloodbank_bus::Transport;
use bloodbank_core::{Contracts, LiveContracts};
use bloodbank_gateway::{Gateway, router};
use bloodbank_testkit::catalog;
use candystore::{Embedded, EventStore, StoreOptions, StoreUrl};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// A gateway, and what it serves.
pub(crate) struct Served {
    pub(crate) gateway: Gateway,
    pub(crate) router: Router,
    pub(crate) store: EventStore,
    pub(crate) bus: Arc<Embedded>,
    pub(crate) contracts: LiveContracts,
    pub(crate) folder: TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Served {
    /// With the contracts of the harbour, and no tokens.
    pub(crate) async fn harbour() -> Self {
        Served::with(catalog::contracts(), |_| Access::open(), |gateway| gateway).await
    }

    pub(crate) async fn with(
        contracts: Contracts,
        access: impl FnOnce(&TempDir) -> Access,
        change: impl FnOnce(Gateway) -> Gateway,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let contracts = LiveContracts::from(contracts);
        let options = StoreOptions::new(StoreUrl::file(folder.path().join("store.db")));
        let store = EventStore::open(options, contracts.clone()).await.unwrap();
        let bus = Arc::new(Embedded::new(store.clone()));
        let transport: Arc<dyn Transport> = bus.clone();
        let gateway = Gateway::new(transport, store.clone(), contracts.clone(), access(&folder));
        let gateway = change(gateway);
        Served { router: router(gateway.clone()), gateway, store, bus, contracts, folder }
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answered {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answered { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Posts JSON, with these headers beside it.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        json: &Value,
    ) -> Answered {
        let kind = [("Content-Type", "application/json")];
        self.post_bytes(path, &[&kind, headers].concat(), json.to_string()).await
    }

    pub(crate) async fn post_bytes(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answered {
        let request = headers
            .iter()
            .fold(Request::post(path), |request, (name, value)| request.header(*name, *value));
        self.ask(request.body(body.into()).unwrap()).await
    }
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that it is a problem of this status and code, and gives it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{text}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem:#}");
        assert_eq!(problem["type"], format!("urn:bloodbank:error:{code}"));
        assert_eq!(problem["status"], status);
        for field in ["title", "detail", "remedy", "instance"] {
            assert!(!problem[field].as_str().unwrap_or_default().is_empty(), "{problem:#}");
        }
        let id = problem["instance"].as_str().unwrap().rsplit(':').next().unwrap();
        assert_eq!(self.header("x-request-id"), id);
        problem
    }
}

/// A payload that keeps the contract of `terminal.mooring.created`.
pub(crate) fn mooring(topic: &str) -> Value {
    serde_json::to_value(catalog::mooring(topic)).unwrap()
}

/// The contracts of a clinic, which has secrets and no registry.
pub(crate) fn clinic() -> Contracts {
    static CLINIC: LazyLock<Contracts> = LazyLock::new(|| {
        let bundle = json!({
            "contracts": [{
                "kind": "event", "keys": ["clinic.patient.admitted"], "version": 1,
                "schema_id": "https://clinic.test/patient.admitted.v1.json",
                "title": "A patient was admitted", "rust_type": "T", "definition": "admitted",
            }],
            "services": [],
            "$defs": { "admitted": {
                "type": "object",
                "properties": {
                    "ward": { "type": "string" },
                    "diagnosis": { "type": "string", "maxLength": 9, "x-bloodbank-sensitive": true },
                },
                "required": ["ward"],
                "examples": [{ "ward": "B2" }],
            } },
        });
        Contracts::from_json(&bundle.to_string()).unwrap()
    });
    CLINIC.clone()
}
