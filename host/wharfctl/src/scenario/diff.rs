//! The lines in which two texts differ, with a few around them.

/// How many lines are shown before and after a difference.
const AROUND: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Less(&'a str),
    More(&'a str),
}

/// None if they are the same; else `-` is what was expected, `+` what was found.
pub(crate) fn diff(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let lines = compare(&expected.lines().collect::<Vec<_>>(), &found.lines().collect::<Vec<_>>());
    let near = |at: usize| {
        let from = at.saturating_sub(AROUND);
        lines.iter().skip(from).take(at - from + AROUND + 1).any(|line| !matches!(line, Line::Same(_)))
    };
    let mut text = String::new();
    let mut cut = false;
    for (at, line) in lines.iter().enumerate() {
        if !near(at) {
            cut = true;
            continue;
        }
        if std::mem::take(&mut cut) {
            text.push_str("  ...\n");
        }
        let (sign, line) = match line {
            Line::Same(line) => (' ', line),
            Line::Less(line) => ('-', line),
            Line::More(line) => ('+', line),
        };
        text.push(sign);
        text.push(' ');
        text.push_str(line);
        text.push('\n');
    }
    if text.is_empty() {
        // Only line ends differ.
        text.push_str("  (the line end at the end)\n");
    }
    Some(text)
}

/// By the longest common subsequence: scenarios have hundreds of lines, not thousands.
fn compare<'a>(expected: &[&'a str], found: &[&'a str]) -> Vec<Line<'a>> {
    let width = found.len() + 1;
    let mut longest = vec![0_usize; (expected.len() + 1) * width];
    let at = |row: usize, column: usize| row * width + column;
    let get = |longest: &[usize], row, column| longest.get(at(row, column)).copied().unwrap_or(0);
    for (row, one) in expected.iter().enumerate().rev() {
        for (column, other) in found.iter().enumerate().rev() {
            let value = if one == other {
                get(&longest, row + 1, column + 1) + 1
            } else {
                get(&longest, row + 1, column).max(get(&longest, row, column + 1))
            };
            if let Some(cell) = longest.get_mut(at(row, column)) {
                *cell = value;
            }
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::with_capacity(expected.len().max(found.len()));
    loop {
        match (expected.get(row), found.get(column)) {
            (Some(one), Some(other)) if one == other => {
                lines.push(Line::Same(one));
                row += 1;
                column += 1;
            }
            (Some(one), other)
                if other.is_none() || get(&longest, row + 1, column) >= get(&longest, row, column + 1) =>
            {
                lines.push(Line::Less(one));
                row += 1;
            }
            (_, Some(other)) => {
                lines.push(Line::More(other));
                column += 1;
            }
            _ => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_no_difference() {
        assert_eq!(diff("a\nb\n", "a\nb\n"), None);
    }

    #[test]
    fn a_difference_is_shown_with_what_is_around_it() {
        let expected = "1\n2\n3\n4\n5\n6\n7\n";
        let found = "1\n2\n3\n4\nfive\n6\n7\n8\n";
        assert_eq!(diff(expected, found).unwrap(), "  ...\n  3\n  4\n- 5\n+ five\n  6\n  7\n+ 8\n");
        assert_eq!(diff("a\n", "").unwrap(), "- a\n");
        assert_eq!(diff("", "a\n").unwrap(), "+ a\n");
        assert!(diff("a\n", "a").unwrap().contains("line end"));
    }
}
