//! "Did you mean ...": the nearest known word.

/// Longest word that is compared; a longer one is no slip of the fingers.
const LONGEST: usize = 64;

/// The candidate that is fewest slips away from `word`: one letter added, dropped, changed, or two neighbours swapped.
/// At most one slip for each three letters, at least one; the first candidate wins a tie.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let allowed = (word.chars().count() / 3).max(1);
    let near = candidates.into_iter().filter(|candidate| candidate.len() <= LONGEST);
    let scored = near.map(|candidate| (slips(word, candidate), candidate));
    scored
        .filter(|(slips, _)| *slips <= allowed)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// A remedy for an unknown `word`: the nearest candidate, or else the list of all.
pub fn remedy(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None if candidates.is_empty() => format!("remove '{word}'"),
        None => format!("known here: {}", candidates.join(", ")),
    }
}

/// The same where it may be that there are none at all: then `none` is what to do.
pub fn remedy_or(word: &str, candidates: &[&str], none: &str) -> String {
    if candidates.is_empty() { none.to_owned() } else { remedy(word, candidates) }
}

/// Optimal string alignment distance, one table row at a time.
fn slips(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_one_slip_in_a_short_word_and_more_in_a_long_one() {
        let known = ["include", "packages", "root", "init"];
        assert_eq!(nearest("pakages", known), Some("packages"));
        assert_eq!(nearest("pcakagse", known), Some("packages"));
        assert_eq!(nearest("rot", known), Some("root"));
        assert_eq!(nearest("inti", known), Some("init"));
        assert_eq!(nearest("kernel", known), None);
        assert_eq!(nearest("xy", known), None);
        assert_eq!(nearest(&"a".repeat(1 << 20), known), None);
    }
}
