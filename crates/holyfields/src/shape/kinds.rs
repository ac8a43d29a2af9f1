//! Which JSON types a value may have, by all that a schema says.

use std::collections::{HashMap, HashSet};
use std::ops::{BitAnd, BitOr};

use serde_json::{Map, Value};

use super::layers::{below, lone_reference};
use crate::file::SchemaFile;
use crate::resolve::{References, Target};

/// A set of JSON types. Whole numbers and those with a fraction are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

/// One JSON type that a Rust type is made for; null is left to `Option`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Array,
    Object,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::String, Kind::Integer, Kind::Number, Kind::Boolean, Kind::Array, Kind::Object];

    /// What the variant of a union is called that holds a value of this type.
    pub(super) fn variant(self) -> &'static str {
        match self {
            Kind::String => "String",
            Kind::Integer => "Integer",
            Kind::Number => "Number",
            Kind::Boolean => "Boolean",
            Kind::Array => "List",
            Kind::Object => "Object",
        }
    }
}

impl From<Kind> for Kinds {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::String => Kinds::STRING,
            Kind::Integer => Kinds::INTEGER,
            Kind::Number => Kinds::NUMBER,
            Kind::Boolean => Kinds::BOOLEAN,
            Kind::Array => Kinds::ARRAY,
            Kind::Object => Kinds::OBJECT,
        }
    }
}

impl Kinds {
    pub(super) const NONE: Kinds = Kinds(0);
    pub(super) const NULL: Kinds = Kinds(1);
    pub(super) const BOOLEAN: Kinds = Kinds(2);
    pub(super) const INTEGER: Kinds = Kinds(4);
    pub(super) const NUMBER: Kinds = Kinds(4 | 8);
    pub(super) const STRING: Kinds = Kinds(16);
    pub(super) const ARRAY: Kinds = Kinds(32);
    pub(super) const OBJECT: Kinds = Kinds(64);
    pub(super) const ALL: Kinds = Kinds(127);

    pub(super) fn of_value(value: &Value) -> Kinds {
        match value {
            Value::Null => Kinds::NULL,
            Value::Bool(_) => Kinds::BOOLEAN,
            Value::Number(number) => match number.as_f64() {
                Some(float) if float.fract() == 0.0 => Kinds::INTEGER,
                _ => Kinds::NUMBER,
            },
            Value::String(_) => Kinds::STRING,
            Value::Array(_) => Kinds::ARRAY,
            Value::Object(_) => Kinds::OBJECT,
        }
    }

    fn of_word(word: &str) -> Kinds {
        match word {
            "null" => Kinds::NULL,
            "boolean" => Kinds::BOOLEAN,
            "integer" => Kinds::INTEGER,
            "number" => Kinds::NUMBER,
            "string" => Kinds::STRING,
            "array" => Kinds::ARRAY,
            "object" => Kinds::OBJECT,
            _ => Kinds::NONE,
        }
    }

    pub(super) fn meets(self, other: Kinds) -> bool {
        self & other != Kinds::NONE
    }

    /// The types in it, null left out, an integer only where no other number is allowed.
    pub(super) fn list(self) -> Vec<Kind> {
        let fraction = self.meets(Kinds(8));
        let listed = |kind: &Kind| match kind {
            Kind::Integer => self.meets(Kinds::INTEGER) && !fraction,
            Kind::Number => fraction,
            kind => self.meets((*kind).into()),
        };
        Kind::ALL.into_iter().filter(listed).collect()
    }
}

impl BitAnd for Kinds {
    type Output = Kinds;

    fn bitand(self, other: Kinds) -> Kinds {
        Kinds(self.0 & other.0)
    }
}

impl BitOr for Kinds {
    type Output = Kinds;

    fn bitor(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

/// Finds the types of places, each once.
pub(super) struct KindsOf<'a> {
    files: &'a [SchemaFile],
    references: &'a References,
    known: HashMap<Target, Kinds>,
    /// Places on the way to the one asked for: a circle says nothing.
    open: HashSet<Target>,
}

impl<'a> KindsOf<'a> {
    pub(super) fn new(files: &'a [SchemaFile], references: &'a References) -> Self {
        KindsOf { files, references, known: HashMap::new(), open: HashSet::new() }
    }

    /// The types that a value may have which all these places describe.
    pub(super) fn all(&mut self, places: &[Target]) -> Kinds {
        places.iter().fold(Kinds::ALL, |kinds, at| kinds & self.at(at))
    }

    /// The types that a value may have which this place describes.
    pub(super) fn at(&mut self, at: &Target) -> Kinds {
        if let Some(kinds) = self.known.get(at) {
            return *kinds;
        }
        let object = match self.files[at.file].schema.pointer(&at.pointer) {
            Some(Value::Object(object)) => object,
            Some(Value::Bool(false)) => return Kinds::NONE,
            _ => return Kinds::ALL,
        };
        if self.open.len() > MAX_WAY || !self.open.insert(at.clone()) {
            return Kinds::ALL;
        }
        let kinds = self.of(at, object);
        self.open.remove(at);
        self.known.insert(at.clone(), kinds);
        kinds
    }

    fn of(&mut self, at: &Target, object: &Map<String, Value>) -> Kinds {
        let target = self.references.target(at).cloned();
        let referred = target.map_or(Kinds::ALL, |target| self.at(&target));
        if lone_reference(&self.files[at.file], object) {
            return referred;
        }
        let mut kinds = referred & said(object);
        for (keyword, any) in [("allOf", false), ("anyOf", true), ("oneOf", true)] {
            let Some(list) = object.get(keyword).and_then(Value::as_array) else {
                continue;
            };
            let branches = (0..list.len()).map(|index| below(at, keyword, index));
            kinds = kinds
                & match any {
                    true => branches.fold(Kinds::NONE, |kinds, at| kinds | self.at(&at)),
                    false => branches.fold(Kinds::ALL, |kinds, at| kinds & self.at(&at)),
                };
        }
        kinds
    }
}

/// A chain of schemas that all apply to one value; longer than people write.
const MAX_WAY: usize = 64;

/// What `type`, `const` and `enum` say.
fn said(object: &Map<String, Value>) -> Kinds {
    let words = |words: &[Value]| {
        let words = words.iter().filter_map(Value::as_str).map(Kinds::of_word);
        words.fold(Kinds::NONE, BitOr::bitor)
    };
    let types = match object.get("type") {
        Some(Value::String(word)) => Kinds::of_word(word),
        Some(Value::Array(several)) => words(several),
        _ => Kinds::ALL,
    };
    let only = object.get("const").map_or(Kinds::ALL, Kinds::of_value);
    let listed = object.get("enum").and_then(Value::as_array).map_or(Kinds::ALL, |values| {
        values.iter().map(Kinds::of_value).fold(Kinds::NONE, BitOr::bitor)
    });
    types & only & listed
}
