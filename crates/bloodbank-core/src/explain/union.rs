//! Unions in the walk: only the branch that was meant is walked for words.

use std::rc::Rc;

use serde_json::Value;

use crate::explain::choice::{self, Branch};
use crate::explain::found::{Found, Place, Step};
use crate::explain::plan::{Id, Node, Parts};
use crate::explain::walk::Walk;
use crate::explain::without_echoes;
use crate::{describe, same_value};

/// References and `allOf`s that are followed to find what tells branches apart.
const FARTHEST: usize = 64;

/// Violations of a branch that are listed while it is compared with others. In a union without
/// discriminators every branch may list those of all unions below.
const MOST_TO_COMPARE: usize = 5;

/// Steps to copy and compare one violation.
const EACH: u64 = 32;

/// Why a value is not what a branch is about: its type, or a `const` or `enum` of it or of a member
/// right below. An item tells branches apart only by a `const`, as in `["disk", "/tmp"]`; by an
/// `enum` it is one of a list.
#[derive(Clone, Copy)]
struct Sign<'v> {
    /// The subschema that says so.
    node: Id,
    /// The member, or none for the value itself.
    member: Option<(Step<'v>, &'v Value)>,
    /// `const` or `enum`; none for the type.
    keyword: Option<&'static str>,
}

/// The signs found in one branch.
struct Signs<'v> {
    is_foreign: bool,
    /// None where the first one is enough.
    wanted: Option<Vec<Sign<'v>>>,
}

impl<'v> Signs<'v> {
    fn are_settled(&self) -> bool {
        self.is_foreign && self.wanted.is_none()
    }

    fn push(&mut self, sign: Sign<'v>) {
        self.is_foreign = true;
        if let Some(signs) = &mut self.wanted {
            signs.push(sign);
        }
    }
}

impl Walk<'_> {
    pub(crate) fn any_of(
        &mut self,
        id: Id,
        parts: &Parts,
        value: &Value,
        place: &Place<'_>,
        found: &mut Found,
    ) {
        if found.is_settled() || parts.any_of.iter().any(|&branch| self.branch_holds(branch, value))
        {
            return;
        }
        self.none_fits(id, false, &parts.any_of, value, place, found);
    }

    pub(crate) fn one_of(
        &mut self,
        id: Id,
        node: &Node,
        parts: &Parts,
        value: &Value,
        place: &Place<'_>,
        found: &mut Found,
    ) {
        let enough = if found.wants_words() { usize::MAX } else { 2 };
        let mut fitting = 0;
        for &branch in &parts.one_of {
            if found.is_settled() || fitting >= enough || self.is_exhausted() {
                break;
            }
            fitting += usize::from(self.branch_holds(branch, value));
        }
        match fitting {
            _ if self.is_exhausted() || found.is_settled() => {}
            0 => self.none_fits(id, true, &parts.one_of, value, place, found),
            1 => {}
            _ if !found.wants_words() => found.count(),
            _ => {
                let expected = format!("exactly one of {} alternatives", parts.one_of.len());
                let at = format!("{}/oneOf", node.at);
                let violation = self.summary(place, value, "oneOf", &at, expected);
                let shown = format!("a value that fits {fitting} of them");
                found.add(crate::Violation { found: shown, ..violation });
            }
        }
    }

    /// Whether a branch of a union accepts a value. Most do not, which their discriminator says at
    /// once.
    pub(crate) fn branch_holds(&mut self, branch: Id, value: &Value) -> bool {
        let mut signs = Signs { is_foreign: false, wanted: None };
        self.signs(branch, value, None, 0, &mut signs);
        !signs.is_foreign && self.holds(branch, value)
    }

    fn none_fits(
        &mut self,
        id: Id,
        is_one: bool,
        branches: &[Id],
        value: &Value,
        place: &Place<'_>,
        found: &mut Found,
    ) {
        if !found.wants_words() {
            return found.count();
        }
        let key = (id, is_one, std::ptr::from_ref(value).addr());
        let is_container = value.is_object() || value.is_array();
        let known = self.unions.get(&key).filter(|_| is_container).cloned();
        let explained = match known {
            Some(known) => known,
            None => {
                let limit = found.limit();
                let explained = self.explain_union(id, is_one, branches, value, place, limit);
                let explained = Rc::new(explained);
                if is_container {
                    self.unions.insert(key, Rc::clone(&explained));
                }
                explained
            }
        };
        self.spend(explained.list.len() as u64 * EACH);
        found.extend(&explained);
    }

    fn explain_union(
        &mut self,
        id: Id,
        is_one: bool,
        branches: &[Id],
        value: &Value,
        place: &Place<'_>,
        limit: usize,
    ) -> Found {
        let signs: Vec<Vec<Sign<'_>>> = branches
            .iter()
            .map(|&branch| {
                let mut signs = Signs { is_foreign: false, wanted: Some(Vec::new()) };
                self.signs(branch, value, None, 0, &mut signs);
                signs.wanted.unwrap_or_default()
            })
            .collect();
        let mut explained = Found::up_to(limit);
        if !self.is_exhausted() && self.unknown_discriminator(&signs, value, place, &mut explained)
        {
            return explained;
        }
        let all_are_foreign = signs.iter().all(|signs| !signs.is_empty());
        let is_meant = |signs: &&Vec<Sign<'_>>| all_are_foreign || signs.is_empty();
        let is_clear = signs.iter().filter(is_meant).count() == 1;
        let limit = if is_clear { limit } else { limit.min(MOST_TO_COMPARE) };
        let mut candidates = Vec::new();
        for (&branch, signs) in branches.iter().zip(&signs) {
            let is_foreign = !signs.is_empty();
            if self.is_exhausted() || (is_foreign && !all_are_foreign) {
                continue;
            }
            let mut found = Found::up_to(limit);
            self.walk(branch, value, place, &mut found);
            let violations = without_echoes(found.list, self.facts);
            candidates.push(Branch { is_foreign, violations, more: found.more });
        }
        if self.is_exhausted() {
            // Which branch was meant is not known yet; only that none fits.
            candidates.clear();
        }
        let (rule, number) = (if is_one { "oneOf" } else { "anyOf" }, branches.len());
        let exactly = if is_one { "exactly " } else { "" };
        let at = format!("{}/{rule}", self.plan.nodes[id].at);
        let expected = format!("{exactly}one of {number} alternatives");
        let summary = self.summary(place, value, rule, &at, expected);
        let (violations, more) = choice::choose(&place.pointer(), summary, candidates);
        violations.into_iter().for_each(|violation| explained.add(violation));
        explained.more += more;
        explained
    }

    /// Every branch asks for another constant at the same place: one line with all of them.
    fn unknown_discriminator(
        &mut self,
        signs: &[Vec<Sign<'_>>],
        value: &Value,
        place: &Place<'_>,
        explained: &mut Found,
    ) -> bool {
        let mut constants = Vec::with_capacity(signs.len());
        for signs in signs {
            let Some(sign) = signs.iter().find(|sign| sign.keyword.is_some()) else { return false };
            constants.push(*sign);
        }
        let signs = constants;
        let Some(first) = signs.first().copied() else { return false };
        let same = |sign: &Sign<'_>| sign.member.map(|m| m.0) == first.member.map(|m| m.0);
        if !signs.iter().all(same) {
            return false;
        }
        let plan = self.plan;
        let mut options: Vec<&Value> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for sign in &signs {
            let own = plan.nodes[sign.node].own.as_deref();
            let constants = own.into_iter().flat_map(|own| own.constants());
            let asked = constants.filter(|(keyword, _)| Some(*keyword) == sign.keyword);
            let asked: Vec<&Value> = asked.flat_map(|(_, values)| values).collect();
            self.spend(8 * asked.len() as u64);
            options.extend(asked.into_iter().filter(|option| known.insert(*option)));
        }
        let rule = first.keyword.unwrap_or_default();
        let at = format!("{}/{rule}", plan.nodes[first.node].at);
        let expected = describe::choices(&options);
        let violation = match first.member {
            Some((step, member)) => self.summary(&place.below(step), member, rule, &at, expected),
            None => self.summary(place, value, rule, &at, expected),
        };
        explained.add(violation);
        true
    }

    /// Notes by what a value is foreign to a branch: `member` is where the walk stands, none for the
    /// value of the union itself.
    fn signs<'v>(
        &mut self,
        id: Id,
        value: &'v Value,
        member: Option<(Step<'v>, &'v Value)>,
        hops: usize,
        signs: &mut Signs<'v>,
    ) {
        if signs.are_settled() || hops > FARTHEST || !self.spend(1) {
            return;
        }
        let plan = self.plan;
        let node = &plan.nodes[id];
        if let Some(own) = &node.own {
            let here = member.map_or(value, |(_, member)| member);
            if member.is_none() && own.refuses_type(here) {
                signs.push(Sign { node: id, member, keyword: None });
            }
            for (keyword, constants) in own.constants() {
                let counts = keyword == "const" || member.is_none() || value.is_object();
                self.spend(constants.len() as u64 / 4);
                if counts && !constants.iter().any(|constant| self.is_same(constant, here)) {
                    signs.push(Sign { node: id, member, keyword: Some(keyword) });
                }
            }
        }
        let Some(parts) = &node.parts else { return };
        if member.is_none() && !signs.are_settled() {
            self.signs_of_members(parts, value, hops, signs);
        }
        for &part in &parts.all_of {
            self.signs(part, value, member, hops + 1, signs);
        }
        if let Some((question, then, other)) = parts.condition
            && !signs.are_settled()
        {
            let here = member.map_or(value, |(_, member)| member);
            let part = if self.holds(question, here) { then } else { other };
            if let Some(part) = part {
                self.signs(part, value, member, hops + 1, signs);
            }
        }
        if let Some(target) = parts.reference {
            self.signs(target, value, member, hops + 1, signs);
        }
    }

    fn signs_of_members<'v>(
        &mut self,
        parts: &Parts,
        value: &'v Value,
        hops: usize,
        signs: &mut Signs<'v>,
    ) {
        match value {
            Value::Object(object) => {
                for (name, id) in &parts.telling {
                    self.spend(3);
                    if let Some((name, member)) = object.get_key_value(name) {
                        let member = Some((Step::Name(name), member));
                        self.signs(*id, value, member, hops + 1, signs);
                    }
                }
            }
            Value::Array(items) => {
                for (index, (&id, item)) in parts.prefix.iter().zip(items).enumerate() {
                    let member = Some((Step::Index(index), item));
                    self.signs(id, value, member, hops + 1, signs);
                }
            }
            _ => {}
        }
    }

    /// Whether a value is the constant. Large ones cost more.
    fn is_same(&mut self, constant: &Value, value: &Value) -> bool {
        match (constant, value) {
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => {
                self.spend(16);
                same_value(constant, value)
            }
            _ => same_value(constant, value),
        }
    }
}
