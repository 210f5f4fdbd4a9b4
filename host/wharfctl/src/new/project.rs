//! The files of a project: templates, with what differs filled in.

use anyhow::{Result, ensure};

use super::World;
use super::name::Name;
use super::sdk::Sdk;

/// What one world's project consists of.
struct Template {
    about: &'static str,
    guest: &'static str,
    test: &'static str,
    scenario: &'static str,
    /// Nothing where what `wharfctl grants suggest` prints is enough.
    grant: Option<&'static str>,
    usage: &'static str,
    /// Whether its tests run on a simulated node.
    on_node: bool,
}

const INTERFACE: Template = Template {
    about: "a cable between the host and a container, with addresses from an IPAM plugin",
    guest: include_str!("template/interface/lib.rs"),
    test: include_str!("template/interface/node.rs"),
    scenario: include_str!("template/interface/attach.toml"),
    grant: Some(include_str!("template/interface/grant.toml")),
    usage: include_str!("template/interface/use.md"),
    on_node: true,
};

const CHAINED: Template = Template {
    about: "an MTU for the container's interface, whoever made it",
    guest: include_str!("template/chained/lib.rs"),
    test: include_str!("template/chained/node.rs"),
    scenario: include_str!("template/chained/attach.toml"),
    grant: None,
    usage: include_str!("template/chained/use.md"),
    on_node: true,
};

const IPAM: Template = Template {
    about: "one free address of a subnet after the other",
    guest: include_str!("template/ipam/lib.rs"),
    test: include_str!("template/ipam/node.rs"),
    scenario: include_str!("template/ipam/attach.toml"),
    grant: None,
    usage: include_str!("template/ipam/use.md"),
    on_node: true,
};

const POLICY: Template = Template {
    about: "a policy: no pod gets an address outside of the operator's networks",
    guest: include_str!("template/policy/lib.rs"),
    test: include_str!("template/policy/policy.rs"),
    scenario: include_str!("template/policy/attach.toml"),
    grant: None,
    usage: include_str!("template/policy/use.md"),
    on_node: false,
};

const README_OF_SCENARIOS: &str = "
`wharfctl test scenarios target/wasm32-wasip2/release/{{file}}.wasm` runs the component as a node would, with faults at every step.
";

impl World {
    fn template(self) -> &'static Template {
        match self {
            Self::Interface => &INTERFACE,
            Self::Chained => &CHAINED,
            Self::Ipam => &IPAM,
            Self::Policy => &POLICY,
        }
    }
}

/// What a project of that world does.
pub(super) fn about(world: World) -> &'static str {
    world.template().about
}

/// How `wharfctl add` is told what it may do.
pub(super) fn grant_option(world: World, name: &Name) -> String {
    let own = |_| format!("--grant {}", grant_file(name));
    world.template().grant.map_or_else(|| "--suggest".to_owned(), own)
}

/// Where `wharfctl test` looks for it, too.
fn grant_file(name: &Name) -> String {
    format!("scenarios/grants/{}.toml", name.file())
}

/// The words that the template's own code says, by which no guest can be called there.
fn words(template: &Template) -> impl Iterator<Item = &'static str> {
    let lines = [template.guest, template.test].into_iter().flat_map(str::lines);
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
}

/// What the guest's type is called: as the guest, unless the template has that name for something else.
fn type_name(template: &Template, name: &Name) -> String {
    let plain = name.type_name();
    if words(template).any(|word| word == plain) { plain + "Guest" } else { plain }
}

/// What the tests call the crate. Where they import something of that name, it takes two colons more.
fn crate_name(template: &Template, name: &Name) -> String {
    let file = name.file();
    if words(template).any(|word| word == file) { format!("::{file}") } else { file }
}

/// Every file of a project, by its path inside.
pub(super) fn files(world: World, name: &Name, sdk: &Sdk) -> Result<Vec<(String, String)>> {
    let template = world.template();
    let testkit = if template.on_node {
        format!("\n[dev-dependencies]\nwharf-testkit = {}\n", sdk.dependency("testkit"))
    } else {
        String::new()
    };
    let grant = grant_option(world, name);
    let sdk_dependency = sdk.dependency("rust");
    // Those of whole parts first: there are names in them.
    let values = [
        ("{{scenarios}}", README_OF_SCENARIOS),
        ("{{use}}", template.usage),
        ("{{grant}}", &grant),
        ("{{about}}", template.about),
        ("{{testkit}}", &testkit),
        ("{{sdk}}", &sdk_dependency),
        ("{{name}}", name.as_str()),
        ("{{file}}", &name.file()),
        ("{{crate}}", &crate_name(template, name)),
        ("{{type}}", &type_name(template, name)),
    ];
    let fill = |text: &str| {
        let filled = values.iter().fold(text.to_owned(), |text, (key, value)| text.replace(key, value));
        ensure!(
            !filled.contains("{{"),
            "a template has a place that nothing fills: this is a fault of wharfctl"
        );
        Ok(filled)
    };
    let mut files: Vec<(String, String)> = [
        ("Cargo.toml", fill(include_str!("template/common/Cargo.toml.in"))?),
        ("README.md", fill(include_str!("template/common/README.md"))?),
        ("rust-toolchain.toml", include_str!("template/common/rust-toolchain.toml.in").to_owned()),
        (".gitignore", include_str!("template/common/gitignore").to_owned()),
        ("src/lib.rs", fill(template.guest)?),
        (if template.on_node { "tests/node.rs" } else { "tests/policy.rs" }, fill(template.test)?),
        ("scenarios/attach.toml", fill(template.scenario)?),
    ]
    .map(|(path, text)| (path.to_owned(), text))
    .into();
    if let Some(grant) = template.grant {
        files.push((grant_file(name), fill(grant)?));
    }
    files.extend(sdk.lock().map(|lock| ("Cargo.lock".to_owned(), lock)));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_place_is_filled() {
        let (name, sdk) = ("my-guest".parse().unwrap(), Sdk::Git("https://x.test/wharf.git".into()));
        for world in [World::Interface, World::Chained, World::Ipam, World::Policy] {
            let files = files(world, &name, &sdk).unwrap();
            let file =
                |path: &str| files.iter().find(|(at, _)| at == path).map(|(_, text)| text.as_str()).unwrap();
            assert!(file("Cargo.toml").contains("wharf-sdk = { git = 'https://x.test/wharf.git' }"));
            assert!(file("README.md").contains("release/my_guest.wasm"));
            assert!(file("src/lib.rs").contains("pub struct MyGuest;"));
        }
    }

    /// What the templates define and import, and every other word of theirs.
    #[test]
    fn no_guest_hides_what_its_template_needs() {
        let sdk = Sdk::Git("https://x.test/wharf.git".into());
        for world in [World::Interface, World::Chained, World::Ipam, World::Policy] {
            let template = world.template();
            let taken: BTreeSet<&str> = words(template).collect();
            let mut tried = 0;
            for word in &taken {
                let Ok(name) = as_name(word).parse::<Name>() else { continue };
                let files = files(world, &name, &sdk).unwrap();
                let (_, guest) = files.iter().find(|(path, _)| path == "src/lib.rs").unwrap();
                let (_, own) = guest.split_once("\npub struct ").unwrap();
                let own = own.split(';').next().unwrap();
                assert!(!taken.contains(own), "{world:?} {name}: {own}");
                let (_, test) = files.iter().find(|(path, _)| path.starts_with("tests/")).unwrap();
                let import = format!("\nuse ::{}::{own};\n", name.file());
                assert!(
                    !taken.contains(name.file().as_str()) || test.contains(&import),
                    "{world:?} {name}: {test}"
                );
                tried += 1;
            }
            assert!(tried > 40, "{world:?}: {tried}");
        }
        for (world, name, own) in [(World::Ipam, "pool", "PoolGuest"), (World::Chained, "pool", "Pool")] {
            assert_eq!(type_name(world.template(), &name.parse().unwrap()), own);
        }
    }

    /// `IpNetwork` as `ip-network`.
    fn as_name(word: &str) -> String {
        let mut name = String::new();
        for letter in word.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}
