//! The judge: a program that shares no code with what it judges.

use std::path::PathBuf;
use std::process::Command;

use bloodbank_bus::{Encoded, Headers, Transport};
use bloodbank_core::{Envelope, Meta};
use bloodbank_testkit::{Broker, catalog};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::relaying::{self, JUDGED, KEY};
use crate::shop::{MOST, Shop, tables};

/// What the judge has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Events, each id counted once.
    pub(crate) events: u64,
    /// Messages with an id that had come before.
    repeated: u64,
    /// Messages that are not what the first of their id was.
    changed: u64,
    /// Events that are not the next one of their aggregate.
    out_of_order: u64,
    /// Events that are not there, or should not be.
    lost: u64,
    /// Effects that did not happen, or happened twice.
    effects: u64,
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        self.changed + self.out_of_order + self.lost + self.effects == 0
    }

    pub(crate) fn text(&self) -> String {
        format!("{self:?}")
    }
}

pub(crate) fn judge(broker: &str, url: &str) -> Verdict {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crash/judge.py");
    let mut command = Command::new(bloodbank_testkit::python().unwrap());
    let psql = PathBuf::from("/usr/bin/psql");
    let output = command.arg(program).args([broker, JUDGED, url]).arg(psql).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let count = |name: &str| found[name].as_u64().unwrap();
    Verdict {
        events: count("events"),
        repeated: count("repeated"),
        changed: count("changed"),
        out_of_order: count("out_of_order"),
        lost: count("lost"),
        effects: count("effects"),
    }
}

/// Everything that the judge is there to find.
pub(crate) fn test(_: crate::kills::Kills) -> Result<(), Failed> {
    Runtime::new().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("shop.db").display());
        let broker = Broker::shared().await.fresh_url();
        let bus = relaying::declare(&broker).await;
        let shop = Shop::open(&url).await;
        shop.run(&tables()).await;
        shop.run("UPDATE aggregates SET n = 4 WHERE id < 2").await;
        shop.run("UPDATE effects SET n = 5 WHERE id = 0").await;
        // The second of aggregate 0 comes late, the fourth of aggregate 1 never; one comes twice, and one
        // comes with the id of another.
        let ids: Vec<Uuid> = (0..10).map(|_| Uuid::now_v7()).collect();
        for (id, n) in [(0, 1), (1, 3), (2, 2), (3, 4), (3, 4), (0, 9)] {
            publish(&*bus, ids[id], n).await;
        }
        for n in 1..4 {
            publish(&*bus, ids[n as usize + 4], MOST + n).await;
        }
        let verdict = judge(&broker, &url);
        let expected = Verdict {
            events: 7,
            repeated: 2,
            changed: 1,
            out_of_order: 3,
            // One by its count, and its aggregate does not end as it should.
            lost: 2,
            effects: 5,
        };
        assert_eq!(verdict, expected);
    });
    Ok(())
}

async fn publish(bus: &dyn Transport, id: Uuid, n: u32) {
    let meta = Meta::new().with_id(id).with_timestamp(Default::default());
    let envelope = Envelope::new(KEY, "judge", json!({ "n": n }), meta);
    let envelope = catalog::contracts().validate(envelope).unwrap();
    bus.publish(Encoded::new(envelope, Headers::new()).unwrap()).await.unwrap();
}
