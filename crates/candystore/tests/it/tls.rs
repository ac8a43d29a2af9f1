//! TLS to a PostgreSQL server, as the URL asks for it in libpq's words.

use bloodbank_testkit::{Certificates, Postgres};
use candystore::{EventStore, StoreError, StoreOptions};
use tokio_postgres::{Client, NoTls};

use crate::databases::{Database, parcel};

struct Server {
    certificates: Certificates,
    /// Of somebody else.
    others: Certificates,
    postgres: Postgres,
    client: Client,
}

impl Server {
    async fn start() -> Option<Self> {
        if !bloodbank_testkit::postgres() {
            return None;
        }
        let (certificates, others) = (Certificates::generate(), Certificates::generate());
        let postgres = Postgres::start().await;
        postgres.speak_tls(&certificates).await;
        let (client, connection) =
            tokio_postgres::connect(&postgres.url("postgres"), NoTls).await.unwrap();
        tokio::spawn(connection);
        for sql in [
            "CREATE DATABASE encrypted",
            "CREATE DATABASE certified",
            // Whom the client's certificate names.
            "CREATE ROLE guest LOGIN SUPERUSER",
        ] {
            client.batch_execute(sql).await.unwrap();
        }
        Some(Server { certificates, others, postgres, client })
    }

    fn url(&self, user: &str, host: &str, database: &str, query: &str) -> String {
        let port = self.postgres.port();
        format!("postgres://{user}@{host}:{port}/{database}?{query}")
    }

    async fn open(url: &str) -> Result<EventStore, StoreError> {
        EventStore::migrate(StoreOptions::new(url.parse().unwrap())).await?;
        Database::at(url.parse().unwrap()).try_open().await
    }

    /// How many of the store's connections to a database speak TLS, and how many there are.
    async fn encrypted(&self, database: &str) -> (i64, i64) {
        let sql = "SELECT COUNT(*) FILTER (WHERE ssl), COUNT(*) FROM pg_stat_ssl \
             JOIN pg_stat_activity USING (pid) WHERE datname = $1 AND application_name = 'bloodbank'";
        let row = self.client.query_one(sql, &[&database]).await.unwrap();
        (row.get(0), row.get(1))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_as_safe_as_the_url_asks() {
    let Some(server) = Server::start().await else { return };
    let authority = format!("sslrootcert={}", server.certificates.ca().display());
    let other = format!("sslrootcert={}", server.others.ca().display());
    let elsewhere = "hostaddr=127.0.0.1";
    for (host, query, refusal) in [
        ("127.0.0.1", "".to_owned(), None),
        ("127.0.0.1", "sslmode=prefer".to_owned(), None),
        ("127.0.0.1", "sslmode=require".to_owned(), None),
        ("127.0.0.1", format!("sslmode=verify-ca&{authority}"), None),
        ("127.0.0.1", format!("sslmode=verify-full&{authority}"), None),
        ("localhost", format!("{authority}&sslmode=verify-full"), None),
        ("db.example", format!("sslmode=verify-ca&{elsewhere}&{authority}"), None),
        (
            "db.example",
            format!("sslmode=verify-full&{elsewhere}&{authority}"),
            Some("not valid for name"),
        ),
        ("127.0.0.1", format!("sslmode=verify-ca&{other}"), Some("invalid peer certificate")),
        ("127.0.0.1", format!("sslmode=verify-full&{other}"), Some("invalid peer certificate")),
        // Who names an authority wants it to be the one.
        ("127.0.0.1", format!("sslmode=require&{other}"), Some("invalid peer certificate")),
        ("127.0.0.1", "sslmode=verify-full".to_owned(), Some("")),
        ("127.0.0.1", "sslmode=disable".to_owned(), Some("28000")),
        (
            "127.0.0.1",
            "sslmode=verify-full&sslrootcert=/no/such/file".to_owned(),
            Some("`sslrootcert` names /no/such/file"),
        ),
    ] {
        let url = server.url("bloodbank", host, "encrypted", &query);
        let opened = Server::open(&url).await;
        match (opened, refusal) {
            (Ok(store), None) => {
                store.append(vec![parcel(0)]).await.unwrap();
                store.position().await.unwrap();
                let (encrypted, all) = server.encrypted("encrypted").await;
                assert!(encrypted == all && all > 0, "{query}: {encrypted} of {all}");
            }
            (Err(error), Some(reason)) => {
                assert!(matches!(error, StoreError::Open { .. }), "{query}: {error}");
                assert!(error.to_string().contains(reason), "{query}: {error}");
            }
            (opened, _) => panic!("{query}: {:?}", opened.err()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_shows_its_certificate() {
    let Some(server) = Server::start().await else { return };
    let own = |of: &Certificates| {
        format!(
            "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
            server.certificates.ca().display(),
            of.client_cert().display(),
            of.client_key().display()
        )
    };
    let url = |query: &str| server.url("guest", "127.0.0.1", "certified", query);
    let store = Server::open(&url(&own(&server.certificates))).await.unwrap();
    store.append(vec![parcel(0)]).await.unwrap();
    for query in ["sslmode=require".to_owned(), own(&server.others)] {
        let error = Server::open(&url(&query)).await.err().unwrap();
        assert!(matches!(error, StoreError::Open { .. }), "{query}: {error}");
    }
    let key = server.certificates.client_key();
    let wrong = format!("sslcert={}&sslkey={}", key.display(), key.display());
    let error = Server::open(&url(&wrong)).await.err().unwrap().to_string();
    assert!(error.contains("`sslcert` names"), "{error}");
}

/// Without TLS on the server, only who insists on it is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_refused_by_who_insists_on_it() {
    if !bloodbank_testkit::postgres() {
        return;
    }
    let url = Postgres::shared().await.fresh_url().await;
    for (query, is_taken) in [
        ("", true),
        ("?sslmode=prefer", true),
        ("?sslmode=disable", true),
        ("?sslmode=require", false),
    ] {
        let opened = Server::open(&format!("{url}{query}")).await;
        assert_eq!(opened.is_ok(), is_taken, "{query}: {:?}", opened.err());
    }
}
