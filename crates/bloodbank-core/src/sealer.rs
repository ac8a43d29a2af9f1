//! From a payload to a validated envelope, apart from sending it.

use std::sync::Arc;

use serde_json::Value;

use crate::cloud_event::NotACloudEvent;
use crate::{
    BundledContract, BundledService, CheckError, Code, Contract, Contracts, Envelope, Kind,
    LiveContracts, Meta, Refusal, Service, UnknownKey, Validated,
};

/// Makes the envelopes of one source: asks the contract and the registry, and seals what both accept.
///
/// A publisher sends what it seals; a gateway can answer with it first, an outbox write it down. Cheap
/// to clone.
///
/// ```
/// use bloodbank_core::{Bundle, Contracts, Kind, LiveContracts, Meta, Sealer, SealError};
///
/// let live = LiveContracts::from(Contracts::new(Bundle::default()));
/// let sealer = Sealer::unrestricted(live, "kitchen");
/// let refused = sealer.seal(Kind::Event, "oven.heated", serde_json::json!({}), Meta::new());
/// assert!(matches!(refused, Err(SealError::UnknownKey(_))));
/// ```
#[derive(Clone, Debug)]
pub struct Sealer {
    contracts: LiveContracts,
    source: Arc<str>,
    /// The service whose rights are asked; `None` where the registry does not bind.
    service: Option<Arc<str>>,
}

impl Sealer {
    /// For a service that was generated: its name is the source.
    pub fn of<S: Service>(contracts: LiveContracts) -> Self {
        let service = (!S::UNRESTRICTED).then(|| S::NAME.into());
        Sealer { contracts, source: S::NAME.into(), service }
    }

    /// For the service of this name in the registry; its name is the source. Whether there is such a
    /// service is asked whenever something is sealed, as contracts can be swapped.
    pub fn for_service(contracts: LiveContracts, name: &str) -> Self {
        let name: Arc<str> = name.into();
        Sealer { contracts, source: name.clone(), service: Some(name) }
    }

    /// For a source that the registry does not bind: tools, tests.
    pub fn unrestricted(contracts: LiveContracts, source: &str) -> Self {
        Sealer { contracts, source: source.into(), service: None }
    }

    /// Names another source in its envelopes: an instance, a host. Its rights stay.
    pub fn named(mut self, source: &str) -> Self {
        self.source = source.into();
        self
    }

    /// What its envelopes name as their source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The contracts that it asks.
    pub fn contracts(&self) -> &LiveContracts {
        &self.contracts
    }

    /// Seals a payload of any contract, if it is valid and the registry lets the service say it.
    ///
    /// # Errors
    /// [`SealError`]: all violations, or that the registry does not list the key.
    pub fn seal(
        &self,
        kind: Kind,
        key: &str,
        data: Value,
        meta: Meta,
    ) -> Result<Validated<Envelope>, SealError> {
        let contracts = self.contracts.current();
        let contract = contracts.find(key)?;
        if contract.kind != kind {
            return Err(SealError::WrongKind { key: key.to_owned(), kind: contract.kind });
        }
        self.permit(&contracts, kind, key)?;
        self.envelope(&contracts, contract, key, data, meta)
    }

    /// Seals a payload whose type says that the service may say it.
    ///
    /// # Errors
    /// [`SealError`]: all violations; [`SealError::UnknownKey`] if the contracts in force do not know
    /// the type.
    pub fn seal_typed<T: Contract>(
        &self,
        payload: &T,
        meta: Meta,
    ) -> Result<Validated<Envelope>, SealError> {
        let data = serde_json::to_value(payload).map_err(SealError::Encode)?;
        let (contracts, key) = (self.contracts.current(), payload.key());
        self.envelope(&contracts, contracts.find(key)?, key, data, meta)
    }

    /// Seals an envelope that was put together elsewhere, by the same rules. Whether its source may be
    /// this one is for the caller to say; it is kept.
    ///
    /// # Errors
    /// Those of [`seal`](Sealer::seal).
    pub fn seal_envelope(
        &self,
        kind: Kind,
        envelope: Envelope,
    ) -> Result<Validated<Envelope>, SealError> {
        let contracts = self.contracts.current();
        let contract = contracts.find(&envelope.event_type)?;
        if contract.kind != kind {
            return Err(SealError::WrongKind { key: envelope.event_type, kind: contract.kind });
        }
        self.permit(&contracts, kind, &envelope.event_type)?;
        Ok(contracts.validate(envelope)?)
    }

    fn envelope(
        &self,
        contracts: &Contracts,
        contract: &BundledContract,
        key: &str,
        data: Value,
        meta: Meta,
    ) -> Result<Validated<Envelope>, SealError> {
        let mut envelope = Envelope::new(key, &*self.source, data, meta);
        envelope.schema = contract.uri().map(str::to_owned);
        Ok(contracts.validate(envelope)?)
    }

    fn permit(&self, contracts: &Contracts, kind: Kind, key: &str) -> Result<(), SealError> {
        let Some(name) = &self.service else { return Ok(()) };
        let listed = |service: &BundledService| match kind {
            Kind::Event => service.produces.contains(key),
            Kind::Command => service.sends.contains(key),
        };
        match contracts.bundle().service(name) {
            None => Err(SealError::UnknownService { service: name.to_string() }),
            Some(service) if listed(service) => Ok(()),
            Some(_) => {
                let (service, key) = (name.to_string(), key.to_owned());
                Err(SealError::NotAllowed { service, key, kind })
            }
        }
    }
}

/// Why a payload was not sealed. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The payload breaks its contract, in these ways.
    #[error(transparent)]
    Refused(Refusal),
    /// No contract has the key.
    #[error(transparent)]
    UnknownKey(#[from] UnknownKey),
    /// The registry has no service of this name.
    #[error("the registry has no service `{service}`")]
    UnknownService {
        /// The name that was asked for.
        service: String,
    },
    /// The registry does not give the key to the service.
    #[error(
        "service `{service}` does not {} `{key}`: add the key to `{}:` of this service in \
         services/registry.yaml",
        verb(*kind), list(*kind)
    )]
    NotAllowed {
        /// The service's name.
        service: String,
        /// The routing key, with version.
        key: String,
        /// What the key is.
        kind: Kind,
    },
    /// An event was to be sent, or a command to be published.
    #[error("`{key}` is {}", wrong_kind(*kind))]
    WrongKind {
        /// The routing key, with version.
        key: String,
        /// What the key is.
        kind: Kind,
    },
    /// The contract's own schema cannot be used.
    #[error("the schema of `{key}` cannot be used: {reason}")]
    Schema {
        /// The routing key, with version.
        key: String,
        /// What the schema compiler says.
        reason: String,
    },
    /// The payload has no JSON form.
    #[error("the payload cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// It was to be published as a CloudEvent, and has no form as one.
    #[error(transparent)]
    CloudEvent(#[from] NotACloudEvent),
}

impl SealError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            SealError::Refused(error) => error.code(),
            SealError::UnknownKey(error) => error.code(),
            SealError::UnknownService { .. } => Code::UnknownService,
            SealError::NotAllowed { .. } => Code::NotAllowed,
            SealError::WrongKind { .. } => Code::WrongKind,
            SealError::Schema { .. } => Code::SchemaUnusable,
            SealError::Encode(_) => Code::NotEncodable,
            SealError::CloudEvent(error) => error.code(),
        }
    }

    /// The refusal with its violations, if that is what it is.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            SealError::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl From<CheckError> for SealError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Refused(refusal) => SealError::Refused(refusal),
            CheckError::UnknownKey(unknown) => SealError::UnknownKey(unknown),
            CheckError::Schema { key, reason } => SealError::Schema { key, reason },
            CheckError::Encode(error) => SealError::Encode(error),
        }
    }
}

fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "produce",
        Kind::Command => "send",
    }
}

fn list(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "produces",
        Kind::Command => "commands: sends",
    }
}

fn wrong_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "an event: publish it, it cannot be sent",
        Kind::Command => "a command: send it, it cannot be published",
    }
}
