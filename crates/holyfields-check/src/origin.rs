//! From a place in a bundled document back to the file it was written in.

use std::collections::HashMap;

use holyfields::file::SchemaFile;
use holyfields::pointer;
use serde_json::Value;

/// The files behind the definitions of a bundle.
pub(crate) struct Origins<'a> {
    by_definition: HashMap<&'a str, &'a SchemaFile>,
}

/// A place in a file.
pub(crate) struct Origin<'a> {
    pub(crate) file: &'a SchemaFile,
    pub(crate) pointer: String,
}

impl<'a> Origins<'a> {
    pub(crate) fn of(files: &'a [SchemaFile]) -> Self {
        Origins { by_definition: files.iter().map(|file| (file.definition(), file)).collect() }
    }

    /// Where `/$defs/<definition>/…` comes from; none for the document's own root.
    ///
    /// Lowering renames some keywords of draft-07. Where the place is not in the file under the
    /// same pointer, the nearest one around it is.
    pub(crate) fn find(&self, at: &str) -> Option<Origin<'a>> {
        let below = at.strip_prefix("/$defs/")?;
        let (name, pointer) = below.split_at(below.find('/').unwrap_or(below.len()));
        let file = *self.by_definition.get(pointer::unescape(name).as_ref())?;
        Some(Origin { file, pointer: present(&file.schema, pointer)?.to_owned() })
    }
}

/// The pointer, or the longest part of it that leads to something in a document.
pub(crate) fn present<'p>(document: &Value, mut pointer: &'p str) -> Option<&'p str> {
    while document.pointer(pointer).is_none() {
        pointer = &pointer[..pointer.rfind('/')?];
    }
    Some(pointer)
}

#[cfg(test)]
mod tests {
    use holyfields::file::Draft;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_renamed_keyword_falls_back_to_what_is_around_it() {
        let schema = json!({"properties": {"a/b": {"items": [true]}}});
        let files = [SchemaFile { path: "x/y.v1.json".into(), draft: Draft::V7, schema }];
        let origins = Origins::of(&files);
        let pointer = |at| origins.find(at).map(|origin| origin.pointer);
        assert_eq!(pointer("/$defs/x~1y.v1").as_deref(), Some(""));
        let renamed = pointer("/$defs/x~1y.v1/properties/a~1b/prefixItems/0");
        assert_eq!(renamed.as_deref(), Some("/properties/a~1b"));
        assert_eq!(pointer("/$defs/z"), None);
        assert_eq!(pointer(""), None);
    }
}
