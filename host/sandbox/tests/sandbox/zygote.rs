//! Several sandboxes from one process.

use wharf_ops::Reply;
use wharf_ops::call::{Answer, Failure};
use wharf_sandbox::{Artefact, Ended, Identity, Job, Zygote, pin_to_current_cpu};

use crate::Guests;
use crate::support::{add, converse, job, nothing, take};

crate::tests![
    each_call_has_a_process_and_the_last_has_the_zygotes,
    a_guest_that_falls_leaves_the_next_ones_alone,
    one_that_does_not_load_keeps_no_other_from_running,
    an_end_before_the_last_call_leaves_no_process,
];

fn start(jobs: &[Job<'_>]) -> Zygote {
    let pinned = pin_to_current_cpu().unwrap();
    Zygote::start(jobs, Identity::default(), pinned.places()).unwrap()
}

/// What `/proc/<pid>/status` says under these names.
fn status(pid: i32, names: &[&str]) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of = |name: &&str| text.lines().find(|line| line.starts_with(*name)).unwrap().to_owned();
    names.iter().map(of).collect()
}

fn each_call_has_a_process_and_the_last_has_the_zygotes(guests: &Guests) {
    let call = add("operations 1");
    let order = job(&guests.probe, &call).order();
    let mut zygote = start(&[order; 3]);
    let mut pids = Vec::new();
    for _ in 0..3 {
        let child = take(&mut zygote, &job(&guests.probe, &call));
        let pid = child.pid();
        let mut seen = Vec::new();
        let report = converse(child, |_| {
            seen = status(pid, &["PPid", "Uid", "CapBnd", "NoNewPrivs", "Seccomp:"]);
            Ok(Reply::Text("1".into()))
        });
        assert!(matches!(report.answer(), Answer::Result(_)));
        assert_eq!(report.ended, Ended::Exited(0));
        let parent = format!("PPid:\t{}", std::process::id());
        let expected = [
            &parent,
            "Uid:\t65534\t65534\t65534\t65534",
            "CapBnd:\t0000000000000000",
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
        ];
        assert_eq!(seen, expected);
        pids.push(pid);
    }
    pids.dedup();
    assert_eq!(pids.len(), 3, "each had a process of its own: {pids:?}");
    assert!(zygote.take(&order).is_none(), "it became the third one");
}

fn a_guest_that_falls_leaves_the_next_ones_alone(guests: &Guests) {
    let call = add("");
    let mut zygote = start(&[job(&guests.probe, &call).order(); 4]);
    for (config, falls) in
        [("panic", true), ("operations 1", false), ("recurse", true), ("operations 1", false)]
    {
        let call = add(config);
        let child = take(&mut zygote, &job(&guests.probe, &call));
        let report = converse(child, |_| Ok(Reply::Text("1".into())));
        assert_eq!(report.outcome.unwrap().is_err(), falls, "{config}");
    }
}

fn one_that_does_not_load_keeps_no_other_from_running(guests: &Guests) {
    let damaged = Artefact::copy(b"this was never compiled").unwrap();
    let call = add("operations 1");
    let mut zygote = start(&[job(&damaged, &call).order(), job(&guests.probe, &call).order()]);
    let child = take(&mut zygote, &job(&damaged, &call));
    let report = converse(child, nothing);
    assert!(matches!(report.failure(), Failure::Unloadable(_)), "{:?}", report.outcome);
    let child = take(&mut zygote, &job(&guests.probe, &call));
    let report = converse(child, |_| Ok(Reply::Text("1".into())));
    assert!(matches!(report.answer(), Answer::Result(_)));
}

fn an_end_before_the_last_call_leaves_no_process(guests: &Guests) {
    let call = add("operations 1");
    let mut zygote = start(&[job(&guests.probe, &call).order(); 3]);
    let child = take(&mut zygote, &job(&guests.probe, &call));
    drop(zygote);
    let report = converse(child, |_| Ok(Reply::Text("1".into())));
    assert!(matches!(report.answer(), Answer::Result(_)), "the sandbox outlives it");
    let own = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap();
    assert_eq!(children, "", "every process was reaped");
}
