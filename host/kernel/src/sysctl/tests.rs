//! Against the real kernel in throw-away namespaces, read back with `sysctl`.

use wharf_ops::{ErrorKind, KernelOp};

use super::*;
use crate::testing::Rig;

fn read(rig: &mut Rig, ns: Ns, key: &str) -> Result<String, Error> {
    rig.apply(KernelOp::Sysctl(SysctlOp::Read { ns, key: key.into() })).and_then(Reply::text)
}

fn write(rig: &mut Rig, ns: Ns, key: &str, value: &str) -> Result<(), Error> {
    rig.apply(KernelOp::Sysctl(SysctlOp::Write { ns, key: key.into(), value: value.into() }))
        .and_then(Reply::done)
}

#[test]
fn each_namespace_has_its_own() {
    let mut rig = Rig::new();
    write(&mut rig, Ns::Container, "ipv4/ip_forward", "1").unwrap();
    write(&mut rig, Ns::Host, "ipv4/ip_forward", "0").unwrap();
    assert_eq!(read(&mut rig, Ns::Container, "ipv4/ip_forward").unwrap(), "1");
    assert_eq!(read(&mut rig, Ns::Host, "ipv4/ip_forward").unwrap(), "0");
    assert_eq!(rig.run(Ns::Container, "sysctl -n net.ipv4.ip_forward").trim(), "1");
    assert_eq!(rig.run(Ns::Host, "sysctl -n net.ipv4.ip_forward").trim(), "0");
}

#[test]
fn a_link_name_may_have_dots() {
    let mut rig = Rig::new();
    rig.veth();
    rig.run(Ns::Container, "ip link set eth0 name eth0.100");
    write(&mut rig, Ns::Container, "ipv6/conf/eth0.100/accept_ra", "0").unwrap();
    assert_eq!(read(&mut rig, Ns::Container, "ipv6/conf/eth0.100/accept_ra").unwrap(), "0");
    assert_eq!(rig.run(Ns::Container, "sysctl -n net/ipv6/conf/eth0.100/accept_ra").trim(), "0");
}

#[test]
fn several_numbers_are_one_value() {
    let mut rig = Rig::new();
    let key = "ipv4/ip_local_port_range";
    write(&mut rig, Ns::Container, key, "20000 30000").unwrap();
    assert_eq!(read(&mut rig, Ns::Container, key).unwrap(), "20000\t30000");
    assert!(same("20000\t30000", "20000 30000") && !same("20000\t30000", "20000 30001") && !same("1", "11"));
}

#[test]
fn what_is_there_already_is_not_written() {
    let mut rig = Rig::new();
    // This one refuses every write.
    let key = "ipv4/conf/lo/mc_forwarding";
    let current = read(&mut rig, Ns::Host, key).unwrap();
    write(&mut rig, Ns::Host, key, &current).unwrap();
    let error = write(&mut rig, Ns::Host, key, "1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.message.contains("net/ipv4/conf/lo/mc_forwarding in the host's namespace"), "{error}");
    assert!(error.message.ends_with("cannot be written: the kernel lets it be read only"), "{error}");
}

#[test]
fn a_trigger_can_be_written_and_not_read() {
    let mut rig = Rig::new();
    write(&mut rig, Ns::Container, "ipv4/route/flush", "1").unwrap();
    let error = read(&mut rig, Ns::Container, "ipv4/route/flush").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.message.ends_with("cannot be read: the kernel lets it be written only"), "{error}");
}

#[test]
fn what_is_not_there_is_named() {
    let mut rig = Rig::new();
    for key in ["ipv4/conf/none/forwarding", "nonsense", "ipv4/ip_forward/below"] {
        for error in [
            read(&mut rig, Ns::Container, key).unwrap_err(),
            write(&mut rig, Ns::Container, key, "1").unwrap_err(),
        ] {
            assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
            assert!(error.message.contains(key) && error.message.contains("container"), "{error}");
        }
    }
}

#[test]
fn keys_that_lead_elsewhere_are_refused() {
    let mut rig = Rig::new();
    let long = "a/".repeat(200) + "a";
    for key in [
        "",
        "/etc/passwd",
        "../kernel/hostname",
        "ipv4/../../kernel/hostname",
        "ipv4//ip_forward",
        "ipv4/",
        ".",
        "ipv4/.x",
        "a\0b",
        &long,
    ] {
        assert_eq!(read(&mut rig, Ns::Host, key).unwrap_err().kind, ErrorKind::Invalid, "{key:?}");
        assert_eq!(write(&mut rig, Ns::Host, key, "1").unwrap_err().kind, ErrorKind::Invalid, "{key:?}");
    }
    for error in
        [read(&mut rig, Ns::Host, "ipv4").unwrap_err(), write(&mut rig, Ns::Host, "ipv4", "1").unwrap_err()]
    {
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.contains("folder"), "{error}");
    }
}

#[test]
fn a_value_that_the_kernel_refuses_is_invalid() {
    let mut rig = Rig::new();
    let error = write(&mut rig, Ns::Container, "ipv4/ip_forward", "yes").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert!(error.message.contains("\"yes\"") && error.message.contains("net/ipv4/ip_forward"), "{error}");
    assert_eq!(
        write(&mut rig, Ns::Container, "ipv4/ip_forward", "1\0").unwrap_err().kind,
        ErrorKind::Invalid
    );
}

/// Read and set by rtnetlink: a wrong number would be another parameter's value.
#[test]
fn what_rtnetlink_tells_and_sets_is_what_the_file_says() {
    let mut rig = Rig::new();
    rig.veth();
    let told = [
        "ipv4/ip_forward",
        "ipv4/conf/eth0/arp_notify",
        "ipv4/conf/eth0/route_localnet",
        "ipv6/conf/all/forwarding",
        "ipv6/conf/eth0/accept_ra",
        "ipv6/conf/eth0/disable_ipv6",
        "ipv6/conf/eth0/accept_dad",
        "ipv6/conf/eth0/ndisc_notify",
        "ipv6/conf/eth0/addr_gen_mode",
    ];
    for key in told {
        for value in ["1", "0", "1", "0"] {
            rig.run(Ns::Container, &format!("sysctl -w net/{key}={value}"));
            assert_eq!(netlink::read(&mut rig.kernel, Ns::Container, key).as_deref(), Some(value), "{key}");
            assert_eq!(read(&mut rig, Ns::Container, key).unwrap(), value, "{key}");
        }
    }
    for key in told {
        for value in ["1", "0", "1"] {
            write(&mut rig, Ns::Container, key, value).unwrap();
            assert_eq!(rig.run(Ns::Container, &format!("sysctl -n net/{key}")).trim(), value, "{key}");
        }
    }
    let gen_mode = "ipv6/conf/eth0/addr_gen_mode";
    let set = |rig: &mut Rig, key, value| netlink::write(&mut rig.kernel, Ns::Container, key, value);
    for before in ["0", "1"] {
        rig.run(Ns::Container, &format!("sysctl -w net/{gen_mode}={before}"));
        assert!(set(&mut rig, gen_mode, "1"), "{before}");
        assert_eq!(rig.run(Ns::Container, &format!("sysctl -n net/{gen_mode}")).trim(), "1");
    }
    // What gives an address, what the file alone can, and what everybody would be told.
    assert!(!set(&mut rig, gen_mode, "0") && !set(&mut rig, "ipv4/conf/eth0/arp_notify", "0"));
    rig.run(Ns::Container, "ip link set eth0 up");
    rig.run(Ns::Container, &format!("sysctl -w net/{gen_mode}=0"));
    assert!(!set(&mut rig, gen_mode, "1"));
}

#[test]
fn an_alternative_name_of_a_link_names_no_parameters() {
    let mut rig = Rig::new();
    rig.veth();
    rig.run(Ns::Container, "ip link property add dev eth0 altname other");
    let key = "ipv4/conf/other/arp_notify";
    assert_eq!(read(&mut rig, Ns::Container, key).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(write(&mut rig, Ns::Container, key, "1").unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(rig.run(Ns::Container, "sysctl -n net/ipv4/conf/eth0/arp_notify").trim(), "0");
}
