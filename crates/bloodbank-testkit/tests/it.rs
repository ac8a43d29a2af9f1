//! The servers themselves: that they come, break, come again and go.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use bloodbank_testkit::{
    Broker, Certificates, Cluster, Postgres, PostgresOptions, Proxy, Redis, postgres, python,
    rabbitmq, redis,
};

/// Whether an AMQP server answers there.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut frame = [0; 7];
    stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok() && stream.read_exact(&mut frame).is_ok()
}

fn soon(mut yes: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while !yes() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

fn is_gone(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn a_broker_survives_its_own_death_and_its_neighbour_does_not_notice() {
    if !rabbitmq() {
        return;
    }
    let (broker, neighbour) = (Broker::start().await, Broker::start().await);
    assert!(answers(broker.port()) && answers(neighbour.port()));
    let vhosts = broker.ctl(&["list_vhosts", "--silent"]);
    let fresh = broker.fresh_vhost();
    assert!(vhosts.lines().any(|line| line == fresh), "{vhosts}");
    assert_ne!(broker.fresh_url(), broker.fresh_url());
    assert_eq!(broker.url("/"), format!("amqp://guest:guest@127.0.0.1:{}/%2F", broker.port()));
    let login = broker.ctl(&["authenticate_user", "guest", "guest"]);
    assert!(login.contains("Success"), "{login}");

    broker.ctl(&["add_user", "somebody", "secret"]);
    let (pid, port) = (broker.pid(), broker.port());
    broker.kill();
    assert!(!answers(port) && answers(neighbour.port()));
    broker.restart().await;
    assert!(answers(port));
    assert_ne!(broker.pid(), pid);
    assert!(broker.ctl(&["list_users"]).contains("somebody"), "the data is gone");

    broker.stop_signal();
    assert!(!answers(port), "a stopped broker answers");
    broker.cont_signal();
    assert!(soon(|| answers(port)));
    broker.stop_signal();
    broker.terminate();
    assert!(!answers(port));

    let pid = neighbour.pid();
    drop(neighbour);
    assert!(is_gone(pid));
}

#[tokio::test]
async fn a_broker_listens_with_tls() {
    if !rabbitmq() {
        return;
    }
    let certificates = Certificates::generate();
    let options = Broker::options().tls(&certificates).conf("channel_max = 77").vhosts(0);
    let broker = options.start().await;
    let fresh = broker.fresh_vhost();
    let rights = broker.ctl(&["list_permissions", "-p", &fresh]);
    assert!(rights.contains("guest"), "{rights}");
    assert_eq!(broker.ctl(&["eval", "application:get_env(rabbit, channel_max)."]), "{ok,77}\n");
    let output = Command::new("openssl")
        .args(["s_client", "-verify_return_error", "-verify_hostname", "localhost", "-brief"])
        .args(["-connect", &format!("127.0.0.1:{}", broker.tls_port())])
        .arg("-CAfile")
        .arg(certificates.ca())
        .arg("-cert")
        .arg(certificates.client_cert())
        .arg("-key")
        .arg(certificates.client_key())
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(certificates.client_p12().is_some_and(Path::exists));
    assert!(broker.tls_url("v1").starts_with("amqps://guest:guest@localhost:"));
}

#[tokio::test]
async fn three_nodes_are_one_cluster() {
    if !rabbitmq() {
        return;
    }
    let cluster = Cluster::start(3).await;
    let [first, second, third] = cluster.nodes() else { panic!("three nodes") };
    let running = |node: &Broker| {
        node.ctl(&["eval", "length(rabbit_nodes:all_running())."]).trim().to_owned()
    };
    assert_eq!(running(second), "3");
    let vhost = cluster.fresh_vhost();
    assert!(third.ctl(&["list_vhosts", "--silent"]).lines().any(|line| line == vhost));
    assert_ne!(first.fresh_vhost(), second.fresh_vhost());
    first.kill();
    assert!(soon(|| running(third) == "2"));
    assert_eq!(cluster.urls("x").iter().filter(|url| url.ends_with("/x")).count(), 3);
    first.restart().await;
    assert!(soon(|| running(second) == "3"));
}

#[test]
fn servers_end_when_their_owner_is_killed() {
    if !rabbitmq() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    // PostgreSQL runs as another user, if we are root.
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut owner = Command::new(env!("CARGO_BIN_EXE_owner-of-servers"))
        .env("TMPDIR", temp.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    let mut stdout = owner.stdout.take().unwrap();
    let mut byte = [0];
    while !text.ends_with('\n') {
        stdout.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    let line = text.trim_end();
    let numbers: Vec<u32> = line.split(' ').map(|number| number.parse().unwrap()).collect();
    let [pid, amqp, redis, postgres] = numbers[..] else { panic!("{line}") };
    assert!(answers(u16::try_from(amqp).unwrap()) && !is_gone(pid));
    assert!(fs::read_dir(temp.path()).unwrap().count() > 0);
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(soon(|| is_gone(pid)));
    for port in [redis, postgres] {
        let address = (Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap());
        assert!(soon(|| TcpStream::connect(address).is_err()));
    }
    assert!(soon(|| fs::read_dir(temp.path()).unwrap().count() == 0), "files are left");
}

#[tokio::test]
async fn redis_comes_again_on_its_port() {
    if !redis() {
        return;
    }
    let redis = Redis::start().await;
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}/", redis.port()));
    let ping = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port()))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    assert_eq!(ping().unwrap(), "+PONG\r\n");
    redis.kill();
    assert!(ping().is_err());
    redis.restart().await;
    assert_eq!(ping().unwrap(), "+PONG\r\n");
}

/// What a statement gives.
fn psql(url: &str, statement: &str) -> Result<String, String> {
    let output = Command::new("psql").args(["-XAtc", statement, url]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn postgres_keeps_what_is_committed_when_it_is_killed_at_work() {
    if !postgres() {
        return;
    }
    let server = Postgres::start().await;
    let url = server.fresh_url().await;
    assert_eq!(psql(&url, "SHOW fsync").unwrap(), "on");
    psql(&url, "CREATE TABLE kept AS SELECT 7 AS number").unwrap();
    let mut work = Command::new("psql")
        .args(["-XAtc", "SELECT count(*) FROM generate_series(1, 1000000000000)", &url])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Not the question itself, nor one asked before it.
    let at_work = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT count(%' LIMIT 1";
    assert!(soon(|| !psql(&url, at_work).unwrap().is_empty()));
    let backend: u32 = psql(&url, at_work).unwrap().parse().unwrap();
    let (pid, port) = (server.pid(), server.port());
    server.kill();
    assert!(soon(|| is_gone(backend)), "a process of the server goes on");
    assert!(!work.wait().unwrap().success());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    server.restart().await;
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(psql(&url, "SELECT number FROM kept").unwrap(), "7");
}

#[tokio::test]
async fn postgres_gives_each_caller_an_empty_database_and_takes_settings() {
    if !postgres() {
        return;
    }
    let server = Postgres::start_with(PostgresOptions { settings: &[("max_connections", "20")] });
    let server = server.await;
    let (one, two) = tokio::join!(server.fresh_url(), server.fresh_url());
    assert_ne!(one, two);
    psql(&one, "CREATE TABLE mine ()").unwrap();
    let missing = psql(&two, "SELECT FROM mine").unwrap_err();
    assert!(missing.contains("does not exist"), "{missing}");
    let url = server.url("postgres");
    assert_eq!(url, format!("postgres://bloodbank@127.0.0.1:{}/postgres", server.port()));
    assert_eq!(psql(&url, "SHOW max_connections").unwrap(), "20");
    let pid = server.pid();
    drop(server);
    assert!(is_gone(pid));
}

#[test]
fn our_python_has_its_packages() {
    let Some(python) = python() else { return };
    let output = Command::new(python).args(["-c", "import aio_pika, pydantic"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A server that answers with what it was told; gives its port.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut out = stream.try_clone().unwrap();
            thread::spawn(move || std::io::copy(&mut stream, &mut out));
        }
    });
    port
}

/// A connection through a proxy.
fn client(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    stream
}

fn says(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes())?;
    hears(stream, text.len())
}

fn hears(stream: &mut TcpStream, count: usize) -> std::io::Result<String> {
    let mut answer = vec![0; count];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn a_proxy_breaks_connections_on_demand() {
    let proxy = Proxy::start(("127.0.0.1", echo())).await;
    let (mut one, mut two) = (client(&proxy), client(&proxy));
    assert_eq!(says(&mut one, "one").unwrap(), "one");
    assert_eq!(says(&mut two, "two").unwrap(), "two");
    assert_eq!((proxy.connections(), proxy.accepted()), (2, 2));

    proxy.half_open(true);
    assert_eq!(says(&mut one, "held").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(proxy.connections(), 2);
    proxy.half_open(false);
    assert_eq!(hears(&mut one, 4).unwrap(), "held");

    drop(two);
    assert!(soon(|| proxy.connections() == 1));
    proxy.refuse(true);
    let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(says(&mut one, "open").unwrap(), "open");
    proxy.refuse(false);

    proxy.half_open(true);
    let _ = says(&mut one, "lost");
    proxy.cut();
    assert!(matches!(one.read(&mut [0]), Ok(0) | Err(_)));
    assert_eq!(proxy.connections(), 0);
    proxy.half_open(false);
    assert_eq!(says(&mut client(&proxy), "again").unwrap(), "again");

    let mut last = client(&proxy);
    assert_eq!(says(&mut last, "last").unwrap(), "last");
    drop(proxy);
    assert!(matches!(last.read(&mut [0]), Ok(0) | Err(_)));
}
