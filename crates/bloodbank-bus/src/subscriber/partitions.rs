//! Order for each key: which key a message has, and which partition of its queue takes it.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{Delivery, Queue, dead_letters_of};

/// How many partitions a queue has unless the code says otherwise.
pub(super) const PARTITIONS: u16 = 16;
/// The most partitions of a queue.
pub(super) const MOST_PARTITIONS: u16 = 256;

/// The partitions of a queue: `<queue>.p00` and so on, each a queue of its own. A single one is the
/// queue itself.
pub(super) struct Partitions {
    /// To the key, in the payload.
    pointer: String,
    queues: Vec<String>,
    /// As many as handlers of all partitions may run at a time.
    pub(super) slots: Arc<Semaphore>,
}

impl Partitions {
    pub(super) fn new(queue: &str, pointer: &str, count: u16, handlers: usize) -> Self {
        let queues = match count {
            1 => vec![queue.to_owned()],
            _ => (0..count).map(|number| format!("{queue}.p{number:02}")).collect(),
        };
        let slots = Arc::new(Semaphore::new(handlers.min(Semaphore::MAX_PERMITS)));
        Partitions { pointer: pointer.to_owned(), queues, slots }
    }

    /// Their names.
    pub(super) fn queues(&self) -> &[String] {
        &self.queues
    }

    /// The queues to declare: ordered, with the room of the whole queue, and with its dead letters.
    pub(super) fn declared(&self, whole: &Queue) -> impl Iterator<Item = Queue> {
        let dead_letters = dead_letters_of(&whole.name);
        let max_len = whole.max_len;
        self.queues.iter().map(move |name| {
            let queue = Queue { max_len, ..Queue::new(name) };
            queue.ordered().with_dead_letters(&*dead_letters)
        })
    }

    /// The partition that takes the messages of a key.
    pub(super) fn of(&self, key: &str) -> Option<&str> {
        let count = self.queues.len().max(1) as u64;
        let number = usize::try_from(hash(key.as_bytes()) % count).unwrap_or_default();
        self.queues.get(number).map(String::as_str)
    }

    /// The key of a message: a text as it is, any other value as JSON, and nothing where there is
    /// none, or no envelope.
    pub(super) fn key_of(&self, delivery: &Delivery) -> Arc<str> {
        let envelope = delivery.envelope().ok();
        let value = envelope.and_then(|envelope| envelope.data.pointer(&self.pointer));
        text_of(value).into()
    }
}

fn text_of(value: Option<&Value>) -> Cow<'_, str> {
    match value {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(other) => Cow::Owned(other.to_string()),
    }
}

/// Whether a text is a JSON pointer (RFC 6901).
pub(super) fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && escapes
}

/// FNV-1a of 64 bits. All processes of a service must agree on it, of whatever version they are.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hash_is_the_one_of_the_literature() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn every_value_is_a_key() {
        let texts = [json!(null), json!("a"), json!(7), json!(true), json!({"a": [1]})];
        let keys: Vec<_> = texts.iter().map(|value| text_of(Some(value)).into_owned()).collect();
        assert_eq!(keys, ["", "a", "7", "true", "{\"a\":[1]}"]);
        assert_eq!(text_of(None), "");
    }

    #[test]
    fn a_pointer_is_recognized() {
        assert!(is_pointer("/a/0/b~1c~0") && is_pointer("/"));
        assert!(!is_pointer("a") && !is_pointer("") && !is_pointer("/a~2") && !is_pointer("/~"));
    }
}
