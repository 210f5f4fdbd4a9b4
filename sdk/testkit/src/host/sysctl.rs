//! `wharf:net/sysctl`.

use wharf_ops::Reply;
use wharf_ops::sysctl::SysctlOp;
use wharf_sdk::Netns;
use wharf_sdk::native::Sysctl;

use super::{Answer, Host};
use crate::convert::ns;

impl Sysctl for Host {
    fn read(&self, within: &Netns, key: &str) -> Answer<String> {
        self.ask(SysctlOp::Read { ns: ns(within.side()), key: key.to_owned() }, Reply::text)
    }

    fn write(&self, within: &Netns, key: &str, value: &str) -> Answer<()> {
        let op = SysctlOp::Write { ns: ns(within.side()), key: key.to_owned(), value: value.to_owned() };
        self.ask(op, Reply::done)
    }
}
