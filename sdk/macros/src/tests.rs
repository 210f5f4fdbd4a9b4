//! What is said about what is wrong.

use super::*;

fn refusal(world: &World, arguments: &str, item: &str) -> String {
    expand(world, arguments.parse().unwrap(), item.parse().unwrap()).unwrap_err().to_string()
}

#[test]
fn a_missing_add_is_answered_with_the_lines_to_write() {
    let message =
        refusal(&World::NETWORK, "", "impl Hello { fn status(config: &Config) -> Result<()> { Ok(()) } }");
    assert_eq!(
        message,
        "`add` is missing, which every guest needs. Write:\n\n\
         fn add(request: &Request, host: &Netns, container: &Netns) -> Result<NetworkResult> {\n    \
             Ok(request.require_previous()?.clone())\n}"
    );
    let message = refusal(&World::IPAM, "", "impl Ipam for Same {}");
    assert!(
        message.ends_with(
            "fn add(request: &Request) -> Result<NetworkResult> {\n    Ok(NetworkResult::default())\n}"
        ),
        "{message}"
    );
}

#[test]
fn what_a_guest_cannot_be_is_said_with_what_it_can() {
    const ADD: &str = "fn add(request: &Request, host: &Netns, container: &Netns) -> Result<NetworkResult>";
    for (item, says) in [
        (
            "struct Hello;",
            "goes onto the guest's `add` or onto its impl block. Write:\n\n#[wharf_sdk::network]\nfn add(",
        ),
        ("fn add(request: &Request) -> Result<NetworkResult> {}", "`add` takes 3 parameters, and this one 1"),
        ("fn del() {}", "only `add` is a guest by itself"),
        ("async fn add(r: &Request, h: &Netns, c: &Netns) {}", "host calls wait by themselves"),
        ("impl Hello { fn add(&self) {} }", "a guest has no `self`"),
        ("impl Hello { fn add<T>(r: &Request, h: &Netns, c: &Netns) {} }", "a runtime cannot choose types"),
        ("impl<T> Hello<T> {}", "not a generic one"),
        (
            "impl Hello { fn delete() {} }",
            "they are `add`, `check`, `del`, `status`, `gc`; did you mean `del`?",
        ),
        ("impl Hello { fn helper() {} }", "an impl block of its own"),
        ("impl Ipam for Hello {}", "`Ipam` with #[wharf_sdk::ipam]"),
    ] {
        let message = refusal(&World::NETWORK, "", item);
        assert!(message.contains(says), "{item}: {message}");
        if ["fn add", "async", "impl Hello { fn add"].iter().any(|start| item.starts_with(start)) {
            assert!(message.contains(ADD), "{item}: {message}");
        }
    }
}

#[test]
fn arguments_are_named_when_one_is_unknown() {
    for (arguments, says) in [
        ("nmae = \"x\"", "there is no argument `nmae`; they are `name = \"...\"`"),
        ("name", "`name` needs a value"),
        ("name = \"a\", name = \"b\"", "there twice"),
        ("guest = \"Bridge\"", "is the name of a type"),
    ] {
        let message = refusal(&World::NETWORK, arguments, "fn add() {}");
        assert!(message.contains(says), "{arguments}: {message}");
    }
    let message = refusal(&World::NETWORK, "guest = Bridge", "impl Hello {}");
    assert!(message.contains("has its type already"), "{message}");
}

#[test]
fn a_policy_is_told_of_its_own_calls() {
    let message =
        refusal(&World::POLICY, "", "impl Strict { fn begin(&mut self, call: &Call) -> Verdict { Ok(()) } }");
    let lines = "Write:\n\nfn review(&mut self, call: &Call, guest: &str, change: &Change) -> Verdict {\n    Ok(())\n}";
    assert!(message.starts_with("`review` is missing") && message.ends_with(lines), "{message}");
    for (arguments, item, says) in [
        (
            "",
            "impl Strict { fn review(call: &Call, guest: &str, change: &Change) -> Verdict {} }",
            "`&mut self` is missing",
        ),
        (
            "",
            "impl Strict { fn add(&mut self) {} }",
            "they are `review`, `begin`, `review_unknown`, `review_result`",
        ),
        ("", "impl Network for Strict {}", "`Network` goes with #[wharf_sdk::network]"),
        (
            "name = \"x\"",
            "fn review(c: &Call, g: &str, change: &Change) -> Verdict { Ok(()) }",
            "called as its file is",
        ),
    ] {
        let message = refusal(&World::POLICY, arguments, item);
        assert!(message.contains(says), "{item}: {message}");
    }
}

#[test]
fn constants_that_are_written_win() {
    let item = "impl Ipam for Same { const NAME: &'static str = \"same\"; fn add(r: &Request) -> Result<NetworkResult> {} }";
    let text = expand(&World::IPAM, TokenStream::new(), item.parse().unwrap()).unwrap().to_string();
    assert_eq!(text.matches("const NAME").count(), 1, "{text}");
    assert!(text.contains("CARGO_PKG_VERSION") && text.contains("export_ipam"), "{text}");
}
