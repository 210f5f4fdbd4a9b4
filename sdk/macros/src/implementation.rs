//! The attribute on an impl block: `impl MyGuest { ... }` or `impl Network for MyGuest { ... }`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, Ident, ImplItem, ItemImpl};

use crate::arguments::Arguments;
use crate::world::World;

pub(crate) fn expand(
    world: &World,
    arguments: &Arguments,
    mut block: ItemImpl,
) -> Result<TokenStream, Error> {
    if let Some(guest) = &arguments.guest {
        return Err(Error::new_spanned(
            guest,
            "`guest` is for a function; an impl block has its type already",
        ));
    }
    if !block.generics.params.is_empty() {
        return Err(Error::new_spanned(&block.generics, "a component exports one guest, not a generic one"));
    }
    if let Some((path, _)) = &block.trait_
        && path.segments.last().is_none_or(|last| last.ident != world.trait_name())
    {
        let message = format!(
            "#[{}] is for `impl {}`. `Network` goes with #[wharf_sdk::network], `Ipam` with #[wharf_sdk::ipam], and `Policy` \
             with #[wharf_sdk::policy]",
            world.attribute,
            world.trait_name()
        );
        return Err(Error::new_spanned(path, message));
    }
    check(world, &block)?;
    let given: Vec<String> = block
        .items
        .iter()
        .filter_map(|item| match item {
            ImplItem::Const(constant) => Some(constant.ident.to_string()),
            _ => None,
        })
        .collect();
    let constants = constants(world, arguments, &given)?;
    let trait_ = trait_path(world)?;
    let export = Ident::new(world.export, Span::call_site());
    block.items.iter_mut().for_each(without_visibility);
    let (attributes, guest, items) = (&block.attrs, &block.self_ty, &block.items);
    Ok(quote! {
        #(#attributes)*
        impl #trait_ for #guest {
            #constants

            #(#items)*
        }

        ::wharf_sdk::#export!(#guest);
    })
}

/// Every function is a call, and the first one is among them.
fn check(world: &World, block: &ItemImpl) -> Result<(), Error> {
    let Some(first) = world.first() else { return Ok(()) };
    let mut has_first = false;
    for item in &block.items {
        let ImplItem::Fn(function) = item else { continue };
        let name = function.sig.ident.to_string();
        let Some(call) = world.call(&name) else {
            let hint = match name.as_str() {
                "delete" | "remove" => "; did you mean `del`?",
                "create" | "setup" | "attach" => "; did you mean `add`?",
                "collect" => "; did you mean `gc`?",
                _ => "; a function of your own goes into an impl block of its own, or outside",
            };
            let message = format!("`{name}` is not a call of a guest: they are {}{hint}", world.names());
            return Err(Error::new_spanned(&function.sig.ident, message));
        };
        call.accept(&function.sig, world.receiver)?;
        has_first |= name == first.name;
    }
    if has_first {
        return Ok(());
    }
    let lines = world.lines(world.receiver);
    let message = format!("`{}` is missing, which every guest needs. Write:\n\n{lines}", first.name);
    Err(Error::new_spanned(&block.self_ty, message))
}

/// Trait items have none.
fn without_visibility(item: &mut ImplItem) {
    match item {
        ImplItem::Fn(function) => function.vis = syn::Visibility::Inherited,
        ImplItem::Const(constant) => constant.vis = syn::Visibility::Inherited,
        _ => {}
    }
}

/// The trait, from anywhere.
pub(crate) fn trait_path(world: &World) -> Result<syn::Path, Error> {
    syn::parse_str(&format!("::wharf_sdk::{}", world.guest))
}

/// Name, version and capabilities, but those that are `given` already.
pub(crate) fn constants(
    world: &World,
    arguments: &Arguments,
    given: &[String],
) -> Result<TokenStream, Error> {
    let Arguments { name, version, capabilities, .. } = arguments;
    if !world.described {
        return match [name, version, capabilities].into_iter().flatten().next() {
            None => Ok(TokenStream::new()),
            Some(value) => {
                let message =
                    "a policy is called as its file is, and has no more to say of itself: leave this out";
                Err(Error::new_spanned(value, message))
            }
        };
    }
    let is_given = |name: &str| given.iter().any(|given| given == name);
    let text = |name: &str, argument: &Option<syn::Expr>, default: TokenStream| {
        let ident = Ident::new(name, Span::call_site());
        let value = argument.as_ref().map_or(default, |value| quote!(#value));
        (!is_given(name) || argument.is_some()).then(|| quote!(const #ident: &'static str = #value;))
    };
    let name = text("NAME", name, quote!(env!("CARGO_PKG_NAME")));
    let version = text("VERSION", version, quote!(env!("CARGO_PKG_VERSION")));
    let capabilities =
        capabilities.as_ref().map(|keys| quote!(const CAPABILITIES: &'static [&'static str] = &#keys;));
    Ok(quote!(#name #version #capabilities))
}
