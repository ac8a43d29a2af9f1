//! Events: published, found, and what became of them.

mod batch;
mod beside;
mod chain;
mod deliveries;
mod firsts;
mod list;
mod one;
mod publish;
mod source;
mod stored;
mod which;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::beside::Beside;
pub(crate) use self::firsts::Firsts;
pub(crate) use self::list::limit;
pub(crate) use self::publish::{EnvelopeBody, say};
pub(crate) use self::source::sealer;
pub(crate) use self::stored::{DamagedBody, StoredBody};
pub(crate) use self::which::Which;
use crate::Gateway;

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(publish::publish, one::one))
        .routes(routes!(batch::publish_envelopes, list::list))
        .routes(routes!(chain::chain))
        .routes(routes!(deliveries::deliveries))
}
