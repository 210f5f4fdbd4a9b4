//! What was expected and what was found, in the words of JSON: who reads them wrote a configuration, and no Rust.

use std::ops::Range;

use serde::de::Unexpected;
use serde_json::{Number, Value};

/// How many of an object's members a message names.
const NAMED_MEMBERS: usize = 4;

/// What the integer types hold.
const INTEGERS: Range<f64> = -9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0;

/// From here on, Go and JavaScript write a whole number with an exponent, too.
const EXPONENT: f64 = 1e21;

/// What stands in the configuration: scalars as they are and whole, for the host takes secrets out of errors, which it
/// could not if they were cut. Of what is inside an array or an object, as little as tells them apart.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => decimal(number),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(members) if members.is_empty() => "an empty object".to_owned(),
        Value::Object(members) => {
            let mut names: Vec<&str> = members.keys().take(NAMED_MEMBERS).map(String::as_str).collect();
            if members.len() > NAMED_MEMBERS {
                names.push("...");
            }
            format!("an object with {}", names.join(", "))
        }
    }
}

/// The same of what is left of one when serde refuses it.
pub(super) fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(truth) => truth.to_string(),
        Unexpected::Unsigned(natural) => natural.to_string(),
        Unexpected::Signed(integer) => integer.to_string(),
        Unexpected::Float(float) => {
            Number::from_f64(float).as_ref().map_or_else(|| "a number".to_owned(), decimal)
        }
        Unexpected::Char(character) => quoted(&character.to_string()),
        Unexpected::Str(text) => quoted(text),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq | Unexpected::TupleVariant => "an array".to_owned(),
        Unexpected::Map | Unexpected::StructVariant => "an object".to_owned(),
        Unexpected::Enum | Unexpected::UnitVariant => "a string".to_owned(),
        Unexpected::NewtypeStruct | Unexpected::NewtypeVariant => "a value".to_owned(),
        Unexpected::Bytes(_) => "bytes".to_owned(),
        Unexpected::Other(other) => other.to_owned(),
    }
}

/// What serde says of a Rust type, said of JSON. Everything else is a type's own, and stays. `whole`: an integer was found,
/// so that its bounds are what matters.
pub(super) fn expected(of: &str, whole: bool) -> String {
    if let Some((lowest, highest)) = bounds(of) {
        return if whole {
            format!("an integer from {lowest} to {highest}")
        } else {
            "an integer".to_owned()
        };
    }
    let said = match of {
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        "unit" => "null",
        _ if of.starts_with("struct ") => "an object",
        _ if of.starts_with("tuple struct ") || of.starts_with("a tuple of ") => "an array",
        _ if of.starts_with("enum ") => "a string, or an object with one member",
        own => own,
    };
    said.to_owned()
}

/// The integers of a Rust type.
fn bounds(of: &str) -> Option<(i64, u64)> {
    Some(match of {
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" => (0, u64::MAX),
        "i8" => (i8::MIN.into(), i8::MAX.unsigned_abs().into()),
        "i16" => (i16::MIN.into(), i16::MAX.unsigned_abs().into()),
        "i32" => (i32::MIN.into(), i32::MAX.unsigned_abs().into()),
        "i64" => (i64::MIN, i64::MAX.unsigned_abs()),
        _ => return None,
    })
}

/// Whether it is a whole number beyond every integer type: the JSON parser keeps such a one as a fraction.
pub(super) fn is_large(float: f64) -> bool {
    !INTEGERS.contains(&float)
}

/// Fractions are printed by serde_json, which has that code anyway: `f64`'s own would be a tenth of a guest.
fn decimal(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && is_large(float) && float.abs() < EXPONENT => {
            whole(float).to_string()
        }
        _ => number.to_string(),
    }
}

/// A float of that size has no fraction.
#[allow(clippy::cast_possible_truncation, reason = "ten digits less than the type has")]
fn whole(float: f64) -> i128 {
    float as i128
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_is_shown_as_it_was_written() {
        for text in [
            "null",
            "true",
            "7",
            "-1",
            "1.5",
            "1500.0",
            "\"a \\\"b\\\"\"",
            "18446744073709551615",
            "18446744073709551616",
            "-10000000000000000000",
            "-18446744073709551616",
            "100000000000000000000",
            "1e+21",
            "-1e+300",
        ] {
            assert_eq!(value(&serde_json::from_str(text).unwrap()), text);
        }
        let long = "x".repeat(5000);
        assert_eq!(value(&Value::from(long.as_str())), format!("{long:?}"));
    }

    #[test]
    fn of_the_rest_there_is_enough_to_find_it() {
        for (text, wanted) in [
            ("[]", "an array of 0"),
            (r#"[{"password":"hush"}]"#, "an array of 1"),
            ("{}", "an empty object"),
            (r#"{"password":"hush"}"#, "an object with password"),
            (r#"{"a":1,"b":2,"c":3,"d":4}"#, "an object with a, b, c, d"),
            (r#"{"a":1,"b":2,"c":3,"d":4,"e":5}"#, "an object with a, b, c, d, ..."),
        ] {
            assert_eq!(value(&serde_json::from_str(text).unwrap()), wanted);
        }
    }

    #[test]
    fn rust_is_not_mentioned() {
        for (of, whole, wanted) in [
            ("u64", true, "an integer from 0 to 18446744073709551615"),
            ("i64", true, "an integer from -9223372036854775808 to 9223372036854775807"),
            ("i16", true, "an integer from -32768 to 32767"),
            ("i64", false, "an integer"),
            ("f64", true, "a number"),
            ("struct Values", false, "an object"),
            ("tuple struct Pair", false, "an array"),
            ("a tuple of size 2", false, "an array"),
            ("enum Mode", false, "a string, or an object with one member"),
            ("a string", false, "a string"),
            ("a port mapping", false, "a port mapping"),
        ] {
            assert_eq!(expected(of, whole), wanted, "{of}");
        }
    }
}
