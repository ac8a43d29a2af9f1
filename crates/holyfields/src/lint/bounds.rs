//! HF070: bounds that exclude each other.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::View;
use crate::finding::{Finding, Place};
use crate::resolve::Target;
use crate::shape::layers::Layers;
use crate::{pointer, rules};

/// A lower bound and an upper bound, and whether a value may lie on both.
const PAIRS: [(&str, &str, bool); 8] = [
    ("minimum", "maximum", true),
    ("exclusiveMinimum", "maximum", false),
    ("minimum", "exclusiveMaximum", false),
    ("exclusiveMinimum", "exclusiveMaximum", false),
    ("minLength", "maxLength", true),
    ("minItems", "maxItems", true),
    ("minProperties", "maxProperties", true),
    ("minContains", "maxContains", true),
];

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let words: Vec<&str> = PAIRS.iter().flat_map(|(low, high, _)| [*low, *high]).collect();
    view.each(|_, at, object| {
        // One of the two stands here; the other may come from a base.
        if words.iter().any(|word| object.contains_key(*word)) {
            let layers = view.layers(&at);
            let pairs = PAIRS.iter();
            findings.extend(pairs.filter_map(|pair| contradiction(view, &at, &layers, *pair)));
        }
    });
}

fn contradiction(
    view: &View<'_>,
    at: &Target,
    layers: &Layers<'_>,
    (low, high, may_touch): (&'static str, &'static str, bool),
) -> Option<Finding> {
    let least = strictest(layers, low, Ordering::Greater)?;
    let most = strictest(layers, high, Ordering::Less)?;
    let is_here = least.0 == *at || most.0 == *at;
    let order = compare(least.1, most.1)?;
    let is_empty = order == Ordering::Greater || (order == Ordering::Equal && !may_touch);
    if !is_here || !is_empty {
        return None;
    }
    let (own, other) = match least.0 == *at {
        true => ((least, low), (most, high)),
        false => ((most, high), (least, low)),
    };
    let place = |((at, _), word): ((Target, &Number), &str)| {
        Place::key(view.path(&at), pointer::join(&at.pointer, word))
    };
    let (least, most) = match low == own.1 {
        true => (own.0.1, other.0.1),
        false => (other.0.1, own.0.1),
    };
    let message = format!("nothing is between `{low}` {least} and `{high}` {most}");
    let finding = Finding::new(rules::CONTRADICTING_BOUNDS, message, place(own));
    Some(finding.also(place(other).labelled("the other bound")).help("correct one of the two"))
}

/// The bound that leaves least, and where it stands.
fn strictest<'a>(
    layers: &Layers<'a>,
    keyword: &str,
    stricter: Ordering,
) -> Option<(Target, &'a Number)> {
    let bounds = layers.all(keyword).filter_map(|(layer, value)| match value {
        Value::Number(number) => Some((layer.at.clone(), number)),
        _ => None,
    });
    bounds.reduce(|best, next| match compare(next.1, best.1) == Some(stricter) {
        true => next,
        false => best,
    })
}

fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}
