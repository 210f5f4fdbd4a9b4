//! What a link receives, sent by another one: an ingress qdisc, a u32 filter that matches everything, one mirred.

use wharf_ops::{Error, Link, Reply};

use super::{HEADER, INGRESS_HANDLE, TC_H_INGRESS, foreign, header, kind_at};
use crate::links::{describe, index};
use crate::netlink::{Attributes, Builder, CREATE, EXCL, Message, NetlinkError, Socket};
use crate::real::RealKernel;

/// Priority 1 in the upper half, ETH_P_ALL in network order in the lower.
const FIRST_OF_ALL: u32 = 1 << 16 | (3_u16.to_be() as u32);
/// TCA_U32_SEL and TCA_U32_ACT.
const SEL: u16 = 5;
const ACT: u16 = 7;
/// TCA_ACT_KIND and TCA_ACT_OPTIONS.
const ACT_KIND: u16 = 1;
const ACT_OPTIONS: u16 = 2;
/// TCA_MIRRED_PARMS: struct tc_mirred.
const MIRRED_PARMS: u16 = 2;
const TC_ACT_STOLEN: u32 = 4;
const TCA_EGRESS_REDIR: u32 = 1;

/// What is in an ingress qdisc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// No filter, or there is no such qdisc.
    Nothing,
    /// Something redirects to this link; 0 if it is gone.
    Redirect(u32),
    /// Filters of somebody else.
    Foreign,
}

/// Again the same is success; another target takes the place of the first. What fails leaves what was there before.
pub(super) fn set(kernel: &mut RealKernel, on: &Link, to: &Link) -> Result<Reply, Error> {
    if on.ns != to.ns {
        let (on, to) = (describe(on), describe(to));
        return Err(Error::invalid(format!(
            "what {on} receives cannot be sent by {to}: they are in two namespaces"
        )));
    }
    let (index, target) = (index(kernel, on)?, self::index(kernel, to)?);
    let explain = |error: NetlinkError| {
        error.explain(format!("redirecting what {} receives to {}", describe(on), to.name))
    };
    let socket = kernel.route(on.ns)?;
    let mut before = None;
    match add_qdisc(socket, index) {
        Ok(()) => {}
        Err(error) if error.errno() == Some(libc::EEXIST) => {
            if let Some(kind) = kind_at(socket, index, TC_H_INGRESS).map_err(explain)?
                && kind != "ingress"
            {
                return Err(foreign(on, "ingress", &kind));
            }
            match content(socket, index).map_err(explain)? {
                Content::Redirect(there) if there == target => return Ok(Reply::Done),
                Content::Redirect(there) => {
                    remove_filter(socket, index).map_err(explain)?;
                    before = Some(there).filter(|there| *there != 0);
                }
                // Also an empty one is somebody's, who is about to use it.
                Content::Nothing | Content::Foreign => return Err(foreign(on, "ingress", "ingress")),
            }
        }
        Err(error) => return Err(explain(error)),
    }
    let Err(error) = add_filter(socket, index, target) else { return Ok(Reply::Done) };
    // If this fails as well, there is nothing else to try, and the first error is the one to tell.
    let _ = match before {
        Some(there) => add_filter(socket, index, there),
        None => remove_qdisc(socket, index),
    };
    Err(explain(error))
}

pub(super) fn get(kernel: &mut RealKernel, on: &Link) -> Result<Option<u32>, Error> {
    let index = index(kernel, on)?;
    let found = content(kernel.route(on.ns)?, index);
    let found =
        found.map_err(|error| error.explain(format!("reading where what {} receives goes", describe(on))))?;
    Ok(match found {
        Content::Redirect(to) => Some(to),
        Content::Nothing | Content::Foreign => None,
    })
}

fn add_qdisc(socket: &mut Socket, index: u32) -> Result<(), NetlinkError> {
    socket.request(libc::RTM_NEWQDISC, CREATE | EXCL, |body| {
        header(body, index, INGRESS_HANDLE, TC_H_INGRESS, 0).text(libc::TCA_KIND, "ingress");
    })
}

fn remove_qdisc(socket: &mut Socket, index: u32) -> Result<(), NetlinkError> {
    socket.request(libc::RTM_DELQDISC, 0, |body| {
        header(body, index, 0, TC_H_INGRESS, 0).text(libc::TCA_KIND, "ingress");
    })
}

fn add_filter(socket: &mut Socket, index: u32, target: u32) -> Result<(), NetlinkError> {
    socket.request(libc::RTM_NEWTFILTER, CREATE | EXCL, |body| {
        header(body, index, 0, INGRESS_HANDLE, FIRST_OF_ALL).text(libc::TCA_KIND, "u32");
        body.nested(libc::TCA_OPTIONS, |options| {
            // struct tc_u32_sel: terminal, one key; the key compares no bit.
            let mut selector = [0; 32];
            selector[0] = 1;
            selector[2] = 1;
            options.attribute(SEL, &selector).nested(ACT, |actions| {
                actions.nested(1, |action| mirred(action, target));
            });
        });
    })
}

fn mirred(action: &mut Builder, target: u32) {
    let mut parms = Vec::with_capacity(28);
    // struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex.
    for field in [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, target] {
        parms.extend(field.to_ne_bytes());
    }
    action.text(ACT_KIND, "mirred").nested(ACT_OPTIONS, |options| {
        options.attribute(MIRRED_PARMS, &parms);
    });
}

/// Every filter of our priority.
fn remove_filter(socket: &mut Socket, index: u32) -> Result<(), NetlinkError> {
    socket.request(libc::RTM_DELTFILTER, 0, |body| {
        header(body, index, 0, INGRESS_HANDLE, FIRST_OF_ALL).text(libc::TCA_KIND, "u32");
    })
}

/// What the ingress qdisc has; the first redirection counts.
pub(super) fn content(socket: &mut Socket, index: u32) -> Result<Content, NetlinkError> {
    let found = socket.dump(
        libc::RTM_GETTFILTER,
        |body| {
            header(body, index, 0, INGRESS_HANDLE, 0);
        },
        |message| (message.kind == libc::RTM_NEWTFILTER).then(|| target(message)),
    );
    match found {
        Ok(found) => Ok(match found.iter().flatten().next() {
            Some(to) => Content::Redirect(*to),
            None if found.is_empty() => Content::Nothing,
            None => Content::Foreign,
        }),
        Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::EINVAL)) => Ok(Content::Nothing),
        Err(error) => Err(error),
    }
}

/// The link that a u32 filter redirects to.
fn target(message: &Message<'_>) -> Option<u32> {
    let attributes = message.attributes(HEADER);
    if attributes.find(libc::TCA_KIND)?.text()? != "u32" {
        return None;
    }
    let mut actions = attributes.find(libc::TCA_OPTIONS)?.nested().find(ACT)?.nested();
    actions.find_map(|action| redirection(action.nested()))
}

fn redirection(action: Attributes<'_>) -> Option<u32> {
    if action.find(ACT_KIND)?.text()? != "mirred" {
        return None;
    }
    let parms = action.find(ACT_OPTIONS)?.nested().find(MIRRED_PARMS)?.value;
    let field = |at: usize| parms.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    (field(20)? == TCA_EGRESS_REDIR).then(|| field(24)).flatten()
}
