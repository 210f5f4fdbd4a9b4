//! Members that stand twice in one object: who reads the configuration sees one of them.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::keys::{free, join};
use crate::doctor::Findings;

/// Looks at the text itself: a document that was read has one of each.
pub(super) fn check(file: &str, bytes: &[u8], findings: &mut Findings) {
    let mut found = Vec::new();
    // What is no JSON is told by those who read it.
    let _ = Value { place: String::new(), found: &mut found }
        .deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    for place in found {
        let what = "the key stands here twice, and which of them counts is up to the reader (here the last)";
        findings.warning(format!("{file}: {place}"), what, "remove one");
    }
}

/// The value at a place, which is looked through and not kept.
struct Value<'f> {
    place: String,
    found: &'f mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let mut index = 0;
        loop {
            let place = format!("{}[{index}]", self.place);
            if from.next_element_seed(Value { place, found: &mut *self.found })?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = from.next_key::<String>()? {
            let place = join(&self.place, &key);
            // Remarks like to be called alike.
            let remark = free(&key);
            if !seen.insert(key) && !remark {
                self.found.push(place.clone());
            }
            from.next_value_seed(Value { place, found: &mut *self.found })?;
        }
        Ok(())
    }
}
