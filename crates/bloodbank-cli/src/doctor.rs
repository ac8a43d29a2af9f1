//! `doctor`: is everything as it should be, and what to do if not.

mod embedded;
mod rabbitmq;

use bloodbank::Topology;
use bloodbank::amqp::AmqpConfig;
use clap::Args;

use crate::FINDINGS;
use crate::bus::block_on;
use crate::contracts::Source;
use crate::dlq::dead_letter_queues;
use crate::hints;
use crate::table::say;

#[derive(Args)]
pub(crate) struct Doctor {}

/// One line of the report.
enum Finding {
    Fine(String),
    /// What is wrong, and what to do about it.
    Wrong(String, String),
}

/// What was found so far; printed as it is found.
#[derive(Default)]
struct Report {
    wrong: usize,
    /// Set when nobody reads on.
    ended: Option<std::io::Error>,
}

impl Report {
    fn add(&mut self, subject: &str, finding: Finding) {
        let said = match finding {
            Finding::Fine(text) => say(format_args!("ok     {subject:<14} {text}")),
            Finding::Wrong(text, fix) => {
                self.wrong += 1;
                say(format_args!("wrong  {subject:<14} {text}\n{:22}fix: {fix}", ""))
            }
        };
        if let Err(error) = said {
            self.ended.get_or_insert(error);
        }
    }

    fn fine(&mut self, subject: &str, text: impl Into<String>) {
        self.add(subject, Finding::Fine(text.into()));
    }

    fn wrong(&mut self, subject: &str, text: impl Into<String>, fix: &str) {
        self.add(subject, Finding::Wrong(text.into(), fix.to_owned()));
    }

    /// The last line, and the exit code.
    fn end(self) -> anyhow::Result<u8> {
        if let Some(error) = self.ended {
            return Err(error.into());
        }
        match self.wrong {
            0 => say("\nall is well")?,
            1 => say("\n1 thing is wrong")?,
            n => say(format_args!("\n{n} things are wrong"))?,
        }
        Ok(if self.wrong == 0 { 0 } else { FINDINGS })
    }
}

impl Doctor {
    /// Exits 0 when all is well, 100 when something is wrong.
    pub(crate) fn run(&self, source: &Source) -> anyhow::Result<u8> {
        let mut report = Report::default();
        let known = match source.silently() {
            Ok(known) => known,
            Err(error) => {
                report.wrong(
                    "contracts",
                    format!("{error:#}"),
                    "mend what is named, and ask again",
                );
                return report.end();
            }
        };
        report.fine("contracts", known.to_string());
        let bundle = known.contracts.bundle();
        let topology = Topology::of(bundle);
        let dead_letters = dead_letter_queues(bundle);
        block_on(async {
            match AmqpConfig::from_env_and(bundle.exchange.as_ref()) {
                Ok(Some(config)) => {
                    rabbitmq::look(&mut report, config, &topology, &dead_letters).await;
                }
                Ok(None) => {
                    let contracts = known.contracts.clone();
                    embedded::look(&mut report, contracts, topology, &dead_letters).await;
                }
                Err(error) => {
                    for fault in error.faults {
                        let fix = hints::of_fault(&fault).unwrap_or("change the variable");
                        report.wrong("configuration", fault.to_string(), fix);
                    }
                }
            }
            Ok(())
        })?;
        report.end()
    }
}
