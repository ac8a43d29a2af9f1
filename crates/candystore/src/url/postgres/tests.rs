use super::*;
use crate::StoreUrl;

/// Every character that can be typed.
fn printable() -> impl Iterator<Item = char> {
    (' '..='~').chain(['ä', '€'])
}

/// Two halves of a password that stand nowhere else.
const HALVES: [&str; 2] = ["Xqz7", "8Wvk"];

/// What is told of a text, whether it is taken or refused, has no part of the password.
fn is_silent(text: &str) -> Option<String> {
    let (shown, is_taken) = match text.parse::<StoreUrl>() {
        Ok(url) => (format!("{url}\n{url:?}"), true),
        Err(error) => (format!("{error}\n{error:?}"), false),
    };
    // Also of one that was not looked at before.
    let unread = StoreUrl::Postgres(text.to_owned());
    let all = format!("{shown}\n{unread}\n{unread:?}");
    assert!(HALVES.iter().all(|half| !all.contains(half)), "{text}: {all}");
    is_taken.then(|| unread.to_string())
}

#[test]
fn no_part_of_a_password_is_shown_whatever_stands_in_it() {
    let [first, second] = HALVES;
    let expected = "postgres://ada@db:5433/events";
    for c in printable() {
        let encoded: String = c.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
        let url = format!("postgres://ada:{first}{encoded}{second}@db:5433/events");
        assert_eq!(is_silent(&url).as_deref(), Some(expected), "{url}");
        let url = format!("postgresql://db:5433/events?user=ada&password={first}{encoded}{second}");
        assert_eq!(is_silent(&url).as_deref(), Some(expected), "{url}");

        let raw = format!("{first}{c}{second}");
        let refused = [('/', 2), ('@', 2)].iter().any(|(it, _)| *it == c);
        let url = format!("postgres://ada:{raw}@db:5433/events");
        let shown = is_silent(&url);
        assert_eq!(shown.as_deref(), (!refused).then_some(expected), "{url}");
        is_silent(&format!("postgres://db:5433/events?user=ada&password={raw}"));
        is_silent(&format!("postgres://db:5433/events?password={raw}=x&user=ada"));

        let escaped = raw.replace('\\', "\\\\").replace('\'', "\\'");
        let words = format!("host=db port=5433 user=ada password='{escaped}' dbname=events");
        assert_eq!(is_silent(&words).as_deref(), Some(expected), "{words}");
        is_silent(&format!("host=db port=5433 user=ada password={raw} dbname=events"));
        is_silent(&format!("password={raw}=x host=db"));
    }
}

#[test]
fn a_second_at_sign_is_not_taken_for_a_part_of_the_host() {
    for url in [
        "postgres://ada:Xqz7@8Wvk@db/events",
        "postgres://ada:p@Xqz7/8Wvk@db/events",
        "postgres://ada:p@Xqz7?8Wvk@db/events",
        "postgres://db:5432/events?user=ada&password=Xqz7@8Wvk",
    ] {
        assert_eq!(is_silent(url), None, "{url}");
        let error = url.parse::<StoreUrl>().unwrap_err().to_string();
        assert!(error.contains("`%40`"), "{error}");
    }
}

#[test]
fn all_hosts_are_shown() {
    let shown = |url: &str| url.parse::<StoreUrl>().unwrap().to_string();
    assert_eq!(
        shown("postgres://ada:p@a:1,b:2/events?target_session_attrs=read-write"),
        "postgres://ada@a:1,b:2/events"
    );
    assert_eq!(shown("postgres://%2Ftmp/events"), "postgres:///tmp:5432/events");
    assert_eq!(shown("host=::1 port=7"), "postgres://[::1]:7");
}

#[test]
fn tls_is_said_in_the_words_of_libpq() {
    let tls = |query: &str| {
        let server = parse(&format!("postgres://ada@db/events?{query}"))?;
        Ok::<_, String>((server.config.get_ssl_mode(), server.tls))
    };
    let plain = |verify| Tls { verify, ..Tls::default() };
    for (query, mode, verify) in [
        ("", SslMode::Prefer, Verify::Nothing),
        ("sslmode=disable", SslMode::Disable, Verify::Nothing),
        ("sslmode=prefer", SslMode::Prefer, Verify::Nothing),
        ("sslmode=require", SslMode::Require, Verify::Nothing),
        ("connect_timeout=3&sslmode=verify-ca", SslMode::Require, Verify::Authority),
        ("sslmode=verify-full&application_name=x", SslMode::Require, Verify::Host),
    ] {
        assert_eq!(tls(query), Ok((mode, plain(verify))), "{query}");
    }
    let (mode, all) =
        tls("sslmode=require&sslrootcert=%2Fa%20b.pem&sslcert=c.pem&sslkey=c.key").unwrap();
    let own = Some(("c.pem".into(), "c.key".into()));
    let expected = Tls { verify: Verify::Authority, authorities: Some("/a b.pem".into()), own };
    assert_eq!((mode, all), (SslMode::Require, expected));
    for (query, reason) in [
        ("sslmode=secure", "`verify-full`"),
        ("sslcert=c.pem", "not both"),
        ("sslcrl=c.pem", "`sslcrl` is not supported"),
        ("connect_timeout=soon", "connect_timeout"),
        ("sekret=1", "not one of libpq's"),
    ] {
        let error = tls(query).unwrap_err();
        assert!(error.contains(reason) && !error.contains("sekret"), "{error}");
    }
}
