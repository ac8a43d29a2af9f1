//! Each effect below its cause.

use std::collections::HashMap;

use uuid::Uuid;

use super::gather::Gathered;
use super::{Cause, Link};

/// Orders events so that each is followed by what it caused.
pub(super) fn of(gathered: &Gathered, links: Vec<Link>) -> Vec<Link> {
    let mut tree = Tree::of(links);
    for root in 0..tree.links.len() {
        let cause = match tree.links[root].causation_id {
            None => Cause::None,
            Some(cause) if tree.places.contains_key(&cause) => continue,
            Some(cause) if gathered.is_missing(&cause) => Cause::Missing(cause),
            Some(cause) => Cause::LeftOut(cause),
        };
        tree.plant(root, cause);
    }
    // What is left now goes round.
    for root in 0..tree.links.len() {
        if let (false, Some(cause)) = (tree.is_placed[root], tree.links[root].causation_id) {
            tree.plant(root, Cause::Cycle(cause));
        }
    }
    tree.ordered
}

struct Tree {
    links: Vec<Link>,
    places: HashMap<Uuid, usize>,
    /// What each causes, in the order of positions.
    effects: Vec<Vec<usize>>,
    is_placed: Vec<bool>,
    ordered: Vec<Link>,
}

impl Tree {
    fn of(links: Vec<Link>) -> Self {
        let places: HashMap<Uuid, usize> =
            links.iter().enumerate().map(|(place, link)| (link.id, place)).collect();
        let mut effects = vec![Vec::new(); links.len()];
        for (place, link) in links.iter().enumerate() {
            if let Some(cause) = link.causation_id.and_then(|id| places.get(&id)) {
                effects[*cause].push(place);
            }
        }
        let is_placed = vec![false; links.len()];
        Tree { links, places, effects, is_placed, ordered: Vec::new() }
    }

    /// Places a link and all below it. A chain may be long, so this is a loop.
    fn plant(&mut self, root: usize, cause: Cause) {
        let mut waiting = vec![(root, cause, 0)];
        while let Some((place, cause, depth)) = waiting.pop() {
            if std::mem::replace(&mut self.is_placed[place], true) {
                continue;
            }
            let mut link = self.links[place].clone();
            (link.cause, link.depth) = (cause, depth);
            if let Cause::Link(above) = cause {
                link.since_cause = Some(link.since(&self.ordered[above]));
            }
            let here = Cause::Link(self.ordered.len());
            self.ordered.push(link);
            let effects = self.effects[place].iter().rev();
            waiting.extend(effects.map(|effect| (*effect, here, depth + 1)));
        }
    }
}
