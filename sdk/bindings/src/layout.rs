//! Which file what is generated goes to.
//!
//! A world has a file of its name, which includes those of its folder: one for each interface that it imports
//! (`imports/net/links.rs`), as `wit/` has them, and one for each function that it exports (`network/add.rs`).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{AttrStyle, File, Item, ItemMod};

use crate::{Files, HEADER, dense};

/// Lays out the code of a world.
pub(crate) fn split(world: &str, text: &str, files: &mut Files) -> Result<()> {
    let tokens: TokenStream = text.parse().ok().context("what was generated is no Rust")?;
    let file: File = syn::parse2(dense::bare(tokens))?;
    let mut place = Place { world, files };
    let text = place.items(file.items, &[])?;
    place.write(Path::new(world), &text)
}

struct Place<'a> {
    world: &'a str,
    files: &'a mut Files,
}

impl Place<'_> {
    /// What stays of items where they are, each on a line of its own. `path` is that of the modules around them.
    fn items(&mut self, items: Vec<Item>, path: &[String]) -> Result<String> {
        let mut text = String::new();
        for item in items {
            text += &match item {
                Item::Mod(module) => self.module(module, path)?,
                item => dense::print(item.into_token_stream())?,
            };
        }
        Ok(text)
    }

    fn module(&mut self, module: ItemMod, path: &[String]) -> Result<String> {
        let ItemMod { attrs, vis, ident, content, .. } = module;
        let items = content.context("a module without its items")?.1;
        let (outer, inner): (Vec<_>, Vec<_>) =
            attrs.into_iter().partition(|attribute| matches!(attribute.style, AttrStyle::Outer));
        let path: Vec<String> = path.iter().cloned().chain([ident.to_string()]).collect();
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let inside = match names.as_slice() {
            ["wharf", package, interface] => {
                let text = with_pointer(self.items(items, &path)?);
                self.moved(&Path::new(package).join(interface), &text)?
            }
            ["exports", "wharf", _, _] => with_pointer(self.calls(items, &path)?),
            _ => self.items(items, &path)?,
        };
        let inner = if inner.is_empty() { String::new() } else { dense::print(quote!(#(#inner)*))? };
        let head = dense::print(quote!(#(#outer)* #vis mod #ident))?;
        Ok(format!("{} {{\n{inner}{inside}}}\n", head.trim_end()))
    }

    /// An interface that is exported: what makes a call of each function is in a file of its own.
    fn calls(&mut self, items: Vec<Item>, path: &[String]) -> Result<String> {
        let mut rest = Vec::new();
        let mut calls: Vec<(String, String)> = Vec::new();
        for item in items {
            let call =
                if let Item::Fn(function) = &item { call(&function.sig.ident.to_string()) } else { None };
            let Some(name) = call else {
                rest.push(item);
                continue;
            };
            let text = dense::print(item.into_token_stream())?;
            match calls.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known += &text,
                None => calls.push((name, text)),
            }
        }
        let mut text = self.items(rest, path)?;
        for (name, call) in calls {
            text += &self.moved(Path::new(&name), &call)?;
        }
        Ok(text)
    }

    /// Writes a file of the world's folder and answers what includes it.
    fn moved(&mut self, name: &Path, text: &str) -> Result<String> {
        let path = Path::new(self.world).join(name);
        self.write(&path, text)?;
        let path = path.with_extension("rs").display().to_string();
        dense::print(quote!(include!(#path);))
    }

    fn write(&mut self, path: &Path, text: &str) -> Result<()> {
        let path: PathBuf = path.with_extension("rs");
        if self.files.insert(path.clone(), format!("{HEADER}\n{text}")).is_some() {
            bail!("two interfaces want the file {}", path.display());
        }
        Ok(())
    }
}

/// An interface's items with the name that they use.
fn with_pointer(items: String) -> String {
    if items.contains(dense::POINTER) { format!("{}{items}", dense::POINTER_IS) } else { items }
}

/// Which call a function serves.
fn call(function: &str) -> Option<String> {
    let name = function.strip_prefix("_export_").and_then(|name| name.strip_suffix("_cabi"));
    name.or_else(|| function.strip_prefix("__post_return_")).map(str::to_owned)
}
