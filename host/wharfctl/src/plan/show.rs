//! A plan as a person reads it.

use std::fmt::Write as _;

use super::{Change, Plan};

pub(super) fn as_text(plan: &Plan, container: &str, ifname: &str) -> String {
    let mut text = format!("an ADD of {container}/{ifname} to the network {}\n", plan.network);
    let mut heading = "";
    for (number, change) in plan.changes.iter().enumerate() {
        if heading != change.place {
            // Writing to a String does not fail, here and below.
            let _ = writeln!(text, "\n{}", change.place);
            heading = &change.place;
        }
        let _ = writeln!(text, "{}", line(number + 1, change));
    }
    if plan.changes.is_empty() {
        text.push_str("changes nothing\n");
    }
    match (&plan.error, &plan.result) {
        (Some(error), _) => {
            let _ =
                writeln!(text, "\nfails with code {}: {error}\nand everything above is undone", error.code);
        }
        (None, Some(result)) => {
            let _ = writeln!(text, "\nthe runtime is told\n{result:#}");
        }
        (None, None) => {}
    }
    for unknown in &plan.unknown {
        let _ = writeln!(text, "\nnot known: {unknown}");
    }
    text.push_str("\nnothing was changed; names and hardware addresses that are made up will be others\n");
    text
}

fn line(number: usize, change: &Change) -> String {
    let guest = change.guest.as_deref().unwrap_or_default();
    let arrow = if change.outcome.is_empty() { "" } else { " -> " };
    let line = format!(
        "{number:>4} {guest:<11} {:<24} {}{arrow}{}",
        change.operation, change.arguments, change.outcome
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use wharf_cni::CniError;

    use super::*;

    fn change(guest: Option<&str>, outcome: &str) -> Change {
        Change {
            place: "plugins[0]".into(),
            guest: guest.map(str::to_owned),
            operation: "links/set-up",
            arguments: "link=host:cni0#5 up=true".into(),
            outcome: outcome.into(),
        }
    }

    #[test]
    fn changes_are_numbered_below_their_plugin() {
        let plan = Plan {
            network: "pods".into(),
            changes: vec![change(Some("bridge"), ""), change(Some("bridge"), "was so already")],
            result: Some(serde_json::json!({"cniVersion": "1.0.0"})),
            unknown: vec!["plugins[1]: tuning".into()],
            ..Plan::default()
        };
        let text = as_text(&plan, "c", "eth0");
        assert_eq!(
            text,
            "an ADD of c/eth0 to the network pods\n\nplugins[0]\n   \
             1 bridge      links/set-up             link=host:cni0#5 up=true\n   \
             2 bridge      links/set-up             link=host:cni0#5 up=true -> was so already\n\n\
             the runtime is told\n{\n  \"cniVersion\": \"1.0.0\"\n}\n\n\
             not known: plugins[1]: tuning\n\n\
             nothing was changed; names and hardware addresses that are made up will be others\n"
        );
    }

    #[test]
    fn a_failure_is_told_with_its_code() {
        let error: CniError =
            serde_json::from_str(r#"{"cniVersion": "1.0.0", "code": 7, "msg": "mtu: 7"}"#).unwrap();
        let plan = Plan { changes: vec![change(None, "")], error: Some(error), ..Plan::default() };
        let text = as_text(&plan, "c", "eth0");
        assert!(
            text.contains("fails with code 7: ") && text.contains("everything above is undone"),
            "{text}"
        );
    }
}
