//! Joins a guest to the generated traits.

use std::marker::PhantomData;

use crate::bindings::wharf::cni::types as wit;
use crate::bindings::{ipam, network};
use crate::config::Config;
use crate::error::Result;
use crate::guest::{Ipam, Network};
use crate::net::Netns;
use crate::printed::ended;
use crate::request::Owner;

/// What the export macros name.
#[doc(hidden)]
#[derive(Debug)]
pub struct Adapter<T>(PhantomData<T>);

fn metadata(name: &str, version: &str, capabilities: &[&str]) -> wit::Metadata {
    wit::Metadata {
        name: name.to_owned(),
        version: version.to_owned(),
        capabilities: capabilities.iter().map(|&key| key.to_owned()).collect(),
    }
}

fn owners(valid: Vec<(String, String)>) -> Vec<Owner> {
    valid.into_iter().map(|(container, ifname)| Owner { container, ifname }).collect()
}

impl<T: Network> network::exports::wharf::plugin::network::Guest for Adapter<T> {
    fn describe() -> wit::Metadata {
        metadata(T::NAME, T::VERSION, T::CAPABILITIES)
    }

    fn add(
        request: wit::Request,
        host: &Netns,
        container: &Netns,
    ) -> Result<wit::NetworkResult, wit::CniError> {
        Ok(ended(T::add(&request.into(), host, container))?.into())
    }

    fn check(request: wit::Request, host: &Netns, container: &Netns) -> Result<(), wit::CniError> {
        Ok(ended(T::check(&request.into(), host, container))?)
    }

    fn del(request: wit::Request, host: &Netns, container: Option<&Netns>) -> Result<(), wit::CniError> {
        Ok(ended(T::del(&request.into(), host, container))?)
    }

    fn status(config: String) -> Result<(), wit::CniError> {
        Ok(ended(T::status(&Config::new(config)))?)
    }

    fn gc(config: String, valid: Vec<(String, String)>, host: &Netns) -> Result<(), wit::CniError> {
        Ok(ended(T::gc(&Config::new(config), &owners(valid), host))?)
    }
}

impl<T: Ipam> ipam::exports::wharf::plugin::ipam::Guest for Adapter<T> {
    fn describe() -> wit::Metadata {
        metadata(T::NAME, T::VERSION, T::CAPABILITIES)
    }

    fn add(request: wit::Request) -> Result<wit::NetworkResult, wit::CniError> {
        Ok(ended(T::add(&request.into()))?.into())
    }

    fn check(request: wit::Request) -> Result<(), wit::CniError> {
        Ok(ended(T::check(&request.into()))?)
    }

    fn del(request: wit::Request) -> Result<(), wit::CniError> {
        Ok(ended(T::del(&request.into()))?)
    }

    fn status(config: String) -> Result<(), wit::CniError> {
        Ok(ended(T::status(&Config::new(config)))?)
    }

    fn gc(config: String, valid: Vec<(String, String)>) -> Result<(), wit::CniError> {
        Ok(ended(T::gc(&Config::new(config), &owners(valid)))?)
    }
}
