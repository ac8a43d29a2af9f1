//! What tells the branches of a union apart.

use std::collections::{BTreeSet, HashMap};

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
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let required = layers.required();
    let properties = declared(layers).into_iter();
    properties.filter(move |(name, _)| required.contains(name)).filter_map(move |(name, places)| {
        match layers_of(&places).values().as_deref() {
            Some([only]) if !only.is_object() && !only.is_array() => Some((name, *only)),
            _ => None,
        }
    })
}

/// The branches, by index, in an order in which the first that takes a value is the right one; none
/// where no order does.
pub(super) fn order_of_trial<'a>(
    branches: &[Branch<'a>],
    kinds: &mut KindsOf<'_>,
    layers_of: impl Fn(&[Target]) -> Layers<'a>,
) -> Option<Vec<usize>> {
    let outlines: Vec<Outline<'a>> = branches.iter().map(|b| Outline::of(&b.layers)).collect();
    let mut ordered: Vec<usize> = (0..branches.len()).collect();
    // Who asks for more comes first.
    ordered.sort_by_key(|index| std::cmp::Reverse(outlines[*index].required.len()));
    for (place, &first) in ordered.iter().enumerate() {
        for &later in &ordered[place + 1..] {
            if !refuses(&outlines[first], &outlines[later], kinds, &layers_of) {
                return None;
            }
        }
    }
    Some(ordered)
}

/// What an object must and may have.
struct Outline<'a> {
    declared: HashMap<&'a str, Vec<Target>>,
    required: BTreeSet<&'a str>,
    closed: bool,
}

impl<'a> Outline<'a> {
    fn of(layers: &Layers<'a>) -> Self {
        Outline {
            declared: declared(layers).into_iter().collect(),
            required: layers.required(),
            closed: is_closed(layers),
        }
    }
}

/// Whether the type of the first branch takes nothing that is meant for the other.
fn refuses<'a>(
    first: &Outline<'a>,
    other: &Outline<'a>,
    kinds: &mut KindsOf<'_>,
    layers_of: &impl Fn(&[Target]) -> Layers<'a>,
) -> bool {
    let lacks_required = first.required.iter().any(|name| {
        // What is required but not declared has no field.
        let Some(mine) = first.declared.get(name) else { return false };
        other.declared.get(name).is_none_or(|theirs| {
            let (my_kinds, their_kinds) = (kinds.all(mine), kinds.all(theirs));
            let one_type = my_kinds.list().len() == 1;
            (one_type && !my_kinds.meets(their_kinds))
                || (my_kinds == Kinds::STRING && disjoint(&layers_of(mine), &layers_of(theirs)))
        })
    });
    let has_unknown = || other.required.iter().any(|name| !first.declared.contains_key(name));
    lacks_required || (first.closed && has_unknown())
}

/// Whether both properties list their values, and none is in both.
fn disjoint(one: &Layers<'_>, other: &Layers<'_>) -> bool {
    match (one.values(), other.values()) {
        (Some(one), Some(other)) => !one.iter().any(|value| other.contains(value)),
        _ => false,
    }
}
