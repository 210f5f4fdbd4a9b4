//! The imports of `wit/` as native functions, in the modules that the generated ones are in: what wraps them does not
//! notice. Each has its trait, which the host implements.

#![allow(missing_docs, reason = "the names, arguments and answers are those of wit/, which documents them")]

use super::wit::types::errors::Error;

type Answer<T> = Result<T, Error>;

/// A trait with a method for each function, and the functions, which ask the host of the running thread.
macro_rules! interface {
    ($(#[$doc:meta])* $trait:ident of $interface:literal;
     $($function:ident($($name:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(#[$doc])*
        pub trait $trait {
            $(fn $function(&self, $($name: $type),*) -> $answer;)*
        }
        $(pub(crate) fn $function($($name: $type),*) -> $answer {
            match crate::native::current() {
                Some(host) => $trait::$function(&*host, $($name),*),
                None => crate::native::Unanswered::unanswered(concat!($interface, "/", stringify!($function))),
            }
        })*
    };
}

pub(crate) mod types {
    pub(crate) use crate::native::wit::types::{errors, ip};
}

pub(crate) mod cni {
    pub(crate) use crate::native::wit::cni::types;
}

pub(crate) mod net {
    use super::Answer;

    pub(crate) mod netns {
        pub use crate::native::handles::Netns;
    }

    pub(crate) mod links {
        use super::Answer;
        use super::netns::Netns;
        use crate::native::wit::types::ip::Mac;

        pub(crate) use crate::native::handles::Link;
        pub(crate) use crate::native::wit::net::links::{Bridge, Common, End, Info};

        interface! {
            /// `wharf:net/links`.
            Links of "links";
            info(link: &Link) -> Answer<Info>;
            set_up(link: &Link, up: bool) -> Answer<()>;
            set_mtu(link: &Link, mtu: u32) -> Answer<()>;
            set_mac(link: &Link, mac: Mac) -> Answer<()>;
            set_master(link: &Link, master: Option<&Link>) -> Answer<()>;
            set_promiscuous(link: &Link, on: bool) -> Answer<()>;
            set_alias(link: &Link, alias: &str) -> Answer<()>;
            wait_operational(link: &Link) -> Answer<()>;
            delete(link: &Link) -> Answer<()>;
            get(ns: &Netns, name: &str) -> Answer<Option<Link>>;
            get_all(ns: &Netns) -> Answer<Vec<Info>>;
            peer(of: &Link, ns: &Netns) -> Answer<Option<Link>>;
            create_veth(in_a: &Netns, a: &End, in_b: &Netns, b: &End) -> Answer<(Link, Link)>;
            ensure_bridge(ns: &Netns, spec: &Bridge) -> Answer<(Link, bool)>;
            create_ifb(ns: &Netns, common: &Common) -> Answer<Link>;
        }

        /// The methods of the resource.
        impl Link {
            pub(crate) fn info(&self) -> Answer<Info> {
                info(self)
            }

            pub(crate) fn set_up(&self, up: bool) -> Answer<()> {
                set_up(self, up)
            }

            pub(crate) fn set_mtu(&self, mtu: u32) -> Answer<()> {
                set_mtu(self, mtu)
            }

            pub(crate) fn set_mac(&self, mac: Mac) -> Answer<()> {
                set_mac(self, mac)
            }

            pub(crate) fn set_master(&self, master: Option<&Self>) -> Answer<()> {
                set_master(self, master)
            }

            pub(crate) fn set_promiscuous(&self, on: bool) -> Answer<()> {
                set_promiscuous(self, on)
            }

            pub(crate) fn set_alias(&self, alias: &str) -> Answer<()> {
                set_alias(self, alias)
            }

            pub(crate) fn wait_operational(&self) -> Answer<()> {
                wait_operational(self)
            }

            #[allow(clippy::needless_pass_by_value, reason = "deleting takes the handle")]
            pub(crate) fn delete(this: Self) -> Answer<()> {
                delete(&this)
            }
        }
    }

    pub(crate) mod bridge_ports {
        use super::Answer;
        use super::links::Link;

        pub(crate) use crate::native::wit::net::bridge_ports::{State, VlanRange};

        interface! {
            /// `wharf:net/bridge-ports`.
            BridgePorts of "bridge-ports";
            get(port: &Link) -> Answer<State>;
            set_hairpin(port: &Link, on: bool) -> Answer<()>;
            set_isolated(port: &Link, on: bool) -> Answer<()>;
            add_vlan(port: &Link, range: VlanRange) -> Answer<()>;
            remove_vlan(port: &Link, range: VlanRange) -> Answer<()>;
            get_vlans(port: &Link) -> Answer<Vec<VlanRange>>;
        }
    }

    pub(crate) mod addresses {
        use super::Answer;
        use super::links::Link;
        use crate::native::wit::types::ip::Cidr;

        interface! {
            /// `wharf:net/addresses`.
            Addresses of "addresses";
            add(on: &Link, address: Cidr) -> Answer<()>;
            remove(on: &Link, address: Cidr) -> Answer<()>;
            get_all(on: &Link) -> Answer<Vec<Cidr>>;
            settle(on: &Link) -> Answer<()>;
            announce(on: &Link) -> Answer<()>;
        }
    }

    pub(crate) mod routes {
        use super::Answer;
        use super::netns::Netns;
        use crate::native::wit::types::ip::Address;

        pub(crate) use crate::native::wit::net::routes::Route;

        interface! {
            /// `wharf:net/routes`.
            Routes of "routes";
            add(ns: &Netns, route: Route) -> Answer<()>;
            remove(ns: &Netns, route: Route) -> Answer<()>;
            get_all(ns: &Netns, table: Option<u32>) -> Answer<Vec<Route>>;
            lookup(ns: &Netns, to: Address) -> Answer<Option<Route>>;
        }
    }

    pub(crate) mod neighbours {
        use super::Answer;
        use super::links::Link;
        use crate::native::wit::types::ip::{Address, Mac};

        pub(crate) use crate::native::wit::net::neighbours::Neighbour;

        interface! {
            /// `wharf:net/neighbours`.
            Neighbours of "neighbours";
            set(on: &Link, address: Address, mac: Mac) -> Answer<()>;
            remove(on: &Link, address: Address) -> Answer<()>;
            get_all(on: &Link) -> Answer<Vec<Neighbour>>;
        }
    }

    pub(crate) mod sysctl {
        use super::Answer;
        use super::netns::Netns;

        interface! {
            /// `wharf:net/sysctl`.
            Sysctl of "sysctl";
            read(ns: &Netns, key: &str) -> Answer<String>;
            write(ns: &Netns, key: &str, value: &str) -> Answer<()>;
        }
    }
}

pub(crate) mod firewall {
    use super::Answer;

    pub(crate) mod nat {
        use super::Answer;

        pub use crate::native::wit::firewall::nat::{Backend, Protocol};
        pub(crate) use crate::native::wit::firewall::nat::{ForwardOptions, MasqueradeRule, PortForward};

        interface! {
            /// `wharf:firewall/nat`.
            Nat of "nat";
            detect() -> Answer<Backend>;
            masquerade(rules: &[MasqueradeRule], backend: Backend) -> Answer<()>;
            get_masquerades() -> Answer<Vec<MasqueradeRule>>;
            remove_masquerades() -> Answer<()>;
            forward_ports(rules: &[PortForward], options: &ForwardOptions) -> Answer<()>;
            get_forwards() -> Answer<Vec<PortForward>>;
            remove_forwards() -> Answer<()>;
        }
    }

    pub(crate) mod filter {
        use super::Answer;
        use crate::native::wit::types::ip::Mac;

        interface! {
            /// `wharf:firewall/filter`.
            Filter of "filter";
            anti_spoof(link: &str, allowed: Mac) -> Answer<()>;
            get_anti_spoof(link: &str) -> Answer<Option<Mac>>;
            remove_anti_spoof() -> Answer<()>;
        }
    }

    pub(crate) mod conntrack {
        use super::Answer;

        pub use crate::native::wit::firewall::conntrack::Family;

        interface! {
            /// `wharf:firewall/conntrack`.
            Conntrack of "conntrack";
            flush_udp(family: Family, port: u16) -> Answer<Option<u32>>;
        }
    }
}

pub(crate) mod tc {
    pub(crate) mod shaping {
        use super::super::Answer;
        use super::super::net::links::Link;

        pub use crate::native::wit::tc::shaping::Rate;

        interface! {
            /// `wharf:tc/shaping`.
            Shaping of "shaping";
            set_egress(on: &Link, rate: Rate) -> Answer<()>;
            get_egress(on: &Link) -> Answer<Option<Rate>>;
            redirect_ingress(on: &Link, to: &Link) -> Answer<()>;
            get_redirect(on: &Link) -> Answer<Option<u32>>;
            clear(on: &Link) -> Answer<()>;
        }
    }
}

pub(crate) mod store {
    pub(crate) mod leases {
        use super::super::Answer;
        use crate::native::wit::types::ip::Address;

        pub(crate) use crate::native::handles::Pool;
        pub(crate) use crate::native::wit::store::leases::{Lease, Owner, Range};

        interface! {
            /// `wharf:store/leases`. A pool goes by the number that `open` answered.
            Leases of "leases";
            open(directory: Option<&str>) -> Answer<u32>;
            close(pool: u32) -> Answer<()>;
            try_reserve(pool: u32, address: Address, owner: &Owner) -> Answer<bool>;
            reserve_next(pool: u32, range: Range, after: Option<Address>, skip: &[Address], owner: &Owner) -> Answer<Option<Address>>;
            release(pool: u32, owner: &Owner) -> Answer<u32>;
            find(pool: u32, owner: &Owner) -> Answer<Vec<Address>>;
            get_all(pool: u32) -> Answer<Vec<Lease>>;
            last_reserved(pool: u32, set: u32) -> Answer<Option<Address>>;
            set_last_reserved(pool: u32, set: u32, address: Address) -> Answer<()>;
            read_resolv_conf(path: &str) -> Answer<String>;
        }

        /// A destructor has nobody to tell.
        pub(crate) fn closed(pool: u32) {
            drop(close(pool));
        }

        /// The methods of the resource.
        impl Pool {
            pub(crate) fn open(directory: Option<&str>) -> Answer<Self> {
                open(directory).map(|number| Self { number })
            }

            pub(crate) fn try_reserve(&self, address: Address, owner: &Owner) -> Answer<bool> {
                try_reserve(self.number, address, owner)
            }

            pub(crate) fn reserve_next(
                &self,
                range: Range,
                after: Option<Address>,
                skip: &[Address],
                owner: &Owner,
            ) -> Answer<Option<Address>> {
                reserve_next(self.number, range, after, skip, owner)
            }

            pub(crate) fn release(&self, owner: &Owner) -> Answer<u32> {
                release(self.number, owner)
            }

            pub(crate) fn find(&self, owner: &Owner) -> Answer<Vec<Address>> {
                find(self.number, owner)
            }

            pub(crate) fn get_all(&self) -> Answer<Vec<Lease>> {
                get_all(self.number)
            }

            pub(crate) fn last_reserved(&self, set: u32) -> Answer<Option<Address>> {
                last_reserved(self.number, set)
            }

            pub(crate) fn set_last_reserved(&self, set: u32, address: Address) -> Answer<()> {
                set_last_reserved(self.number, set, address)
            }
        }
    }
}

pub(crate) mod host {
    pub(crate) mod logging {
        pub use crate::native::wit::host::logging::Level;

        /// `wharf:host/logging`.
        pub trait Logging {
            fn log(&self, level: Level, message: &str, fields: &[(String, String)]);
            fn enabled(&self, level: Level) -> bool;
        }

        /// Without a host, lines go to standard error.
        pub(crate) fn log(level: Level, message: &str, fields: &[(String, String)]) {
            match crate::native::current() {
                Some(host) => host.log(level, message, fields),
                None => eprintln!("{level:?}: {message} {fields:?}"),
            }
        }

        pub(crate) fn enabled(level: Level) -> bool {
            crate::native::current().is_none_or(|host| host.enabled(level))
        }
    }

    pub(crate) mod delegate {
        use crate::native::wit::cni::types::{CniError, NetworkResult};

        interface! {
            /// `wharf:host/delegate`.
            Delegate of "delegate";
            add(plugin: &str, config: &str) -> Result<NetworkResult, CniError>;
            check(plugin: &str, config: &str) -> Result<(), CniError>;
            del(plugin: &str, config: &str) -> Result<(), CniError>;
            status(plugin: &str, config: &str) -> Result<(), CniError>;
            gc(plugin: &str, config: &str) -> Result<(), CniError>;
        }
    }
}
