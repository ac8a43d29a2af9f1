//! What travelled beside a message, as it is stored: one JSON object, or nothing.
//!
//! Mostly it is that of the headers. Where there are properties, too, or a header whose name begins
//! with `$`, it is an object of both, `{"$headers": {…}, "$properties": {…}}`.

use bloodbank_bus::{Headers, Properties};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Both together.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Both<H, P> {
    #[serde(rename = "$headers")]
    headers: H,
    #[serde(
        rename = "$properties",
        default = "Option::default",
        skip_serializing_if = "Option::is_none"
    )]
    properties: Option<P>,
}

/// As it is stored; `None` if nothing travelled beside the message.
pub(crate) fn text(headers: &Headers, properties: Option<&Properties>) -> Option<String> {
    let properties = properties.filter(|properties| !properties.is_empty());
    let is_plain = properties.is_none() && !headers.keys().any(|name| name.starts_with('$'));
    if headers.is_empty() && is_plain {
        return None;
    }
    let text = match is_plain {
        true => serde_json::to_string(headers),
        false => serde_json::to_string(&Both { headers, properties }),
    };
    // Maps with texts for names always have a JSON form.
    Some(text.unwrap_or_default())
}

/// The same, never nothing.
pub(crate) fn full_text(headers: &Headers, properties: Option<&Properties>) -> String {
    text(headers, properties).unwrap_or_else(|| "{}".to_owned())
}

pub(crate) type Beside = (Headers, Option<Box<Properties>>);

/// What [`text`] has written, or an earlier version, in which all headers were texts.
pub(crate) fn read(text: Option<&str>) -> Result<Beside, StoreError> {
    let Some(text) = text else { return Ok(Beside::default()) };
    let damaged = |_| StoreError::column("headers");
    // A header of that name would be in an object of both, unless an earlier version wrote it.
    if text.starts_with("{\"$headers\":{") {
        let both: Both<Headers, Properties> = serde_json::from_str(text).map_err(damaged)?;
        return Ok((both.headers, both.properties.and_then(Properties::boxed)));
    }
    Ok((serde_json::from_str(text).map_err(damaged)?, None))
}

#[cfg(test)]
mod tests {
    use bloodbank_bus::HeaderValue;

    use super::*;

    fn comes_back(headers: &Headers, properties: Option<&Properties>) {
        let text = text(headers, properties);
        let (again, said) = read(text.as_deref()).unwrap();
        assert_eq!((&again, said.as_deref()), (headers, properties), "{text:?}");
    }

    #[test]
    fn what_travels_beside_a_message_comes_back() {
        let mut properties = Properties::default();
        properties.priority = Some(9);
        properties.kind = Some("k".to_owned());
        let names = ["a", "$headers", "$properties", ""];
        for name in names {
            for value in ["x".into(), HeaderValue::Time(7), HeaderValue::Table(Headers::new())] {
                let headers = Headers::from([(name.to_owned(), value)]);
                comes_back(&headers, None);
                comes_back(&headers, Some(&properties));
            }
        }
        comes_back(&Headers::new(), None);
        comes_back(&Headers::new(), Some(&properties));
    }

    #[test]
    fn headers_that_are_nested_deep_stay_readable() {
        let nested = |levels| {
            (0..levels).fold(HeaderValue::Null, |inner, _| {
                HeaderValue::Table([("a".to_owned(), inner)].into())
            })
        };
        let most = HeaderValue::MOST_LEVELS;
        for name in ["x-mine", "$headers"] {
            comes_back(&Headers::from([(name.to_owned(), nested(most))]), None);
            let deeper = Headers::from([(name.to_owned(), nested(200))]);
            let (again, _) = read(text(&deeper, None).as_deref()).unwrap();
            assert!(again[name].to_string().contains(HeaderValue::TOO_DEEP), "{name}");
        }
    }

    #[test]
    fn what_an_earlier_version_wrote_is_read() {
        for name in ["x-mine", "$headers", "$properties"] {
            let old = format!("{{\"{name}\":\"{{}}\"}}");
            let expected = Headers::from([(name.to_owned(), "{}".into())]);
            assert_eq!(read(Some(&old)).unwrap(), (expected, None));
        }
        assert!(read(Some("[]")).is_err());
    }
}
