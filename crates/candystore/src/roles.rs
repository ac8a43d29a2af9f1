//! What users of a PostgreSQL store need, by what they do.

use std::fmt;

/// What a database user does with a store on PostgreSQL.
///
/// The tables belong to whoever has migrated the store; only that user migrates it again. A process whose
/// user both publishes and consumes is granted both roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Reads what is stored, and how the queues stand.
    Reader,
    /// Publishes, calls and schedules.
    Publisher,
    /// Declares queues, handles what they hold, and answers.
    Consumer,
    /// Imports, prunes, replays, and removes queues.
    Operator,
}

/// All that can be granted here, as one letter each.
const RIGHTS: [(char, &str); 4] =
    [('s', "SELECT"), ('i', "INSERT"), ('u', "UPDATE"), ('d', "DELETE")];

/// Every table, with the rights of each role in the order of [`Role::ALL`].
const TABLES: [(&str, [&str; 4]); 25] = [
    ("migrations", ["s", "s", "s", "s"]),
    ("head", ["s", "su", "su", "su"]),
    ("events", ["s", "si", "s", "siud"]),
    ("keys", ["s", "si", "s", "sid"]),
    ("quarantine", ["s", "si", "s", "sid"]),
    ("bus", ["s", "siu", "siu", "siu"]),
    ("queues", ["s", "su", "siud", "siud"]),
    ("bindings", ["s", "s", "siud", "siud"]),
    ("consumers", ["s", "s", "siud", "siud"]),
    ("messages", ["s", "si", "siud", "siud"]),
    ("calls", ["s", "siud", "siud", "siud"]),
    ("pruned", ["s", "s", "s", "siud"]),
    ("replays", ["s", "s", "s", "siud"]),
    ("scheduled", ["s", "siud", "s", "siud"]),
    ("reports", ["s", "s", "sid", "sid"]),
    ("moves", ["s", "s", "s", "siud"]),
    ("catch_ups", ["s", "s", "siud", "siud"]),
    ("summaries", ["s", "siud", "s", "siud"]),
    ("payload_indexes", ["s", "s", "s", "siud"]),
    ("retention", ["s", "s", "s", "siud"]),
    ("clock_steps", ["s", "si", "s", "siud"]),
    ("repairs", ["s", "s", "s", "siud"]),
    ("damaged", ["s", "s", "siud", "siud"]),
    ("handled", ["s", "s", "sid", "sid"]),
    ("audit", ["s", "si", "si", "si"]),
];

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Reader, Role::Publisher, Role::Consumer, Role::Operator];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Publisher => "publisher",
            Role::Consumer => "consumer",
            Role::Operator => "operator",
        }
    }

    /// The role of this word, if there is one.
    pub fn named(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// The tables, each with what this role does with it.
    pub fn tables(self) -> impl Iterator<Item = (&'static str, String)> {
        TABLES.iter().map(move |(table, rights)| {
            let letters = rights[self as usize];
            let words = RIGHTS.iter().filter(|(letter, _)| letters.contains(*letter));
            (*table, words.map(|(_, word)| *word).collect::<Vec<_>>().join(", "))
        })
    }

    /// The statements that grant a database role what it needs for this, in a schema of the database.
    pub fn grants(self, schema: &str, to: &str) -> Vec<String> {
        let (schema, to) = (quoted(schema), quoted(to));
        let tables = self.tables().map(|(table, rights)| {
            format!("GRANT {rights} ON {schema}.{} TO {to};", quoted(table))
        });
        let usage = format!("GRANT USAGE ON SCHEMA {schema} TO {to};");
        std::iter::once(usage).chain(tables).collect()
    }
}

/// A name as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
