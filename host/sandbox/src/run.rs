//! A guest: load it, link what it imports, instantiate it, call it, say what came of it.

use std::os::unix::net::UnixStream;
use std::time::Instant;

use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Engine, Store, Trap};
use wharf_ops::call::{Answer, Failure};
use wharf_ops::wire::{self, Timings, ToBroker, WireError};

use crate::bindings::wharf;
use crate::guest::{Guest, WrongExports};
use crate::limits::LimitReached;
use crate::offer::{self, Missing, World};
use crate::policy;
use crate::state::{Gone, State};
use crate::wasi::{self, Exited};
use crate::zygote::Order;
use crate::{Artefact, engine};

/// The longest message of a trap, in bytes.
const MAX_MESSAGE: usize = 1024;

/// What came of a call; none when there is no broker left to tell.
type Outcome = Option<Result<Answer, Failure>>;

/// A guest that is loaded and linked, and has not run.
pub(crate) struct Ready {
    guest: Guest,
    pre: InstancePre<State>,
}

impl Ready {
    /// Loads a compiled guest, links what it imports, and finds what it exports.
    pub(crate) fn new(engine: &Engine, artefact: &Artefact) -> Result<Self, Failure> {
        let component = engine::load(engine, artefact)
            .map_err(|error| Failure::Unloadable(format!("the compiled guest does not load: {error:#}")))?;
        prepare(engine, &component)
    }

    /// Makes an instance, waits for the call and makes it, and tells the broker what came of it.
    pub(crate) fn run(&self, order: &Order, socket: UnixStream, timings: Timings) {
        let state = State::new(socket, order);
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        // What a guest hands over in one call must fit into a message, so it need not be copied when it does not.
        store.set_hostcall_fuel(wire::MAX_FRAME);
        let mut timings = timings;
        if let Guest::Policy(indices) = &self.guest {
            let started = Instant::now();
            let instance = self.pre.instantiate(&mut store);
            timings.instantiate = micros(started);
            policy::serve(indices, &mut store, instance, timings, failure);
            std::mem::forget(store);
            return;
        }
        let outcome = self.conduct(order.container_present, &mut store, &mut timings);
        timings.memory = store.data().limiter.memory();
        if let Some(outcome) = outcome {
            finish(store.data_mut(), outcome, timings);
            // The broker goes on at once; this process's end can wait for it.
            store.data_mut().linger();
        }
        // The process ends here: nothing is gained by taking it apart first.
        std::mem::forget(store);
    }

    fn conduct(&self, container: bool, store: &mut Store<State>, timings: &mut Timings) -> Outcome {
        let started = Instant::now();
        let instance = self.pre.instantiate(&mut *store);
        timings.instantiate = micros(started);
        // The conversation begins with the call, also when there is nothing left that could make it.
        let call = store.data_mut().call().ok()?;
        let started = Instant::now();
        let outcome = instance
            .and_then(|instance| self.guest.call(&mut *store, &instance, &call, container))
            .map(|answer| answer.map_err(Failure::Guest));
        timings.run = micros(started);
        // Nothing is gained by taking it apart.
        std::mem::forget(call);
        let Ok(last_words) = store.data_mut().close_streams() else { return None };
        match outcome {
            Ok(answer) => Some(answer),
            Err(error) => failure(&error, &last_words).map(Err),
        }
    }
}

/// Links what the component imports, and finds what it exports.
fn prepare(engine: &Engine, component: &Component) -> Result<Ready, Failure> {
    let mismatch = |error: wasmtime::Error| Failure::Mismatch(bounded(&format!("{error:#}")));
    let ty = component.component_type();
    let world = check(engine, &ty)?;
    let mut linker = Linker::new(engine);
    for (name, import) in ty.imports(engine) {
        if let ComponentItem::ComponentInstance(instance) = &import.ty {
            if offer::is_wasi(name) {
                wasi::link(&mut linker, engine, name, instance).map_err(mismatch)?;
            } else if let Some(ours) = offer::offered(name) {
                link(&mut linker, ours).map_err(mismatch)?;
            }
        }
    }
    let pre = linker.instantiate_pre(component).map_err(mismatch)?;
    let guest = match world {
        World::Network => Guest::network(&pre),
        World::Ipam => Guest::ipam(&pre),
        World::Policy => Guest::policy(&pre),
        World::Admission => Guest::admission(&pre),
    };
    Ok(Ready { guest: guest.map_err(mismatch)?, pre })
}

/// Says everything that is missing, before anything of the guest runs.
fn check(engine: &Engine, ty: &types::Component) -> Result<World, Failure> {
    let mut missing = Missing::default();
    for (name, import) in ty.imports(engine) {
        match &import.ty {
            ComponentItem::ComponentInstance(instance) => {
                let functions = instance.exports(engine);
                let functions =
                    functions.filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)));
                missing.interface(name, functions.map(|(name, _)| name));
            }
            _ => missing.item(name),
        }
    }
    let world = offer::world(ty.exports(engine).map(|(name, _)| name));
    let mut sentences = missing.into_sentences(world.as_ref().ok().copied());
    match world {
        Ok(world) if sentences.is_empty() => return Ok(world),
        Ok(_) => {}
        Err(sentence) => sentences.push(sentence),
    }
    Err(Failure::Mismatch(sentences.join("; ")))
}

/// Links one interface of ours.
fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    type Own = HasSelf<State>;
    fn own(state: &mut State) -> &mut State {
        state
    }
    match interface {
        "wharf:host/logging@0.1.0" => wharf::host::logging::add_to_linker::<_, Own>(linker, own),
        "wharf:host/delegate@0.1.0" => wharf::host::delegate::add_to_linker::<_, Own>(linker, own),
        "wharf:net/netns@0.1.0" => wharf::net::netns::add_to_linker::<_, Own>(linker, own),
        "wharf:net/links@0.1.0" => wharf::net::links::add_to_linker::<_, Own>(linker, own),
        "wharf:net/bridge-ports@0.1.0" => wharf::net::bridge_ports::add_to_linker::<_, Own>(linker, own),
        "wharf:net/addresses@0.1.0" => wharf::net::addresses::add_to_linker::<_, Own>(linker, own),
        "wharf:net/routes@0.1.0" => wharf::net::routes::add_to_linker::<_, Own>(linker, own),
        "wharf:net/neighbours@0.1.0" => wharf::net::neighbours::add_to_linker::<_, Own>(linker, own),
        "wharf:net/sysctl@0.1.0" => wharf::net::sysctl::add_to_linker::<_, Own>(linker, own),
        "wharf:firewall/nat@0.1.0" => wharf::firewall::nat::add_to_linker::<_, Own>(linker, own),
        "wharf:firewall/filter@0.1.0" => wharf::firewall::filter::add_to_linker::<_, Own>(linker, own),
        "wharf:firewall/conntrack@0.1.0" => wharf::firewall::conntrack::add_to_linker::<_, Own>(linker, own),
        "wharf:tc/shaping@0.1.0" => wharf::tc::shaping::add_to_linker::<_, Own>(linker, own),
        "wharf:store/leases@0.1.0" => wharf::store::leases::add_to_linker::<_, Own>(linker, own),
        // Interfaces of types only need no implementation.
        _ => Ok(()),
    }
}

/// What an error of the runtime means; none if the broker is gone.
fn failure(error: &wasmtime::Error, last_words: &str) -> Option<Failure> {
    if error.is::<Gone>() {
        return None;
    }
    if let Some(limit) = error.downcast_ref::<LimitReached>() {
        return Some(Failure::Limit(limit.to_string()));
    }
    if let Some(wrong) = error.downcast_ref::<WrongExports>() {
        return Some(Failure::Mismatch(bounded(&wrong.to_string())));
    }
    let cause = error.root_cause().to_string();
    if matches!(error.downcast_ref(), Some(Trap::StackOverflow)) {
        let message = "the guest's calls nest too deep: its stack is used up";
        return Some(Failure::Limit(message.to_owned()));
    }
    // Wasmtime has no public type for it.
    if cause.contains("fuel allocated for hostcalls") {
        let limit = wire::MAX_FRAME;
        return Some(Failure::Limit(format!("the guest handed over more than {limit} bytes in one call")));
    }
    if cause.contains("resource limit exceeded") {
        return Some(Failure::Limit(bounded(&cause)));
    }
    if error.is::<Exited>() || last_words.is_empty() {
        return Some(Failure::Trap(bounded(&cause)));
    }
    Some(Failure::Trap(bounded(&format!("{cause}; it said: {last_words}"))))
}

/// One line of bounded length.
fn bounded(message: &str) -> String {
    let line = message.replace(['\n', '\r'], " ");
    let end = line.char_indices().map(|(at, _)| at).find(|at| *at >= MAX_MESSAGE);
    end.and_then(|end| line.get(..end)).unwrap_or(&line).to_owned()
}

/// Tells the broker. That it is gone meanwhile is no news to anybody.
fn finish(state: &mut State, outcome: Result<Answer, Failure>, timings: Timings) {
    if let Err(WireError::TooLong(bytes)) = state.send(&ToBroker::Finished { outcome, timings }) {
        let limit = wire::MAX_FRAME;
        let failure = Failure::Limit(format!("the guest's result takes {bytes} bytes, the limit is {limit}"));
        let _ = state.send(&ToBroker::Finished { outcome: Err(failure), timings });
    }
}

pub(crate) fn micros(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)
}
