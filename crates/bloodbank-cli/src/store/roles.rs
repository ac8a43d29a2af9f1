//! `store roles`: what to grant to users of a store on PostgreSQL.

use bloodbank::candystore::Role;
use clap::Args;

use crate::table::say;

#[derive(Args)]
#[command(
    after_help = "Run the statements as the user who owns the tables, which is whoever has run \
                  `bloodbank store migrate`; run them again after each migration. Then grant the \
                  roles to users: GRANT bloodbank_reader TO ada;"
)]
pub(crate) struct Roles {
    /// Only these: reader, publisher, consumer, operator.
    #[arg(value_name = "ROLE", value_parser = parse)]
    roles: Vec<Role>,
    /// The schema that the tables lie in.
    #[arg(long, value_name = "NAME", default_value = "public")]
    schema: String,
    /// What the names of the roles begin with.
    #[arg(long, value_name = "TEXT", default_value = "bloodbank_")]
    prefix: String,
}

fn parse(word: &str) -> Result<Role, &'static str> {
    Role::named(word).ok_or("expected `reader`, `publisher`, `consumer` or `operator`")
}

impl Roles {
    pub(crate) fn run(&self) -> anyhow::Result<u8> {
        let all = Role::ALL.into_iter();
        for role in all.filter(|role| self.roles.is_empty() || self.roles.contains(role)) {
            let name = format!("{}{role}", self.prefix);
            say(format_args!("-- {name}; once for the server: CREATE ROLE \"{name}\" NOLOGIN;"))?;
            for statement in role.grants(&self.schema, &name) {
                say(statement)?;
            }
        }
        Ok(0)
    }
}
