//! On which processors broker and sandboxes run.
//!
//! A conversation between two processors pays an interrupt for each message, so broker and guest talk on one. What a
//! sandbox does before its call needs no broker, and happens elsewhere meanwhile; what it does after it, giving its memory
//! back, happens where the kernel finds a processor for it.

use std::io;
use std::rc::Rc;

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

/// The calling thread's place before it was pinned. Dropping it gives the thread all its processors back.
#[derive(Debug)]
pub struct Pinned {
    before: CpuSet,
    places: Places,
}

/// Where the broker is, where it is not, and where it might be.
#[derive(Clone, Debug)]
pub struct Places(Rc<Masks>);

#[derive(Debug)]
struct Masks {
    here: CpuSet,
    elsewhere: CpuSet,
    anywhere: CpuSet,
}

/// Keeps this thread, and the sandboxes that it starts from now on, on the processor that it is on.
pub fn pin_to_current_cpu() -> io::Result<Pinned> {
    let this = Pid::from_raw(0);
    let before = sched_getaffinity(this)?;
    let current = sched_getcpu()?;
    let mut here = CpuSet::new();
    here.set(current)?;
    let mut elsewhere = before;
    elsewhere.unset(current)?;
    sched_setaffinity(this, &here)?;
    Ok(Pinned { before, places: Places(Rc::new(Masks { here, elsewhere, anywhere: before })) })
}

impl Pinned {
    /// For what is to happen meanwhile. None where there is one processor only.
    pub fn places(&self) -> Option<Places> {
        let count = CpuSet::count();
        let Places(masks) = &self.places;
        (0..count).any(|cpu| masks.elsewhere.is_set(cpu) == Ok(true)).then(|| self.places.clone())
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // The mask was in force before; should it be refused now (a cpuset has shrunk), staying pinned is harmless.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}

impl Places {
    /// Brings a process to the broker's processor. Where that is not possible (it takes CAP_SYS_NICE), it is slower and
    /// nothing else; so for the other ways.
    pub(crate) fn bring_here(&self, process: Pid) {
        let _ = sched_setaffinity(process, &self.0.here);
    }

    /// Lets a sleeping process wake up where there is nothing else to do, and else here: on a busy processor it would have
    /// to wait for milliseconds.
    pub(crate) fn let_go(&self, process: Pid) {
        let _ = sched_setaffinity(process, &self.0.anywhere);
    }

    /// Goes away from the broker's processor.
    pub(crate) fn go_away(&self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.0.elsewhere);
    }
}
