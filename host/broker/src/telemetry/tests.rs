//! A call from its begin to its line, and readers that follow a spool that is turned over.

use std::io::Write as _;
use std::time::Instant;

use wharf_cni::Command;

use super::*;
use crate::settings::Endpoint;

fn settings(traces: bool) -> Settings {
    let (settings, fault) = Settings::read(&Paths::below("/nonexistent"), |_| None);
    assert_eq!(fault, None);
    Settings { endpoint: traces.then(|| Endpoint::Base("http://c".into())), ..settings }
}

fn env() -> Env {
    let get = |key: &str| {
        Some(match key {
            "CNI_COMMAND" => "ADD".to_owned(),
            "CNI_CONTAINERID" => "c1".to_owned(),
            "CNI_IFNAME" => "eth0".to_owned(),
            "CNI_NETNS" => "/run/netns/x".to_owned(),
            "CNI_PATH" => "/opt/cni/bin".to_owned(),
            _ => return None,
        })
    };
    let env = Env::parse(get).unwrap();
    assert_eq!(env.command, Command::Add);
    env
}

fn call(paths: &Paths, traces: bool) {
    let telemetry = Telemetry::begin(&settings(traces), None);
    telemetry.request(&env(), "pods", "wharf");
    telemetry.guest("bridge");
    telemetry.operation("links/get", Duration::from_micros(7), Outcome::Done);
    telemetry.guest("host-local");
    telemetry.operation("leases/open", Duration::from_micros(5), Outcome::Failed);
    telemetry.guest_ended(None);
    telemetry.operation("nat/masquerade", Duration::from_micros(1), Outcome::Denied);
    telemetry.guest_ended(Some(900));
    telemetry.rolled_back(0);
    telemetry.residue(true);
    telemetry.finish(paths, Some(&CniError::new(900, "denied")));
}

#[test]
fn a_call_is_a_line_with_its_guests_and_what_went_wrong() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    call(&paths, false);
    let (events, _) = Reader::default().read(&paths, EVENTS, 10).unwrap();
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(
        (event.command.as_str(), event.network.as_str(), event.container.as_str()),
        ("ADD", "pods", "c1")
    );
    assert_eq!((event.code, event.rolled_back, event.residue), (900, true, 1));
    let guests: Vec<_> = event
        .guests
        .iter()
        .map(|one| (one.name.as_str(), one.by, one.operations, one.kernel_us, one.code))
        .collect();
    assert_eq!(guests, [("bridge", None, 2, 8, 900), ("host-local", Some(0), 1, 5, 0)]);
    assert_eq!(event.guests[0].denied, ["nat/masquerade"]);
    assert!(event.trace.is_none() && event.guests[0].spans.is_empty());
    assert!(!paths.spool().join(SPANS).exists(), "nobody wants spans");
}

#[test]
fn where_spans_are_wanted_each_operation_is_told() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    call(&paths, true);
    let (events, _) = Reader::default().read(&paths, SPANS, 10).unwrap();
    let spans: Vec<_> = events[0].guests[0].spans.iter().map(|one| (one.name.as_str(), one.failed)).collect();
    assert_eq!(spans, [("links/get", false), ("nat/masquerade", true)]);
    assert!(events[0].trace.is_some());
    assert!(paths.spool().join(EVENTS).exists());
}

#[test]
fn a_reader_misses_nothing_when_the_spool_is_turned_over() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let mut reader = Reader::default();
    let (mut written, mut seen) = (0_usize, 0_usize);
    let rolled = paths.spool().join(format!("{EVENTS}.1"));
    let event = Event { command: "ADD".into(), message: "x".repeat(60_000), ..Event::default() };
    for round in 0..80 {
        spool::append(&paths, EVENTS, &event);
        written += 1;
        if round % 7 == 0 {
            let (events, next) = reader.read(&paths, EVENTS, usize::MAX).unwrap();
            seen += events.len();
            reader = next;
        }
    }
    assert!(rolled.exists(), "it was turned over");
    let (events, next) = reader.read(&paths, EVENTS, usize::MAX).unwrap();
    assert_eq!(seen + events.len(), written);
    assert_eq!(next.read(&paths, EVENTS, usize::MAX).unwrap().0, []);
    let size = |name: &str| std::fs::metadata(paths.spool().join(name)).map_or(0, |metadata| metadata.len());
    assert!(size(EVENTS) < LIMIT + 70_000 && size("events.jsonl.1") < LIMIT + 70_000);
}

#[test]
fn calls_that_all_find_the_spool_full_turn_it_over_once() {
    let root = tempfile::tempdir().unwrap();
    let [name, predecessor] = ["events.jsonl", "events.jsonl.1"].map(|name| root.path().join(name));
    let writer = || std::fs::OpenOptions::new().append(true).create(true).open(&name).unwrap();
    let all = [writer(), writer(), writer()];
    (&all[0]).write_all(b"full").unwrap();
    spool::turn_over(&all[0], &name, &predecessor).unwrap();
    // Nobody has begun the next file yet.
    spool::turn_over(&all[1], &name, &predecessor).unwrap();
    writer().write_all(b"next").unwrap();
    let text = |path| std::fs::read_to_string(path).unwrap();
    for late in &all {
        spool::turn_over(late, &name, &predecessor).unwrap();
        assert_eq!((text(&name), text(&predecessor)), ("next".into(), "full".into()));
    }
}

#[test]
fn what_calls_count_at_the_same_time_is_all_there() {
    const WRITERS: usize = 4;
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let paths = Paths::below(root.path());
    let event = Event { message: "x".repeat(60_000), ..Event::default() };
    // The spool is turned over once, by one of those that find it full together.
    let each = usize::try_from(LIMIT).unwrap() * 3 / 2 / 60_000 / WRITERS;
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| (0..each).for_each(|_| spool::append(&paths, EVENTS, &event)));
        }
    });
    assert!(paths.spool().join("events.jsonl.1").exists());
    let (events, _) = Reader::default().read(&paths, EVENTS, usize::MAX).unwrap();
    assert_eq!(events.len(), WRITERS * each);
}

#[test]
fn a_reader_takes_no_more_than_it_wants_and_no_half_line() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    for _ in 0..5 {
        call(&paths, false);
    }
    let (events, next) = Reader::default().read(&paths, EVENTS, 2).unwrap();
    assert_eq!(events.len(), 2);
    let file = paths.spool().join(EVENTS);
    std::fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"nonsense\n{\"time").unwrap();
    let (events, next) = next.read(&paths, EVENTS, 10).unwrap();
    assert_eq!(events.len(), 3);
    std::fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"_us\": 1}\n").unwrap();
    assert_eq!(next.read(&paths, EVENTS, 10).unwrap().0.len(), 1);
}

#[test]
fn what_cannot_be_written_is_lost_and_nothing_else() {
    call(&Paths::below("/proc/nonexistent"), true);
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    std::fs::create_dir_all(paths.spool()).unwrap();
    // Nobody reads it: a writer that waits would wait for ever.
    nix::unistd::mkfifo(&paths.spool().join(EVENTS), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let started = Instant::now();
    call(&paths, false);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_line_costs_less_than_fifty_microseconds() {
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let paths = Paths::below(root.path());
    call(&paths, false);
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        for _ in 0..20 {
            call(&paths, false);
        }
        best = best.min(started.elapsed() / 20);
    }
    println!("{} ns for all that one call collects and writes", best.as_nanos());
    // Unoptimised, and on a machine that does other things, too.
    let limit = if cfg!(debug_assertions) { 400 } else { 50 };
    assert!(best < Duration::from_micros(limit), "{best:?}");
}
