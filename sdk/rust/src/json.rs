//! From a JSON value to a typed configuration, with errors that know their path.
//!
//! A path costs nothing until something is wrong: each level adds its segment to the error that passes it. Compared
//! with wrapping serde_json's own deserializer, this keeps a guest small.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde_json::{Map, Number, Value};

mod words;

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct PathError {
    /// From the inside out, as the levels added them.
    segments: Vec<String>,
    pub(crate) reason: String,
}

impl PathError {
    /// `ipam.ranges[0].subnet`; empty at the top.
    pub(crate) fn path(&self) -> String {
        let joined: String = self.segments.iter().rev().map(String::as_str).collect();
        joined.strip_prefix('.').map_or(joined.clone(), str::to_owned)
    }

    #[inline(never)]
    fn inside(mut self, segment: String) -> Self {
        self.segments.push(segment);
        self
    }

    #[inline(never)]
    fn not_expected(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let whole = match unexpected {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => true,
            Unexpected::Float(float) => words::is_large(float),
            _ => false,
        };
        Self::unlike(&words::found(unexpected), whole, expected)
    }

    /// `whole`: an integer was found, if not one of those that are expected.
    fn unlike(found: &str, whole: bool, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        Self::custom(format_args!("expected {}, found {found}", words::expected(&expected, whole)))
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for PathError {}

impl de::Error for PathError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self { segments: Vec::new(), reason: reason.to_string() }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::not_expected(unexpected, expected)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::not_expected(unexpected, expected)
    }
}

/// A value that deserializes.
#[derive(Clone, Copy)]
pub(crate) struct Json<'a>(pub(crate) &'a Value);

impl Json<'_> {
    #[inline(never)]
    fn mismatch(self, expected: &dyn Expected) -> PathError {
        PathError::unlike(&words::value(self.0), false, expected)
    }

    #[inline(never)]
    fn unlike_in_length(self, len: usize) -> PathError {
        PathError::custom(format_args!("expected an array of {len}, found {}", words::value(self.0)))
    }
}

fn visit_number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, PathError> {
    match (number.as_u64(), number.as_i64()) {
        (Some(natural), _) => visitor.visit_u64(natural),
        (_, Some(integer)) => visitor.visit_i64(integer),
        _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
    }
}

/// One method per JSON type instead of `deserialize_any` for all: a visitor brings in the code of its own type only.
macro_rules! expect {
    ($($method:ident)+, $pattern:pat => $visit:expr) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PathError> {
            match self.0 {
                $pattern => $visit(visitor),
                _ => Err(self.mismatch(&visitor)),
            }
        })+
    };
}

impl<'de> Deserializer<'de> for Json<'de> {
    type Error = PathError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PathError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Number(number) => visit_number(number, visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(Items::new(items)),
            Value::Object(object) => visitor.visit_map(Entries::new(object, &[])),
        }
    }

    expect! { deserialize_bool, Value::Bool(truth) => |visitor: V| visitor.visit_bool(*truth) }
    expect! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128,
        Value::Number(number) => |visitor| visit_number(number, visitor)
    }
    expect! {
        deserialize_f32 deserialize_f64, Value::Number(number) => |visitor| visit_number(number, visitor)
    }
    expect! {
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_identifier,
        Value::String(text) => |visitor: V| visitor.visit_borrowed_str(text)
    }
    expect! { deserialize_unit, Value::Null => V::visit_unit }
    expect! { deserialize_seq, Value::Array(items) => |visitor: V| visitor.visit_seq(Items::new(items)) }
    expect! {
        deserialize_map, Value::Object(object) => |visitor: V| visitor.visit_map(Entries::new(object, &[]))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PathError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, PathError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, PathError> {
        // Of a longer one the visitor would take the beginning.
        match self.0 {
            Value::Array(items) if items.len() != len => Err(self.unlike_in_length(len)),
            _ => self.deserialize_seq(visitor),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, PathError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PathError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, PathError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PathError> {
        // A derived type would take an array for its fields in order, too, which no CNI plugin does.
        match self.0 {
            Value::Object(object) => visitor.visit_map(Entries::new(object, fields)),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PathError> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(variant.as_str().into_deserializer()),
            Value::Object(object) if object.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries::new(object, &[])))
            }
            _ => Err(self.mismatch(&visitor)),
        }
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Value>,
    index: usize,
}

impl<'a> Items<'a> {
    fn new(items: &'a [Value]) -> Self {
        Self { items: items.iter(), index: 0 }
    }
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = PathError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, PathError> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Json(item)).map(Some).map_err(|error| error.inside(format!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'a> {
    object: &'a Map<String, Value>,
    rest: serde_json::map::Iter<'a>,
    fields: &'static [&'static str],
    value: Option<(&'a str, &'a Value)>,
}

impl<'a> Entries<'a> {
    fn new(object: &'a Map<String, Value>, fields: &'static [&'static str]) -> Self {
        Self { object, rest: object.iter(), fields, value: None }
    }

    /// The field that a key stands for: itself, or one that differs in case only, unless that is there too. So do the
    /// reference plugins, and runtimes rely on it (containerd writes `HostPort`).
    fn field(&self, key: &'a str) -> &'a str {
        if self.fields.contains(&key) {
            return key;
        }
        let alike = self.fields.iter().find(|field| field.eq_ignore_ascii_case(key));
        alike.copied().filter(|field| !self.object.contains_key(*field)).unwrap_or(key)
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = PathError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, PathError> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        let at = |error: PathError| error.inside(format!(".{key}"));
        self.value = Some((key, value));
        seed.deserialize(BorrowedStrDeserializer::new(self.field(key))).map(Some).map_err(at)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, PathError> {
        let (key, value) = self.value.take().ok_or_else(|| PathError::custom("a value without its key"))?;
        seed.deserialize(Json(value)).map_err(|error| error.inside(format!(".{key}")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase", default)]
    struct Sample {
        host_port: Option<u16>,
        inner: Option<Box<Sample>>,
        list: Vec<Vec<Sample>>,
        map: BTreeMap<String, i8>,
        mode: Option<Mode>,
        pair: Option<(bool, f64)>,
        wrapped: Option<Wrapped>,
        ends: Option<Ends>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Wrapped(char);

    #[derive(Debug, Deserialize, PartialEq)]
    struct Ends(u8, u8);

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Off,
        Level(u8),
        Custom { rate: u64 },
    }

    fn read(json: &str) -> Result<Sample, String> {
        let value: Value = serde_json::from_str(json).unwrap();
        Sample::deserialize(Json(&value)).map_err(|error| format!("{}: {error}", error.path()))
    }

    #[test]
    fn every_shape_is_read() {
        let sample = read(
            r#"{"hostPort":80,"inner":{"hostPort":null,"mode":"off"},"list":[[],[{},{"mode":{"level":3}}]],
                "map":{"a":-1},"mode":{"custom":{"rate":9}},"pair":[true,1.5],"wrapped":"x","unknown":[{}]}"#,
        )
        .unwrap();
        assert_eq!(sample.host_port, Some(80));
        assert_eq!(sample.inner.unwrap().mode, Some(Mode::Off));
        assert_eq!(sample.list[1][1].mode, Some(Mode::Level(3)));
        assert_eq!(sample.map["a"], -1);
        assert_eq!(sample.mode, Some(Mode::Custom { rate: 9 }));
        assert_eq!((sample.pair, sample.wrapped), (Some((true, 1.5)), Some(Wrapped('x'))));
    }

    #[test]
    fn a_key_may_differ_in_case_unless_the_exact_one_is_there() {
        assert_eq!(read(r#"{"HostPort":80}"#).unwrap().host_port, Some(80));
        assert_eq!(read(r#"{"hostPort":80,"HOSTPORT":81}"#).unwrap().host_port, Some(80));
        assert_eq!(read(r#"{"HOSTPORT":81,"hostPort":80}"#).unwrap().host_port, Some(80));
    }

    #[test]
    fn an_error_knows_its_path_and_names_the_value() {
        for (json, wanted) in [
            ("[]", ": expected an object, found an array of 0"),
            ("7", ": expected an object, found 7"),
            (r#"{"hostPort":70000}"#, "hostPort: expected an integer from 0 to 65535, found 70000"),
            (r#"{"hostPort":-1}"#, "hostPort: expected an integer from 0 to 65535, found -1"),
            (r#"{"HostPort":"x"}"#, "HostPort: expected an integer, found \"x\""),
            (r#"{"hostPort":[80,81]}"#, "hostPort: expected an integer, found an array of 2"),
            (r#"{"hostPort":80.0}"#, "hostPort: expected an integer, found 80.0"),
            (
                r#"{"hostPort":18446744073709551616}"#,
                "hostPort: expected an integer from 0 to 65535, found 18446744073709551616",
            ),
            (r#"{"inner":{"inner":{"list":7}}}"#, "inner.inner.list: expected an array, found 7"),
            (r#"{"list":[[],[{},{"hostPort":1.5}]]}"#, "list[1][1].hostPort: expected an integer, found 1.5"),
            (r#"{"list":[[[]]]}"#, "list[0][0]: expected an object, found an array of 0"),
            (r#"{"map":{"k":200}}"#, "map.k: expected an integer from -128 to 127, found 200"),
            (r#"{"map":true}"#, "map: expected an object, found true"),
            (r#"{"pair":["x",1]}"#, "pair[0]: expected true or false, found \"x\""),
            (r#"{"pair":[true,"x"]}"#, "pair[1]: expected a number, found \"x\""),
            (r#"{"pair":[true,1,2]}"#, "pair: expected an array of 2, found an array of 3"),
            (r#"{"pair":[true]}"#, "pair: expected an array of 2, found an array of 1"),
            (r#"{"ends":[1,2,3]}"#, "ends: expected an array of 2, found an array of 3"),
            (r#"{"pair":{"a":null}}"#, "pair: expected an array, found an object with a"),
            (
                r#"{"wrapped":null,"mode":{"level":256}}"#,
                "mode.level: expected an integer from 0 to 255, found 256",
            ),
            (r#"{"mode":"on"}"#, "mode: unknown variant `on`, expected one of `off`, `level`, `custom`"),
            (r#"{"mode":{"custom":{}}}"#, "mode.custom: missing field `rate`"),
        ] {
            assert_eq!(read(json).unwrap_err(), wanted, "{json}");
        }
    }
}
