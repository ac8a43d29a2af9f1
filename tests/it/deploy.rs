//! `deploy/`: what containers, Prometheus and Grafana are told.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bloodbank::serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn read(path: &str) -> String {
    fs::read_to_string(folder().join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap()
}

/// The names of our figures in a text, without what histograms add.
fn figures(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("bloodbank_"));
    ours.map(|word| word.strip_suffix("_bucket").unwrap_or(word)).collect()
}

#[test]
fn alerts_and_panels_ask_for_figures_that_there_are() {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/bloodbank-bus/src/prometheus.rs");
    let source = fs::read_to_string(source).unwrap();
    let described = figures(&source);
    for file in ["prometheus/alerts.yml", "grafana/bloodbank.json"] {
        let text = read(file);
        let asked = figures(&text);
        assert!(asked.len() > 5, "{file}: {asked:?}");
        assert_eq!(asked.difference(&described).next(), None, "{file}");
    }
}

#[test]
fn prometheus_takes_its_configuration_and_the_alerts() {
    if !bloodbank_testkit::promtool() {
        return;
    }
    // The token is where the container has it.
    let copy = tempfile::tempdir().unwrap();
    let token = copy.path().join("token");
    fs::write(&token, "").unwrap();
    fs::write(copy.path().join("alerts.yml"), read("prometheus/alerts.yml")).unwrap();
    let configuration = read("prometheus/prometheus.yml");
    let here = configuration.replace("/run/secrets/metrics_token", token.to_str().unwrap());
    assert_ne!(configuration, here);
    fs::write(copy.path().join("prometheus.yml"), here).unwrap();
    let checked = Command::new("promtool")
        .args(["check", "config", "--lint-fatal"])
        .arg(copy.path().join("prometheus.yml"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success(), "{}{said}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn panels_stand_beside_each_other_and_each_asks_for_something() {
    let dashboard: Value =
        bloodbank::serde_json::from_str(&read("grafana/bloodbank.json")).unwrap();
    let mut places = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let place = &panel["gridPos"];
        let corner = (place["x"].as_u64().unwrap(), place["y"].as_u64().unwrap());
        assert!(places.insert(corner), "two panels at {corner:?}");
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
    }
}

#[test]
fn containers_get_files_that_there_are_and_no_rights() {
    let compose = yaml("compose.yaml");
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let from = volume.as_str().unwrap().split(':').next().unwrap();
            let is_file = from.starts_with('.');
            let is_there = match is_file {
                true => folder().join(from).exists(),
                false => compose["volumes"].as_object().unwrap().contains_key(from),
            };
            assert!(is_there, "{name}: {from}");
        }
        let image = service["image"].as_str().unwrap();
        assert!(image == "bloodbank" || image.contains(':'), "{name}: {image} has no version");
    }
    for name in ["bloodbank-1", "bloodbank-2"] {
        let instance = &services[name];
        assert_eq!(instance["read_only"], Value::Bool(true));
        assert_eq!(instance["cap_drop"][0], "ALL");
        // Longer than the service takes to end.
        assert_eq!(instance["stop_grace_period"], "40s");
        assert!(read("nginx.conf").contains(&format!("server {name}:8682;")));
        assert!(read("prometheus/prometheus.yml").contains(&format!("\"{name}:8682\"")));
    }
}

#[test]
fn the_image_runs_as_nobody_special() {
    let lines = read("Dockerfile");
    let user = lines.lines().filter(|line| line.starts_with("USER ")).collect::<Vec<_>>();
    assert_eq!(user, ["USER 10001"]);
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(lines.contains(&format!("FROM rust:{rust}-")), "the toolchain is {rust}");
}
