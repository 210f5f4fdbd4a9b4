//! `wharf:net/sysctl`.

use wasmtime::component::Resource;
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{KernelOp, Ns, Op, Reply};

use crate::bindings::wharf::net::sysctl as wit;
use crate::state::{self, Answer, State};

fn op(op: SysctlOp) -> Op {
    Op::Kernel(KernelOp::Sysctl(op))
}

impl wit::Host for State {
    fn read(&mut self, ns: Resource<Ns>, key: String) -> Answer<String> {
        self.ask(op(SysctlOp::Read { ns: state::ns(&ns), key }), Reply::text)
    }

    fn write(&mut self, ns: Resource<Ns>, key: String, value: String) -> Answer<()> {
        self.ask(op(SysctlOp::Write { ns: state::ns(&ns), key, value }), Reply::done)
    }
}
