//! Who says a message, and what that source may say.

use bloodbank_access::Caller;
use bloodbank_core::{Contracts, Kind, SealError, Sealer};

use crate::Gateway;
use crate::problem::Answer;

/// The source of what a caller without a token says, and names no other.
pub(crate) const SOURCE: &str = "http";

/// What seals the messages of a caller, under the source that it names, if it may use that and may say
/// the key.
///
/// A token says everything under its own name, or that of the service that it is bound to. Without tokens
/// any service of the registry may be named, and then has its rights and no others; where there is no
/// registry, any name.
pub(crate) fn sealer(
    gateway: &Gateway,
    caller: &Caller,
    kind: Kind,
    key: &str,
    source: Option<&str>,
) -> Answer<Sealer> {
    let contracts = gateway.contracts();
    // Names what looks like it.
    contracts.find(key)?;
    let live = gateway.live_contracts().clone();
    if let Some(service) = caller.service() {
        check_source(caller, service, source)?;
        return Ok(Sealer::for_service(live, service));
    }
    let (may, verb) = match kind {
        Kind::Event => (caller.may_publish(&contracts, key), "publish"),
        Kind::Command => (caller.may_send(&contracts, key), "send"),
    };
    if !may {
        return Err(caller.lacks(format!("{verb} {key}")).into());
    }
    if !caller.is_local() {
        check_source(caller, caller.name(), source)?;
        return Ok(Sealer::unrestricted(live, caller.name()));
    }
    Ok(match named(&contracts, source)? {
        Named::Service(name) => Sealer::for_service(live, name),
        Named::Other(name) => Sealer::unrestricted(live, name),
    })
}

fn check_source(caller: &Caller, own: &str, named: Option<&str>) -> Answer<()> {
    match named {
        Some(named) if named != own => {
            Err(caller.lacks(format!("speak as another source than `{own}`")).into())
        }
        _ => Ok(()),
    }
}

enum Named<'n> {
    /// A service of the registry, whose rights hold.
    Service(&'n str),
    /// What the registry does not bind.
    Other(&'n str),
}

fn named<'n>(contracts: &Contracts, source: Option<&'n str>) -> Answer<Named<'n>> {
    let bundle = contracts.bundle();
    match source {
        None | Some(SOURCE) => Ok(Named::Other(SOURCE)),
        Some(name) if bundle.service(name).is_some() => Ok(Named::Service(name)),
        Some(name) if bundle.services.is_empty() => Ok(Named::Other(name)),
        Some(name) => Err(SealError::UnknownService { service: name.to_owned() }.into()),
    }
}
