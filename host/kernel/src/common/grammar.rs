//! What the grammars of conditions have in common: words, each of an element of the configuration's list, and rows of which
//! one must hold.

use wharf_ops::Error;

/// More than anybody writes, and few enough to be rules.
const MOST_ALTERNATIVES: usize = 64;

/// A word of a condition, and which element of the list it is in.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) element: usize,
}

/// Words that are taken one after the other.
pub(crate) struct Words<'a> {
    all: &'a [Word],
    at: usize,
}

impl<'a> Words<'a> {
    pub(crate) fn of(all: &'a [Word]) -> Self {
        Self { all, at: 0 }
    }

    pub(crate) fn next(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    pub(crate) fn peek(&self) -> Option<&'a str> {
        self.all.get(self.at).map(|word| word.text.as_str())
    }

    pub(crate) fn value(&mut self, after: &str) -> Result<&'a str, Error> {
        self.next().ok_or_else(|| Error::invalid(format!("a value is missing after {after:?}")))
    }

    /// Whether that was the next one.
    pub(crate) fn skip(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        self.at += usize::from(found);
        found
    }

    /// An error of the element of the options in which the last word is that was taken.
    pub(crate) fn blame(&self, v4: bool, error: Error) -> Error {
        let last = self.at.checked_sub(1).and_then(|last| self.all.get(last));
        let element = last.map_or(0, |word| word.element);
        error.context(format!("conditions-{}[{element}]", if v4 { "v4" } else { "v6" }))
    }
}

/// Rows of which one must hold, when one of these alternatives must hold as well.
pub(crate) fn combine<T: Clone>(rows: &[Vec<T>], alternatives: &[Vec<T>]) -> Result<Vec<Vec<T>>, Error> {
    if rows.len() * alternatives.len() > MOST_ALTERNATIVES {
        return Err(Error::invalid(format!("more than {MOST_ALTERNATIVES} alternatives")));
    }
    let with = |row: &Vec<T>, more: &Vec<T>| row.iter().chain(more).cloned().collect();
    Ok(rows.iter().flat_map(|row| alternatives.iter().map(move |more| with(row, more))).collect())
}

pub(crate) fn bad(what: &str, text: &str) -> Error {
    Error::invalid(format!("{text:?} is no {what}"))
}
