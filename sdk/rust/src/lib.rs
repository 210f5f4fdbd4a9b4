//! Write Wharf guests in Rust.
//!
//! A guest is a crate of type `cdylib` that is built for `wasm32-wasip2`. It serves the calls of a container runtime: [`network`]
//! or [`ipam`] stands at its `add`, or at an impl block if it serves more. What it imports is exactly what it calls, and that is
//! what a grant has to allow. Error handling is `?`: a host call's [`HostError`] becomes the CNI [`Error`] that the runtime
//! sees. A panic is a trap: the host logs its message and undoes the call. What a guest prints becomes lines of the host's log
//! as well, and neither imports anything of `wasi:*`.
//!
//! ```
//! use wharf_sdk::{Netns, NetworkResult, Request, Result, info};
//!
//! #[wharf_sdk::network]
//! fn add(request: &Request, _host: &Netns, container: &Netns) -> Result<NetworkResult> {
//!     if let Some(link) = container.link(request.ifname())? {
//!         info!("{} has MTU {}", request.ifname(), link.info()?.mtu);
//!     }
//!     Ok(request.require_previous()?.clone())
//! }
//! # fn main() {}
//! ```
//!
//! The same crate builds natively. There `wharf-testkit` answers its host calls with a simulated machine, so that a guest is
//! tested by `cargo test`, and with a debugger.

#![deny(missing_docs)]

#[cfg(target_family = "wasm")]
mod adapter;
pub mod addr;
#[doc(hidden)]
pub mod bindings;
pub mod config;
pub mod delegate;
mod error;
pub mod firewall;
mod guest;
pub mod interface;
mod json;
pub mod leases;
pub mod log;
pub mod names;
#[cfg(not(target_family = "wasm"))]
pub mod native;
pub mod net;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod origin;
pub mod policy;
#[cfg(target_family = "wasm")]
mod printed;
mod request;
mod result;
pub mod tc;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use adapter::Adapter;
pub use addr::{Mac, ParseMacError};
pub use config::Config;
pub use error::{Context, Error, HostError, HostErrorKind, HostResult, Result, code};
pub use guest::{Ipam, Network};
pub use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
pub use net::{Link, LinkInfo, Netns};
pub use request::{Args, Attachment, Owner, Request};
pub use result::{Dns, DnsConfig, Interface, IpConfig, NetworkResult, ResultRoute};

/// Makes a function, or an impl block, a main or chained plugin, and exports it.
///
/// On a function it is the guest's `add`; the other calls do nothing, and what `add` made, the host takes away at DEL. The
/// guest is called as the crate is (`CARGO_PKG_NAME`) and has its version.
///
/// ```
/// use wharf_sdk::{Netns, NetworkResult, Request, Result};
///
/// #[wharf_sdk::network(name = "hello", capabilities = ["mac"])]
/// fn add(request: &Request, _host: &Netns, _container: &Netns) -> Result<NetworkResult> {
///     Ok(request.require_previous()?.clone())
/// }
/// # fn main() {
/// assert_eq!(<Guest as wharf_sdk::Network>::NAME, "hello");
/// # }
/// ```
///
/// The type behind it is called `Guest`, unless `guest = Name` says otherwise: tests name it. On an impl block there is a
/// type already, and any of the calls of [`Network`]:
///
/// ```
/// use wharf_sdk::{Config, Error, Netns, NetworkResult, Request, Result, code};
///
/// struct Never;
///
/// #[wharf_sdk::network]
/// impl Never {
///     fn add(_request: &Request, _host: &Netns, _container: &Netns) -> Result<NetworkResult> {
///         Err(Error::plugin("not today"))
///     }
///
///     fn status(_config: &Config) -> Result<()> {
///         Err(Error::new(code::NOT_AVAILABLE, "not today"))
///     }
/// }
/// # fn main() {}
/// ```
///
/// What is wrong is answered with what to write:
///
/// ```compile_fail
/// struct Hello;
///
/// #[wharf_sdk::network] // `add` is missing, which every guest needs. Write: ...
/// impl Hello {}
/// ```
pub use wharf_sdk_macros::network;

/// Makes a function, or an impl block, an address manager, and exports it. As [`network`](macro@network), for [`Ipam`].
///
/// ```
/// use wharf_sdk::{IpConfig, NetworkResult, Request, Result, config};
///
/// #[derive(serde::Deserialize)]
/// struct Conf {
///     #[serde(deserialize_with = "config::cidr")]
///     address: wharf_sdk::IpNetwork,
/// }
///
/// /// Everybody gets the same address.
/// #[wharf_sdk::ipam(guest = Same)]
/// fn add(request: &Request) -> Result<NetworkResult> {
///     let ips = vec![IpConfig::new(request.config::<Conf>()?.address)];
///     Ok(NetworkResult { ips, ..NetworkResult::default() })
/// }
/// # fn main() {}
/// ```
pub use wharf_sdk_macros::ipam;

/// Makes a function, or an impl block, a [`Policy`](policy::Policy), and exports it.
///
/// On a function it is the policy's `review`:
///
/// ```
/// use wharf_sdk::policy::{Call, Change, Policy, Verdict};
///
/// #[wharf_sdk::policy]
/// fn review(_call: &Call, _guest: &str, change: &Change) -> Verdict {
///     match change.host_ports().find(|port| port.host_port < 1024) {
///         Some(port) => wharf_sdk::deny!("port {} of the host is not for pods", port.host_port),
///         None => Ok(()),
///     }
/// }
/// # fn main() {}
/// ```
///
/// On an impl block there is a type, which keeps what it saw until the ADD is over, and any of the calls of
/// [`Policy`](policy::Policy).
pub use wharf_sdk_macros::policy;

/// The example in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
