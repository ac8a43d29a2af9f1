//! What is said of an id that nothing is known of.

use super::Known;
use super::rows::ago;
use crate::figures::count_of;

/// What was searched, and what could be the reason.
pub(super) fn text(known: &Known) -> String {
    let mut text = format!("nothing is known of the id {}\nsearched:", known.id);
    for place in &known.searched {
        text.push_str(&format!("\n  {place}"));
    }
    text.push_str("\nit may be that");
    for reason in reasons(known) {
        text.push_str(&format!("\n  {reason}"));
    }
    text
}

/// What could be the reason.
pub(super) fn reasons(known: &Known) -> Vec<String> {
    let mut reasons = vec![
        "it was never published, or under another id".to_owned(),
        "it was refused: what breaks its contract is not sent, and leaves nothing but the error that \
         its publisher got"
            .to_owned(),
        "it still lies in the outbox of its service: `bloodbank outbox`".to_owned(),
    ];
    if known.broker.is_some() {
        reasons.push(
            "it waits in a queue of the broker, which cannot be looked through without taking from \
             it, and nobody records: `bloodbank store record` does"
                .to_owned(),
        );
    }
    let Some(stored) = &known.stored else { return reasons };
    let pruned: u64 = stored.pruned.iter().map(|range| range.count()).sum();
    match (&stored.oldest, pruned) {
        (_, 0) => {}
        (oldest, n) => {
            let left = oldest.as_ref().map_or("nothing is left".to_owned(), |(position, at)| {
                format!("the oldest event left is at position {position}, stored {}", ago(*at))
            });
            let removed = count_of(n, "position");
            reasons.push(format!("it was pruned: retention has removed {removed}; {left}"));
        }
    }
    reasons
}
