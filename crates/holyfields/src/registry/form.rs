//! What a value in registry.yaml may look like: the reader checks by it, and its JSON Schema is made
//! from it, so that neither accepts what the other refuses.

use serde_json::{Map, json};

use super::yaml::{Node, Value};
use crate::finding::{Finding, Place};
use crate::{rules, suggest};

/// What a value may be.
pub(crate) enum Form {
    /// Any text with something in it.
    Text,
    /// One of these texts.
    Word(&'static [&'static str]),
    /// A text of a certain kind.
    Kind(&'static Kind),
    /// `true` or `false`.
    Flag,
    /// A whole number from 1.
    Count { most: u64 },
    /// A list.
    List { items: &'static Form, most: Option<usize> },
    /// Names that the author chooses, each with a value.
    Map { names: &'static Form, values: &'static Form },
    /// Fields that have a meaning each.
    Fields(&'static Fields),
    /// A list, or fields.
    ListOrFields(&'static Form, &'static Fields),
    /// Names that the author chooses, and any values.
    Free,
}

/// A kind of text.
pub(crate) struct Kind {
    /// ``a URL such as `https://example.org` ``.
    pub(crate) what: &'static str,
    /// The regular expression that it matches, in the words that every engine of JSON Schema knows.
    pub(crate) pattern: &'static str,
    /// The same. `None` where another rule says what is wrong with a text.
    pub(crate) fits: Option<fn(&str) -> bool>,
    /// The most characters that it has.
    pub(crate) most: Option<usize>,
}

/// The fields of a map.
pub(crate) struct Fields {
    /// Its name in the JSON Schema.
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) fields: &'static [Field],
}

/// A field.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) required: bool,
    pub(crate) form: Form,
}

impl Form {
    /// ``a list``, `` `true` or `false` ``.
    fn expected(&self) -> String {
        match self {
            Form::Text => "a text".to_owned(),
            Form::Word(words) => {
                let mut words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                let last = words.pop().unwrap_or_default();
                if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) }
            }
            Form::Kind(kind) => kind.what.to_owned(),
            Form::Flag => "`true` or `false`".to_owned(),
            Form::Count { most } => format!("a whole number from 1 to {most}"),
            Form::List { .. } => "a list".to_owned(),
            Form::Map { .. } | Form::Fields(_) | Form::Free => "a map".to_owned(),
            Form::ListOrFields(..) => "a list or a map".to_owned(),
        }
    }

    /// Whether a text is of this form.
    fn takes(&self, text: &str) -> bool {
        match self {
            Form::Text => !text.is_empty(),
            Form::Word(words) => words.contains(&text),
            Form::Kind(kind) => kind.is_met_by(text),
            _ => false,
        }
    }

    /// The JSON Schema of values of this form. Maps of fields go into `definitions`.
    pub(crate) fn schema(
        &self,
        definitions: &mut Map<String, serde_json::Value>,
    ) -> serde_json::Value {
        match self {
            Form::Text => json!({ "type": "string", "minLength": 1 }),
            Form::Word(words) => json!({ "enum": words }),
            Form::Kind(kind) => {
                let mut schema = json!({ "type": "string", "pattern": kind.pattern });
                if let Some(most) = kind.most {
                    schema["maxLength"] = most.into();
                }
                schema
            }
            Form::Flag => json!({ "type": "boolean" }),
            Form::Count { most } => json!({ "type": "integer", "minimum": 1, "maximum": most }),
            Form::List { items, most } => {
                let mut schema = json!({ "type": "array", "items": items.schema(definitions) });
                if let Some(most) = most {
                    schema["maxItems"] = (*most).into();
                }
                schema
            }
            Form::Map { names, values } => json!({
                "type": "object",
                "propertyNames": names.schema(definitions),
                "additionalProperties": values.schema(definitions),
            }),
            Form::Fields(fields) => {
                if !definitions.contains_key(fields.name) {
                    // Holds the place: a definition stands behind those that need it.
                    definitions.insert(fields.name.to_owned(), serde_json::Value::Null);
                    let schema = fields.schema(definitions);
                    definitions.insert(fields.name.to_owned(), schema);
                }
                json!({ "$ref": format!("#/$defs/{}", fields.name) })
            }
            Form::ListOrFields(list, fields) => json!({
                "anyOf": [list.schema(definitions), Form::Fields(fields).schema(definitions)],
            }),
            Form::Free => json!({ "type": "object" }),
        }
    }
}

impl Fields {
    /// The closed JSON Schema of such maps.
    pub(crate) fn schema(
        &self,
        definitions: &mut Map<String, serde_json::Value>,
    ) -> serde_json::Value {
        let mut properties = Map::new();
        for field in self.fields {
            let mut schema = json!({ "description": field.description });
            if let (Some(schema), serde_json::Value::Object(form)) =
                (schema.as_object_mut(), field.form.schema(definitions))
            {
                schema.extend(form);
            }
            properties.insert(field.name.to_owned(), schema);
        }
        let required = self.fields.iter().filter(|field| field.required);
        let required: Vec<&str> = required.map(|field| field.name).collect();
        let mut schema = json!({
            "description": self.description,
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }
}

/// HF060 and HF063: where a file does not have the form that it should have.
pub(crate) struct Check<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
    pub(crate) findings: &'a mut Vec<Finding>,
}

impl Check<'_> {
    /// Checks a value; the path is for people, empty for the whole file.
    pub(crate) fn value(&mut self, node: &Node, form: &Form, path: &str) {
        match (form, &node.value) {
            (form, Value::Text(text)) if form.takes(text) => {}
            (Form::Flag, Value::Flag(_)) => {}
            (Form::Count { most }, Value::Integer(number))
                if (1..=i128::from(*most)).contains(number) => {}
            (Form::Count { most }, Value::Number(number))
                if number.fract() == 0.0 && (1.0..=*most as f64).contains(number) => {}
            (Form::List { items: form, most }, Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, form, &format!("{path}[{index}]"));
                }
                if let Some(most) = most.filter(|most| items.len() > *most) {
                    let message =
                        format!("`{path}` has {} entries; expected {most} at most", items.len());
                    self.findings.push(Finding::new(rules::REGISTRY, message, self.place(node)));
                }
            }
            (Form::Map { names, values }, Value::Map(members)) => {
                self.names(members, path);
                for (name, value) in members {
                    let below = self.below(path, name);
                    if name.text().is_some() {
                        self.value(name, names, &below);
                    }
                    self.value(value, values, &below);
                }
            }
            (Form::Fields(fields), Value::Map(members)) => self.fields(node, fields, members, path),
            (Form::ListOrFields(list, _), Value::List(_)) => self.value(node, list, path),
            (Form::ListOrFields(_, fields), Value::Map(members)) => {
                self.fields(node, fields, members, path);
            }
            (Form::Free, Value::Map(_)) => self.free(node, path),
            _ => self.refuse(node, form, path),
        }
    }

    fn fields(&mut self, node: &Node, fields: &Fields, members: &[(Node, Node)], path: &str) {
        self.names(members, path);
        for (name, value) in members {
            let Some(text) = name.text() else { continue };
            match fields.fields.iter().find(|field| field.name == text) {
                Some(field) => self.value(value, &field.form, &self.below(path, name)),
                None => self.unknown_field(name, text, fields, path),
            }
        }
        let is_there = |field: &&Field| node.get(field.name).is_some();
        for field in fields.fields.iter().filter(|field| field.required && !is_there(field)) {
            let message = match path {
                "" => format!("the service registry has no `{}`", field.name),
                path => format!("`{path}` has no `{}`", field.name),
            };
            self.findings.push(Finding::new(rules::REGISTRY, message, self.place(node)));
        }
    }

    fn unknown_field(&mut self, place: &Node, name: &str, fields: &Fields, path: &str) {
        let within = match path {
            "" => String::new(),
            path => format!(" of `{path}`"),
        };
        let message = format!("nothing reads the field `{name}`{within}");
        let known: Vec<&str> = fields.fields.iter().map(|field| field.name).collect();
        let help = match suggest::nearest(name, known.iter().copied()).first() {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.contains(&"runtime") => {
                "remove it, or put it under `runtime`, which is free form".to_owned()
            }
            None => {
                let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                format!("remove it; what is read here: {}", known.join(", "))
            }
        };
        let finding = Finding::new(rules::REGISTRY_FIELD, message, self.place(place));
        self.findings.push(finding.help(help));
    }

    /// Names that are not texts, and those that stand twice.
    fn names(&mut self, members: &[(Node, Node)], path: &str) {
        for (index, (name, _)) in members.iter().enumerate() {
            let Some(text) = name.text() else {
                let within = if path.is_empty() { "the service registry" } else { path };
                let message = format!("a name in `{within}` is {}", self.described(name));
                let finding = Finding::new(rules::REGISTRY, message, self.place(name));
                self.findings.push(finding.help("put it in quotes, so that it is a text"));
                continue;
            };
            let first = members[..index].iter().find(|(first, _)| first.text() == Some(text));
            if let Some((first, _)) = first {
                let message = format!("`{}` stands here twice", self.below(path, name));
                let finding = Finding::new(rules::REGISTRY, message, self.place(name))
                    .also(self.place(first).labelled("first here"));
                self.findings.push(finding.help("put both together, or remove one"));
            }
        }
    }

    /// Any value, if its names are names.
    fn free(&mut self, node: &Node, path: &str) {
        self.names(node.members(), path);
        for (name, value) in node.members() {
            self.free(value, &self.below(path, name));
        }
        for (index, item) in node.items().iter().enumerate() {
            self.free(item, &format!("{path}[{index}]"));
        }
    }

    fn refuse(&mut self, node: &Node, form: &Form, path: &str) {
        let what =
            if path.is_empty() { "the service registry".to_owned() } else { format!("`{path}`") };
        let is = self.described(node);
        let message = format!("{what} is {is}; expected {}", form.expected());
        let mut finding = Finding::new(rules::REGISTRY, message, self.place(node));
        let near = match (form, node.text()) {
            (Form::Word(words), Some(text)) => {
                let lower = text.to_lowercase();
                suggest::nearest(&lower, words.iter().copied()).first().copied()
            }
            _ => None,
        };
        let help = match (&node.value, near) {
            (_, Some(near)) => Some(format!("did you mean `{near}`?")),
            (Value::Null, _) => Some("give it a value, or remove it".to_owned()),
            (Value::Text(text), _) if matches!(form, Form::Flag) && is_flag(text) => {
                Some(format!("write it without quotes: {text}"))
            }
            (Value::Flag(_) | Value::Integer(_) | Value::Number(_), _)
                if form.takes(self.written(node)) =>
            {
                Some(format!("put it in quotes: \"{}\"", self.written(node)))
            }
            _ => None,
        };
        finding.help = help;
        self.findings.push(finding);
    }

    /// ``the number `3` ``, `a list`.
    fn described(&self, node: &Node) -> String {
        match &node.value {
            Value::Null => "empty".to_owned(),
            Value::Flag(flag) => format!("`{flag}`"),
            Value::Integer(_) | Value::Number(_) => format!("the number {}", self.written(node)),
            Value::Text(text) if text.is_empty() => "an empty text".to_owned(),
            Value::Text(text) => format!("`{text}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// A number as it stands in the file.
    fn written(&self, node: &Node) -> &str {
        self.text.get(node.range.clone()).unwrap_or_default().trim()
    }

    fn below(&self, path: &str, name: &Node) -> String {
        let name = name.text().unwrap_or_else(|| self.written(name));
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    }

    fn place(&self, node: &Node) -> Place {
        Place::bytes(self.file, node.range.clone())
    }
}

fn is_flag(text: &str) -> bool {
    text == "true" || text == "false"
}

impl Kind {
    fn is_met_by(&self, text: &str) -> bool {
        let is_short = self.most.is_none_or(|most| text.chars().count() <= most);
        self.fits.is_none_or(|fits| fits(text) && is_short)
    }
}
