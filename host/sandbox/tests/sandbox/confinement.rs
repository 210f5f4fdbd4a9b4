//! What a process that has become an attacker's can still do.

use std::ffi::CString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use wharf_ops::Reply;
use wharf_ops::call::{Answer, Failure};
use wharf_sandbox::{Ended, Identity, Limits, pin_to_current_cpu, spawn_native};

use crate::Guests;
use crate::support::{add, converse, converse_mute, job, nothing, run, spawn};

crate::tests![
    a_sandbox_has_no_privileges_and_one_descriptor,
    forbidden_system_calls_kill,
    what_is_needed_is_allowed,
    memory_is_bounded_outside_the_guest_too,
    no_broker_no_sandbox,
    a_broker_that_hangs_up_or_babbles_ends_it_in_silence,
    the_broker_can_be_pinned,
    a_large_conversation,
];

fn a_sandbox_has_no_privileges_and_one_descriptor(guests: &Guests) {
    let call = add("operations 1");
    let child = spawn(&job(&guests.probe, &call)).unwrap();
    let process = format!("/proc/{}", child.pid());
    let mut status = String::new();
    let mut descriptors = Vec::new();
    // It waits for the answer to its operation while we look.
    let report = converse(child, |_| {
        status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let entries = std::fs::read_dir(format!("{process}/fd")).unwrap();
        descriptors = entries.map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap()).collect();
        Ok(Reply::Text("1".into()))
    });
    assert!(matches!(report.answer(), Answer::Result(_)));
    for line in [
        "Uid:\t65534\t65534\t65534\t65534",
        "Gid:\t65534\t65534\t65534\t65534",
        "Groups:\t \n",
        "CapInh:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "SigBlk:\t0000000000000000",
        "Threads:\t1",
    ] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    assert_eq!(descriptors.len(), 1, "{descriptors:?}");
    assert!(descriptors[0].to_str().unwrap().starts_with("socket:"), "{descriptors:?}");
}

fn native(body: impl FnOnce(UnixStream)) -> Ended {
    spawn_native(&Limits::default(), Identity::default(), body).unwrap().wait().unwrap()
}

type Attack<'a> = Box<dyn Fn() + 'a>;

const FORBIDDEN: Ended = Ended::Killed(libc::SIGSYS);

#[allow(unsafe_code)]
fn forbidden_system_calls_kill(_: &Guests) {
    let path = CString::new("/etc/passwd").unwrap();
    let shell = CString::new("/bin/sh").unwrap();
    let parent = i32::try_from(std::process::id()).unwrap();
    // SAFETY (of all calls below): they are made in a process of their own that is meant to die of them; the pointers
    // are those of live strings and null.
    let attacks: [(&str, Attack<'_>); 15] = unsafe {
        [
            ("open", Box::new(|| _ = libc::open(path.as_ptr(), libc::O_RDONLY))),
            ("socket", Box::new(|| _ = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0))),
            ("netlink", Box::new(|| _ = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0))),
            ("execve", Box::new(|| _ = libc::execve(shell.as_ptr(), std::ptr::null(), std::ptr::null()))),
            ("fork", Box::new(|| _ = libc::fork())),
            ("kill", Box::new(move || _ = libc::kill(parent, libc::SIGUSR1))),
            ("tgkill", Box::new(move || _ = libc::syscall(libc::SYS_tgkill, parent, parent, libc::SIGUSR1))),
            ("tkill", Box::new(move || _ = libc::syscall(libc::SYS_tkill, parent, libc::SIGUSR1))),
            ("ptrace", Box::new(move || _ = libc::ptrace(libc::PTRACE_ATTACH, parent, 0, 0))),
            ("setns", Box::new(|| _ = libc::setns(0, libc::CLONE_NEWNET))),
            ("unshare", Box::new(|| _ = libc::unshare(libc::CLONE_NEWUSER))),
            ("bpf", Box::new(|| _ = libc::syscall(libc::SYS_bpf, 0, 0, 0))),
            ("io_uring", Box::new(|| _ = libc::syscall(libc::SYS_io_uring_setup, 1, 0))),
            ("sendmsg", Box::new(|| _ = libc::sendmsg(0, std::ptr::null(), 0))),
            (
                "executable memory",
                Box::new(|| {
                    let protection = libc::PROT_READ | libc::PROT_EXEC;
                    _ = libc::mmap(
                        std::ptr::null_mut(),
                        4096,
                        protection,
                        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                        -1,
                        0,
                    );
                }),
            ),
        ]
    };
    for (name, attack) in attacks {
        assert_eq!(native(|_| attack()), FORBIDDEN, "{name}");
    }
}

fn what_is_needed_is_allowed(_: &Guests) {
    let mut child = spawn_native(&Limits::default(), Identity::default(), |mut socket| {
        let mut word = [0; 4];
        socket.read_exact(&mut word).unwrap();
        let copy = vec![word; 1 << 20];
        socket.write_all(&copy[12345]).unwrap();
    })
    .unwrap();
    child.socket.write_all(b"ping").unwrap();
    let mut answer = String::new();
    child.socket.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "ping");
    assert_eq!(child.wait().unwrap(), Ended::Exited(0));
    // A panic of our own code ends the process too, and nothing but it.
    let child = spawn_native(&Limits::default(), Identity::default(), |_| panic!("a bug of ours")).unwrap();
    let report = converse(child, nothing);
    let Failure::Sandbox(message) = report.failure() else { panic!("{report:?}") };
    assert!(message.starts_with("a fault of the host") && message.contains("a bug of ours"), "{message}");
    assert_eq!(report.ended, Ended::Exited(70));
    assert_eq!(native(|_| std::process::abort()), Ended::Killed(libc::SIGABRT));
}

fn memory_is_bounded_outside_the_guest_too(_: &Guests) {
    let mut child = spawn_native(&Limits::default(), Identity::default(), |mut socket| {
        let mut hoard: Vec<Vec<u8>> = Vec::new();
        for _ in 0..4096 {
            let mut piece = Vec::new();
            if piece.try_reserve_exact(1 << 20).is_err() {
                let _ = socket.write_all(&[1]);
                return;
            }
            hoard.push(piece);
        }
        let _ = socket.write_all(&[0]);
    })
    .unwrap();
    let mut answer = [0];
    child.socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [1], "four gigabytes were to be had");
}

#[allow(unsafe_code)]
fn no_broker_no_sandbox(guests: &Guests) {
    // SAFETY: prctl takes numbers here; the broker's process only spawns, tells, and leaves without destructors.
    unsafe {
        // Orphans come to us, so that we can wait for their end.
        assert_eq!(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let broker = libc::fork();
        if broker == 0 {
            let call = add("loop");
            let child = spawn(&job(&guests.probe, &call)).unwrap();
            theirs.write_all(&child.pid().to_le_bytes()).unwrap();
            libc::_exit(0);
        }
        drop(theirs);
        let mut pid = [0; 4];
        ours.read_exact(&mut pid).unwrap();
        let mut status = 0;
        assert_eq!(libc::waitpid(broker, &raw mut status, 0), broker);
        assert_eq!(libc::waitpid(i32::from_le_bytes(pid), &raw mut status, 0), i32::from_le_bytes(pid));
        let gone =
            libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL || libc::WIFEXITED(status);
        assert!(gone, "{status}");
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    }
}

fn a_broker_that_hangs_up_or_babbles_ends_it_in_silence(guests: &Guests) {
    for babble in [&b""[..], b"\x01\0\0\0\xff", b"\xff\xff\xff\xff", b"\x05\0\0"] {
        let call = add("operations 1");
        let mut child = spawn(&job(&guests.probe, &call)).unwrap();
        child.socket.write_all(babble).unwrap();
        child.socket.shutdown(std::net::Shutdown::Write).unwrap();
        let report = converse_mute(child);
        assert_eq!(report, (1, Ended::Exited(0)), "{babble:?}");
    }
}

fn the_broker_can_be_pinned(guests: &Guests) {
    let allowed = || std::thread::available_parallelism().unwrap().get();
    let before = allowed();
    let pinned = pin_to_current_cpu().unwrap();
    assert_eq!(allowed(), 1);
    let report = run(&job(&guests.probe, &add("refuse")), nothing);
    assert_eq!(report.ended, Ended::Exited(0));
    drop(pinned);
    assert_eq!(allowed(), before);
}

fn a_large_conversation(guests: &Guests) {
    let text = "x".repeat(1 << 20);
    let report = run(&job(&guests.probe, &add("operations 30")), |_| Ok(Reply::Text(text.clone())));
    assert_eq!(report.ops.len(), 30);
    assert!(matches!(report.answer(), Answer::Result(_)));
}
