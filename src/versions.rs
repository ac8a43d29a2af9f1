//! From one version of a contract to the next, written by hand: only people know what changed.

use crate::events::{common, theboard};

/// The longest title of version 2, in characters.
const TITLE: usize = 120;

/// Version 1 names no facilitator; the producer that still speaks it stands in.
impl From<theboard::MeetingCreated> for theboard::MeetingCreatedV2 {
    fn from(old: theboard::MeetingCreated) -> Self {
        let title: String = old.topic.chars().take(TITLE).collect();
        let mut new = Self::new(
            old.meeting_id,
            theboard::MeetingCreatedV2Topic::new(title, old.topic),
            common::Person::new("TheBoard", "theboard@33god.dev"),
            old.strategy,
            old.max_rounds,
            old.scheduled_for,
        );
        // Version 1 counts the agents and does not name them.
        new.agents = None;
        new
    }
}
