//! `wharfctl inspect`: what a component is and could ever do, read from its binary.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;
use wharf_broker::grants::words;
use wharf_broker::log::printable;
use wharf_sandbox::{Inspection, Producer, World};

use crate::component::inspect;
use crate::say;

/// How many of each kind are shown, and how many characters of each: it is the component that says them.
const PRODUCERS: usize = 8;
const PRODUCER_LENGTH: usize = 60;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The component (*.wasm).
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let (wasm, inspection) = inspect(&options.file)?;
    let text = if options.json {
        serde_json::to_string_pretty(&as_json(&inspection, wasm.len()))? + "\n"
    } else {
        as_text(&options.file.display().to_string(), &inspection, wasm.len())
    };
    say::text(&text)
}

/// Everything about a component, for a person who decides whether to install it.
pub(crate) fn as_text(file: &str, inspection: &Inspection, size: usize) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(text, "{file}");
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "  {what:<8} {}", printable(value));
    };
    match &inspection.world {
        Ok(world) => line("world", &format!("{}: {}", world.name(), role(*world))),
        Err(reason) => line("world", &format!("none: {reason}")),
    }
    line("digest", &format!("sha256:{}", inspection.digest));
    line("size", &format!("{} KiB", size.div_ceil(1024)));
    // Nobody says which language is the guest's own: a libc and an adapter that it was linked with name theirs.
    for (field, what) in [("language", "contains"), ("sdk", "SDK"), ("processed-by", "made by")] {
        let names: Vec<String> = inspection
            .producers
            .iter()
            .filter(|it| it.field == field)
            .take(PRODUCERS)
            .map(producer)
            .collect();
        let of = if field == "language" { "code in " } else { "" };
        if !names.is_empty() {
            line(what, &format!("{of}{}", names.join(", ")));
        }
    }
    if inspection.operations.is_empty() {
        line("may", "nothing but read its configuration and answer: it imports no operation");
    } else {
        line("may", "at most, where its grant allows it");
        for name in &inspection.operations {
            let _ = writeln!(text, "    {:<58} {name}", words(name).unwrap_or(name));
        }
    }
    if !inspection.wasi.is_empty() {
        let rooms = printable(&inspection.wasi.join(", "));
        let _ = writeln!(text, "  wasi     linked with nothing behind it: {rooms}");
    }
    for missing in &inspection.missing {
        let _ = writeln!(text, "  missing  {}", printable(missing));
    }
    text
}

/// What a guest of this world does.
fn role(world: World) -> &'static str {
    match world {
        World::Network => "makes attachments, or adds to them",
        World::Ipam => "gives out addresses",
        World::Policy => "allows or denies what others do",
        World::Admission => "changes configurations before others run",
    }
}

/// What the component says of its making: a stranger's words.
fn producer(producer: &Producer) -> String {
    let text = format!("{} {}", producer.name, producer.version);
    text.trim_end().chars().take(PRODUCER_LENGTH).collect()
}

fn as_json(inspection: &Inspection, size: usize) -> serde_json::Value {
    let imports: Vec<_> =
        inspection.operations.iter().map(|name| json!({"operation": name, "words": words(name)})).collect();
    let producers: Vec<_> = inspection
        .producers
        .iter()
        .map(|it| json!({"field": it.field, "name": it.name, "version": it.version}))
        .collect();
    json!({
        "world": inspection.world.as_ref().ok().map(|world| world.name()),
        "no_world_because": inspection.world.as_ref().err(),
        "digest": format!("sha256:{}", inspection.digest),
        "size": size,
        "producers": producers,
        "imports": imports,
        "wasi": inspection.wasi,
        "missing": inspection.missing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Inspection {
        let producer = |field: &str, name: &str, version: &str| Producer {
            field: field.into(),
            name: name.into(),
            version: version.into(),
        };
        Inspection {
            digest: "ab".repeat(32),
            world: Ok(World::Network),
            operations: vec!["links/delete".into(), "routes/add".into()],
            wasi: vec!["wasi:io/streams@0.2.6".into()],
            missing: vec!["wharf:net/tunnels@0.1.0: unknown".into()],
            producers: vec![
                producer("language", "Rust", ""),
                producer("sdk", "wharf-sdk", "0.1.0"),
                producer("processed-by", "wit-component", "0.240"),
            ],
        }
    }

    #[test]
    fn a_person_reads_what_it_could_do() {
        let text = as_text("mine.wasm", &sample(), 2048);
        for words in [
            "mine.wasm\n",
            "network: makes attachments",
            "sha256:abab",
            "2 KiB",
            "contains code in Rust\n",
            "SDK      wharf-sdk 0.1.0",
            "made by  wit-component 0.240",
            "    delete links ",
            " routes/add\n",
            "nothing behind it: wasi:io/streams@0.2.6",
            "missing  wharf:net/tunnels",
        ] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
        let none = Inspection { operations: vec![], world: Err("it exports nothing".into()), ..sample() };
        let text = as_text("mine.wasm", &none, 1);
        assert!(text.contains("none: it exports nothing") && text.contains("imports no operation"), "{text}");
    }

    #[test]
    fn a_component_cannot_write_lines_of_its_own() {
        let forged = "x\n  may      nothing\u{1b}[8m";
        let producer = |name: &str| Producer { field: "sdk".into(), name: name.into(), version: "1".into() };
        let sample = Inspection {
            producers: std::iter::repeat_n(producer(&(forged.to_owned() + &"y".repeat(1000))), 100).collect(),
            wasi: vec![forged.into()],
            missing: vec![forged.into()],
            world: Err(forged.into()),
            ..sample()
        };
        let text = as_text("mine.wasm", &sample, 1);
        assert_eq!(text.matches("\n  may ").count(), 1, "{text}");
        assert!(!text.contains('\u{1b}') && text.lines().all(|line| line.len() < 700), "{text}");
    }

    #[test]
    fn a_program_reads_the_same() {
        let value = as_json(&sample(), 7);
        assert_eq!(value["world"], "network");
        assert_eq!(value["imports"][0], json!({"operation": "links/delete", "words": "delete links"}));
        assert_eq!(value["size"], 7);
        assert_eq!(value["producers"][1]["name"], "wharf-sdk");
    }
}
