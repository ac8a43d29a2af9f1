//! Connecting to a PostgreSQL server: the only place that does.

use std::time::Duration;

use bloodbank_bus::Outage;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::errors::text_of;
use super::session::{self, Session};
use super::tls;
use crate::StoreError;
use crate::sql::{Mode, PATIENCE};
use crate::url::postgres::{Server, parse};

/// How long one of several hosts may take to answer, unless the URL says `connect_timeout`.
const HOST_PATIENCE: Duration = Duration::from_secs(3);

/// Connects to the server that a URL names: with TLS as it says, and to the first of its hosts that
/// takes us. `place` is the URL as it may be shown.
///
/// # Errors
/// [`StoreError::Open`], [`StoreError::TooManyConnections`].
pub(super) async fn connect(
    url: &str,
    place: &str,
    mode: Mode,
) -> Result<(Client, Session), StoreError> {
    let failed = |outage| StoreError::Open { place: place.to_owned(), outage };
    let said = |reason: String| failed(Outage::said(reason));
    let Server { mut config, tls } = parse(url).map_err(said)?;
    if config.get_application_name().is_none() {
        config.application_name("bloodbank");
    }
    if config.get_hosts().len() > 1 && config.get_connect_timeout().is_none() {
        config.connect_timeout(HOST_PATIENCE);
    }
    let connecting = session::connect(&config, mode, tls::connector(&tls).map_err(said)?);
    match timeout(PATIENCE, connecting).await {
        Ok(Ok(connected)) => Ok(connected),
        Ok(Err(error)) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => {
            Err(StoreError::TooManyConnections { place: place.to_owned() })
        }
        Ok(Err(error)) => Err(said(text_of(&error))),
        Err(_) => Err(failed(Outage::Silent { waited: PATIENCE })),
    }
}
