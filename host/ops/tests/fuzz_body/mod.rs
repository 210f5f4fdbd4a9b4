//! What must hold for whatever a sandbox writes into its socket.

use wharf_ops::wire::{self, Frames, MAX_FRAME, ToBroker};
use wharf_ops::{KernelOp, OPERATIONS, Op};

/// Operations of the broker's own: an attacker can name them, a grant cannot.
const INTERNAL: [&str; 4] =
    ["links/delete-many", "links/delete-unused-bridge", "shaping/clear-egress", "shaping/clear-ingress"];

/// Reads the input as a conversation, and as one message.
pub fn run(data: &[u8]) {
    let mut frames = Frames::new();
    let mut stream = data;
    while let Ok(message) = frames.receive::<ToBroker>(&mut stream) {
        check(&message);
    }
    if let Ok(message) = wire::decode::<ToBroker>(data) {
        check(&message);
    }
}

/// Every message has one meaning, and every operation a name, which is what the grant is asked about.
fn check(message: &ToBroker) {
    let frame = wire::encode(message).expect("what was read can be written");
    assert!(frame.len() <= MAX_FRAME + 4, "it grew to {} bytes", frame.len());
    let again: ToBroker = wire::decode(frame.get(4..).unwrap_or_default()).expect("and be read again");
    assert_eq!(&again, message);
    let ToBroker::Op(op) = message else { return };
    let operation = op.operation();
    let known = OPERATIONS.contains(&operation)
        || operation.name == "leases/close"
        || INTERNAL.contains(&operation.name) && operation.changes;
    assert!(known, "{operation:?} is in no table");
    if let Op::Kernel(op) = op {
        let named = op.links().into_iter().flatten().count() + op.namespaces().into_iter().flatten().count();
        let nowhere = matches!(op, KernelOp::Nat(_) | KernelOp::Filter(_) | KernelOp::Conntrack(_));
        assert!(named > 0 || nowhere || operation.name == "links/delete-many", "{op:?} names no place");
    }
}
