//! Whose the host's end of a container's veth is, as its alias says: so it is known where the record is lost.

use wharf_ops::{Attachment, Reply};

use super::set_alias;
use crate::common::{host_end, link_alias};
use crate::real::RealKernel;

/// Names the attachment by the alias of a new pair's end in the host.
pub(crate) fn stamp(kernel: &mut RealKernel, owner: &Attachment, made: &Reply) {
    if let Some(end) = host_end(made) {
        // The pair does its work without: what is lost is lost only where the record is too.
        let _ = set_alias(kernel, end, &link_alias(owner));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharf_ops::Ns;
    use wharf_ops::links::LinkOp;

    use super::*;
    use crate::testing::{Rig, end};

    #[test]
    fn the_end_in_the_host_of_a_containers_pair_says_whose_it_is() {
        let mut rig = Rig::new();
        for (a, b) in [
            (end(Ns::Host, "h0"), end(Ns::Container, "c0")),
            (end(Ns::Container, "c1"), end(Ns::Host, "h1")),
            (end(Ns::Host, "h2"), end(Ns::Host, "h3")),
        ] {
            rig.link(LinkOp::CreateVeth { a, b }).unwrap();
        }
        let own = json!(link_alias(&Rig::owner()));
        for (ns, name, alias) in [
            (Ns::Host, "h0", &own),
            (Ns::Host, "h1", &own),
            (Ns::Host, "h2", &json!(null)),
            (Ns::Host, "h3", &json!(null)),
            (Ns::Container, "c0", &json!(null)),
            (Ns::Container, "c1", &json!(null)),
        ] {
            assert_eq!(&rig.show(ns, name)["ifalias"], alias, "{name}");
        }
    }
}
