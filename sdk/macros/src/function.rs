//! The attribute on a function: it is the guest's first call, and the rest is by default.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Error, Ident, ItemFn};

use crate::arguments::Arguments;
use crate::implementation::{constants, trait_path};
use crate::world::{World, parameter_types};

pub(crate) fn expand(world: &World, arguments: &Arguments, function: &ItemFn) -> Result<TokenStream, Error> {
    let name = &function.sig.ident;
    let Some(first) = world.first() else { return Ok(TokenStream::new()) };
    if name != first.name && world.call(&name.to_string()).is_some() {
        let message = format!(
            "only `{}` is a guest by itself. Put it and `{name}` into an impl block:\n\n#[{}]\nimpl MyGuest {{ ... }}",
            first.name, world.attribute
        );
        return Err(Error::new_spanned(name, message));
    }
    first.accept(&function.sig, None)?;
    let guest = arguments.guest.clone().unwrap_or_else(|| Ident::new("Guest", Span::call_site()));
    let visibility = &function.vis;
    let trait_ = trait_path(world)?;
    let export = Ident::new(world.export, Span::call_site());
    let constants = constants(world, arguments, &[])?;
    let types = parameter_types(function);
    let names: Vec<Ident> = (0..types.len()).map(|number| format_ident!("parameter_{number}")).collect();
    let method = Ident::new(first.name, Span::call_site());
    let docs = format!("The guest whose `{method}` is [`{name}`].");
    let receiver = world.receiver.map(|_| quote!(&mut self,));
    let answer = &function.sig.output;
    let derives = if world.described { quote!(Debug) } else { quote!(Debug, Default) };
    let visibility = match visibility {
        syn::Visibility::Inherited => quote!(pub),
        other => quote!(#other),
    };
    Ok(quote! {
        #function

        #[doc = #docs]
        #[derive(#derives)]
        #visibility struct #guest;

        impl #trait_ for #guest {
            #constants

            fn #method(#receiver #(#names: #types),*) #answer {
                #name(#(#names),*)
            }
        }

        ::wharf_sdk::#export!(#guest);
    })
}
