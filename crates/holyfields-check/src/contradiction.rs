//! Why a document accepts nothing: the few assertions that already contradict each other.

use serde_json::Value;

use crate::assertion::{self, Assertion, What};
use crate::engine;

/// A search for a contradiction.
///
/// It is QuickXplain (Junker, 2004): take half away, see whether the rest still accepts nothing,
/// and so on. A contract as people write them takes 10 to 50 questions to the engine.
pub(crate) struct Search<'a> {
    document: &'a Value,
    all: Vec<Assertion>,
}

impl<'a> Search<'a> {
    /// A search in a document that accepts nothing.
    pub(crate) fn new(document: &'a Value) -> Self {
        Search { document, all: assertion::all_in(document) }
    }

    /// The assertions that cannot hold together, in document order.
    ///
    /// Empty if the document accepts nothing whatever is taken away.
    pub(crate) fn contradiction(&self) -> Vec<Assertion> {
        let (types, others): (Vec<usize>, Vec<usize>) =
            (0..self.all.len()).partition(|&index| self.all[index].keyword() == Some("type"));
        let mut core = self.smallest(&mut types.clone(), true, &others);
        let mut types = self.smallest(&mut core.clone(), true, &types);
        types.retain(|&index| self.is_telling(index, &core));
        core.extend(types);
        core.sort_unstable();
        core.into_iter().map(|index| self.all[index].clone()).collect()
    }

    /// Whether these assertions, found in another document, are a contradiction in this one too.
    pub(crate) fn is_contradiction(&self, others: &[Assertion]) -> bool {
        let is_kept = |&index: &usize| {
            let assertion = &self.all[index];
            assertion.keyword() == Some("type") || others.contains(assertion)
        };
        let kept: Vec<usize> = (0..self.all.len()).filter(is_kept).collect();
        others.iter().all(|other| self.all.contains(other)) && self.accepts_nothing(&kept)
    }

    /// A `type` mostly keeps values away that other keywords do not speak of. It is one side of the
    /// conflict only where at most one other keyword is.
    fn is_telling(&self, index: usize, core: &[usize]) -> bool {
        let (required, others): (Vec<What>, Vec<What>) = core
            .iter()
            .map(|&index| self.all[index].what)
            .partition(|what| *what == What::RequiredName);
        let word = self.document.pointer(&self.all[index].pointer).and_then(Value::as_str);
        match others.as_slice() {
            [] => required.is_empty() || word != Some("object"),
            [What::Keyword] => word != Some("object"),
            _ => false,
        }
    }

    /// The smallest part of `candidates` that is a contradiction together with `kept`.
    ///
    /// `is_new` says that `kept` has grown, so that it may be one by itself.
    fn smallest(&self, kept: &mut Vec<usize>, is_new: bool, candidates: &[usize]) -> Vec<usize> {
        if candidates.is_empty() || (is_new && self.accepts_nothing(kept)) {
            return Vec::new();
        }
        if candidates.len() == 1 {
            return candidates.to_vec();
        }
        let (first, second) = candidates.split_at(candidates.len() / 2);
        let before = kept.len();
        kept.extend(first);
        let mut found = self.smallest(kept, true, second);
        kept.truncate(before);
        kept.extend(&found);
        let more = self.smallest(kept, !found.is_empty(), first);
        kept.truncate(before);
        found.extend(more);
        found
    }

    fn accepts_nothing(&self, kept: &[usize]) -> bool {
        let mut document = self.document.clone();
        // From the end, so that the indices before stay what they are.
        for (index, assertion) in self.all.iter().enumerate().rev() {
            if !kept.contains(&index) {
                assertion.drop_from(&mut document);
            }
        }
        engine::accepts_nothing(&document)
    }
}
