//! Outboxes, relays and inboxes on SQLite and PostgreSQL, with contracts of another origin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod inboxes;
mod leading;
mod ordering;
mod outages;
mod place;
mod relaying;
mod sqlx;
mod watching;
mod writing;
