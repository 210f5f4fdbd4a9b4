//! `wharf:net/routes`: routes.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::Ns;

/// A unicast route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// `0.0.0.0/0` or `::/0` is the default route.
    pub dst: IpNetwork,
    /// RTA_GATEWAY.
    pub gateway: Option<IpAddr>,
    /// RTA_OIF.
    pub link: Option<u32>,
    /// RTA_PREFSRC.
    pub source: Option<IpAddr>,
    /// RTA_PRIORITY.
    pub metric: Option<u32>,
    /// RTA_TABLE; none is the main table.
    pub table: Option<u32>,
    /// RTAX_MTU.
    pub mtu: Option<u32>,
    /// RTAX_ADVMSS.
    pub advmss: Option<u32>,
    /// rtm_scope.
    pub scope: Option<u8>,
}

impl Route {
    /// A route to `dst` with nothing else said.
    pub fn to(dst: IpNetwork) -> Self {
        Self {
            dst,
            gateway: None,
            link: None,
            source: None,
            metric: None,
            table: None,
            mtu: None,
            advmss: None,
            scope: None,
        }
    }
}

/// What can be asked of routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteOp {
    /// → `Done`.
    Add {
        /// Where.
        ns: Ns,
        /// Which.
        route: Route,
    },
    /// Absent is success → `Done`.
    Remove {
        /// Where.
        ns: Ns,
        /// Which.
        route: Route,
    },
    /// → `Routes`.
    GetAll {
        /// Where.
        ns: Ns,
        /// None is the main table.
        table: Option<u32>,
    },
    /// → `MaybeRoute`.
    Lookup {
        /// Where.
        ns: Ns,
        /// The destination.
        to: IpAddr,
    },
}
