//! The addresses that host-local has to give, by the lists.

use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Map, Value};
use wharf_broker::Paths;
use wharf_ops::IpNetwork;

use super::List;

/// The leases of one network, and how many there can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    /// Whose.
    pub(crate) network: String,
    /// Where they are.
    pub(crate) directory: PathBuf,
    /// `dataDir`, if the list names one.
    pub(crate) data_dir: Option<String>,
    /// What they are taken from.
    pub(crate) ranges: Vec<Range>,
}

/// Addresses from `first` to `last`, but for the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) subnet: IpNetwork,
    first: IpAddr,
    last: IpAddr,
    gateway: IpAddr,
}

impl Range {
    fn has(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    /// How many can be given out.
    pub(crate) fn size(&self) -> u128 {
        let all = number(self.last).saturating_sub(number(self.first)).saturating_add(1);
        all.saturating_sub(u128::from(self.has(self.gateway)))
    }

    /// How many of these are in it.
    pub(crate) fn used(&self, leased: &[IpAddr]) -> u128 {
        leased.iter().filter(|address| self.has(**address)).count() as u128
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn address(number: u128, v4: bool) -> IpAddr {
    if v4 { IpAddr::V4(u32::try_from(number).unwrap_or(u32::MAX).into()) } else { IpAddr::V6(number.into()) }
}

impl Pool {
    /// The addresses that are leased now. A directory that cannot be read has none.
    pub(crate) fn leased(&self) -> Vec<IpAddr> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let leased = entries.filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str()?;
            name.parse::<IpAddr>().ok().filter(|address| address.to_string() == name)
        });
        leased.collect()
    }
}

/// The pools of the list's own `host-local` sections. What cannot be read of them is left out: the plugin will say so.
pub(crate) fn pools(paths: &Paths, list: &List) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::new();
    for plugin in list.plugins.iter().filter(|plugin| plugin.ipam() == Some("host-local")) {
        let Some(ipam) = plugin.raw.get("ipam").and_then(Value::as_object) else { continue };
        let text = |key: &str| ipam.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let network = &list.network.name;
        let sets = ipam.get("ranges").and_then(Value::as_array).into_iter().flatten();
        let ranges = sets.filter_map(Value::as_array).flatten().filter_map(Value::as_object);
        pools.push(Pool {
            network: network.clone(),
            directory: paths.leases(text("dataDir"), network),
            data_dir: text("dataDir").map(str::to_owned),
            ranges: std::iter::once(ipam).chain(ranges).filter_map(range).collect(),
        });
    }
    pools
}

/// The files that host-local reads DNS settings from.
pub(crate) fn resolv_confs(list: &List) -> impl Iterator<Item = &str> {
    let managers = list.plugins.iter().filter(|plugin| plugin.ipam() == Some("host-local"));
    managers.filter_map(|plugin| plugin.raw.get("ipam")?.get("resolvConf")?.as_str())
}

fn range(of: &Map<String, Value>) -> Option<Range> {
    let text = |key: &str| of.get(key).and_then(Value::as_str);
    let subnet: IpNetwork = text("subnet")?.parse().ok()?;
    let v4 = subnet.is_ipv4();
    let one = |key: &str| text(key).and_then(|text| text.parse::<IpAddr>().ok());
    let first_host = address(number(subnet.network()).saturating_add(1), v4);
    let end = number(subnet.broadcast());
    Some(Range {
        subnet,
        first: one("rangeStart").unwrap_or(first_host),
        last: one("rangeEnd").unwrap_or_else(|| address(if v4 { end.saturating_sub(1) } else { end }, v4)),
        gateway: one("gateway").unwrap_or(first_host),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::parse;

    fn of(ipam: &str) -> Vec<Pool> {
        let text = format!(
            r#"{{"cniVersion": "1.0.0", "name": "n", "plugins": [{{"type": "bridge", "ipam": {{"type": "host-local", {ipam}}}}}]}}"#
        );
        pools(&Paths::below("/r"), &parse(text.as_bytes(), true).unwrap())
    }

    #[test]
    fn sizes_are_what_host_local_can_give() {
        for (ipam, sizes) in [
            (r#""subnet": "10.1.0.0/24""#, vec![253]),
            (r#""ranges": [[{"subnet": "10.1.0.0/30"}], [{"subnet": "fd00::/120"}]]"#, vec![1, 254]),
            (r#""subnet": "10.1.0.0/24", "rangeStart": "10.1.0.10", "rangeEnd": "10.1.0.19""#, vec![10]),
            (
                r#""subnet": "10.1.0.0/24", "rangeStart": "10.1.0.1", "rangeEnd": "10.1.0.3", "gateway": "10.1.0.2""#,
                vec![2],
            ),
            (r#""subnet": "usePodCidr""#, vec![]),
            (r#""subnet": "fd00::/64""#, vec![(1 << 64) - 2]),
        ] {
            let [pool] = &of(ipam)[..] else { panic!() };
            assert_eq!(pool.ranges.iter().map(Range::size).collect::<Vec<_>>(), sizes, "{ipam}");
        }
    }

    #[test]
    fn leases_are_files_named_by_an_address() {
        let root = tempfile::tempdir().unwrap();
        let text = crate::lists::tests::CHAIN;
        let pools = pools(&Paths::below(root.path()), &parse(text.as_bytes(), true).unwrap());
        let [pool] = &pools[..] else { panic!() };
        assert_eq!(pool.leased(), [] as [IpAddr; 0]);
        let folder = root.path().join("var/lib/cni/networks/pods");
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["10.1.0.2", "10.1.0.9", "10.2.0.9", "lock", "last_reserved_ip.0", "10.1.0.02"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!((pool.leased().len(), pool.ranges[0].used(&pool.leased())), (3, 2));
    }
}
