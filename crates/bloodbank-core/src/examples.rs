//! Examples in schemas are tests; this runs them.
//!
//! Generated code calls it, in our tree and in everyone else's.

use std::fmt;

use serde_json::Value;

use crate::codec::Payload as _;
use crate::{CheckError, Code, Contract, Contracts, same_value};

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Contracts looked at.
    pub contracts: usize,
    /// Examples that were accepted and came back equal from their type.
    pub examples: usize,
    /// Counterexamples that were refused.
    pub counterexamples: usize,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} contracts: {} examples accepted, {} counterexamples refused",
            self.contracts, self.examples, self.counterexamples
        )
    }
}

/// Everything that is wrong with the examples of a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failures {
    /// In the order of the checks. At least one.
    pub failures: Vec<Failure>,
}

/// One example that does not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The routing key, with version.
    pub key: String,
    /// `examples/0`, `counterexamples/2`: which one; empty if it is the contract that is missing.
    pub place: String,
    /// What is wrong, maybe in several lines.
    pub reason: String,
}

impl Failures {
    /// Its code, [`Code::ExampleFails`].
    pub fn code(&self) -> Code {
        Code::ExampleFails
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let examples = if self.failures.len() == 1 { "example fails" } else { "examples fail" };
        write!(f, "{} {examples}", self.failures.len())?;
        for Failure { key, place, reason } in &self.failures {
            write!(f, "\n{key} {place}: {}", reason.replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Failures {}

/// A run over contracts: [`contract`](Check::contract) for each, then [`finish`](Check::finish).
#[derive(Debug)]
#[must_use = "a check says nothing before `finish`"]
pub struct Check {
    contracts: Contracts,
    checked: Checked,
    failures: Vec<Failure>,
}

impl Check {
    /// Nothing checked yet.
    pub fn new(contracts: Contracts) -> Self {
        Check { contracts, checked: Checked::default(), failures: Vec::new() }
    }

    /// Checks the examples of one contract.
    ///
    /// Every example must be valid, decode into `T`, come back from it with the same value and
    /// still be valid. Every counterexample must be refused.
    pub fn contract<T: Contract>(mut self) -> Self {
        let key = T::KEYS[0];
        let contracts = self.contracts.clone();
        let bundle = contracts.bundle();
        let contract = match contracts.find(key) {
            Ok(contract) => contract,
            Err(unknown) => return self.fail(key, String::new(), unknown.to_string()),
        };
        self.checked.contracts += 1;
        for (i, example) in bundle.examples(contract).iter().enumerate() {
            match self.round_trip::<T>(key, example) {
                Ok(()) => self.checked.examples += 1,
                Err(reason) => self = self.fail(key, format!("examples/{i}"), reason),
            }
        }
        for (i, counter) in bundle.counterexamples(contract).enumerate() {
            let reason = match self.contracts.check(key, counter.data) {
                Err(CheckError::Refused(_)) => {
                    self.checked.counterexamples += 1;
                    continue;
                }
                Ok(()) => format!("accepted, although: {}", counter.why),
                Err(error) => error.to_string(),
            };
            self = self.fail(key, format!("counterexamples/{i}"), reason);
        }
        self
    }

    /// What came of it.
    ///
    /// # Errors
    /// All failures, not the first.
    pub fn finish(self) -> Result<Checked, Failures> {
        if self.failures.is_empty() {
            Ok(self.checked)
        } else {
            Err(Failures { failures: self.failures })
        }
    }

    fn round_trip<T: Contract>(&self, key: &str, example: &Value) -> Result<(), String> {
        self.contracts.check(key, example).map_err(|error| error.to_string())?;
        let typed = T::from_valid(key, example).map_err(|error| error.to_string())?;
        let back = serde_json::to_value(&typed).map_err(|error| error.to_string())?;
        if !same_value(example, &back) {
            return Err(format!("comes back from its type as {back}"));
        }
        let valid = self.contracts.check(key, &back);
        valid.map_err(|error| format!("valid, but not after its type: {error}"))
    }

    fn fail(mut self, key: &str, place: String, reason: String) -> Self {
        self.failures.push(Failure { key: key.to_owned(), place, reason });
        self
    }
}
