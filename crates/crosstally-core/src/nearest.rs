//! Which known word somebody probably meant.

/// Longer words are not compared: they are not slips of the finger.
const WORD_CHARS_MAX: usize = 64;

/// The candidate that is nearest to a word, if one is near enough to be meant.
#[must_use]
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = plain(word);
    if word.is_empty() || word.len() > WORD_CHARS_MAX {
        return None;
    }
    let reach = (word.len() / 3).clamp(1, 3);
    let mut best: Option<((usize, usize), &str)> = None;
    for candidate in candidates {
        let other = plain(candidate);
        if other.len() > WORD_CHARS_MAX {
            continue;
        }
        let mut cost = (distance(&word, &other), 0);
        // `dataset` for `dataset_id`: a word that stops early, or goes on, is as good as one slip, but comes after one.
        if word.len().min(other.len()) >= 4 && (other.starts_with(&word) || word.starts_with(&other)) {
            cost = cost.min((1, word.len().abs_diff(other.len())));
        }
        if cost.0 <= reach && best.is_none_or(|(lowest, _)| cost < lowest) {
            best = Some((cost, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn plain(word: &str) -> Vec<char> {
    word.chars().map(|c| if matches!(c, '-' | ' ') { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, &ours) in from.iter().enumerate() {
        let mut next = Vec::with_capacity(to.len() + 1);
        next.push(row + 1);
        for (column, &theirs) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(ours != theirs);
            let mut steps = replaced.min(last[column + 1] + 1).min(next[column] + 1);
            let swapped = row > 0 && column > 0 && ours == to[column - 1] && from[row - 1] == theirs;
            if swapped {
                steps = steps.min(before_last[column - 1] + 1);
            }
            next.push(steps);
        }
        before_last = std::mem::replace(&mut last, next);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known =
            ["event", "event_time", "token", "hmac", "allow", "dataset_id", "access_token", "timezone"];
        for (word, meant) in [
            ("tokn", Some("token")),
            ("tokne", Some("token")),
            ("Token", Some("token")),
            ("hmca", Some("hmac")),
            ("allowed", Some("allow")),
            ("dataset", Some("dataset_id")),
            ("dataset-id", Some("dataset_id")),
            ("time zone", Some("timezone")),
            ("event_timex", Some("event_time")),
            ("event_times_", Some("event_time")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
