//! The checker finds what it is there to find.

use bloodbank_testkit::catalog;
use candystore::{EventStore, StoreOptions};
use tokio::runtime::Runtime;

use crate::checker::{Checker, Faults};
use crate::made;
use crate::raw::Raw;

/// Events in the database that is broken.
const EVENTS: u64 = 10;

/// What is done to a database, and what must be found then. Damaged events are lost, too.
const MISTAKES: [(&str, Faults); 9] = [
    ("SELECT 1", faults(0, 0, 0)),
    ("DELETE FROM events WHERE position = 5", faults(1, 1, 0)),
    ("DELETE FROM events WHERE position = 10", faults(1, 1, 0)),
    ("UPDATE head SET position = 11", faults(0, 1, 0)),
    ("UPDATE events SET received = 1 WHERE position = 5", faults(0, 1, 0)),
    ("UPDATE events SET session_id = 'other' WHERE position = 5", faults(1, 0, 1)),
    ("UPDATE events SET checksum = checksum + 1 WHERE position = 5", faults(1, 0, 1)),
    (
        "UPDATE events SET body = (SELECT body FROM events WHERE position = 6) WHERE position = 5",
        faults(1, 0, 1),
    ),
    // One byte, in the value of a text.
    (
        "UPDATE events SET body = \
        CAST(replace(CAST(body AS TEXT), 'crash-test', 'crush-test') AS BYTEA) \
        WHERE position = 5",
        faults(1, 0, 1),
    ),
];

const fn faults(lost: u64, gaps: u64, torn: u64) -> Faults {
    Faults { lost, gaps, torn }
}

/// Breaks an empty database in each way.
pub(crate) fn test(runtime: &Runtime, url: &str) {
    runtime.block_on(async {
        let options = StoreOptions::new(url.parse().unwrap());
        let store = EventStore::open(options, catalog::contracts()).await.unwrap();
        store.append((0..EVENTS).map(made::incoming).collect()).await.unwrap();
    });
    let raw = Raw::open(url);
    for (mistake, expected) in MISTAKES {
        let mut checker = Checker::default();
        checker.confirmed(0..EVENTS);
        raw.begin();
        raw.run(&raw.in_its_words(mistake));
        assert_eq!(checker.look_within(&raw), expected, "after `{mistake}`");
        raw.run("ROLLBACK");
    }
    let mut checker = Checker::default();
    checker.confirmed(0..=EVENTS);
    assert_eq!(checker.look(&raw), faults(1, 0, 0), "confirmed, and not stored");
}
