//! Did you mean …?

/// Letters of the word that count; it may come from outside, and the work is word × candidate.
const LONGEST: usize = 256;

/// Up to three candidates that look like a word, the nearest first.
///
/// A candidate that ends in `.word` counts as near: the domain was left out.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let letters: Vec<char> = word.chars().take(LONGEST).collect();
    let most = (letters.len() / 3).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let tail = candidate.strip_suffix(word).is_some_and(|head| head.ends_with('.'));
            let distance = if tail { 1 } else { distance(&letters, candidate) };
            (distance <= most).then_some((distance, candidate))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// Levenshtein, with the exchange of two neighbours counted as one edit.
fn distance(word: &[char], other: &str) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=word.len()).collect();
    let mut last = None;
    for (i, letter) in other.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, &mine) in word.iter().enumerate() {
            let swap = usize::from(mine != letter);
            let mut best = (above[j] + swap).min(above[j + 1] + 1).min(row[j] + 1);
            if j > 0 && Some(mine) == last && word[j - 1] == letter {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        last = Some(letter);
        before = std::mem::replace(&mut above, row);
    }
    above[word.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let of = |a: &str, b| distance(&a.chars().collect::<Vec<_>>(), b);
        assert_eq!(of("", ""), 0);
        assert_eq!(of("abc", ""), 3);
        assert_eq!(of("kitten", "sitting"), 3);
        assert_eq!(of("craeted", "created"), 1);
    }

    #[test]
    fn the_nearest_come_first_and_the_far_not_at_all() {
        let keys = ["theboard.meeting.created", "theboard.meeting.started", "llm.prompt"];
        assert_eq!(nearest("theboard.meeting.craeted", keys)[0], keys[0]);
        assert_eq!(nearest("theboard.meeting.created", keys)[0], keys[0]);
        assert_eq!(nearest("meeting.created", keys), [keys[0]]);
        for far in ["calendar.entry.moved", "github.push.received"] {
            assert!(nearest(far, keys).is_empty(), "{far}");
        }
    }
}
