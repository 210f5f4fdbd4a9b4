use super::*;

const OWN: u32 = 4711;

/// What the kernel does with the program, for a system call of this number on this machine.
fn verdict(machine: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let mut data = Vec::from(number.to_ne_bytes());
    data.extend(machine.to_ne_bytes());
    data.extend([0; 8]);
    data.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
    let program = of(OWN);
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let code = u32::from(code);
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        if code == BPF_LD | BPF_W | BPF_ABS {
            let word = data[k as usize..][..4].try_into().unwrap();
            a = u32::from_ne_bytes(word);
        } else if code == BPF_LD | BPF_W | BPF_IMM {
            a = k;
        } else if code == BPF_MISC | BPF_TAX {
            x = a;
        } else if code == BPF_ALU | BPF_AND | BPF_K {
            a &= k;
        } else if code == BPF_ALU | BPF_RSH | BPF_K {
            a >>= k;
        } else if code == BPF_ALU | BPF_RSH | BPF_X {
            a >>= x;
        } else if code == BPF_JMP | BPF_JA {
            at += k as usize;
        } else if code == BPF_JMP | BPF_JEQ | BPF_K {
            at += jump(a == k);
        } else if code == BPF_JMP | BPF_JSET | BPF_K {
            at += jump(a & k != 0);
        } else {
            assert_eq!(code, BPF_RET | BPF_K, "an instruction that this test does not know");
            return k;
        }
    }
}

fn allowed(number: c_long, arguments: [u64; 6]) -> bool {
    match verdict(ARCHITECTURE, u32::try_from(number).unwrap(), arguments) {
        SECCOMP_RET_ALLOW => true,
        SECCOMP_RET_KILL_PROCESS => false,
        other => panic!("{other:#x}"),
    }
}

#[test]
fn each_number_is_decided_as_the_list_says() {
    let checked = [libc::SYS_mmap, libc::SYS_mprotect, ABORT, libc::SYS_fcntl];
    for number in 0..2048 {
        if !checked.contains(&number) {
            assert_eq!(allowed(number, [0; 6]), ALLOWED.contains(&number), "{number}");
            assert_eq!(allowed(number, [u64::MAX; 6]), ALLOWED.contains(&number), "{number}");
        }
    }
    for number in [1 << 20, 0x3fff_ffff, 0x4000_0000, 0x4000_0001, 0x7fff_ffff, 0xffff_ffff] {
        assert!(!allowed(number, [0; 6]), "{number:#x}: the numbers of x32, and what is none");
    }
}

#[test]
fn memory_is_never_executable() {
    for number in [libc::SYS_mmap, libc::SYS_mprotect] {
        for protection in 0..8 {
            let executable = protection & libc::PROT_EXEC != 0;
            let above = 0xffff_ffff_0000_0000;
            for argument in [protection as u64, protection as u64 | above] {
                let arguments = [0, 4096, argument, 0, 0, 0];
                assert_eq!(allowed(number, arguments), !executable, "{number} {argument:#x}");
            }
        }
    }
}

#[test]
fn a_process_signals_itself_alone() {
    assert!(allowed(ABORT, [OWN.into(), 0, 0, 0, 0, 0]));
    for other in [0, 1, OWN - 1, OWN + 1, ITSELF, u32::MAX] {
        assert!(!allowed(ABORT, [other.into(), OWN.into(), 0, 0, 0, 0]), "{other}");
    }
    let number = if ABORT == libc::SYS_tkill { libc::SYS_tgkill } else { libc::SYS_tkill };
    assert!(!allowed(number, [OWN.into(), OWN.into(), 6, 0, 0, 0]));
    assert!(!allowed(libc::SYS_kill, [OWN.into(), 9, 0, 0, 0, 0]));
}

#[test]
fn of_a_descriptor_only_its_flags_are_read() {
    for command in 0..1100 {
        let asks = command == u64::try_from(libc::F_GETFD).unwrap();
        assert_eq!(allowed(libc::SYS_fcntl, [0, command, 0, 0, 0, 0]), asks, "{command}");
    }
}

#[test]
fn another_machines_numbers_kill() {
    // i386, ARM, and the other one of ours.
    for machine in [0x4000_0003, 0x4000_0028, 0xc000_003e, 0xc000_00b7, 0] {
        let own = machine == ARCHITECTURE;
        let exit = u32::try_from(libc::SYS_exit_group).unwrap();
        assert_eq!(verdict(machine, exit, [0; 6]) == SECCOMP_RET_ALLOW, own, "{machine:#x}");
    }
}
