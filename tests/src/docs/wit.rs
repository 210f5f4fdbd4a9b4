//! The reference of the WIT packages, made from them: `docs/reference/wit.md`.

use std::fmt::Write as _;
use std::path::Path;

use wit_parser::{
    Docs, Function, FunctionKind, Handle, Interface, PackageId, Resolve, Type, TypeDef, TypeDefKind, World,
    WorldItem, WorldKey,
};

/// The packages below `wit/`; each uses only those before it.
const PACKAGES: [&str; 9] = ["types", "cni", "net", "firewall", "tc", "store", "host", "policy", "plugin"];

const HEAD: &str = "\
# WIT reference

Written by `cargo xtask docs` from the packages in [`wit/`](../../wit). What a component imports is what it can ask for; what
it may do is what it imports *and* its [grant](files.md#etccniwharfdguesttoml) names. A grant names an operation as
`interface/function`, as the headings here do. *Changes* marks the operations that change something: they are journaled,
undone when an ADD fails, and shown to policies. CHECK and STATUS are denied all of these.

";

/// The page for the packages below `root`. `changes` says of an operation whether it changes anything; none if a grant
/// does not name it.
pub fn page(root: &Path, changes: impl Fn(&str) -> Option<bool>) -> String {
    let mut resolve = Resolve::default();
    let packages = PACKAGES.map(|name| {
        let (id, _) =
            resolve.push_path(root.join(name)).unwrap_or_else(|error| panic!("wit/{name}: {error:#}"));
        id
    });
    let mut text = HEAD.to_owned();
    for id in packages {
        let package = &resolve.packages[id];
        let _ = writeln!(text, "- [`{}`](#{})", package.name, anchor(&package.name.to_string()));
        for name in package.interfaces.keys() {
            let _ = writeln!(text, "  - [`{name}`](#{})", anchor(&title(&resolve, id, name)));
        }
    }
    for id in packages {
        package(&mut text, &resolve, id, &changes);
    }
    text
}

fn package(text: &mut String, resolve: &Resolve, id: PackageId, changes: &impl Fn(&str) -> Option<bool>) {
    let package = &resolve.packages[id];
    let _ = writeln!(text, "\n## `{}`", package.name);
    paragraphs(text, &package.docs);
    for (name, id_of) in &package.interfaces {
        let _ = writeln!(text, "\n### `{}`", title(resolve, id, name));
        let interface = &resolve.interfaces[*id_of];
        paragraphs(text, &interface.docs);
        for definition in interface.types.values() {
            type_definition(text, resolve, &resolve.types[*definition]);
        }
        for function in interface.functions.values() {
            operation(text, resolve, interface, function, changes);
        }
    }
    for (name, world) in &package.worlds {
        let _ = writeln!(text, "\n### World `{name}`");
        world_section(text, resolve, &resolve.worlds[*world]);
    }
}

/// As in `wharf:net/links`.
fn title(resolve: &Resolve, package: PackageId, interface: &str) -> String {
    let name = &resolve.packages[package].name;
    format!("{}:{}/{interface}", name.namespace, name.name)
}

/// What the heading of that text is linked by.
fn anchor(heading: &str) -> String {
    heading.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>().to_lowercase()
}

fn paragraphs(text: &mut String, docs: &Docs) {
    if let Some(contents) = &docs.contents {
        let _ = writeln!(text, "\n{}", contents.trim());
    }
}

/// Docs in one line.
fn line(docs: &Docs) -> String {
    docs.contents.as_deref().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn type_definition(text: &mut String, resolve: &Resolve, definition: &TypeDef) {
    let name = definition.name.as_deref().unwrap_or_default();
    // What another interface defines is described there.
    if let TypeDefKind::Type(Type::Id(other)) = definition.kind
        && resolve.types[other].name.as_deref() == Some(name)
    {
        return;
    }
    let _ = writeln!(text, "\n#### {} `{name}`", definition.kind.as_str());
    paragraphs(text, &definition.docs);
    let row = |name: &str, of: Option<&Type>, docs: &Docs| {
        let of = of.map(|of| format!(": {}", written(resolve, of))).unwrap_or_default();
        let words = line(docs);
        let words = if words.is_empty() { words } else { format!(" — {words}") };
        format!("- `{name}{of}`{words}\n")
    };
    let rows: Vec<String> = match &definition.kind {
        TypeDefKind::Record(record) => {
            record.fields.iter().map(|field| row(&field.name, Some(&field.ty), &field.docs)).collect()
        }
        TypeDefKind::Variant(variant) => {
            variant.cases.iter().map(|case| row(&case.name, case.ty.as_ref(), &case.docs)).collect()
        }
        TypeDefKind::Enum(cases) => {
            cases.cases.iter().map(|case| row(&case.name, None, &case.docs)).collect()
        }
        TypeDefKind::Flags(flags) => {
            flags.flags.iter().map(|flag| row(&flag.name, None, &flag.docs)).collect()
        }
        TypeDefKind::Resource => Vec::new(),
        other => vec![format!("`{}`\n", structure(resolve, other))],
    };
    if !rows.is_empty() {
        text.push('\n');
        text.extend(rows);
    }
}

fn operation(
    text: &mut String,
    resolve: &Resolve,
    interface: &Interface,
    function: &Function,
    changes: &impl Fn(&str) -> Option<bool>,
) {
    let room = interface.name.as_deref().unwrap_or_default();
    let freestanding = matches!(function.kind, FunctionKind::Freestanding);
    let name = if freestanding { function.name.as_str() } else { function.item_name() };
    let operation = format!("{room}/{name}");
    let mark = match changes(&operation) {
        Some(true) => " (changes)",
        _ => "",
    };
    let _ = writeln!(text, "\n#### `{operation}`{mark}");
    // A method's first parameter is what it is a method of.
    let method = matches!(function.kind, FunctionKind::Method(_));
    let of = function.kind.resource().and_then(|id| resolve.types[id].name.clone());
    let of = of.map(|of| format!("{of}.")).unwrap_or_default();
    let statically = if matches!(function.kind, FunctionKind::Static(_)) { "static " } else { "" };
    let parameters = function.params.iter().skip(usize::from(method));
    let parameters: Vec<String> =
        parameters.map(|it| format!("{}: {}", it.name, written(resolve, &it.ty))).collect();
    let result =
        function.result.as_ref().map(|of| format!(" -> {}", written(resolve, of))).unwrap_or_default();
    let _ = writeln!(text, "\n```wit\n{of}{name}: {statically}func({}){result};\n```", parameters.join(", "));
    paragraphs(text, &function.docs);
}

fn world_section(text: &mut String, resolve: &Resolve, world: &World) {
    paragraphs(text, &world.docs);
    for (words, items) in [("imports", &world.imports), ("exports", &world.exports)] {
        let mut names: Vec<String> = items
            .iter()
            .map(|(key, item)| match (key, item) {
                (WorldKey::Interface(id), WorldItem::Interface { .. }) => {
                    let interface = &resolve.interfaces[*id];
                    let name = interface.name.clone().unwrap_or_default();
                    let title =
                        interface.package.map(|package| title(resolve, package, &name)).unwrap_or(name);
                    format!("[`{title}`](#{})", anchor(&title))
                }
                (key, _) => format!("`{}`", resolve.name_world_key(key)),
            })
            .collect();
        names.sort();
        if !names.is_empty() {
            let _ = writeln!(text, "\n{words}: {}", names.join(", "));
        }
    }
}

/// A type as WIT writes it.
fn written(resolve: &Resolve, of: &Type) -> String {
    match of {
        Type::Id(id) => {
            let definition = &resolve.types[*id];
            definition.name.clone().unwrap_or_else(|| structure(resolve, &definition.kind))
        }
        Type::Bool => "bool".into(),
        Type::U8 => "u8".into(),
        Type::U16 => "u16".into(),
        Type::U32 => "u32".into(),
        Type::U64 => "u64".into(),
        Type::S8 => "s8".into(),
        Type::S16 => "s16".into(),
        Type::S32 => "s32".into(),
        Type::S64 => "s64".into(),
        Type::F32 => "f32".into(),
        Type::F64 => "f64".into(),
        Type::Char => "char".into(),
        Type::String => "string".into(),
        Type::ErrorContext => "error-context".into(),
    }
}

/// A type without a name of its own as WIT writes it.
fn structure(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let or_none = |of: &Option<Type>| of.as_ref().map_or_else(|| "_".to_owned(), |of| written(resolve, of));
    let named = |id: &wit_parser::TypeId| resolve.types[*id].name.clone().unwrap_or_default();
    match kind {
        TypeDefKind::Option(of) => format!("option<{}>", written(resolve, of)),
        TypeDefKind::List(of) => format!("list<{}>", written(resolve, of)),
        TypeDefKind::FixedLengthList(of, length) => format!("list<{}, {length}>", written(resolve, of)),
        TypeDefKind::Result(of) => match (&of.ok, &of.err) {
            (None, None) => "result".into(),
            (Some(ok), None) => format!("result<{}>", written(resolve, ok)),
            (ok, err) => format!("result<{}, {}>", or_none(ok), or_none(err)),
        },
        TypeDefKind::Tuple(of) => {
            let types: Vec<String> = of.types.iter().map(|of| written(resolve, of)).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", named(id)),
        TypeDefKind::Handle(Handle::Own(id)) => named(id),
        TypeDefKind::Type(of) => written(resolve, of),
        other => panic!("the reference does not know how a {} is written: teach it", other.as_str()),
    }
}
