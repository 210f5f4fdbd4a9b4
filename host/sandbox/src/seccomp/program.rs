//! The filter as the kernel wants it, put together when this is compiled.
//!
//! The kernel checks and translates it anew for each sandbox, two microseconds for each comparison. So one mask of bits
//! decides on 32 system calls: half the time of a comparison with each number. The kernel cannot see through that (it looks
//! for what is always allowed, since Linux 5.11), and runs the program at each call: nanoseconds, for some hundred calls.

#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "all of it happens in the compiler, and what does not fit does not compile"
)]

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_IMM, BPF_JA, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_MISC, BPF_RET,
    BPF_RSH, BPF_TAX, BPF_W, BPF_X, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS, c_long, sock_filter,
};

use super::{ABORT, ALLOWED};

/// Stands in the program for the process that it will be applied to. No process has this number: the kernel's own limit
/// (PID_MAX_LIMIT) is 4194304.
const ITSELF: u32 = 0x7fff_fff1;

/// AUDIT_ARCH_* of linux/audit.h: the number of the machine in ELF, 64 bits, little-endian.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Where things are in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// The lower half of an argument.
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// Numbers below 32 times this can be allowed.
const WORDS: usize = 16;

/// The bits of what is allowed whatever the arguments.
const MASKS: [u32; WORDS] = {
    let mut masks = [0; WORDS];
    let mut index = 0;
    while index < ALLOWED.len() {
        let number: c_long = ALLOWED[index];
        masks[number as usize / 32] |= 1 << (number % 32);
        index += 1;
    }
    masks
};

const USED_WORDS: usize = {
    let (mut word, mut used) = (0, 0);
    while word < WORDS {
        used += (MASKS[word] != 0) as usize;
        word += 1;
    }
    used
};

/// The instructions with a name: where others jump to.
const MASKED: usize = 11;
const KILL: usize = MASKED + 3 * USED_WORDS;
const TEST: usize = KILL + 1;
const NOT_EXECUTABLE: usize = TEST + 4;
const ON_ITSELF: usize = NOT_EXECUTABLE + 4;
const IS_OPEN: usize = ON_ITSELF + 4;
const COUNT: usize = IS_OPEN + 4;
pub(super) const LENGTH: u16 = COUNT as u16;
const _: () = assert!(COUNT <= 4096, "BPF_MAXINSNS");

/// What is being put together.
struct Assembly {
    program: [sock_filter; COUNT],
    next: usize,
}

impl Assembly {
    const fn push(&mut self, code: u32, jt: u8, jf: u8, k: u32) {
        self.program[self.next] = sock_filter { code: code as u16, jt, jf, k };
        self.next += 1;
    }

    const fn load(&mut self, offset: u32) {
        self.push(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
    }

    /// How far it is from the next instruction to `label`.
    const fn to(&self, label: usize) -> u8 {
        let distance = label - self.next - 1;
        assert!(distance < 256, "a conditional jump reaches 255 instructions");
        distance as u8
    }

    /// Goes to `label` if the value is `k`.
    const fn if_equal(&mut self, k: u32, label: usize) {
        let distance = self.to(label);
        self.push(BPF_JMP | BPF_JEQ | BPF_K, distance, 0, k);
    }

    /// Allows if the comparison holds, or if it does not, and else kills.
    const fn decide(&mut self, comparison: u32, k: u32, holds: bool) {
        let (jt, jf) = if holds { (0, 1) } else { (1, 0) };
        self.push(BPF_JMP | comparison | BPF_K, jt, jf, k);
        self.push(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
        self.push(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
    }

    /// At a label.
    const fn at(&self, label: usize) {
        assert!(self.next == label, "the labels do not fit the program");
    }
}

const PROGRAM: [sock_filter; COUNT] = {
    let mut it = Assembly { program: [sock_filter { code: 0, jt: 0, jf: 0, k: 0 }; COUNT], next: 0 };
    it.load(ARCH);
    let kill = it.to(KILL);
    it.push(BPF_JMP | BPF_JEQ | BPF_K, 0, kill, ARCHITECTURE);
    it.load(NUMBER);
    it.if_equal(libc::SYS_mmap as u32, NOT_EXECUTABLE);
    it.if_equal(libc::SYS_mprotect as u32, NOT_EXECUTABLE);
    it.if_equal(ABORT as u32, ON_ITSELF);
    it.if_equal(libc::SYS_fcntl as u32, IS_OPEN);
    it.push(BPF_ALU | BPF_AND | BPF_K, 0, 0, 31);
    it.push(BPF_MISC | BPF_TAX, 0, 0, 0);
    it.load(NUMBER);
    it.push(BPF_ALU | BPF_RSH | BPF_K, 0, 0, 5);
    it.at(MASKED);
    let mut word = 0;
    while word < WORDS {
        if MASKS[word] != 0 {
            it.push(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, word as u32);
            it.push(BPF_LD | BPF_W | BPF_IMM, 0, 0, MASKS[word]);
            let test = it.to(TEST) as u32;
            it.push(BPF_JMP | BPF_JA, 0, 0, test);
        }
        word += 1;
    }
    it.at(KILL);
    it.push(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
    it.at(TEST);
    it.push(BPF_ALU | BPF_RSH | BPF_X, 0, 0, 0);
    it.decide(BPF_JSET, 1, true);
    // mmap(2) and mprotect(2) of memory that is never executable.
    it.at(NOT_EXECUTABLE);
    it.load(argument(2));
    it.decide(BPF_JSET, libc::PROT_EXEC as u32, false);
    // abort(3) signals its own process, and no other.
    it.at(ON_ITSELF);
    it.load(argument(0));
    it.decide(BPF_JEQ, ITSELF, true);
    // A debug build of the standard library asks whether a descriptor is open before it closes it.
    it.at(IS_OPEN);
    it.load(argument(1));
    it.decide(BPF_JEQ, libc::F_GETFD as u32, true);
    it.at(COUNT);
    it.program
};

/// The program for the process of that number.
pub(super) fn of(process: u32) -> [sock_filter; COUNT] {
    PROGRAM.map(|instruction| match instruction.k {
        ITSELF => sock_filter { k: process, ..instruction },
        _ => instruction,
    })
}

#[cfg(test)]
mod tests;
