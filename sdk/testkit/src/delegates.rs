//! Plugins that a guest may delegate to.

use std::cell::RefCell;
use std::rc::Rc;

use wharf_ops::delegate::Verb as Asked;
use wharf_sdk::native::{Call, Guest, enter};
use wharf_sdk::{Config, Error, NetworkResult, Request, Result, code};

use crate::host::{Host, Verb};

/// Answers a delegation: for which host call, what it asks, and the configuration.
pub(crate) type Delegate = Rc<dyn Fn(&Host, Asked, &str) -> Result<Option<NetworkResult>>>;

/// Another guest, under the same attachment.
pub(crate) fn guest<G: Guest>() -> Delegate {
    Rc::new(|caller, asked, config| {
        let verb = caller.verb.clone();
        let host = Host {
            machine: Rc::clone(&caller.machine),
            verb: verb.clone(),
            attachment: caller.attachment.clone(),
            container: caller.container,
            request: caller.request.clone(),
            depth: caller.depth + 1,
            pools: RefCell::default(),
        };
        let inside = host.container.is_some();
        let request = || {
            let of_call = caller.request.as_ref();
            of_call.map(|request| with_config(request, config)).ok_or_else(|| no_attachment(asked))
        };
        let config = Config::new(config);
        let host = Rc::new(host);
        Ok(match asked {
            Asked::Add => {
                let request = request()?;
                enter(host, || G::call(Call::Add(&request), inside))?
            }
            Asked::Check => {
                let request = request()?;
                enter(host, || G::call(Call::Check(&request), inside))?
            }
            Asked::Del => {
                let request = request()?;
                enter(host, || G::call(Call::Del(&request), inside))?
            }
            Asked::Status => enter(host, || G::call(Call::Status(&config), inside))?,
            Asked::Gc => {
                let Verb::Gc(valid) = &verb else { return Err(no_attachment(asked)) };
                enter(host, || G::call(Call::Gc(&config, valid), inside))?
            }
        })
    })
}

/// The same answer to every ADD, and success for the rest.
pub(crate) fn answers(result: NetworkResult) -> Delegate {
    Rc::new(move |_, asked, _| Ok((asked == Asked::Add).then(|| result.clone())))
}

/// The same request with the configuration that the delegate is given.
fn with_config(request: &Request, config: &str) -> Request {
    let mut delegated = Request::new(request.attachment().clone(), config).with_args(request.args().clone());
    if let Some(path) = request.netns_path() {
        delegated = delegated.with_netns_path(path);
    }
    match request.previous() {
        Some(previous) => delegated.with_previous(previous.clone()),
        None => delegated,
    }
}

fn no_attachment(asked: Asked) -> Error {
    Error::new(code::INVALID_CONFIG, format!("{asked:?} is not what this call is for"))
}
