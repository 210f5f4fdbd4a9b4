//! Every text in a recording, also in the JSON that some texts are, to be looked at or replaced.

use std::borrow::Cow;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wharf_broker::secrets;

use super::file::Recording;

/// The members that say whose something is. These are names, and guests make other names from them.
const NAMES: [&str; 2] = ["attachment", "owner"];

/// Who said a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    /// The host, to a guest.
    Host,
    /// A guest.
    Guest,
}

/// A walk over all texts.
pub(super) struct Walk<'f> {
    /// Answers what is to stand in the place of a text, if something is.
    pub(super) replace: &'f mut dyn FnMut(Speaker, &str) -> Option<String>,
    /// Whether what the keys of configurations call secret is taken out first.
    pub(super) secrets: bool,
}

impl Walk<'_> {
    /// Goes over a recording, call by call, in the order in which things were said.
    pub(super) fn over(&mut self, recording: &mut Recording) -> Result<()> {
        for call in &mut recording.calls {
            self.part(&mut call.given, Speaker::Host)?;
            for exchange in &mut call.operations {
                self.part(&mut exchange.op, Speaker::Guest)?;
                self.part(&mut exchange.reply, Speaker::Host)?;
                self.part(&mut exchange.error, Speaker::Host)?;
            }
            self.part(&mut call.log, Speaker::Guest)?;
            self.part(&mut call.outcome, Speaker::Guest)?;
        }
        for request in &mut recording.requests {
            self.value(&mut request.printed, Speaker::Host, false);
        }
        Ok(())
    }

    fn part<T: Serialize + DeserializeOwned>(&mut self, part: &mut T, speaker: Speaker) -> Result<()> {
        let mut value = serde_json::to_value(&*part)?;
        if self.value(&mut value, speaker, false) {
            // A secret that is a word of the format, such as "host".
            *part = serde_json::from_value(value).context("what is taken out is a part of the format")?;
        }
        Ok(())
    }

    /// Says whether something was replaced. The keys of what is `free` are anybody's words.
    fn value(&mut self, value: &mut Value, speaker: Speaker, free: bool) -> bool {
        match value {
            Value::String(text) => match self.text(speaker, text) {
                Some(new) => {
                    *text = new;
                    true
                }
                None => false,
            },
            Value::Array(items) => {
                let mut changed = false;
                for item in items {
                    changed |= self.value(item, speaker, free);
                }
                changed
            }
            Value::Object(members) => {
                let mut changed = false;
                for (key, mut member) in std::mem::take(members) {
                    if free || !NAMES.contains(&key.as_str()) {
                        changed |= self.value(&mut member, speaker, free);
                    }
                    let new = if free { (self.replace)(speaker, &key) } else { None };
                    changed |= new.is_some();
                    members.insert(new.unwrap_or(key), member);
                }
                changed
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn text(&mut self, speaker: Speaker, text: &str) -> Option<String> {
        let Some(mut inner) = embedded(text) else { return (self.replace)(speaker, text) };
        let mut changed = false;
        if self.secrets {
            let before = inner.clone();
            secrets::scrub(&mut inner);
            changed = before != inner;
        }
        changed |= self.value(&mut inner, speaker, true);
        changed.then(|| inner.to_string())
    }
}

/// The JSON object that a text is: a configuration.
pub(crate) fn embedded(text: &str) -> Option<Value> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok().filter(Value::is_object)
}

/// Takes out what keys of configurations call secret, and what was learned to be one while calls were served.
pub(super) fn redact(recording: &mut Recording) -> Result<()> {
    let mut replace = |_, text: &str| match secrets::redact(text) {
        Cow::Owned(clean) => Some(clean),
        Cow::Borrowed(_) => None,
    };
    Walk { replace: &mut replace, secrets: true }.over(recording)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharf_broker::secrets::REDACTED;
    use wharf_ops::call;
    use wharf_ops::delegate::{DelegateOp, Verb};
    use wharf_ops::{Op, Reply};

    use super::super::file::tests::{exchange, recording};
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_configurations_wherever_they_are() {
        let config = json!({"type": "x", "api": {"token": "texts-secret", "most": 7, "password": 1234}});
        let op = DelegateOp { verb: Verb::Add, plugin: "ipam".into(), config: config.to_string() };
        let reply = Reply::Text("as texts-secret says".into());
        let mut whole = recording(vec![exchange(Op::Delegate(op), reply)]);
        whole.calls[0].given = call::Call::Status { config: config.to_string() };
        secrets::learn(config.as_object().unwrap());
        redact(&mut whole).unwrap();
        let text = serde_json::to_string(&whole).unwrap();
        assert!(!text.contains("texts-secret") && !text.contains("1234"), "{text}");
        let call::Call::Status { config } = &whole.calls[0].given else { panic!("still a STATUS") };
        let expected = json!({"type": "x", "api": {"token": REDACTED, "most": 7, "password": REDACTED}});
        assert_eq!(embedded(config), Some(expected));
        assert_eq!(whole.calls[0].operations[0].reply, Some(Reply::Text(format!("as {REDACTED} says"))));
    }

    #[test]
    fn names_of_attachments_are_no_texts() {
        let attachment = json!({"network": "n", "container": "10.1.0.2", "ifname": "eth0"});
        let request = json!({"Add": {
            "attachment": attachment, "netns_path": "/run/10.1.0.2", "args": [["IP", "10.1.0.2"]],
            "config": "{\"10.1.0.2\":\"10.1.0.2\"}", "previous": null,
        }});
        let mut whole = recording(Vec::new());
        whole.calls[0].given = serde_json::from_value(request).unwrap();
        let mut replace = |_, text: &str| Some(text.replace("10.1.0.2", "x"));
        Walk { replace: &mut replace, secrets: false }.over(&mut whole).unwrap();
        let call::Call::Add(request) = &whole.calls[0].given else { panic!("still an ADD") };
        assert_eq!(request.attachment.container, "10.1.0.2");
        assert_eq!(request.netns_path.as_deref(), Some("/run/x"));
        assert_eq!(request.args, [("IP".to_owned(), "x".to_owned())]);
        assert_eq!(request.config, "{\"x\":\"x\"}");
    }
}
