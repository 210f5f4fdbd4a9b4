//! buildah: the network of a RUN.

use wharf_tests::runtimes::List;
use wharf_tests::runtimes::buildah::Buildah;
use wharf_tests::runtimes::config::Form;
use wharf_tests::{json, skip};

use super::traffic;

const LIMITS: [u32; 2] = [80, 40];
const BURST: u32 = 200_000;

#[test]
fn a_command_has_a_network() {
    for (form, backend) in [(Form::DropIn, "iptables"), (Form::Chain, "nftables")] {
        let list = List::pods(form, backend).limits(LIMITS, BURST);
        let buildah = match Buildah::start(&list) {
            Ok(buildah) => buildah,
            Err(reason) => skip!("{reason}"),
        };
        let node = buildah.machine().node();
        let outside = node.outside();
        let other = buildah.spawn("pods", &["/bin/sleep", "1000001"]);
        let before = node.dump();
        let run = buildah.spawn("pods", &["/bin/sleep", "1000002"]);
        assert_eq!(run.pod.ips.len(), 2, "{:?}", run.pod.ips);
        traffic::pings(buildah.machine(), &run.pod, &other.pod);
        traffic::masquerades(&outside, &run.pod);
        traffic::limited(buildah.machine(), "10.1.0.1", &run.pod, LIMITS, BURST as usize);
        run.end();
        node.dump().assert_same(&before);

        // A command that fails, and a network that does.
        assert!(buildah.run("pods", &["no-such-program"]).is_err());
        node.dump().assert_same(&before);
        List { name: "pods".into(), ..list }
            .bridge("ipam", json!({"type": "no-such-ipam"}))
            .install(buildah.machine());
        let error = buildah.run("pods", &["true"]).unwrap_err();
        assert!(error.contains("no-such-ipam"), "{error}");
        node.dump().assert_same(&before);
        other.end();
    }
}
