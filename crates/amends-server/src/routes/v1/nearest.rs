//! The name that was probably meant.
//!
//! Owns the distance between names. Does not know which names there are.

/// The nearest of the known names, if one is near enough to be a slip.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let far = (word.chars().count() / 3).max(1) + 1;
    let distances = known.into_iter().map(|name| (distance(word, name), name));
    distances.filter(|(distance, _)| *distance <= far).min().map(|(_, name)| name)
}

/// What to say about an unknown name: the nearest one, or all there are.
pub(super) fn hint(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(name) => format!("did you mean {name:?}?"),
        None if known.is_empty() => "there are none here".to_owned(),
        None => format!("there are {}", known.join(", ")),
    }
}

/// How many letters must be put in, left out, replaced or swapped with their neighbour, whatever their case.
pub(super) fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (at, row) in rows.iter_mut().enumerate() {
        row[0] = at;
    }
    for (at, place) in rows[0].iter_mut().enumerate() {
        *place = at;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            let is_swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if is_swapped {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let known = ["definition", "version", "status", "tag", "key"];
        for (word, expected) in [
            ("defintion", Some("definition")),
            ("Version", Some("version")),
            ("satus", Some("status")),
            ("tags", Some("tag")),
            ("kye", Some("key")),
            ("offset", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(distance("idempotency-key", "idempotnecy-key"), 1);
        assert_eq!(distance("referer", "prefer"), 3);
    }
}
