//! Components and files that cannot be run are refused in words; what a component is can be read from it.

use wharf_ops::call::Failure;
use wharf_sandbox::{Artefact, Error, World, compile, inspect};

use crate::Guests;
use crate::support::{add, artefact, job, nothing, run};

crate::tests![
    everything_that_is_missing_is_named_before_anything_runs,
    a_guest_is_of_one_world,
    a_function_of_another_type_is_a_mismatch,
    a_core_module_and_noise_are_no_components,
    a_truncated_or_foreign_artefact_does_not_load,
    an_inspection_shows_what_a_guest_can_do,
    a_later_patch_version_is_linked,
];

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn mismatch(text: &str) -> String {
    let report = run(&job(&artefact(&component(text)), &add("")), nothing);
    report.mismatch().to_owned()
}

const STRANGE: &str = r#"(component
    (import "acme:rockets/launch@1.0.0" (instance (export "go" (func))))
    (import "wharf:net/links@0.2.0" (instance))
    (import "wharf:net/routes@0.1.0" (instance (export "teleport" (func))))
    (import "wasi:http/handler@0.3.0" (instance))
    (import "lonely" (func))
)"#;

fn everything_that_is_missing_is_named_before_anything_runs(_: &Guests) {
    let message = mismatch(STRANGE);
    for word in [
        "acme:rockets/launch@1.0.0",
        "this host offers wharf:net/links@0.1.0",
        "teleport",
        "0.2.x only",
        "lonely",
        "the component exports nothing",
    ] {
        assert!(message.contains(word), "{word} is not in {message}");
    }
    let inspection = inspect(&component(STRANGE)).unwrap();
    assert_eq!(inspection.missing.len(), 5, "{inspection:#?}");
}

fn a_guest_is_of_one_world(_: &Guests) {
    assert!(mismatch("(component)").contains("exports nothing"));
    let both = r#"(component
        (instance $empty)
        (export "wharf:plugin/network@0.1.0" (instance $empty))
        (export "wharf:plugin/ipam@0.1.0" (instance $empty))
    )"#;
    assert!(mismatch(both).contains("exports both"), "{}", mismatch(both));
    let half = r#"(component (instance $empty) (export "wharf:plugin/ipam@0.1.0" (instance $empty)))"#;
    assert!(mismatch(half).contains("describe"), "{}", mismatch(half));
}

fn a_function_of_another_type_is_a_mismatch(_: &Guests) {
    let text = r#"(component
        (import "wharf:host/logging@0.1.0" (instance (export "enabled" (func (param "level" string) (result bool)))))
        (instance $empty)
        (export "wharf:plugin/ipam@0.1.0" (instance $empty))
    )"#;
    assert!(mismatch(text).contains("enabled"), "{}", mismatch(text));
}

fn a_core_module_and_noise_are_no_components(_: &Guests) {
    let error = compile(&component("(module)")).unwrap_err();
    assert!(error.to_string().contains("wasm32-wasip2"), "{error}");
    let error = inspect(b"#!/bin/sh\n").unwrap_err();
    assert!(matches!(error, Error::NoComponent(_)), "{error}");
    let mut cut = component("(component (import \"a\" (func)))");
    cut.pop();
    assert!(inspect(&cut).is_err());
    assert!(compile(&cut).is_err());
}

fn a_truncated_or_foreign_artefact_does_not_load(guests: &Guests) {
    let bytes = guests.probe.bytes();
    let mut foreign = bytes.to_vec();
    let target = b"-unknown-linux-gnu";
    let at = foreign.windows(target.len()).position(|window| window == target).unwrap();
    foreign[at + 9..at + 14].copy_from_slice(b"haiku");
    for bytes in [&bytes[..bytes.len() / 2], &bytes[..100], b"\x7fELF", &foreign[..]] {
        let artefact = Artefact::copy(bytes).unwrap();
        let report = run(&job(&artefact, &add("refuse")), nothing);
        let Failure::Unloadable(message) = report.failure() else { panic!("{report:?}") };
        assert!(message.starts_with("the compiled guest does not load"), "{message}");
    }
}

fn an_inspection_shows_what_a_guest_can_do(guests: &Guests) {
    let inspection = inspect(&guests.probe_wasm).unwrap();
    assert_eq!(inspection.world, Ok(World::Network));
    assert_eq!(inspection.digest.len(), 64);
    for name in
        ["links/create-veth", "links/set-up", "links/delete", "routes/add", "delegate/add", "sysctl/read"]
    {
        assert!(inspection.operations.iter().any(|known| known == name), "{name} is not in {inspection:#?}");
    }
    for name in ["neighbours/set", "nat/masquerade", "links/set-alias", "logging/log", "netns/role"] {
        assert!(!inspection.operations.iter().any(|known| known == name), "{name} is in {inspection:#?}");
    }
    assert!(inspection.wasi.iter().any(|name| name.starts_with("wasi:cli/stdout@0.2.")), "{inspection:#?}");
    assert!(inspection.missing.is_empty(), "{inspection:#?}");
    assert!(inspection.producers.iter().any(|producer| producer.name == "wit-component"), "{inspection:#?}");
}

fn a_later_patch_version_is_linked(_: &Guests) {
    let text = r#"(component
        (import "wharf:types/ip@0.1.9" (instance))
        (import "wasi:random/random@0.2.99" (instance (export "get-random-u64" (func (result u64)))))
        (import "wharf:host/logging@0.1.7" (instance
            (export "level" (type (eq $level)))
        ))
    )"#;
    let text = text.replace("(eq $level)", "(sub resource)");
    let message = mismatch(&text);
    assert!(!message.contains("offers wharf:host") && message.contains("exports nothing"), "{message}");
}
