//! What can be wrong with a configuration.

use std::fmt;

use bloodbank_core::Code;

/// Why a configuration cannot be used; everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(faults))]
#[non_exhaustive]
pub struct ConfigError {
    /// At least one. Passwords stand in none.
    pub faults: Vec<ConfigFault>,
}

impl ConfigError {
    /// Its code, [`Code::ConfigInvalid`].
    pub fn code(&self) -> Code {
        Code::ConfigInvalid
    }
}

fn lines(faults: &[ConfigFault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A variable that is not what it should be, or several that do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigFault {
    /// The variables; at least one.
    pub variables: Vec<&'static str>,
    /// Which entry of a list it is, from 1.
    pub entry: Option<usize>,
    /// What is wrong.
    pub problem: ConfigProblem,
}

/// What is wrong with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// It is not the URL of a broker. The text is not repeated, as it may hold a password.
    NotAUrl {
        /// What the parser of URLs says.
        reason: String,
    },
    /// It has a value that is not one of those expected.
    Unexpected {
        /// The value.
        value: String,
        /// What was expected, for people.
        expected: &'static str,
    },
    /// The variables go together, and one is missing.
    Incomplete,
    /// It says something else than registry.yaml.
    Disagrees {
        /// What it says.
        value: String,
        /// The field of `exchange:` in registry.yaml.
        field: &'static str,
        /// What registry.yaml says there.
        declared: String,
    },
}

impl ConfigFault {
    pub(crate) fn new(variable: &'static str, problem: ConfigProblem) -> Self {
        ConfigFault { variables: vec![variable], entry: None, problem }
    }

    pub(crate) fn unexpected(
        variable: &'static str,
        value: impl Into<String>,
        expected: &'static str,
    ) -> Self {
        ConfigFault::new(variable, ConfigProblem::Unexpected { value: value.into(), expected })
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.variables.join(" and "))?;
        if let Some(entry) = self.entry {
            write!(f, ", entry {entry}")?;
        }
        match &self.problem {
            ConfigProblem::NotAUrl { reason } => {
                write!(f, ": {reason}; expected amqp://user:password@host:port/vhost")
            }
            ConfigProblem::Unexpected { value, expected } => {
                write!(f, " is `{value}`; expected {expected}")
            }
            ConfigProblem::Incomplete => f.write_str(" go together; one is missing"),
            ConfigProblem::Disagrees { value, field, declared } => write!(
                f,
                " says `{value}`, and registry.yaml says `{declared}` (`exchange:`, `{field}:`); \
                 change one of the two, or remove it"
            ),
        }
    }
}
