//! The two traits a guest implements, and the macros that export them.

use crate::config::Config;
use crate::error::Result;
use crate::net::Netns;
use crate::request::{Owner, Request};
use crate::result::NetworkResult;

/// A main plugin or a chained plugin.
///
/// ```
/// use wharf_sdk::{Netns, Network, NetworkResult, Request, Result};
///
/// struct Nothing;
/// impl Network for Nothing {
///     const NAME: &'static str = "nothing";
///     const VERSION: &'static str = env!("CARGO_PKG_VERSION");
///
///     fn add(request: &Request, _host: &Netns, _container: &Netns) -> Result<NetworkResult> {
///         Ok(request.require_previous()?.clone())
///     }
/// }
/// wharf_sdk::export_network!(Nothing);
/// # fn main() {}
/// ```
pub trait Network {
    /// The plugin's `type`.
    const NAME: &'static str;
    /// The guest's version: `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// The `runtimeConfig` keys that the plugin honours.
    const CAPABILITIES: &'static [&'static str] = &[];

    /// Makes the attachment. What was done before an error is undone by the host.
    fn add(request: &Request, host: &Netns, container: &Netns) -> Result<NetworkResult>;

    /// Compares what [`Request::previous`] says with what is.
    fn check(_request: &Request, _host: &Netns, _container: &Netns) -> Result<()> {
        Ok(())
    }

    /// Removes the attachment. Missing things are success; `container` is none when the namespace is gone. What is
    /// left after it, the host sweeps.
    fn del(_request: &Request, _host: &Netns, _container: Option<&Netns>) -> Result<()> {
        Ok(())
    }

    /// Ready to serve ADD? [`code::NOT_AVAILABLE`](crate::code::NOT_AVAILABLE) and
    /// [`code::LIMITED_CONNECTIVITY`](crate::code::LIMITED_CONNECTIVITY) say what is wrong.
    fn status(_config: &Config) -> Result<()> {
        Ok(())
    }

    /// Removes what belongs to this network and to none of the `valid` attachments.
    fn gc(_config: &Config, _valid: &[Owner], _host: &Netns) -> Result<()> {
        Ok(())
    }
}

/// An address manager. It sees no namespace.
///
/// ```
/// use wharf_sdk::{Ipam, IpConfig, NetworkResult, Request, Result};
///
/// struct Same;
/// impl Ipam for Same {
///     const NAME: &'static str = "same";
///     const VERSION: &'static str = env!("CARGO_PKG_VERSION");
///
///     fn add(_request: &Request) -> Result<NetworkResult> {
///         let ip = IpConfig::new("192.0.2.1/24".parse().expect("a constant"));
///         Ok(NetworkResult { ips: vec![ip], ..NetworkResult::default() })
///     }
/// }
/// wharf_sdk::export_ipam!(Same);
/// # fn main() {}
/// ```
pub trait Ipam {
    /// The plugin's `type`.
    const NAME: &'static str;
    /// The guest's version: `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// The `runtimeConfig` keys that the plugin honours.
    const CAPABILITIES: &'static [&'static str] = &[];

    /// Answers a result without interfaces.
    fn add(request: &Request) -> Result<NetworkResult>;

    /// Whether the attachment still has its addresses.
    fn check(_request: &Request) -> Result<()> {
        Ok(())
    }

    /// Gives the addresses back. Unknown attachments are success.
    fn del(_request: &Request) -> Result<()> {
        Ok(())
    }

    /// Ready to serve ADD?
    fn status(_config: &Config) -> Result<()> {
        Ok(())
    }

    /// Gives back what none of the `valid` attachments holds.
    fn gc(_config: &Config, _valid: &[Owner]) -> Result<()> {
        Ok(())
    }
}

/// Makes this crate's component export `wharf:plugin/network`, implemented by a [`Network`](crate::Network).
#[macro_export]
macro_rules! export_network {
    ($guest:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "exported functions of the canonical ABI, generated")]
        const _: () = {
            type Exported = $crate::Adapter<$guest>;
    $crate::bindings::network::export!(Exported with_types_in $crate::bindings::network);
            $crate::origin!("component-type:wharf-sdk:network");
        };
        #[cfg(not(target_family = "wasm"))]
        impl $crate::native::Guest for $guest {
            const NAME: &'static str = <$guest as $crate::Network>::NAME;

            fn call(
                call: $crate::native::Call<'_>,
                container: bool,
            ) -> $crate::Result<::std::option::Option<$crate::NetworkResult>> {
                $crate::native::network::<$guest>(call, container)
            }
        }
    };
}

/// Makes this crate's component export `wharf:plugin/ipam`, implemented by an [`Ipam`](crate::Ipam).
#[macro_export]
macro_rules! export_ipam {
    ($guest:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "exported functions of the canonical ABI, generated")]
        const _: () = {
            type Exported = $crate::Adapter<$guest>;
    $crate::bindings::ipam::export!(Exported with_types_in $crate::bindings::ipam);
            $crate::origin!("component-type:wharf-sdk:ipam");
        };
        #[cfg(not(target_family = "wasm"))]
        impl $crate::native::Guest for $guest {
            const NAME: &'static str = <$guest as $crate::Ipam>::NAME;

            fn call(
                call: $crate::native::Call<'_>,
                container: bool,
            ) -> $crate::Result<::std::option::Option<$crate::NetworkResult>> {
                $crate::native::ipam::<$guest>(call, container)
            }
        }
    };
}
