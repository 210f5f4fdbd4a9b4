//! The two machines that a sequence runs on.

use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::time::{Duration, Instant};

use wharf_kernel::{Kernel, Netns, RealKernel};
use wharf_ops::links::LinkOp;
use wharf_ops::{KernelOp, Link, Ns};
use wharf_sim::{Sim, SimKernel, Space};

use crate::step::{Foreign, owner};

/// A machine with a host and a container that are empty at first.
pub(crate) trait Machine {
    fn kernel(&mut self) -> &mut dyn Kernel;

    fn foreign(&mut self, what: &Foreign);

    fn without_container(&mut self);

    /// How many devices a new namespace has besides `lo`.
    fn extra(&self) -> u32;

    /// Whether what a step changes shows at once.
    fn is_instant(&self) -> bool;

    /// Whether the container's namespace is there.
    fn has_container(&self) -> bool;
}

/// The simulated one.
pub(crate) struct Simulated {
    pub(crate) sim: Sim,
    container: Option<Space>,
    kernel: SimKernel,
}

impl Simulated {
    pub(crate) fn new() -> Self {
        let sim = Sim::new(7);
        let container = sim.add_namespace("/run/netns/one");
        let kernel = sim.kernel(sim.host(), Some(container));
        Self { sim, container: Some(container), kernel }
    }

    fn space(&self, ns: Ns) -> Space {
        match ns {
            Ns::Host => self.sim.host(),
            Ns::Container => self.container.expect("the container is there"),
        }
    }

    fn index(&mut self, ns: Ns, name: &str) -> u32 {
        find(&mut self.kernel, ns, name).index
    }
}

fn find(kernel: &mut dyn Kernel, ns: Ns, name: &str) -> Link {
    let get = KernelOp::Link(LinkOp::Get { ns, name: name.into() });
    kernel.apply(&owner(), &get).unwrap().maybe_link().unwrap().expect(name)
}

impl Machine for Simulated {
    fn kernel(&mut self) -> &mut dyn Kernel {
        &mut self.kernel
    }

    fn foreign(&mut self, what: &Foreign) {
        match what {
            Foreign::Device { ns, name, kind } => {
                self.sim.add_device(self.space(*ns), name, kind);
            }
            Foreign::Root { ns, link, kind } => {
                let index = self.index(*ns, link);
                self.sim.add_root_qdisc(self.space(*ns), index, kind);
            }
            Foreign::Clsact { ns, link } => {
                let index = self.index(*ns, link);
                self.sim.add_ingress_qdisc(self.space(*ns), index, "clsact");
            }
            Foreign::Chain(chain) => self.sim.add_chain(self.sim.host(), chain),
            Foreign::Rename { ns, from, to } => {
                let index = self.index(*ns, from);
                self.sim.rename(self.space(*ns), index, to);
            }
        }
    }

    fn without_container(&mut self) {
        self.container = None;
        self.kernel = self.sim.kernel(self.sim.host(), None);
    }

    fn extra(&self) -> u32 {
        0
    }

    fn is_instant(&self) -> bool {
        true
    }

    fn has_container(&self) -> bool {
        self.container.is_some()
    }
}

/// The real one, in two throw-away namespaces.
pub(crate) struct Real {
    host: Netns,
    container: Option<Netns>,
    kernel: RealKernel,
    extra: u32,
    patience: Duration,
}

impl Real {
    pub(crate) fn new() -> Self {
        let (host, container) = (Netns::anonymous().unwrap(), Netns::anonymous().unwrap());
        let mut kernel = RealKernel::new(again(&host), Some(again(&container)));
        let [there, here] = [Ns::Host, Ns::Container].map(|ns| {
            let all = KernelOp::Link(LinkOp::GetAll { ns });
            kernel
                .apply(&owner(), &all)
                .unwrap()
                .infos()
                .unwrap()
                .iter()
                .map(|info| info.index)
                .max()
                .unwrap()
                - 1
        });
        assert_eq!(there, here, "new namespaces are alike");
        Self { host, container: Some(container), kernel, extra: there, patience: Duration::from_secs(5) }
    }

    /// Bounds the waits of what follows.
    pub(crate) fn within(&mut self, milliseconds: u64) {
        self.patience = Duration::from_millis(milliseconds);
    }

    fn run(&self, ns: Ns, line: &str) {
        let netns = match ns {
            Ns::Host => &self.host,
            Ns::Container => self.container.as_ref().expect("the container is there"),
        };
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().expect("a program"));
        let output = netns.enter(|| command.args(words).output()).unwrap().expect(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn again(netns: &Netns) -> Netns {
    Netns::open(format!("/proc/self/fd/{}", netns.as_fd().as_raw_fd())).unwrap()
}

impl Machine for Real {
    fn kernel(&mut self) -> &mut dyn Kernel {
        self.kernel.set_deadline(Some(Instant::now() + self.patience));
        &mut self.kernel
    }

    fn foreign(&mut self, what: &Foreign) {
        match what {
            Foreign::Device { ns, name, kind } => {
                self.run(*ns, &format!("ip link add {name} type {kind} id 7 dstport 4789"));
            }
            Foreign::Root { ns, link, kind } => {
                self.run(*ns, &format!("tc qdisc add dev {link} root handle 7: {kind}"));
            }
            Foreign::Clsact { ns, link } => self.run(*ns, &format!("tc qdisc add dev {link} clsact")),
            Foreign::Chain(chain) => self.run(Ns::Host, &format!("iptables-nft -t nat -N {chain}")),
            Foreign::Rename { ns, from, to } => self.run(*ns, &format!("ip link set {from} name {to}")),
        }
    }

    fn without_container(&mut self) {
        self.container = None;
        self.kernel = RealKernel::new(again(&self.host), None);
    }

    fn extra(&self) -> u32 {
        self.extra
    }

    fn is_instant(&self) -> bool {
        false
    }

    fn has_container(&self) -> bool {
        self.container.is_some()
    }
}
