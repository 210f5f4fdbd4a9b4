//! The attribute on a function: it is the guest's `add`, and the rest is by default.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Error, Ident, ItemFn};

use crate::arguments::Arguments;
use crate::implementation::constants;
use crate::world::{World, parameter_types};

pub(crate) fn expand(world: &World, arguments: &Arguments, function: &ItemFn) -> Result<TokenStream, Error> {
    let name = &function.sig.ident;
    if name != "add" && world.call(&name.to_string()).is_some() {
        let message = format!(
            "only `add` is a guest by itself. Put it and `{name}` into an impl block:\n\n#[{}]\nimpl MyGuest {{ ... }}",
            world.attribute
        );
        return Err(Error::new_spanned(name, message));
    }
    let Some(add) = world.call("add") else { return Ok(TokenStream::new()) };
    add.accept(&function.sig)?;
    let guest = arguments.guest.clone().unwrap_or_else(|| Ident::new("Guest", Span::call_site()));
    let visibility = &function.vis;
    let trait_ = Ident::new(world.guest, Span::call_site());
    let export = Ident::new(world.export, Span::call_site());
    let constants = constants(arguments, &[]);
    let types = parameter_types(function);
    let names: Vec<Ident> = (0..types.len()).map(|number| format_ident!("parameter_{number}")).collect();
    let docs = format!("The guest whose `add` is [`{name}`].");
    let visibility = match visibility {
        syn::Visibility::Inherited => quote!(pub),
        other => quote!(#other),
    };
    Ok(quote! {
        #function

        #[doc = #docs]
        #[derive(Debug)]
        #visibility struct #guest;

        impl ::wharf_sdk::#trait_ for #guest {
            #constants

            fn add(#(#names: #types),*) -> ::wharf_sdk::Result<::wharf_sdk::NetworkResult> {
                #name(#(#names),*)
            }
        }

        ::wharf_sdk::#export!(#guest);
    })
}
