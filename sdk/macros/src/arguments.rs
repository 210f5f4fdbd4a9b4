//! What stands in the parentheses of an attribute.

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, Token};

const KNOWN: &str = "they are `name = \"...\"`, `version = \"...\"`, `capabilities = [\"...\"]` and, on a function, `guest = TypeName`";

/// What replaces the defaults.
#[derive(Default)]
pub(crate) struct Arguments {
    /// The plugin's `type`, instead of the crate's name.
    pub(crate) name: Option<Expr>,
    /// Instead of the crate's version.
    pub(crate) version: Option<Expr>,
    /// `runtimeConfig` keys.
    pub(crate) capabilities: Option<Expr>,
    /// The name of the type that a function becomes.
    pub(crate) guest: Option<Ident>,
}

struct Argument {
    key: Ident,
    value: Expr,
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self, Error> {
        let key: Ident = input.parse()?;
        if !input.peek(Token![=]) {
            return Err(Error::new_spanned(&key, format!("`{key}` needs a value; arguments: {KNOWN}")));
        }
        input.parse::<Token![=]>()?;
        Ok(Self { key, value: input.parse()? })
    }
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self, Error> {
        let mut read = Self::default();
        for Argument { key, value } in Punctuated::<Argument, Token![,]>::parse_terminated(input)? {
            let place = match key.to_string().as_str() {
                "name" => &mut read.name,
                "version" => &mut read.version,
                "capabilities" => &mut read.capabilities,
                "guest" => {
                    read.guest = Some(type_name(&value)?);
                    continue;
                }
                other => {
                    return Err(Error::new_spanned(&key, format!("there is no argument `{other}`; {KNOWN}")));
                }
            };
            if place.replace(value).is_some() {
                return Err(Error::new_spanned(&key, format!("`{key}` is there twice")));
            }
        }
        Ok(read)
    }
}

fn type_name(value: &Expr) -> Result<Ident, Error> {
    match value {
        Expr::Path(path) if path.path.get_ident().is_some() => Ok(path.path.require_ident()?.clone()),
        other => Err(Error::new_spanned(other, "`guest` is the name of a type, such as `guest = Bridge`")),
    }
}
