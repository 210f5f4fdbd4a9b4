//! Reading members out of parsed JSON with errors that carry their path, and printing the protocol's indent.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value};

use crate::error::{Error, excerpt};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// What stands at `value`, for a message: scalars as they are, containers by their kind.
pub(crate) fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => excerpt(s),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// The error for a value of the wrong type.
pub(crate) fn wrong(path: &str, expected: &'static str, value: &Value) -> Error {
    Error::Type { path: path.to_owned(), expected, found: found(value) }
}

/// The member, with `null` the same as absent, as everywhere in the protocol.
pub(crate) fn member<'a>(object: &'a Object, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

/// The value as an object.
pub(crate) fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Object, Error> {
    value.as_object().ok_or_else(|| wrong(path, "an object", value))
}

/// A string; absent is `None`, and an empty one too.
pub(crate) fn string<'a>(object: &'a Object, key: &str) -> Result<Option<&'a str>, Error> {
    let Some(value) = member(object, key) else { return Ok(None) };
    let text = value.as_str().ok_or_else(|| wrong(key, "a string", value))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// A number of 32 bits.
pub(crate) fn number(object: &Object, key: &str) -> Result<Option<u32>, Error> {
    let Some(value) = member(object, key) else { return Ok(None) };
    let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
    number.map(Some).ok_or_else(|| wrong(key, "a number from 0 to 4294967295", value))
}

/// An array, each element read by `read`; absent is empty.
pub(crate) fn array<'a, T>(
    object: &'a Object,
    key: &str,
    read: impl Fn(&'a Value) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let Some(value) = member(object, key) else { return Ok(Vec::new()) };
    let items = value.as_array().ok_or_else(|| wrong(key, "an array", value))?;
    items.iter().enumerate().map(|(i, item)| read(item).map_err(|e| e.at(i).under(key))).collect()
}

/// An array of strings.
pub(crate) fn strings(object: &Object, key: &str) -> Result<Vec<String>, Error> {
    array(object, key, |item| item.as_str().map(str::to_owned).ok_or_else(|| wrong("", "a string", item)))
}

/// JSON indented by four spaces, without a final newline. A value this crate builds has only string keys and
/// writes to memory, so serialising cannot fail.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    let mut out = Vec::with_capacity(512);
    let mut serializer = Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b"    "));
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8(out).unwrap_or_default(),
        Err(_) => String::new(),
    }
}
