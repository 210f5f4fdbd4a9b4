//! `wharf:tc/shaping`: token buckets and redirection over the traffic control part of rtnetlink.
//!
//! Only what this crate makes is replaced or removed: a tbf at the root, an ingress qdisc that redirects. An operator's own
//! qdisc is a conflict.

mod bucket;
mod redirect;

use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::{Error, Link, Reply};

use crate::common::Bucket;
use crate::common::foreign_qdisc as foreign;
use crate::links::{describe, index, index_if_there};
use crate::netlink::{Attributes, Builder, CREATE, ECHO, NetlinkError, REPLACE, Socket};
use crate::real::RealKernel;
use redirect::Content;

/// sizeof(struct tcmsg).
const HEADER: usize = 20;
const TC_H_ROOT: u32 = 0xffff_ffff;
const TC_H_INGRESS: u32 = 0xffff_fff1;
/// `1:`, as the reference plugin calls its own.
const HANDLE: u32 = 0x1_0000;
/// `ffff:`, the handle that every ingress qdisc has.
const INGRESS_HANDLE: u32 = 0xffff_0000;

/// Carries out one operation.
pub(crate) fn apply(kernel: &mut RealKernel, op: &ShapingOp) -> Result<Reply, Error> {
    match op {
        ShapingOp::SetEgress { on, rate } => set_egress(kernel, on, *rate),
        ShapingOp::GetEgress { on } => get_egress(kernel, on).map(Reply::MaybeRate),
        ShapingOp::RedirectIngress { on, to } => redirect::set(kernel, on, to),
        ShapingOp::GetRedirect { on } => redirect::get(kernel, on).map(Reply::MaybeIndex),
        ShapingOp::Clear { on } => clear(kernel, on, true, Some(Extent::Redirecting)),
        ShapingOp::ClearEgress { on } => clear(kernel, on, true, None),
        ShapingOp::ClearIngress { on } => clear(kernel, on, false, Some(Extent::OrEmpty)),
    }
}

fn set_egress(kernel: &mut RealKernel, on: &Link, rate: Rate) -> Result<Reply, Error> {
    let bucket = Bucket::new(rate)?;
    let index = index(kernel, on)?;
    let socket = kernel.route(on.ns)?;
    // A tbf under our handle is changed in place; a device's default qdisc gives way.
    let Err(error) = put(socket, index, CREATE, &bucket) else { return Ok(Reply::Done) };
    let what = || format!("shaping what {} sends", describe(on));
    if !matches!(error.errno(), Some(libc::EEXIST | libc::EINVAL)) {
        return Err(error.explain(what()));
    }
    match kind_at(socket, index, TC_H_ROOT).map_err(|error| error.explain(what()))? {
        Some(kind) if kind == "tbf" => put(socket, index, CREATE | REPLACE, &bucket)
            .map(|()| Reply::Done)
            .map_err(|error| error.explain(what())),
        Some(kind) => Err(foreign(on, "root", &kind)),
        None => Err(error.explain(what())),
    }
}

fn put(socket: &mut Socket, index: u32, flags: u16, bucket: &Bucket) -> Result<(), NetlinkError> {
    socket.request(libc::RTM_NEWQDISC, flags, |body| {
        header(body, index, HANDLE, TC_H_ROOT, 0).text(libc::TCA_KIND, "tbf");
        body.nested(libc::TCA_OPTIONS, |options| bucket.encode(options));
    })
}

fn get_egress(kernel: &mut RealKernel, on: &Link) -> Result<Option<Rate>, Error> {
    let index = index(kernel, on)?;
    let read = |_, kind: &str, options: Attributes<'_>| {
        if kind == "tbf" { Bucket::decode(options).map(|bucket| bucket.rate()) } else { None }
    };
    let found = qdisc(kernel.route(on.ns)?, index, TC_H_ROOT, read);
    found
        .map(Option::flatten)
        .map_err(|error| error.explain(format!("reading the shaping of {}", describe(on))))
}

/// Which ingress qdiscs are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// One that redirects.
    Redirecting,
    /// That, or one without any filter: what a redirection that was cut short leaves.
    OrEmpty,
}

/// Both deletions name the kind, so that the kernel refuses to remove what is somebody else's.
fn clear(kernel: &mut RealKernel, on: &Link, egress: bool, ingress: Option<Extent>) -> Result<Reply, Error> {
    if !kernel.has(on.ns) {
        return Ok(Reply::Done);
    }
    let Some(index) = index_if_there(kernel, on)? else { return Ok(Reply::Done) };
    let explain = |error: NetlinkError| error.explain(format!("removing the shaping of {}", describe(on)));
    let socket = kernel.route(on.ns)?;
    let ingress = match ingress {
        None => false,
        Some(extent) => match redirect::content(socket, index).map_err(explain)? {
            Content::Redirect(_) => true,
            Content::Nothing => extent == Extent::OrEmpty,
            Content::Foreign => false,
        },
    };
    let root = egress.then_some((TC_H_ROOT, "tbf"));
    let qdiscs: Vec<_> = root.into_iter().chain(ingress.then_some((TC_H_INGRESS, "ingress"))).collect();
    if qdiscs.is_empty() {
        return Ok(Reply::Done);
    }
    let outcomes = socket.pipeline(|messages, flags| {
        for (parent, kind) in qdiscs {
            messages.push(libc::RTM_DELQDISC, flags, |body| {
                header(body, index, 0, parent, 0).text(libc::TCA_KIND, kind);
            });
        }
    });
    for outcome in outcomes.map_err(explain)? {
        match outcome {
            Err(error) if !matches!(error.errno(), Some(libc::ENOENT | libc::EINVAL | libc::ENODEV)) => {
                return Err(explain(error));
            }
            _ => {}
        }
    }
    Ok(Reply::Done)
}

/// The kind of the qdisc that somebody has put at `parent`. A default one, which the kernel has put there, has no
/// handle.
fn kind_at(socket: &mut Socket, index: u32, parent: u32) -> Result<Option<String>, NetlinkError> {
    let read = |handle, kind: &str, _: Attributes<'_>| (handle != 0).then(|| kind.to_owned());
    qdisc(socket, index, parent, read).map(Option::flatten)
}

/// What `read` makes of handle, kind and options of the qdisc at `parent`; none for a built-in one.
fn qdisc<T>(
    socket: &mut Socket,
    index: u32,
    parent: u32,
    read: impl Fn(u32, &str, Attributes<'_>) -> T,
) -> Result<Option<T>, NetlinkError> {
    let mut found = None;
    // With ECHO and an acknowledgement: before Linux 6.8 the answer goes to listeners only, and of a built-in qdisc
    // there is none at all.
    let result = socket.request_with(
        libc::RTM_GETQDISC,
        ECHO,
        |body| {
            header(body, index, 0, parent, 0);
        },
        |message| {
            let attributes = message.attributes(HEADER);
            let handle = message.bytes(8).map(u32::from_ne_bytes);
            let kind = attributes.find(libc::TCA_KIND).and_then(|kind| kind.text());
            if let (Some(handle), Some(kind)) = (handle, kind) {
                let options = attributes.find(libc::TCA_OPTIONS);
                found = Some(read(
                    handle,
                    kind,
                    options.map_or(Attributes::new(&[]), |options| options.nested()),
                ));
            }
        },
    );
    match result {
        Err(error) if !matches!(error.errno(), Some(libc::ENOENT | libc::EINVAL)) => Err(error),
        _ => Ok(found),
    }
}

/// A struct tcmsg.
fn header(body: &mut Builder, index: u32, handle: u32, parent: u32, info: u32) -> &mut Builder {
    body.raw(&[0; 4]);
    for field in [index, handle, parent, info] {
        body.raw(&field.to_ne_bytes());
    }
    body
}

#[cfg(test)]
mod tests;
