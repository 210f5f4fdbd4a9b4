//! `#[wharf_sdk::network]`, `#[wharf_sdk::ipam]` and `#[wharf_sdk::policy]`: what they accept, and what they say about what they do not.
//!
//! They are documented where they are used from, in `wharf-sdk`.

mod arguments;
mod function;
mod implementation;
mod world;

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use syn::{Error, Item};

use arguments::Arguments;
use world::World;

/// A main or chained plugin; see `wharf_sdk::network`.
#[proc_macro_attribute]
pub fn network(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand_or_say(&World::NETWORK, arguments.into(), item.into()).into()
}

/// An address manager; see `wharf_sdk::ipam`.
#[proc_macro_attribute]
pub fn ipam(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand_or_say(&World::IPAM, arguments.into(), item.into()).into()
}

/// A policy; see `wharf_sdk::policy`.
#[proc_macro_attribute]
pub fn policy(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand_or_say(&World::POLICY, arguments.into(), item.into()).into()
}

/// What was written stays where it is next to an error, so that the compiler does not complain about its absence, too.
fn expand_or_say(world: &World, arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(world, arguments, item.clone()).unwrap_or_else(|error| {
        let error = error.into_compile_error();
        match syn::parse2::<Item>(item) {
            Ok(Item::Fn(function)) => quote::quote!(#error #function),
            _ => error,
        }
    })
}

fn expand(world: &World, arguments: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    let arguments: Arguments = syn::parse2(arguments)?;
    match syn::parse2(item)? {
        Item::Fn(function) => function::expand(world, &arguments, &function),
        Item::Impl(implementation) => implementation::expand(world, &arguments, implementation),
        other => Err(Error::new_spanned(
            other,
            format!(
                "#[{}] goes onto the guest's `{}` or onto its impl block. Write:\n\n{}",
                world.attribute,
                world.first().map_or("add", |first| first.name),
                world.example()
            ),
        )),
    }
}
