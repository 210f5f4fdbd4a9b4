//! The spelling of a configuration's members. Go's decoder, with which runtimes and the reference plugins read them, does
//! not mind the case, so neither does this: what is known by another spelling gets the usual one when it comes in, and
//! nobody behind that has to think of it.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::config::MAX_BYTES;
use crate::error::Error;

/// Names policies. The one member that is left as it is where it stands there in several spellings: which of them counts
/// must not be a matter of their order.
pub const POLICIES: &str = "policies";

/// What is known below a member.
#[derive(Clone, Copy)]
enum Known {
    /// Nothing: names there are somebody else's.
    Nothing,
    /// The members of an object.
    Members(&'static [(&'static str, Known)]),
    /// The same of each item of a list.
    Items(&'static Known),
}

use Known::{Items, Members, Nothing};

static PLUGIN: [(&str, Known); 14] = [
    ("cniVersion", Nothing),
    ("name", Nothing),
    ("type", Nothing),
    (POLICIES, Nothing),
    ("capabilities", Nothing),
    ("runtimeConfig", Nothing),
    ("prevResult", Nothing),
    ("cni.dev/attachments", Nothing),
    ("cni.dev/valid-attachments", Nothing),
    ("dns", Nothing),
    ("args", Members(&[("cni", Members(&[("labels", Items(&Members(LABEL)))]))])),
    ("ipam", Members(IPAM)),
    ("delegate", Members(&PLUGIN)),
    ("chain", Items(&Members(&PLUGIN))),
];

const LABEL: &[(&str, Known)] = &[("key", Nothing), ("value", Nothing)];

const IPAM: &[(&str, Known)] = &[
    ("type", Nothing),
    ("dataDir", Nothing),
    ("resolvConf", Nothing),
    ("subnet", Nothing),
    ("ranges", Items(&Items(&Members(&[("subnet", Nothing)])))),
];

/// Whether Go's decoder takes one name for the other: it also folds the two characters outside of ASCII whose other case
/// is inside.
#[must_use]
pub fn alike(one: &str, other: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    one.chars().map(fold).eq(other.chars().map(fold))
}

/// Reads a configuration of one plugin. Of several spellings of a name the last counts, as of several members of one name.
pub(crate) fn decode(bytes: &[u8], what: &'static str) -> Result<Value, Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLarge { what, size: bytes.len(), limit: MAX_BYTES });
    }
    read(bytes).map_err(|error| Error::Json { what, reason: error.to_string() })
}

/// As [`crate::NetConf::parse`] spells a configuration, for what is no whole one: a patch of it, say.
pub fn read(text: &[u8]) -> serde_json::Result<Value> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = Members(&PLUGIN).deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// The same of a plugin's object that was read already. Its members have an order by then: that of their names, in which
/// runtimes send them.
pub(crate) fn usual(object: &Value) -> Value {
    Members(&PLUGIN).deserialize(object).unwrap_or_else(|_| object.clone())
}

impl<'de> DeserializeSeed<'de> for Known {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        match self {
            Nothing => Value::deserialize(from),
            Members(_) | Items(_) => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Known {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let item = if let Items(item) = self { *item } else { Nothing };
        let mut items = Vec::new();
        while let Some(value) = from.next_element_seed(item)? {
            items.push(value);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let members = if let Members(members) = self { members } else { &[] };
        let mut object = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            let exact = members.iter().find(|(name, _)| *name == key);
            let (name, below) = match exact.or_else(|| members.iter().find(|(name, _)| alike(name, &key))) {
                Some((name, below)) if *name != POLICIES => ((*name).to_owned(), *below),
                Some((_, below)) => (key, *below),
                None => (key, Nothing),
            };
            object.insert(name, from.next_value_seed(below)?);
        }
        if members.iter().any(|(name, _)| *name == POLICIES) {
            alone(&mut object);
        }
        Ok(object.into())
    }
}

/// Gives [`POLICIES`] its usual spelling, unless it is there twice.
fn alone(object: &mut Map<String, Value>) {
    let mut spellings = object.keys().filter(|key| alike(key, POLICIES));
    if let (Some(only), None) = (spellings.next().cloned(), spellings.next())
        && let Some(value) = object.remove(&only)
    {
        object.insert(POLICIES.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_is_spelled_as_usual_and_the_rest_stays() {
        let text = r#"{"CNIVERSION":"1.0.0","Name":"n","TYPE":"g","MTU":1.5,"IPAM":{"Type":"host-local","DATADIR":"/d",
            "Ranges":[[{"Subnet":"10.0.0.0/8","Gateway":null}]],"Type2":-1},"Args":{"CNI":{"Labels":[{"Key":"a","Value":"b"}]}},
            "Chain":[{"Type":"x","Policie\u017f":["p"]},7],"Delegate":{"Ipam":{"TYPE":"y"}},"runtimeconfig":{"Ips":[true]}}"#;
        assert_eq!(
            read(text.as_bytes()).unwrap(),
            json!({
                "cniVersion": "1.0.0", "name": "n", "type": "g", "MTU": 1.5,
                "ipam": {"type": "host-local", "dataDir": "/d", "ranges": [[{"subnet": "10.0.0.0/8", "Gateway": null}]], "Type2": -1},
                "args": {"cni": {"labels": [{"key": "a", "value": "b"}]}},
                "chain": [{"type": "x", "policies": ["p"]}, 7], "delegate": {"ipam": {"type": "y"}},
                "runtimeConfig": {"Ips": [true]},
            })
        );
        assert_eq!(read(b"[1]").unwrap(), json!([1]));
        assert!(read(b"{} x").is_err() && read(b"{").is_err());
    }

    #[test]
    fn of_several_spellings_the_last_counts_but_for_policies() {
        assert_eq!(read(br#"{"ipam":1,"IPAM":2}"#).unwrap(), json!({"ipam": 2}));
        assert_eq!(read(br#"{"IPAM":2,"ipam":1}"#).unwrap(), json!({"ipam": 1}));
        let both = json!({"Policies": ["a"], "policies": []});
        assert_eq!(read(both.to_string().as_bytes()).unwrap(), both);
        assert_eq!(usual(&json!({"POLICIES": ["a"], "IPAM": {}})), json!({"policies": ["a"], "ipam": {}}));
    }

    #[test]
    fn names_are_alike_as_for_go() {
        for (one, other) in [("ipam", "IPAM"), ("args", "arg\u{17f}"), ("Key", "\u{212a}ey"), ("", "")] {
            assert!(alike(one, other), "{one} {other}");
        }
        for (one, other) in [("ipam", "ipa"), ("ipam", "ip\u{e4}m"), ("ipMasq", "ip-masq")] {
            assert!(!alike(one, other), "{one} {other}");
        }
    }
}
