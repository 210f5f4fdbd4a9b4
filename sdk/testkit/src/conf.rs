//! The configuration that a call is given.

use serde_json::{Map, Value, json};
use wharf_sdk::{Config, Error, Result};

/// A configuration: JSON, or a text that need not be JSON.
///
/// JSON is completed with what every plugin object has: `cniVersion`, `name` (`"test"`) and `type` (the guest's name). A text
/// is taken as it is.
///
/// ```
/// use wharf_testkit::{Conf, json};
/// let complete = Conf::from(json!({"mtu": 1400}));
/// let exact = Conf::from(r#"{"name": "lan", "mtu": 1400}"#);
/// # let _ = (complete, exact);
/// ```
#[derive(Clone, Debug)]
pub struct Conf(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Json(Value),
    Text(String),
}

impl From<Value> for Conf {
    fn from(value: Value) -> Self {
        Self(Kind::Json(value))
    }
}

impl From<&Value> for Conf {
    fn from(value: &Value) -> Self {
        value.clone().into()
    }
}

impl From<&str> for Conf {
    fn from(text: &str) -> Self {
        Self(Kind::Text(text.to_owned()))
    }
}

impl Conf {
    /// The network's name, and what the guest reads.
    pub(crate) fn finish(self, plugin: &str) -> Result<(String, Config)> {
        let value = match self.0 {
            Kind::Json(Value::Object(object)) => Value::Object(complete(object, plugin)),
            Kind::Json(other) => other,
            Kind::Text(text) => {
                let name = serde_json::from_str(&text).ok().as_ref().and_then(name).unwrap_or_else(test);
                return Ok((name, Config::new(text)));
            }
        };
        if value.get("prevResult").is_some() {
            let reason =
                "is what the ADDs before this one answered: make them, or use Container::with_previous";
            return Err(Error::config("prevResult", reason));
        }
        Ok((name(&value).unwrap_or_else(test), Config::new(value.to_string())))
    }
}

fn complete(mut object: Map<String, Value>, plugin: &str) -> Map<String, Value> {
    for (key, value) in [("cniVersion", "1.1.0"), ("name", "test"), ("type", plugin)] {
        object.entry(key).or_insert_with(|| json!(value));
    }
    object
}

fn name(value: &Value) -> Option<String> {
    value.get("name")?.as_str().map(str::to_owned)
}

fn test() -> String {
    "test".to_owned()
}
