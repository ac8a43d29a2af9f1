//! Parameters of the path and of the query.

use axum::extract::{FromRequestParts, Path as AxumPath};
use axum::http::request::Parts;
use bloodbank_core::escape_control;
use serde::de::DeserializeOwned;
use serde_html_form::Deserializer;
use utoipa::IntoParams;

use crate::Gateway;
use crate::problem::{Answer, Problem};

/// What the path names.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Gateway> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Answer<Self> {
        match AxumPath::from_request_parts(parts, gateway).await {
            Ok(AxumPath(named)) => Ok(Path(named)),
            Err(rejection) => Err(Problem::parameter(escape_control(&rejection.body_text()))),
        }
    }
}

/// What the query says. A name that the document does not list is refused, and so is one that stands there
/// twice and is not a list.
pub(crate) struct Query<T>(pub(crate) T);

/// The same where two groups of parameters stand in one query.
pub(crate) struct Queries<A, B>(pub(crate) A, pub(crate) B);

impl<T: DeserializeOwned + IntoParams> FromRequestParts<Gateway> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Answer<Self> {
        let text = parts.uri.query().unwrap_or_default();
        check_names(text, &names::<T>())?;
        Ok(Query(read(text)?))
    }
}

impl<A, B> FromRequestParts<Gateway> for Queries<A, B>
where
    A: DeserializeOwned + IntoParams,
    B: DeserializeOwned + IntoParams,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Answer<Self> {
        let text = parts.uri.query().unwrap_or_default();
        check_names(text, &[names::<A>(), names::<B>()].concat())?;
        Ok(Queries(read(text)?, read(text)?))
    }
}

/// The names that the document lists.
fn names<T: IntoParams>() -> Vec<String> {
    T::into_params(|| None).into_iter().map(|parameter| parameter.name).collect()
}

fn check_names(text: &str, known: &[String]) -> Answer<()> {
    let pairs: Vec<(String, String)> = read(text)?;
    match pairs.into_iter().find(|(name, _)| !known.contains(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let name: String = name.chars().take(80).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let detail = format!("the query has no parameter `{name}`; it has {known}");
            Err(Problem::parameter(escape_control(&detail)))
        }
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Answer<T> {
    let deserializer = Deserializer::from_bytes(text.as_bytes());
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let (path, what) = (error.path().to_string(), error.into_inner().to_string());
        let place = if path == "." { String::new() } else { format!(" `{path}`") };
        Problem::parameter(escape_control(&format!("parameter{place} of the query: {what}")))
    })
}
