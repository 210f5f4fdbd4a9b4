//! `wharf:net/neighbours`.

use wharf_ops::Reply;
use wharf_ops::neighbours::NeighbourOp;
use wharf_sdk::native::wit::net::neighbours::Neighbour;
use wharf_sdk::native::wit::types::ip::{Address, Mac};
use wharf_sdk::native::{Link, Neighbours};

use super::{Answer, Host};
use crate::convert::{link, mac, to_mac};

impl Neighbours for Host {
    fn set(&self, on: &Link, address: Address, at: Mac) -> Answer<()> {
        self.ask(NeighbourOp::Set { on: link(on), address: address.into(), mac: mac(at) }, Reply::done)
    }

    fn remove(&self, on: &Link, address: Address) -> Answer<()> {
        self.ask(NeighbourOp::Remove { on: link(on), address: address.into() }, Reply::done)
    }

    fn get_all(&self, on: &Link) -> Answer<Vec<Neighbour>> {
        self.ask(NeighbourOp::GetAll { on: link(on) }, |reply| {
            let neighbours = reply.neighbours()?.into_iter();
            Ok(neighbours
                .map(|neighbour| Neighbour {
                    address: neighbour.address.into(),
                    mac: neighbour.mac.map(to_mac),
                    permanent: neighbour.permanent,
                })
                .collect())
        })
    }
}
