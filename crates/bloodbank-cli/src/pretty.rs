//! JSON for people, with each value as it was written.

/// JSON with a line for each value. Only the white space between values changes: numbers, texts and
/// repeated names stay as they came. What is no JSON comes back somehow, too.
pub(crate) fn json(text: &str) -> String {
    let mut pretty = Pretty::default();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => pretty.text(&mut chars),
            ' ' | '\t' | '\n' | '\r' => {}
            '{' | '[' => {
                while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                match chars.next_if(|c| matches!(c, '}' | ']')) {
                    Some(end) => pretty.out.extend([c, end]),
                    None => pretty.open(c),
                }
            }
            '}' | ']' => pretty.close(c),
            ',' => pretty.next(),
            ':' => pretty.out.push_str(": "),
            other => pretty.out.push(other),
        }
    }
    pretty.out
}

#[derive(Default)]
struct Pretty {
    out: String,
    depth: usize,
}

impl Pretty {
    /// The rest of a text, up to its end.
    fn text(&mut self, chars: &mut impl Iterator<Item = char>) {
        self.out.push('"');
        let mut is_escaped = false;
        for c in chars {
            self.out.push(c);
            match c {
                '"' if !is_escaped => return,
                _ => is_escaped = c == '\\' && !is_escaped,
            }
        }
    }

    fn open(&mut self, bracket: char) {
        self.out.push(bracket);
        self.depth += 1;
        self.line();
    }

    fn close(&mut self, bracket: char) {
        self.depth = self.depth.saturating_sub(1);
        self.line();
        self.out.push(bracket);
    }

    fn next(&mut self) {
        self.out.push(',');
        self.line();
    }

    fn line(&mut self) {
        self.out.push('\n');
        // What is nested ever deeper would grow with the square of its length.
        self.out.extend(std::iter::repeat_n("  ", self.depth.min(64)));
    }
}

#[cfg(test)]
mod tests {
    use super::json;

    #[test]
    fn values_stay_as_they_were_written() {
        let text = r#"{"a":[ ] ,"b":{"c":12345678901234567890.10,"c":"x\"{,\\"},"d":[1,[{}]]}"#;
        let pretty = "{\n  \"a\": [],\n  \"b\": {\n    \"c\": 12345678901234567890.10,\n    \
                      \"c\": \"x\\\"{,\\\\\"\n  },\n  \"d\": [\n    1,\n    [\n      {}\n    ]\n  ]\n}";
        assert_eq!(json(text), pretty);
        assert_eq!(json(&json(text)), pretty);
        assert_eq!(json("\"never ends"), "\"never ends");
        assert_eq!(json("]"), "\n]");
    }
}
