//! What tells the branches of a union apart.

use serde_json::Value;

use super::build::sentence;
use super::extra::is_closed;
use super::kinds::{Kinds, KindsOf};
use super::layers::Layers;
use super::object::declared;
use crate::resolve::Target;

/// One alternative of a union.
#[derive(Clone, Debug)]
pub(super) struct Branch<'a> {
    pub(super) at: Target,
    /// What it says itself.
    pub(super) own: Layers<'a>,
    /// The same with all that is said beside the union.
    pub(super) layers: Layers<'a>,
}

impl<'a> Branch<'a> {
    /// Its title and its description.
    pub(super) fn docs(&self) -> Vec<String> {
        let title = self.own.text("title").map(sentence);
        let description = self.own.text("description").map(str::to_owned);
        title.into_iter().chain(description).collect()
    }
}

/// The required properties of an object that can hold one value only, and that value.
pub(super) fn constants<'a>(
    layers: &Layers<'a>,
    layers_of: impl Fn(&[Target]) -> Layers<'a>,
) -> Vec<(&'a str, &'a Value)> {
    let required = layers.required();
    let properties = declared(layers).into_iter().filter(|(name, _)| required.contains(name));
    let constants =
        properties.filter_map(|(name, places)| match layers_of(&places).values().as_deref() {
            Some([only]) if !only.is_object() && !only.is_array() => Some((name, *only)),
            _ => None,
        });
    constants.collect()
}

/// The branches, by index, in an order in which the first that takes a value is the right one; none
/// where no order does.
pub(super) fn order_of_trial<'a>(
    branches: &[Branch<'a>],
    kinds: &mut KindsOf<'_>,
    layers_of: impl Fn(&[Target]) -> Layers<'a>,
) -> Option<Vec<usize>> {
    let mut ordered: Vec<usize> = (0..branches.len()).collect();
    // Who asks for more comes first.
    ordered.sort_by_key(|index| std::cmp::Reverse(branches[*index].layers.required().len()));
    for (place, &first) in ordered.iter().enumerate() {
        for &later in &ordered[place + 1..] {
            let (first, later) = (&branches[first].layers, &branches[later].layers);
            if !refuses(first, later, kinds, &layers_of) {
                return None;
            }
        }
    }
    Some(ordered)
}

/// Whether the type of the first branch takes nothing that is meant for the other.
fn refuses<'a>(
    first: &Layers<'a>,
    other: &Layers<'a>,
    kinds: &mut KindsOf<'_>,
    layers_of: &impl Fn(&[Target]) -> Layers<'a>,
) -> bool {
    let (mine, theirs) = (declared(first), declared(other));
    let find = |all: &[(&str, Vec<Target>)], name: &str| {
        all.iter().find(|(known, _)| *known == name).map(|(_, places)| places.clone())
    };
    let lacks_required = first.required().into_iter().any(|name| {
        // What is required but not declared has no field.
        let Some(my) = find(&mine, name) else { return false };
        find(&theirs, name).is_none_or(|their| {
            let (my_kinds, their_kinds) = (kinds.all(&my), kinds.all(&their));
            let one_type = my_kinds.list().len() == 1;
            (one_type && !my_kinds.meets(their_kinds))
                || disjoint_texts(&layers_of(&my), &layers_of(&their), my_kinds)
        })
    });
    let is_declared = |name: &str| mine.iter().any(|(known, _)| *known == name);
    lacks_required
        || (is_closed(first) && other.required().into_iter().any(|name| !is_declared(name)))
}

/// Whether two properties list texts, and none is in both.
fn disjoint_texts(one: &Layers<'_>, other: &Layers<'_>, kinds: Kinds) -> bool {
    match (one.values(), other.values()) {
        (Some(one), Some(other)) => {
            kinds == Kinds::STRING && !one.iter().any(|value| other.contains(value))
        }
        _ => false,
    }
}
