//! `wharf:firewall/filter`.

use wharf_ops::Reply;
use wharf_ops::filter::FilterOp;
use wharf_sdk::native::Filter;
use wharf_sdk::native::wit::types::ip::Mac;

use super::{Answer, Host};
use crate::convert::{mac, to_mac};

impl Filter for Host {
    fn anti_spoof(&self, link: &str, allowed: Mac) -> Answer<()> {
        self.ask(FilterOp::AntiSpoof { link: link.to_owned(), allowed: mac(allowed) }, Reply::done)
    }

    fn get_anti_spoof(&self, link: &str) -> Answer<Option<Mac>> {
        let op = FilterOp::GetAntiSpoof { link: link.to_owned() };
        self.ask(op, |reply| Ok(reply.maybe_mac()?.map(to_mac)))
    }

    fn remove_anti_spoof(&self) -> Answer<()> {
        self.ask(FilterOp::RemoveAntiSpoof, Reply::done)
    }
}
