//! The commands on the bus with nothing to install: each on a SQLite file and on PostgreSQL, each
//! command in a process of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dead_letters;
mod doctor;
mod machine;
mod publishing;
mod queues;
mod replaying;
