//! Who did what.

use candystore::{AuditEntry, AuditFilter, AuditOutcome};
use chrono::{TimeDelta, Utc};

use crate::databases::{Database, on_both};

on_both!(the_audit_keeps_who_did_what_and_is_paged, many_write_the_audit_at_once);

async fn the_audit_keeps_who_did_what_and_is_paged(database: Database) {
    let store = database.open().await;
    let before = Utc::now();
    let done = AuditEntry::new("ada", "dlq.purge", "shelf.dlq", "127.0.0.1").with_detail("3 gone");
    let refused = AuditEntry::new("bob", "publish", "lot.parcel", "10.0.0.7")
        .with_outcome(AuditOutcome::Refused);
    let long =
        AuditEntry::new("ada", "x", "é".repeat(900), "here").with_outcome(AuditOutcome::Failed);
    for (number, entry) in (1..).zip([&done, &refused, &long]) {
        assert_eq!(store.audit(entry.clone()).await.unwrap(), number);
    }

    let all = database.open_to_read().await.unwrap();
    let all = all.audited(&AuditFilter::new(), 10).await.unwrap();
    assert_eq!(all.iter().map(|line| line.number).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!((&all[2].entry, &all[1].entry), (&done, &refused));
    assert_eq!(all[0].entry.subject, "é".repeat(500));
    assert_eq!(all[0].entry.outcome, AuditOutcome::Failed);
    let near = TimeDelta::minutes(1);
    assert!(all.iter().all(|line| (line.happened - before).abs() < near), "{all:?}");

    let numbers = async |filter: AuditFilter, limit| {
        let lines = store.audited(&filter, limit).await.unwrap();
        lines.into_iter().map(|line| line.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(AuditFilter::new(), 2).await, [3, 2]);
    assert_eq!(numbers(AuditFilter::new().with_before(2), 2).await, [1]);
    assert_eq!(numbers(AuditFilter::new().with_who("ada"), 9).await, [3, 1]);
    assert_eq!(numbers(AuditFilter::new().with_who("ada").with_before(3), 9).await, [1]);
    assert_eq!(numbers(AuditFilter::new().with_since(before - near), 9).await, [3, 2, 1]);
    assert_eq!(numbers(AuditFilter::new().with_since(before + near), 9).await, [0; 0]);
}

async fn many_write_the_audit_at_once(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let entry = |n: usize| AuditEntry::new(n.to_string(), "it", "there", "here");
    let mut writing = tokio::task::JoinSet::new();
    for n in 0..40 {
        let store = if n % 2 == 0 { one.clone() } else { other.clone() };
        writing.spawn(async move { store.audit(entry(n)).await.unwrap() });
    }
    let mut numbers = writing.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    assert_eq!(one.audited(&AuditFilter::new(), 100).await.unwrap().len(), 40);
}
