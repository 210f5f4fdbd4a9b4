//! `ctr run --cni`.

use wharf_tests::runtimes::List;
use wharf_tests::runtimes::config::Form;
use wharf_tests::runtimes::containerd::Release;
use wharf_tests::runtimes::ctr::Ctr;
use wharf_tests::skip;

use super::traffic;

const LIMITS: [u32; 2] = [80, 40];
const BURST: u32 = 200_000;

#[test]
fn containers_have_a_network() {
    for form in Form::BOTH {
        let list = List::pods(form, "nftables").limits(LIMITS, BURST);
        let ctr = match Ctr::start(Release::V1_6, &list) {
            Ok(ctr) => ctr,
            Err(reason) => skip!("{reason}"),
        };
        let node = ctr.machine().node();
        let outside = node.outside();
        let other = ctr.spawn("other");
        let before = node.dump();
        let run = ctr.spawn("one");
        assert_eq!(run.pod.ips.len(), 2, "{:?}", run.pod.ips);
        traffic::pings(ctr.machine(), &run.pod, &other.pod);
        traffic::masquerades(&outside, &run.pod);
        traffic::limited(ctr.machine(), "10.1.0.1", &run.pod, LIMITS, BURST as usize);
        run.end();
        node.dump().assert_same(&before);
        assert!(ctr.run("short", "cat /proc/net/fib_trie").unwrap().contains("10.1.0."));
        assert!(ctr.run("failing", "no-such-program").is_err());
        node.dump().assert_same(&before);
        other.end();
        assert_eq!(node.leased("pods"), [""; 0]);
    }
}
