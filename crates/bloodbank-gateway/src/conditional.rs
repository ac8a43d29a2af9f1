//! Answers that a caller may have already.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

/// The namespace (RFC 9562) of the names that contents have.
const CONTENTS: Uuid = Uuid::from_u128(0x5f0e_93aa_2f0b_4d0e_8b1c_6f4e_21c7_90d3);

/// These contents, or 304 where the caller has said that it has them (RFC 9110, `If-None-Match`).
pub(crate) fn answer(headers: &HeaderMap, kind: &'static str, contents: Vec<u8>) -> Response {
    let name = Uuid::new_v5(&CONTENTS, &contents).simple().to_string();
    let mut response = match is_known(headers, &name) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => contents.into_response(),
    };
    let own = response.headers_mut();
    // Weak, as the bytes may be compressed on their way.
    if let Ok(tag) = HeaderValue::from_str(&format!("W/\"{name}\"")) {
        own.insert(header::ETAG, tag);
    }
    own.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn is_known(headers: &HeaderMap, name: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = known.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    tags.any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_not_sent_again() {
        let ask = |tag: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, tag.parse().unwrap());
            answer(&headers, "text/plain", b"a".to_vec())
        };
        let first = ask("\"other\"");
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        for known in [&tag, &format!("\"x\", {tag}"), "*", tag.trim_start_matches("W/")] {
            let again = ask(known);
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(again.headers()[header::ETAG], tag);
        }
    }
}
