//! Tokens are made, seen, and taken out of force, while a service asks for them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::thread;

use bloodbank_access::{Access, AccessError, Caller, Keys, Rights, TokenFile};
use bloodbank_core::Code;
use bloodbank_testkit::catalog;

fn file(folder: &tempfile::TempDir) -> TokenFile {
    TokenFile::at(folder.path().join("deep").join("tokens.json"))
}

#[test]
fn without_a_file_everybody_may_do_everything_and_with_one_nobody_without_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    let access = Access::by(file.clone());
    assert!(access.is_open().unwrap());
    assert_eq!(access.caller(None).unwrap(), Caller::local());
    assert_eq!(access.caller(Some("anything")).unwrap(), Caller::local());

    let secret = file.create("reader", Rights::none().with_read()).unwrap();
    assert!(!access.is_open().unwrap());
    assert_eq!(access.count().unwrap(), 1);
    assert_eq!(access.caller(None).unwrap_err(), AccessError::TokenMissing);
    for wrong in ["", "bb_", &secret.as_str()[1..], &secret.as_str().to_uppercase()] {
        assert_eq!(access.caller(Some(wrong)).unwrap_err(), AccessError::TokenUnknown, "{wrong}");
    }
    let caller = access.caller(Some(secret.as_str())).unwrap();
    assert_eq!((caller.name(), caller.service(), caller.is_local()), ("reader", None, false));
    assert!(caller.may_read() && !caller.may_operate() && !caller.sees_sensitive());
    assert!(!caller.may_publish(&catalog::contracts(), "lot.parcel"));

    // The last one, and then the file itself: the door stays shut.
    file.revoke("reader").unwrap();
    assert_eq!(access.caller(Some(secret.as_str())).unwrap_err(), AccessError::TokenUnknown);
    assert_eq!(Access::by(file.clone()).caller(None).unwrap_err(), AccessError::TokenMissing);
    fs::remove_file(file.path()).unwrap();
    assert_eq!(access.caller(None).unwrap_err(), AccessError::TokenMissing);
    assert!(!access.is_open().unwrap());
}

#[test]
fn the_file_holds_no_secret_and_only_its_owner_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    let secret = file.create("a", Rights::all()).unwrap();
    let text = fs::read_to_string(file.path()).unwrap();
    assert!(!text.contains(&secret.as_str()[3..]), "{text}");
    let mode = |file: &TokenFile| fs::metadata(file.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);

    let access = Access::by(file.clone());
    access.caller(Some(secret.as_str())).unwrap();
    for exposed in [0o640, 0o604, 0o620] {
        fs::set_permissions(file.path(), Permissions::from_mode(exposed)).unwrap();
        let error = access.caller(Some(secret.as_str())).unwrap_err();
        assert_eq!(error.code(), Code::TokensExposed);
        assert!(error.to_string().contains(&format!("{exposed:03o}")), "{error}");
        assert_eq!(file.create("b", Rights::none()).unwrap_err().code(), Code::TokensExposed);
    }
    fs::set_permissions(file.path(), Permissions::from_mode(0o600)).unwrap();
    access.caller(Some(secret.as_str())).unwrap();
}

#[test]
fn a_file_that_is_broken_lets_nobody_in_and_is_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    let secret = file.create("a", Rights::all()).unwrap();
    let access = Access::by(file.clone());
    access.caller(Some(secret.as_str())).unwrap();
    let whole = fs::read_to_string(file.path()).unwrap();
    let hash = whole.split("\"sha256\": \"").nth(1).unwrap()[..64].to_owned();
    for broken in [
        whole[..whole.len() / 2].to_owned(),
        String::new(),
        whole.replace("\"read\": true", "\"raed\": true"),
        whole.replace(&hash, &hash[1..]),
    ] {
        fs::write(file.path(), &broken).unwrap();
        let error = access.caller(Some(secret.as_str())).unwrap_err();
        assert_eq!(error.code(), Code::TokensMalformed, "{error}");
        assert!(!error.to_string().contains(&hash), "{error}");
        assert_eq!(file.revoke("a").unwrap_err().code(), Code::TokensMalformed);
        assert_eq!(fs::read_to_string(file.path()).unwrap(), broken);
    }
    fs::write(file.path(), whole).unwrap();
    access.caller(Some(secret.as_str())).unwrap();
}

#[test]
fn names_are_plain_and_unique() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    for bad in ["", "a b", "é", "local", &"x".repeat(65), "a/b", "a\n"] {
        assert_eq!(file.create(bad, Rights::none()).unwrap_err().code(), Code::NotATokenName);
    }
    assert!(!file.path().exists());
    file.create("a.B-c_1", Rights::none()).unwrap();
    assert_eq!(file.create("a.B-c_1", Rights::all()).unwrap_err().code(), Code::TokenExists);
    assert_eq!(file.revoke("b").unwrap_err().code(), Code::NoSuchToken);
    assert_eq!(file.tokens().unwrap()[0].rights, Rights::none());
}

#[test]
fn tokens_that_are_made_at_once_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    thread::scope(|scope| {
        for n in 0..8 {
            let file = &file;
            scope.spawn(move || {
                file.create(&format!("t{n}"), Rights::none()).unwrap();
                file.create(&format!("u{n}"), Rights::none()).unwrap();
                file.revoke(&format!("u{n}")).unwrap();
            });
        }
    });
    let mut names: Vec<_> = file.tokens().unwrap().into_iter().map(|token| token.name).collect();
    names.sort();
    assert_eq!(names, ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"]);
}

#[test]
fn a_token_of_a_service_has_what_the_registry_gives_it_at_the_time() {
    let contracts = catalog::contracts();
    let bundle = contracts.bundle();
    let service = bundle.services.iter().find(|service| !service.produces.is_empty()).unwrap();
    let own = service.produces.first().unwrap();
    let keys = bundle.contracts.iter().flat_map(|contract| contract.routes());
    let keys: Vec<String> = keys.collect();
    let other = keys.iter().find(|key| !service.produces.contains(*key)).unwrap();

    let caller = Caller::new("it", Rights::none().with_keys(Keys::Service(service.name.clone())));
    assert_eq!(caller.service(), Some(service.name.as_str()));
    assert!(caller.may_publish(&contracts, own) && !caller.may_publish(&contracts, other));
    assert!(keys.iter().all(|key| caller.may_send(&contracts, key) == service.sends.contains(key)));
    let mut less = bundle.clone();
    less.services.clear();
    assert!(!caller.may_publish(&bloodbank_core::Contracts::new(less), own));
    let error = caller.lacks(format!("publish {other}"));
    assert_eq!(error.code(), Code::RightMissing);
    assert_eq!(error.to_string(), format!("`it` does not have the right `publish {other}`"));
}
