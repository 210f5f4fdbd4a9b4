//! What a guest did, in order.

use std::fmt;

use serde_json::Value;
use wharf_ops::{KernelOp, Op};
use wharf_sdk::HostError;

/// An operation that a guest asked for.
///
/// ```
/// use wharf_testkit::Node;
/// let node = Node::new();
/// let pod = node.container("c1");
/// node.run(&pod, |_, _, container| Ok(container.set_sysctl("ipv4/ip_forward", "1")?))?;
/// let change = &node.changes()[0];
/// assert_eq!(change.operation, "sysctl/write");
/// assert_eq!(change.arguments["value"], "1");
/// assert_eq!(change.to_string(), r#"sysctl/write {"key":"ipv4/ip_forward","ns":"container","value":"1"}"#);
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// As grants name it: `links/create-veth`.
    pub operation: &'static str,
    /// What it was asked with.
    pub arguments: Value,
    /// Why it failed, if it did.
    pub error: Option<HostError>,
}

impl Change {
    pub(crate) fn of(op: &Op, error: Option<HostError>) -> Self {
        Self { operation: op.operation().name, arguments: arguments(op), error }
    }
}

/// The fields of an operation, without the enums around them and without what is not said.
fn arguments(op: &Op) -> Value {
    let value = match op {
        Op::Kernel(op) => serde_json::to_value::<&KernelOp>(op).map(inner),
        Op::Lease(op) => serde_json::to_value(op),
        Op::Delegate(op) => return serde_json::to_value(op).unwrap_or_default(),
    };
    let mut arguments = value.map(inner).unwrap_or_default();
    drop_nulls(&mut arguments);
    arguments
}

/// The content of `{"variant": content}`.
fn inner(value: Value) -> Value {
    match value {
        Value::Object(object) => object.into_iter().next().map(|(_, content)| content).unwrap_or_default(),
        _ => Value::Null,
    }
}

fn drop_nulls(value: &mut Value) {
    if let Value::Object(object) = value {
        object.retain(|_, value| !value.is_null());
        object.values_mut().for_each(drop_nulls);
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if !self.arguments.is_null() {
            write!(f, " {}", self.arguments)?;
        }
        match &self.error {
            Some(error) => write!(f, ": {}", error.message),
            None => Ok(()),
        }
    }
}
