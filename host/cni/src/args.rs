//! `CNI_ARGS`: pairs `KEY=VALUE` parted by semicolons.

use crate::error::{Error, excerpt};

/// Splits the text into pairs, in order. Each has one `=`, a key and perhaps a value. One semicolon at the end
/// is accepted, which the reference calls an invalid pair; anything else malformed is an error.
pub fn parse_args(text: &str) -> Result<Vec<(String, String)>, Error> {
    segments(text).map(|segment| segment.map_err(invalid_pair)).collect()
}

/// The same piece by piece: a pair, or as it stands there what is none.
pub fn segments(text: &str) -> impl Iterator<Item = Result<(String, String), &str>> {
    let text = text.strip_suffix(';').unwrap_or(text);
    let pieces = (!text.is_empty()).then(|| text.split(';')).into_iter().flatten();
    pieces.map(|piece| match piece.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.contains('=') => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(piece),
    })
}

/// What is wrong with a piece that is no pair.
#[must_use]
pub fn invalid_pair(piece: &str) -> Error {
    Error::ArgsPair(excerpt(piece))
}

/// The value of a key. Keys are case-sensitive; the last of several wins.
#[must_use]
pub fn find<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    pairs.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
}

/// Fails when there are keys outside `known`, unless `IgnoreUnknown` is set (1 or true).
pub fn refuse_unknown(pairs: &[(String, String)], known: &[&str]) -> Result<(), Error> {
    if ignore_unknown(pairs)? {
        return Ok(());
    }
    let is_unknown = |(key, _): &&(String, String)| key != "IgnoreUnknown" && !known.contains(&key.as_str());
    let unknown: Vec<String> =
        pairs.iter().filter(is_unknown).take(8).map(|(k, v)| excerpt(&format!("{k}={v}"))).collect();
    if unknown.is_empty() { Ok(()) } else { Err(Error::UnknownArgs(unknown.join(" "))) }
}

fn ignore_unknown(pairs: &[(String, String)]) -> Result<bool, Error> {
    let value = find(pairs, "IgnoreUnknown").unwrap_or("0");
    if value == "1" || value.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if value == "0" || value.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        let value = excerpt(&format!("IgnoreUnknown={value}"));
        Err(Error::InvalidEnv { key: "CNI_ARGS", value, reason: "IgnoreUnknown is 0, 1, true or false" })
    }
}
