//! The commands on the bus with nothing to install: each on a SQLite file and on PostgreSQL.

mod dead_letters;
mod doctor;
mod publishing;
mod queues;
mod replaying;
