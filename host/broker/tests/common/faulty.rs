//! A kernel, and lease stores, that fail or end the process at the change that a test picks. The end is a panic that the
//! test catches: nothing is undone, and the locks go, as with SIGKILL.

use std::cell::{Cell, RefCell};
use std::sync::Once;
use std::time::Instant;

use wharf_broker::run::{LeaseChange, Moment};
use wharf_kernel::{Kernel, Netns, RealKernel};
use wharf_ops::{Attachment, Error, KernelOp, Reply};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Errno(i32),
    EndBefore,
    EndAfter,
}

/// Sees each operation that changes something, before it is done.
type Watcher = Box<dyn Fn(&KernelOp)>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
    static FAULT: Cell<Option<(u32, What)>> = const { Cell::new(None) };
    static CHANGES: Cell<u32> = const { Cell::new(0) };
}

/// What happens at which change from now on, on this thread. Starts to count at 1.
pub fn plan(fault: Option<(u32, What)>) {
    FAULT.set(fault);
    CHANGES.set(0);
}

/// Who sees the changes from now on, on this thread.
pub fn watch(watcher: impl Fn(&KernelOp) + 'static) {
    WATCHER.set(Some(Box::new(watcher)));
}

/// How many changes there were since the plan.
pub fn changes() -> u32 {
    CHANGES.get()
}

/// Runs a call that may end in its middle. None if it did.
pub fn survive<T>(call: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str() != Some(END) {
                usual(panic);
            }
        }));
    });
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
    plan(None);
    match outcome {
        Ok(value) => Some(value),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied().unwrap_or("another panic");
            assert_eq!(text, END, "a fault of the broker");
            None
        }
    }
}

const END: &str = "the process ends here";

pub fn kernel(host: Netns, container: Option<Netns>) -> Box<dyn Kernel> {
    Box::new(Faulty(RealKernel::new(host, container)))
}

pub fn lease(_: &LeaseChange<'_>, moment: Moment<'_>) -> Result<(), Error> {
    match moment {
        Moment::Before => before(),
        Moment::After(_) => {
            after();
            Ok(())
        }
    }
}

fn before() -> Result<(), Error> {
    CHANGES.set(CHANGES.get() + 1);
    match FAULT.get() {
        Some((at, What::Errno(errno))) if at == CHANGES.get() => Err(Error::from_errno(errno, "injected")),
        Some((at, What::EndBefore)) if at == CHANGES.get() => std::panic::panic_any(END),
        _ => Ok(()),
    }
}

fn after() {
    if FAULT.get() == Some((CHANGES.get(), What::EndAfter)) {
        std::panic::panic_any(END);
    }
}

struct Faulty(RealKernel);

impl Kernel for Faulty {
    fn apply(&mut self, owner: &Attachment, op: &KernelOp) -> Result<Reply, Error> {
        if !op.operation().changes {
            return self.0.apply(owner, op);
        }
        WATCHER.with_borrow(|watcher| watcher.iter().for_each(|see| see(op)));
        before()?;
        let reply = self.0.apply(owner, op);
        after();
        reply
    }

    fn owners(&mut self, network: &str) -> Result<Vec<Attachment>, Error> {
        self.0.owners(network)
    }

    fn sweep(&mut self, owner: &Attachment) -> Result<(), Error> {
        before()?;
        let swept = self.0.sweep(owner);
        after();
        swept
    }

    fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.0.set_deadline(deadline);
    }
}
