//! Which known word was meant.

/// The known word that is nearest to `word`, if one is near.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let distances = known.map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate));
    let (distance, candidate) = distances.min_by_key(|(distance, _)| *distance)?;
    // A third of the letters may be wrong: beyond that it is another word.
    (distance <= word.chars().count().max(3) / 3).then_some(candidate)
}

/// How many letters have to be changed, added, left out or swapped with their neighbour (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut rows: [Vec<usize>; 2] = [Vec::new(), (0..=other.len()).collect()];
    let mut last = None;
    for (line, letter) in one.chars().enumerate() {
        let [before, above] = rows;
        let mut row = vec![line + 1];
        let mut left = line + 1;
        for (column, theirs) in other.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut best = (left + 1).min(at(&above, column + 1) + 1);
            best = best.min(at(&above, column) + usize::from(letter != *theirs));
            let previous = column.checked_sub(1);
            let swapped = previous.and_then(|at| other.get(at)) == Some(&letter) && last == Some(*theirs);
            if let Some(previous) = previous.filter(|_| swapped) {
                best = best.min(at(&before, previous) + 1);
            }
            row.push(best);
            left = best;
        }
        last = Some(letter);
        rows = [above, row];
    }
    let [_, row] = rows;
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = || ["isGateway", "isDefaultGateway", "ipMasq", "hairpinMode", "mtu"].into_iter();
        for (word, meant) in [
            ("isGatway", Some("isGateway")),
            ("isgateway", Some("isGateway")),
            ("isDefaultGatway", Some("isDefaultGateway")),
            ("ipMsaq", Some("ipMasq")),
            ("hairpin", None),
            ("hairpinMod", Some("hairpinMode")),
            ("mut", Some("mtu")),
            ("x", None),
            ("", None),
            ("description", None),
        ] {
            assert_eq!(nearest(word, known()), meant, "{word:?}");
        }
    }

    #[test]
    fn distances_are_counted_in_letters() {
        for (one, other, expected) in
            [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3), ("größe", "grösse", 2)]
        {
            assert_eq!(distance(one, other), expected, "{one:?} {other:?}");
        }
    }
}
