//! `wasi:*` 0.2 for components of stock toolchains: what their import list names is there, with nothing behind it.
//!
//! Standard output and error become log lines and random numbers are real. There is no clock (it stands at 0), no
//! environment, argument, file or socket: such calls are denied where their type can say so, and trap otherwise.

use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{Linker, Resource, ResourceAny, ResourceType, Type, Val};
use wasmtime::{AsContextMut, Engine, Result, StoreContextMut, bail};

use crate::state::State;
use crate::streams::{MAX_LINE, STDERR, STDOUT};

/// No sane caller wants more random bytes at once.
const MAX_RANDOM: u64 = 64 * 1024;

/// The guest called `wasi:cli/exit`.
#[derive(Debug, thiserror::Error)]
#[error("the guest called exit with code {0}: it is a library, its functions return")]
pub(crate) struct Exited(u8);

struct OutputStream;
struct InputStream;
struct Pollable;
struct IoError;
/// A resource that no function hands out, or that nothing can be done with.
struct Nothing;

/// Links one interface as a component imports it, whatever its patch version.
pub(crate) fn link(
    linker: &mut Linker<State>,
    engine: &Engine,
    name: &str,
    instance: &ComponentInstance,
) -> Result<()> {
    let interface = name.strip_prefix("wasi:").unwrap_or(name);
    let interface = interface.split_once('@').map_or(interface, |(interface, _)| interface);
    let mut room = linker.instance(name)?;
    for (item, import) in instance.exports(engine) {
        match import.ty {
            ComponentItem::ComponentFunc(_) => {
                if is_write(item) {
                    room.func_new(item, |store, _, params, results| write(store, params, results))?;
                } else if let Some(function) = implementation(interface, item) {
                    room.func_new(item, move |mut store, _, params, results| {
                        let value = function(store.as_context_mut(), params)?;
                        give_back(&mut store, params)?;
                        if let (Some(slot), Some(value)) = (results.first_mut(), value) {
                            *slot = value;
                        }
                        Ok(())
                    })?;
                } else {
                    let called = format!("{name}#{item}");
                    room.func_new(item, move |mut store, ty, params, results| {
                        deny(&called, &ty, results)?;
                        give_back(&mut store, params)
                    })?;
                }
            }
            ComponentItem::Resource(_) => room.resource(item, resource(item), |_, _| Ok(()))?,
            _ => {}
        }
    }
    Ok(())
}

/// Ends the loan of every handle among the parameters: the guest may not return before.
fn give_back(store: &mut Store<'_>, params: &[Val]) -> Result<()> {
    for param in params {
        match param {
            Val::Resource(handle) => handle.resource_drop(&mut *store)?,
            Val::List(items) => give_back(store, items)?,
            _ => {}
        }
    }
    Ok(())
}

/// The type behind a name. Interfaces name what they use of others again: `wasi:filesystem/types` has the `error` of
/// `wasi:io/error`.
fn resource(item: &str) -> ResourceType {
    match item {
        "output-stream" => ResourceType::host::<OutputStream>(),
        "input-stream" => ResourceType::host::<InputStream>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "error" | "io-error" => ResourceType::host::<IoError>(),
        _ => ResourceType::host::<Nothing>(),
    }
}

/// The answer of everything that is not there: the error code for it, if the function has one.
fn deny(called: &str, ty: &ComponentFunc, results: &mut [Val]) -> Result<()> {
    if let (Some(Type::Result(result)), Some(slot)) = (ty.results().next(), results.first_mut())
        && let Some(Type::Enum(codes)) = result.err()
        && let Some(code) =
            ["access-denied", "access"].iter().find(|code| codes.names().any(|name| name == **code))
    {
        *slot = Val::Result(Err(Some(Box::new(Val::Enum((*code).to_owned())))));
        return Ok(());
    }
    bail!(
        "the guest called {called}, and there is nothing behind it: guests have no files, sockets or clocks"
    )
}

type Store<'a> = StoreContextMut<'a, State>;
type Function = fn(Store<'_>, &[Val]) -> Result<Option<Val>>;

fn implementation(interface: &str, function: &str) -> Option<Function> {
    Some(match (interface, function) {
        ("cli/environment", "get-environment" | "get-arguments")
        | ("filesystem/preopens", "get-directories") => |_, _| Ok(Some(Val::List(Vec::new()))),
        ("cli/environment", "initial-cwd" | "get-initial-cwd")
        | ("cli/terminal-stdin" | "cli/terminal-stdout" | "cli/terminal-stderr", _) => {
            |_, _| Ok(Some(Val::Option(None)))
        }
        ("cli/exit", _) => exit,
        ("cli/stdin", "get-stdin") => |store, _| handle(store, Resource::<InputStream>::new_own(0)),
        ("cli/stdout", "get-stdout") => |store, _| handle(store, Resource::<OutputStream>::new_own(STDOUT)),
        ("cli/stderr", "get-stderr") => |store, _| handle(store, Resource::<OutputStream>::new_own(STDERR)),
        ("clocks/monotonic-clock", "now" | "resolution") => |_, _| Ok(Some(Val::U64(0))),
        ("clocks/monotonic-clock", "subscribe-instant" | "subscribe-duration") => {
            |store, _| handle(store, Resource::<Pollable>::new_own(0))
        }
        ("clocks/wall-clock", "now" | "resolution") => |_, _| {
            let zero = [("seconds".to_owned(), Val::U64(0)), ("nanoseconds".to_owned(), Val::U32(0))];
            Ok(Some(Val::Record(zero.into())))
        },
        ("random/random", "get-random-bytes") | ("random/insecure", "get-insecure-random-bytes") => {
            random_bytes
        }
        ("random/random", "get-random-u64") | ("random/insecure", "get-insecure-random-u64") => {
            |mut store, _| Ok(Some(Val::U64(store.data_mut().random.number()?)))
        }
        ("random/insecure-seed", _) => |mut store, _| {
            let random = &mut store.data_mut().random;
            Ok(Some(Val::Tuple(vec![Val::U64(random.number()?), Val::U64(random.number()?)])))
        },
        ("io/poll", "[method]pollable.ready") => |_, _| Ok(Some(Val::Bool(true))),
        ("io/poll", "[method]pollable.block") => |_, _| Ok(None),
        ("io/poll", "poll") => poll,
        ("io/streams", function) => return stream(function),
        ("sockets/instance-network", "instance-network") => {
            |store, _| handle(store, Resource::<Nothing>::new_own(0))
        }
        _ => return None,
    })
}

fn stream(function: &str) -> Option<Function> {
    Some(match function {
        "[method]output-stream.check-write" => |_, _| Ok(ok(Some(Val::U64(MAX_LINE as u64)))),
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => |_, _| Ok(ok(None)),
        "[method]output-stream.subscribe" | "[method]input-stream.subscribe" => {
            |store, _| handle(store, Resource::<Pollable>::new_own(0))
        }
        "[method]input-stream.read"
        | "[method]input-stream.blocking-read"
        | "[method]input-stream.skip"
        | "[method]input-stream.blocking-skip" => |_, _| {
            let closed = Val::Variant("closed".to_owned(), None);
            Ok(Some(Val::Result(Err(Some(Box::new(closed))))))
        },
        _ => return None,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that every function answers in")]
fn ok(value: Option<Val>) -> Option<Val> {
    Some(Val::Result(Ok(value.map(Box::new))))
}

fn handle<T: 'static>(store: Store<'_>, resource: Resource<T>) -> Result<Option<Val>> {
    Ok(Some(Val::Resource(ResourceAny::try_from_resource(resource, store)?)))
}

fn exit(_: Store<'_>, params: &[Val]) -> Result<Option<Val>> {
    Err(Exited(match params.first() {
        Some(Val::U8(code)) => *code,
        Some(Val::Result(Ok(_))) => 0,
        _ => 1,
    })
    .into())
}

fn is_write(function: &str) -> bool {
    matches!(function, "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush")
}

/// Unlike the other functions it looks behind the handle, which ends the loan.
fn write(mut store: Store<'_>, params: &[Val], results: &mut [Val]) -> Result<()> {
    let [Val::Resource(stream), Val::List(bytes)] = params else {
        bail!("wasi:io/streams: write has other parameters than in 0.2")
    };
    let stream = stream.try_into_resource::<OutputStream>(&mut store)?.rep();
    let bytes = bytes.iter().filter_map(|byte| if let Val::U8(byte) = byte { Some(*byte) } else { None });
    let bytes: Vec<u8> = bytes.collect();
    store.data_mut().print(stream, &bytes)?;
    if let Some(slot) = results.first_mut() {
        *slot = Val::Result(Ok(None));
    }
    Ok(())
}

/// Everything is always ready.
fn poll(_: Store<'_>, params: &[Val]) -> Result<Option<Val>> {
    let Some(Val::List(pollables)) = params.first() else {
        bail!("wasi:io/poll: poll has other parameters than in 0.2")
    };
    Ok(Some(Val::List((0..).zip(pollables).map(|(index, _)| Val::U32(index)).collect())))
}

fn random_bytes(mut store: Store<'_>, params: &[Val]) -> Result<Option<Val>> {
    match params.first() {
        Some(Val::U64(len)) if *len <= MAX_RANDOM => {
            let mut bytes = vec![0; usize::try_from(*len)?];
            store.data_mut().random.fill(&mut bytes)?;
            Ok(Some(Val::List(bytes.into_iter().map(Val::U8).collect())))
        }
        _ => bail!("wasi:random: at most {MAX_RANDOM} bytes at once"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_names_what_it_uses_of_others() {
        // `error` of filesystem/types and `io-error` of http/types are that of io/error.
        assert_eq!(resource("error"), resource("io-error"));
        assert_eq!(resource("pollable"), ResourceType::host::<Pollable>());
        assert_ne!(resource("descriptor"), resource("error"));
    }
}
