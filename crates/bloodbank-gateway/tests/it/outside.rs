//! The gateway as another language sees it: Python, with nothing but its standard library.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::served::{Served, mooring};

/// Publishes, is refused, reads back and follows, and prints what it saw as JSON.
const CLIENT: &str = r#"
import json, sys, urllib.error, urllib.request

base, payload = sys.argv[1], json.loads(sys.argv[2])

def ask(path, body=None, headers={}):
    data = None if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(base + path, data=data, headers={**kind, **headers})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())

published, envelope = ask("/events/terminal.mooring.created", payload)
refused, problem = ask("/events/terminal.mooring.created", {**payload, "max_rounds": 99})
found, stored = ask("/events/" + envelope["id"])
followed = []
with urllib.request.urlopen(base + "/stream?after=0", timeout=20) as stream:
    for line in stream:
        if line.startswith(b"data: "):
            followed.append(json.loads(line[6:]))
            break
print(json.dumps({
    "published": published, "refused": refused, "pointer": problem["violations"][0]["pointer"],
    "found": found, "same": stored["envelope"] == envelope, "followed": followed[0] == stored,
}))
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_publishes_is_refused_reads_back_and_follows() {
    let Some(python) = bloodbank_testkit::python() else { return };
    let served = Served::harbour().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let service = served.router.clone().into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, service).await });
    let client = Command::new(python)
        .args(["-c", CLIENT, &base, &mooring("Budget").to_string()])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&client.stderr);
    assert!(client.status.success(), "{said}");
    let saw: Value = serde_json::from_slice(&client.stdout).unwrap();
    let expected = serde_json::json!({
        "published": 202, "refused": 422, "pointer": "/max_rounds", "found": 200, "same": true,
        "followed": true,
    });
    assert_eq!(saw, expected);
    serving.abort();
}
