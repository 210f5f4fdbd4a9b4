//! A full attachment to be deleted, with each backend and each way of running it.

use wharf_tests::{Attachment, Container, Dump, Network, Node};

use super::{BACKENDS, full, limits};

/// A full attachment, with what is there before it (shared things included).
pub(crate) struct Scene<'n> {
    pub(crate) container: Container,
    pub(crate) attachment: Attachment<'n>,
    pub(crate) before: Dump,
}

/// Sets one up.
pub(crate) fn scene<'n>(node: &'n Node, backend: &str, as_chain: bool) -> Scene<'n> {
    let mut network = Network::new(node, full(backend));
    if as_chain {
        network = network.chain();
    }
    let target = |container: &Container, port| container.eth0().port(port, 80).with("bandwidth", limits());
    let first = node.container("first");
    network.attach(&target(&first, 8000)).del().silent();
    drop(first);
    let before = node.dump();
    let container = node.container("c");
    let attachment = network.attach(&target(&container, 8001));
    assert!(!node.dump().changes_since(&before).is_empty());
    Scene { container, attachment, before }
}

/// Each way of running it, with each backend.
pub(crate) fn everywhere(test: impl Fn(&Node, Scene)) {
    for backend in BACKENDS {
        for as_chain in [false, true] {
            let node = Node::new();
            let scene = scene(&node, backend, as_chain);
            test(&node, scene);
        }
    }
}
