//! What each operation does, in words that follow "may".

/// Of an operation's name; none if there is no such operation.
pub fn words(operation: &str) -> Option<&'static str> {
    WORDS.iter().find(|(name, _)| *name == operation).map(|(_, words)| *words)
}

const WORDS: &[(&str, &str)] = &[
    ("links/info", "read the state of a link"),
    ("links/set-up", "raise and lower links"),
    ("links/set-mtu", "set the MTU of links"),
    ("links/set-mac", "set the MAC address of links"),
    ("links/set-master", "attach links to bridges"),
    ("links/set-promiscuous", "let links receive everything"),
    ("links/set-alias", "set the alias of links"),
    ("links/wait-operational", "wait for a link's carrier"),
    ("links/delete", "delete links"),
    ("links/get", "look up links by name"),
    ("links/get-all", "list all links"),
    ("links/peer", "look up the other end of a veth"),
    ("links/create-veth", "make veth pairs"),
    ("links/ensure-bridge", "make bridges"),
    ("links/create-ifb", "make ifb links"),
    ("bridge-ports/get", "read the flags of bridge ports"),
    ("bridge-ports/set-hairpin", "set hairpin mode of bridge ports"),
    ("bridge-ports/set-isolated", "isolate bridge ports from each other"),
    ("bridge-ports/add-vlan", "give VLANs to bridge ports"),
    ("bridge-ports/remove-vlan", "take VLANs from bridge ports"),
    ("bridge-ports/get-vlans", "read the VLANs of bridge ports"),
    ("addresses/add", "give addresses to links"),
    ("addresses/remove", "take addresses from links"),
    ("addresses/get-all", "read the addresses of links"),
    ("addresses/settle", "wait for duplicate address detection"),
    ("addresses/announce", "announce the addresses of links to neighbours"),
    ("routes/add", "add routes"),
    ("routes/remove", "remove routes"),
    ("routes/get-all", "read routing tables"),
    ("routes/lookup", "ask which route an address takes"),
    ("neighbours/set", "add entries to the ARP and NDP tables"),
    ("neighbours/remove", "remove entries from the ARP and NDP tables"),
    ("neighbours/get-all", "read the ARP and NDP tables"),
    ("sysctl/read", "read kernel parameters"),
    ("sysctl/write", "write kernel parameters"),
    ("nat/detect", "ask how this host translates addresses"),
    ("nat/masquerade", "masquerade the attachment's addresses"),
    ("nat/get-masquerades", "read what is masqueraded for the attachment"),
    ("nat/remove-masquerades", "stop masquerading for the attachment"),
    ("nat/forward-ports", "forward ports of the host to the container"),
    ("nat/get-forwards", "read the attachment's forwarded ports"),
    ("nat/remove-forwards", "stop forwarding ports to the container"),
    ("filter/anti-spoof", "hold a bridge port to one MAC address"),
    ("filter/get-anti-spoof", "read the MAC address that a bridge port is held to"),
    ("filter/remove-anti-spoof", "stop holding the attachment's bridge port to a MAC address"),
    ("conntrack/flush-udp", "forget the UDP flows to a port of the host"),
    ("shaping/set-egress", "limit the rate at which links send"),
    ("shaping/get-egress", "read the rate at which a link may send"),
    ("shaping/redirect-ingress", "redirect what links receive to an ifb"),
    ("shaping/get-redirect", "read where a link's traffic is redirected to"),
    ("shaping/clear", "remove limits and redirections of links"),
    ("leases/open", "open and lock the network's leases"),
    ("leases/try-reserve", "lease a given address to the attachment"),
    ("leases/reserve-next", "lease the next free address of a range to the attachment"),
    ("leases/release", "give the attachment's leases back; in a GC, anybody's"),
    ("leases/find", "read the attachment's leases"),
    ("leases/get-all", "read all leases of the network"),
    ("leases/last-reserved", "read which address of a range was leased last"),
    ("leases/set-last-reserved", "note which address of a range was leased last"),
    ("leases/read-resolv-conf", "read the resolv.conf that the configuration names"),
    ("delegate/add", "run another plugin's ADD"),
    ("delegate/check", "run another plugin's CHECK"),
    ("delegate/del", "run another plugin's DEL"),
    ("delegate/status", "run another plugin's STATUS"),
    ("delegate/gc", "run another plugin's GC"),
];

#[cfg(test)]
mod tests {
    use wharf_ops::OPERATIONS;

    use super::*;

    #[test]
    fn every_operation_has_words_and_no_other() {
        let (own, known): (Vec<&str>, Vec<&str>) =
            (WORDS.iter().map(|(name, _)| *name).collect(), OPERATIONS.iter().map(|it| it.name).collect());
        assert_eq!(own, known);
        assert_eq!(words("links/delete"), Some("delete links"));
        assert_eq!(words("links/delete-many"), None);
    }
}
