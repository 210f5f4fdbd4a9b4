//! What a component is and wants, read from the binary without running it; and its compilation.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use sha2::{Digest, Sha256};
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::Types;
use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentTypeRef, KnownCustom, Parser, Payload,
    ProducersSectionReader, Validator, WasmFeatures,
};

use crate::offer::{self, Missing};
use crate::{Error, World, engine};

/// What can be read from a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// Which interface it exports, or why that cannot be said.
    pub world: Result<World, String>,
    /// Every operation that it can ever ask for, as grants name them (`links/create-veth`), sorted.
    pub operations: Vec<String>,
    /// Every interface of `wasi:*` that it imports, in the order of the component.
    pub wasi: Vec<String>,
    /// What it imports and this host does not offer, in words.
    pub missing: Vec<String>,
    /// Languages and tools, from the `producers` sections of the component and the modules in it.
    pub producers: Vec<Producer>,
}

/// A language, SDK or tool that took part in a component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub field: String,
    /// `Rust`, `wit-component`, ...
    pub name: String,
    /// As the tool wrote it.
    pub version: String,
}

/// Names this compiler and its settings: what was compiled under another name may not run here.
pub fn compiler() -> String {
    let mut hasher = DefaultHasher::new();
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    // Without an engine nothing is compiled, and that says why.
    if let Ok(engine) = engine::compiler() {
        engine.precompile_compatibility_hash().hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Compiles a component to an artefact that every machine of this architecture and version of Wharf can run.
pub fn compile(wasm: &[u8]) -> Result<Vec<u8>, Error> {
    if !Parser::is_component(wasm) {
        return Err(Error::NoComponent(kind_of(wasm)));
    }
    let engine = engine::compiler().map_err(|error| Error::Compile(format!("{error:#}")))?;
    engine.precompile_component(wasm).map_err(|error| Error::Compile(format!("{error:#}")))
}

/// Reads what a component is and wants.
pub fn inspect(wasm: &[u8]) -> Result<Inspection, Error> {
    if !Parser::is_component(wasm) {
        return Err(Error::NoComponent(kind_of(wasm)));
    }
    let wrong = |error: BinaryReaderError| Error::NoComponent(error.to_string());
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(wasm).map_err(wrong)?;
    let mut reader = Reader::new(&types);
    for payload in Parser::new(0).parse_all(wasm) {
        reader.payload(payload.map_err(wrong)?).map_err(wrong)?;
    }
    Ok(reader.finish(wasm))
}

fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What bytes are that are no component.
fn kind_of(wasm: &[u8]) -> String {
    if Parser::is_core_wasm(wasm) {
        "it is a core module; build it for the target wasm32-wasip2".to_owned()
    } else if wasm.starts_with(b"\x7fELF") {
        "it is a native or compiled file".to_owned()
    } else {
        "it does not start as WebAssembly does".to_owned()
    }
}

/// Walks through the outermost component, and through everything for `producers` sections.
struct Reader<'a> {
    types: &'a Types,
    /// How deep inside nested components and modules.
    depth: usize,
    /// How many instances the outermost component has up to here: the index of the next one.
    instances: u32,
    exports: Vec<String>,
    operations: Vec<String>,
    wasi: Vec<String>,
    missing: Missing,
    producers: Vec<Producer>,
}

impl<'a> Reader<'a> {
    fn new(types: &'a Types) -> Self {
        Self {
            types,
            depth: 0,
            instances: 0,
            exports: Vec::new(),
            operations: Vec::new(),
            wasi: Vec::new(),
            missing: Missing::default(),
            producers: Vec::new(),
        }
    }

    fn payload(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => self.depth += 1,
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::CustomSection(section) => {
                if let KnownCustom::Producers(fields) = section.as_known() {
                    self.producers(fields)?;
                }
            }
            // What follows counts in the outermost component only.
            _ if self.depth > 0 => {}
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    let import = import?;
                    if matches!(import.ty, ComponentTypeRef::Instance(_)) {
                        self.interface(import.name.name);
                    } else {
                        self.missing.item(import.name.name);
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => self.instances += instances.count(),
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    if let ComponentAlias::InstanceExport { kind: ComponentExternalKind::Instance, .. } =
                        alias?
                    {
                        self.instances += 1;
                    }
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    self.exports.push(export.name.name.to_owned());
                    if export.kind == ComponentExternalKind::Instance {
                        self.instances += 1;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An imported interface, which is the next instance.
    fn interface(&mut self, name: &str) {
        let types = self.types.as_ref();
        let instance = types.get(types.component_instance_at(self.instances));
        self.instances += 1;
        let functions: Vec<&str> = instance.map_or_else(Vec::new, |instance| {
            let exports = instance.exports.iter();
            exports
                .filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)))
                .map(|(name, _)| name.as_str())
                .collect()
        });
        self.missing.interface(name, functions.iter().copied());
        if offer::is_wasi(name) {
            self.wasi.push(name.to_owned());
        } else if offer::offered(name).is_some() {
            let operations = functions.iter().map(|function| offer::operation(name, function));
            self.operations.extend(operations.filter(|name| offer::is_operation(name)));
        }
    }

    fn producers(&mut self, fields: ProducersSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for field in fields {
            let field = field?;
            for value in field.values {
                let value = value?;
                self.producers.push(Producer {
                    field: field.name.to_owned(),
                    name: value.name.to_owned(),
                    version: value.version.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn finish(mut self, wasm: &[u8]) -> Inspection {
        self.operations.sort();
        self.operations.dedup();
        self.producers.sort();
        self.producers.dedup();
        let world = offer::world(self.exports.iter().map(String::as_str));
        Inspection {
            digest: digest(wasm),
            operations: self.operations,
            wasi: self.wasi,
            missing: self.missing.into_sentences(world.as_ref().ok().copied()),
            world,
            producers: self.producers,
        }
    }
}
