//! Operations and what came of them, as people read them: `link=host:cni0#5 up=true`.

use serde_json::Value;
use wharf_ops::{KernelOp, Link, Ns, Op, Reply};

/// The arguments of an operation.
pub(crate) fn of(op: &Op) -> String {
    match op {
        Op::Kernel(op) => of_kernel(op),
        Op::Lease(_) | Op::Delegate(_) => fields(&serde_json::to_value(op).unwrap_or_default()),
    }
}

/// The arguments of an operation on the kernel.
pub(crate) fn of_kernel(op: &KernelOp) -> String {
    // {"link": {"set-up": {...}}}, and a variant without fields is a string.
    fields(&serde_json::to_value(op).unwrap_or_default())
}

/// What is inside the two names of a variant.
fn fields(value: &Value) -> String {
    let inner = value.as_object().and_then(|object| object.values().next()).cloned().unwrap_or_default();
    match inner.as_object().and_then(|object| object.values().next()) {
        Some(Value::Object(fields)) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| format!("{key}={}", word(value)))
            .collect::<Vec<_>>()
            .join(" "),
        _ => String::new(),
    }
}

/// A value in one word, or in brackets.
pub(crate) fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(word).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => match (fields.get("ns"), fields.get("index"), fields.get("name")) {
            (Some(ns), Some(index), Some(name)) if fields.len() == 3 => {
                format!("{}:{}#{index}", word(ns), word(name))
            }
            _ => {
                let known = fields.iter().filter(|(_, value)| !value.is_null());
                let known: Vec<_> = known.map(|(key, value)| format!("{key}={}", word(value))).collect();
                format!("({})", known.join(" "))
            }
        },
        other => other.to_string(),
    }
}

/// What a change made: nothing, where it is only done.
pub(crate) fn of_reply(reply: &Reply) -> String {
    match reply {
        Reply::Link(link) | Reply::Bridge(link, true) => of_link(link),
        Reply::Pair(a, b) => format!("{}, {}", of_link(a), of_link(b)),
        Reply::Bridge(link, false) => format!("{}, which was there", of_link(link)),
        Reply::MaybeAddress(Some(address)) => address.to_string(),
        Reply::MaybeAddress(None) => "none is free".to_owned(),
        Reply::Flag(true) | Reply::Count(None) | Reply::Done => String::new(),
        Reply::Flag(false) => "no".to_owned(),
        Reply::Count(Some(count)) => count.to_string(),
        other => match serde_json::to_value(other) {
            Ok(Value::Object(fields)) => fields.values().map(word).collect(),
            _ => String::new(),
        },
    }
}

fn of_link(link: &Link) -> String {
    let Link { ns, index, name } = link;
    let ns = match ns {
        Ns::Host => "host",
        Ns::Container => "container",
    };
    format!("{ns}:{name}#{index}")
}

#[cfg(test)]
mod tests {
    use wharf_ops::leases::{LeaseOp, LeaseOwner};
    use wharf_ops::links::LinkOp;
    use wharf_ops::nat::NatOp;

    use super::*;

    #[test]
    fn arguments_are_words() {
        let link = Link { ns: Ns::Host, index: 5, name: "cni0".into() };
        let up = KernelOp::Link(LinkOp::SetUp { link: link.clone(), up: true });
        assert_eq!(of_kernel(&up), "link=host:cni0#5 up=true");
        assert_eq!(of_kernel(&KernelOp::Nat(NatOp::RemoveForwards)), "");
        let owner = LeaseOwner { container: "c1".into(), ifname: "eth0".into() };
        let release = Op::Lease(LeaseOp::Release { pool: 1, owner });
        assert_eq!(of(&release), "owner=(container=c1 ifname=eth0) pool=1");
    }

    #[test]
    fn answers_are_words_where_they_say_something() {
        let link = Link { ns: Ns::Container, index: 2, name: "eth0".into() };
        assert_eq!(of_reply(&Reply::Pair(link.clone(), link)), "container:eth0#2, container:eth0#2");
        assert_eq!(of_reply(&Reply::Done), "");
        assert_eq!(of_reply(&Reply::Text("1".into())), "1");
    }
}
