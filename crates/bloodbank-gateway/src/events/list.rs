//! `GET /events`: what is stored, page by page.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use candystore::{Cursor, Order};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::stored::{DamagedBody, StoredBody};
use super::which::Which;
use crate::Gateway;
use crate::caller::Reader;
use crate::parameters::Queries;
use crate::problem::{Answer, Problem, ProblemBody};

/// How many events a page has, unless it is said.
const LIMIT: u32 = 50;

/// In which order, how many, and where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// Which events come first: those that were stored last, unless it is said.
    #[param(inline)]
    order: Option<OrderBody>,
    /// The most events of a page; 50 unless it is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where another page has ended: its `next`. With the filter and the order of that page.
    #[param(pattern = "^c1-[on]-[0-9a-f]{1,16}-[0-9a-f]{8}$")]
    cursor: Option<String>,
}

/// Which events come first.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Order)]
enum OrderBody {
    /// Those that were stored first.
    Oldest,
    /// Those that were stored last.
    Newest,
}

/// A page of stored events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(crate) struct PageBody {
    /// The events, in the order that was asked for. A page may have fewer than were asked for, or none,
    /// and be followed by another.
    events: Vec<StoredBody>,
    /// What of the page is damaged.
    damaged: Vec<DamagedBody>,
    /// The cursor of the next page; null at the end of what is stored.
    next: Option<String>,
}

/// Find stored events
///
/// Page by page. `Link` leads to the next page, and `next` in the body is its cursor. What is stored or
/// pruned meanwhile makes no event come twice or be passed over.
#[utoipa::path(get, path = "/events", tag = "events", params(Which, Paging),
    responses(
        (status = 200, description = "A page of events.", body = PageBody,
            headers(("Link" = String, description = "The next page, if there is one"))),
        (status = "4XX", description = "The question is not understood, or not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The store cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    Reader(caller): Reader,
    OriginalUri(uri): OriginalUri,
    Queries(which, paging): Queries<Which, Paging>,
) -> Answer<Response> {
    let contracts = gateway.contracts();
    let filter = which.filter(&contracts, &caller)?;
    let order = match paging.order {
        Some(OrderBody::Oldest) => Order::Oldest,
        Some(OrderBody::Newest) | None => Order::Newest,
    };
    let cursor = paging.cursor.as_deref().map(str::parse::<Cursor>).transpose();
    let cursor = cursor.map_err(candystore::StoreError::from)?;
    let limit = limit(paging.limit, LIMIT, 1_000)?;
    let page = gateway.store().page(&filter, order, limit, cursor.as_ref()).await?;
    let next = page.next.map(|next| next.to_string());
    let events = page.events.into_iter();
    let body = PageBody {
        events: events.map(|event| StoredBody::of(&contracts, &caller, event)).collect(),
        damaged: page.damaged.into_iter().map(DamagedBody::from).collect(),
        next: next.clone(),
    };
    let mut response = Json(body).into_response();
    if let Some(link) = next.and_then(|next| link(&uri, "cursor", &next)) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// How many are asked for.
pub(crate) fn limit(asked: Option<u32>, usual: u32, most: u32) -> Answer<usize> {
    let limit = asked.unwrap_or(usual);
    if !(1..=most).contains(&limit) {
        let detail = format!("parameter `limit` of the query: expected 1 to {most}");
        return Err(Problem::parameter(detail));
    }
    Ok(limit as usize)
}

/// The same address with another value of one parameter, as the next page.
pub(crate) fn link(uri: &Uri, name: &str, value: &str) -> Option<HeaderValue> {
    let query = uri.query().unwrap_or_default();
    let is_other = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some(name);
    let mut pairs: Vec<String> = query.split('&').filter(is_other).map(str::to_owned).collect();
    pairs.push(format!("{name}={value}"));
    let text = format!("<{}?{}>; rel=\"next\"", uri.path(), pairs.join("&"));
    HeaderValue::from_str(&text).ok()
}
