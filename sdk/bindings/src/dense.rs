//! Code as few lines: nobody reads it but a compiler, and one in doubt.

use anyhow::{Result, ensure};
use proc_macro2::{Delimiter, Group, Ident, Literal, Spacing, TokenStream, TokenTree};

/// Bytes of a line.
pub(crate) const WIDTH: usize = 110;

/// Bytes of a line of a literal.
const MOST: usize = WIDTH - 2;

/// Operators that look better with spaces around them.
const SPACED: &[&str] = &["=", "==", "!=", "->", "=>", "+=", "<=", ">="];

/// What Rust reads as one operator where nothing is between. `<<` and `>>` also end two lists of types, so they are two.
const OPERATORS: &[&str] = &[
    "..=", "...", "::", "->", "=>", "==", "!=", "<=", ">=", "&&", "||", "+=", "-=", "*=", "/=", "%=", "^=",
    "&=", "|=", "..", "<-",
];

/// What stands for the size of a pointer; [`POINTER_IS`] says what it is.
pub(crate) const POINTER: &str = "POINTER";
pub(crate) const POINTER_IS: &str = "const POINTER: usize = size_of::<*const u8>();\n";

/// The tokens without documentation, without lines that string literals are broken to, and with [`POINTER`].
pub(crate) fn bare(tokens: TokenStream) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if is_documentation(&out, &group) => {
                out.pop();
            }
            TokenTree::Group(group) => match before_size_of_pointer(&out, &group) {
                Some(length) => {
                    out.truncate(length);
                    out.push(Ident::new(POINTER, group.span()).into());
                }
                None => out.push(Group::new(group.delimiter(), bare(group.stream())).into()),
            },
            TokenTree::Literal(literal) => out.push(in_one_line(literal).into()),
            token => out.push(token),
        }
    }
    out.into_iter().collect()
}

/// `#` and `[doc = ...]`.
fn is_documentation(before: &[TokenTree], group: &Group) -> bool {
    matches!(before.last(), Some(TokenTree::Punct(hash)) if hash.as_char() == '#')
        && group.delimiter() == Delimiter::Bracket
        && group.stream().to_string().starts_with("doc =")
}

/// `::core::mem::size_of::<*const u8>` and `()`.
fn before_size_of_pointer(before: &[TokenTree], group: &Group) -> Option<usize> {
    const TOKENS: usize = 16;
    if group.delimiter() != Delimiter::Parenthesis || !group.stream().is_empty() {
        return None;
    }
    let length = before.len().checked_sub(TOKENS)?;
    let path: String = before.get(length..)?.iter().map(ToString::to_string).collect();
    (path == "::core::mem::size_of::<*constu8>").then_some(length)
}

fn in_one_line(literal: Literal) -> Literal {
    let text = literal.to_string();
    let joined: String = escapes(&text).filter(|piece| !piece.starts_with("\\\n")).collect();
    if joined == text { literal } else { joined.parse().unwrap_or(literal) }
}

/// A literal in pieces that must not be cut: characters and escapes. A line that goes on is a piece with its white space.
fn escapes(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut characters = rest.chars();
        let mut length = characters.next()?.len_utf8();
        if rest.starts_with('\\') {
            length += match characters.next() {
                Some('x') => 3,
                Some('\n') => {
                    let next = characters.as_str();
                    1 + next.len() - next.trim_start().len()
                }
                Some(other) => other.len_utf8(),
                None => 0,
            };
        }
        let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = after;
        Some(piece)
    })
}

/// The tokens as lines that parse as them.
pub(crate) fn print(tokens: TokenStream) -> Result<String> {
    let mut atoms = Vec::new();
    collect(tokens, &mut atoms);
    let text = lines(&atoms);
    let mut read = Vec::new();
    if let Ok(tokens) = text.parse() {
        collect(bare(tokens), &mut read);
    }
    ensure!(read == atoms, "these lines are read as something else:\n{text}");
    Ok(text)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An identifier, a literal.
    Word,
    Operator,
    Open,
    Close,
}

/// What must not be cut. A lifetime begins as an operator, its tick, and ends as a word.
#[derive(Debug, PartialEq, Eq)]
struct Atom {
    begin: Kind,
    end: Kind,
    text: String,
}

impl Atom {
    fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { begin: kind, end: kind, text: text.into() }
    }
}

fn collect(tokens: TokenStream, atoms: &mut Vec<Atom>) {
    let mut joint = false;
    for token in tokens {
        let last = atoms.last_mut().filter(|_| joint);
        joint = false;
        match (token, last) {
            (TokenTree::Group(group), _) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                atoms.push(Atom::new(Kind::Open, open));
                collect(group.stream(), atoms);
                atoms.push(Atom::new(Kind::Close, close));
            }
            (TokenTree::Punct(punct), last) => {
                joint = punct.spacing() == Spacing::Joint;
                match last {
                    Some(last) if is_operator(&last.text, punct.as_char()) => last.text.push(punct.as_char()),
                    _ => atoms.push(Atom::new(Kind::Operator, punct.as_char())),
                }
            }
            (word, Some(tick)) if tick.text == "'" => {
                tick.text += &word.to_string();
                tick.end = Kind::Word;
            }
            (word, _) => atoms.push(Atom::new(Kind::Word, word.to_string())),
        }
    }
}

/// Whether the next character makes an operator longer.
fn is_operator(begin: &str, next: char) -> bool {
    let longer = format!("{begin}{next}");
    OPERATORS.iter().any(|operator| operator.starts_with(&longer))
}

/// Whether there is a space: one that must be, or one that helps the eye.
fn is_apart(left: &Atom, right: &Atom) -> bool {
    use Kind::{Close, Open, Operator, Word};
    let spaced = |atom: &Atom| SPACED.contains(&atom.text.as_str());
    let listed = matches!(left.text.as_str(), "," | ";" | ":");
    match (left.end, right.begin) {
        (_, Close) | (Open, _) => false,
        (_, Open) if right.text == "{" => true,
        (Word, Operator) => right.text.starts_with(['\'', '#']) || spaced(right),
        (Operator, Operator) => {
            let glued = right.text.chars().next().is_some_and(|next| is_operator(&left.text, next));
            glued || listed || spaced(left) || spaced(right)
        }
        (Operator, _) => listed || spaced(left),
        (Close, Operator) => right.text == "#" || spaced(right),
        (Word | Close, Word) => true,
        (Close, Open) => left.text == "}",
        (Word, Open) => false,
    }
}

fn lines(atoms: &[Atom]) -> String {
    let mut text = String::new();
    let mut column = 0;
    let mut left = None;
    let mut rest = atoms;
    while let Some(first) = rest.first() {
        let (chunk, after) = rest.split_at_checked(chunk(rest)).unwrap_or((rest, &[]));
        rest = after;
        let length: usize = chunk.iter().map(|atom| atom.text.len()).sum();
        let apart = left.is_some_and(|left| is_apart(left, first));
        let breaks = chunk.iter().any(|atom| atom.text.len() > MOST);
        if column > 0 && !breaks && column + usize::from(apart) + length > WIDTH {
            text.push('\n');
            column = 0;
        } else if apart {
            text.push(' ');
            column += 1;
        }
        for atom in chunk {
            for piece in escapes(&atom.text) {
                // A literal. There is room for the backslash, and for what is behind it.
                if atom.text.len() > MOST && column + piece.len() > MOST {
                    text.push_str("\\\n");
                    column = 0;
                }
                text.push_str(piece);
                column += piece.len();
            }
        }
        left = chunk.last();
    }
    text.push('\n');
    text
}

/// How many of the atoms stand on one line: a line ends where a space may be, behind what opens, and before a dot.
fn chunk(atoms: &[Atom]) -> usize {
    let ends = |pair: &[Atom]| match pair {
        [left, right] => is_apart(left, right) || left.end == Kind::Open || right.text == ".",
        _ => true,
    };
    atoms.windows(2).position(ends).map_or(atoms.len(), |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(text: &str) -> String {
        print(bare(text.parse().unwrap())).unwrap()
    }

    #[test]
    fn comments_and_white_space_go() {
        let text =
            "/// What it is.\n#[doc(hidden)]\npub fn f<'a>(x : &'a u8)  ->  u8 {\n  // Why.\n  *x + 1\n}";
        assert_eq!(dense(text), "#[doc(hidden)] pub fn f<'a>(x: &'a u8) -> u8 {*x+1}\n");
    }

    #[test]
    fn operators_that_stand_apart_stay_apart() {
        assert_eq!(
            dense("a & &b; a && b; x = = y; f :: < *const u8 > (); Vec < Vec<u8> >"),
            "a& &b; a&&b; x = = y; f::<*const u8>(); Vec<Vec<u8>>\n"
        );
    }

    #[test]
    fn the_size_of_a_pointer_has_a_name() {
        assert_eq!(dense("4 * ::core::mem::size_of::<*const u8>()"), "4*POINTER\n");
        assert_eq!(dense(POINTER_IS), POINTER_IS);
    }

    #[test]
    fn a_long_line_breaks_between_tokens() {
        let text = vec!["word"; 60].join(" ");
        let text = dense(&text);
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| line.len() <= WIDTH && line.starts_with("word")));
    }

    #[test]
    fn a_broken_literal_is_the_same_bytes() {
        // An escaped backslash before a line that goes on, and one that would be cut in the middle of an escape.
        let source = format!("b\"\\\\\\\n   {}\"", "\\x1b\\\\".repeat(60));
        let text = dense(&source);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        let value = |text: &str| syn::parse_str::<syn::LitByteStr>(text).unwrap().value();
        assert_eq!(value(&text), value(&source));
        assert_eq!(value(&text).len(), 121);
    }
}
