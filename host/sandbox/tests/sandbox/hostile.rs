//! Guests that misbehave end with the exact reason, and never more than that.

use std::time::{Duration, Instant};

use wharf_ops::call::Answer;
use wharf_ops::logging::Level;
use wharf_ops::{Op, Reply};
use wharf_sandbox::{Ended, Limits};

use crate::Guests;
use crate::support::{Job, Report, add, converse, job, nothing, run, spawn};

crate::tests![
    a_panic_is_a_trap_with_its_message,
    a_trap_after_operations,
    an_endless_loop_is_killed,
    an_endless_loop_without_a_broker_ends_by_itself,
    memory,
    recursion,
    a_result_of_a_hundred_megabytes,
    a_result_of_many_records,
    an_argument_of_twenty_megabytes,
    a_result_that_is_no_result,
    a_log_flood,
    a_flood_of_standard_output,
    standard_output_becomes_log_lines,
    there_is_nothing_to_see,
    exit_is_a_trap,
    a_drop_kills,
];

fn text(_: &Op) -> Result<Reply, wharf_ops::Error> {
    Ok(Reply::Text("1".into()))
}

fn with_memory(guests: &Guests, config: &str, memory_bytes: usize) -> Report {
    let limits = Limits { memory_bytes, ..Limits::default() };
    run(&Job { limits, ..job(&guests.probe, &add(config)) }, nothing)
}

fn a_panic_is_a_trap_with_its_message(guests: &Guests) {
    let report = run(&job(&guests.probe, &add("panic")), nothing);
    assert!(report.trap().contains("unreachable"), "{report:?}");
    assert!(report.trap().contains("the probe was told to panic"), "{report:?}");
    assert_eq!(report.ended, Ended::Exited(0));
}

fn a_trap_after_operations(guests: &Guests) {
    let report = run(&job(&guests.probe, &add("trap 3")), text);
    assert_eq!(report.ops.len(), 3);
    assert_eq!(report.trap(), "wasm trap: wasm `unreachable` instruction executed");
}

fn an_endless_loop_is_killed(guests: &Guests) {
    let call = add("loop");
    let mut child = spawn(&job(&guests.probe, &call)).unwrap();
    assert!(child.pidfd().is_some());
    child.kill().unwrap();
    let report = converse(child, nothing);
    assert_eq!(report.ended, Ended::Killed(9));
    assert_eq!(report.ended.to_string(), "the sandbox was killed by SIGKILL");
    assert!(report.outcome.is_none());
}

fn an_endless_loop_without_a_broker_ends_by_itself(guests: &Guests) {
    let limits = Limits { cpu_seconds: 1, ..Limits::default() };
    let report = run(&Job { limits, ..job(&guests.probe, &add("loop")) }, nothing);
    assert_eq!(report.ended, Ended::Killed(9));
}

fn memory(guests: &Guests) {
    let report = with_memory(guests, "grow", 16 << 20);
    assert!(report.limit().ends_with("its limit is 16777216"), "{report:?}");
    let report = with_memory(guests, "grow", 200 << 20);
    assert!(report.limit().ends_with("its limit is 209715200"), "{report:?}");
}

fn recursion(guests: &Guests) {
    let report = run(&job(&guests.probe, &add("recurse")), nothing);
    assert!(report.limit().contains("nest too deep"), "{report:?}");
}

fn a_result_of_a_hundred_megabytes(guests: &Guests) {
    let report = with_memory(guests, "huge 100000000", 64 << 20);
    assert!(report.limit().contains("bytes of memory"), "{report:?}");
    let report = with_memory(guests, "huge 100000000", 256 << 20);
    assert_eq!(report.limit(), "the guest handed over more than 8388608 bytes in one call");
    let report = with_memory(guests, "huge 1000000", 64 << 20);
    assert!(
        matches!(report.answer(), Answer::Result(result) if result.interfaces[0].name.len() == 1_000_000)
    );
}

fn a_result_of_many_records(guests: &Guests) {
    let report = with_memory(guests, "many 300000", 128 << 20);
    assert_eq!(report.limit(), "the guest handed over more than 8388608 bytes in one call");
}

fn an_argument_of_twenty_megabytes(guests: &Guests) {
    let report = with_memory(guests, "argument 20000000", 128 << 20);
    assert_eq!(report.limit(), "the guest handed over more than 8388608 bytes in one call");
}

fn a_result_that_is_no_result(guests: &Guests) {
    let report = run(&job(&guests.probe, &add("bad-result")), nothing);
    assert_eq!(report.trap(), "its result is not valid: 10.0.0.1/99: the prefix must be 0 to 32");
}

fn a_log_flood(guests: &Guests) {
    let limits = Limits { log_bytes: 1000, ..Limits::default() };
    let report = run(&Job { limits, ..job(&guests.probe, &add("log 5000")) }, nothing);
    let last = report.logs.last().unwrap();
    assert_eq!(
        (last.level, last.message.as_str()),
        (Level::Warn, "the guest's log has reached its limit; the rest is dropped")
    );
    assert!(report.logs.len() < 100, "{}", report.logs.len());
    assert!(matches!(report.answer(), Answer::Result(_)), "the guest goes on");
}

fn a_flood_of_standard_output(guests: &Guests) {
    let limits = Limits { log_bytes: 9000, ..Limits::default() };
    let report = run(&Job { limits, ..job(&guests.probe, &add("flood")) }, nothing);
    let lengths: Vec<_> = report.logs.iter().take(3).map(|line| line.message.len()).collect();
    assert_eq!(lengths, [4096, 4096, "line 0".len()], "a line without an end is cut in pieces");
    let last = report.logs.last().unwrap();
    assert_eq!(last.message, "the guest's log has reached its limit; the rest is dropped");
    assert!(report.logs.len() < 200, "{}", report.logs.len());
    assert!(matches!(report.answer(), Answer::Result(_)), "the guest goes on");
}

fn standard_output_becomes_log_lines(guests: &Guests) {
    let report = run(&job(&guests.probe, &add("print")), nothing);
    let lines: Vec<_> = report.logs.iter().map(|line| (line.level, line.message.as_str())).collect();
    assert_eq!(
        lines,
        [
            (Level::Info, "to standard output"),
            (Level::Warn, "to standard error"),
            (Level::Warn, "without an end")
        ]
    );
}

fn there_is_nothing_to_see(guests: &Guests) {
    let report = run(&job(&guests.probe, &add("world")), nothing);
    let Answer::Result(result) = report.answer() else { panic!("{report:?}") };
    let found: Vec<_> = result.interfaces.iter().map(|interface| interface.name.as_str()).collect();
    assert_eq!(
        found,
        [
            "open false",
            "connect false",
            "stdin Ok(0) \"\"",
            "args 0",
            "env 0",
            "clock Ok(0ns) 0ns",
            "random 1"
        ]
    );
}

fn exit_is_a_trap(guests: &Guests) {
    let report = run(&job(&guests.probe, &add("exit")), nothing);
    assert!(report.trap().starts_with("the guest called exit with code"), "{report:?}");
}

fn a_drop_kills(guests: &Guests) {
    let call = add("loop");
    let child = spawn(&job(&guests.probe, &call)).unwrap();
    let process = format!("/proc/{}", child.pid());
    let started = Instant::now();
    drop(child);
    assert!(!std::path::Path::new(&process).exists());
    assert!(started.elapsed() < Duration::from_secs(10));
}
