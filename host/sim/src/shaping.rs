//! `shaping`: what is at the root and at the ingress of a link.

use wharf_kernel::common::{describe, foreign_qdisc, refused, token_bucket};
use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::{Error, Link, Reply};

use crate::call::Call;
use crate::world::{At, World};

/// The qdisc at the root, if it is not the device's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// A token bucket.
    Tbf(Rate),
    /// Somebody else's, by its kind.
    Other(String),
}

/// The qdisc for what comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ingress {
    /// Where a filter sends everything; 0 is a link that is gone.
    Redirect(Option<u32>),
    /// Somebody else's, by its kind.
    Other(String),
}

/// Carries out one operation.
pub(crate) fn apply(call: &mut Call<'_>, op: &ShapingOp) -> Result<Reply, Error> {
    match op {
        ShapingOp::SetEgress { on, rate } => set_egress(call, on, *rate),
        ShapingOp::GetEgress { on } => {
            let at = call.place(on)?;
            let device = call.device(at, || format!("reading the shaping of {}", describe(on)))?;
            Ok(Reply::MaybeRate(match &device.root {
                Some(Root::Tbf(rate)) => Some(*rate),
                Some(Root::Other(_)) | None => None,
            }))
        }
        ShapingOp::RedirectIngress { on, to } => redirect(call, on, to),
        ShapingOp::GetRedirect { on } => {
            let at = call.place(on)?;
            Ok(Reply::MaybeIndex(match call.world.device(at).map(|device| &device.ingress) {
                Some(Some(Ingress::Redirect(to))) => *to,
                Some(Some(Ingress::Other(_)) | None) | None => None,
            }))
        }
        ShapingOp::Clear { on } => {
            clear(call, on, true, |ingress| matches!(ingress, Ingress::Redirect(Some(_))))
        }
        ShapingOp::ClearEgress { on } => clear(call, on, true, |_| false),
        ShapingOp::ClearIngress { on } => {
            clear(call, on, false, |ingress| matches!(ingress, Ingress::Redirect(_)))
        }
    }
}

fn set_egress(call: &mut Call<'_>, on: &Link, rate: Rate) -> Result<Reply, Error> {
    let (kept, at_once) = token_bucket(rate)?;
    let at = call.place(on)?;
    let what = || format!("shaping what {} sends", describe(on));
    let device = call.device(at, what)?;
    if let Some(Root::Other(kind)) = &device.root {
        return Err(foreign_qdisc(on, "root", kind));
    }
    // A bucket through which no byte fits.
    if at_once == 0 {
        return Err(refused(libc::EINVAL, None, what()));
    }
    if let Some(device) = call.world.device_mut(at) {
        device.root = Some(Root::Tbf(kept));
    }
    Ok(Reply::Done)
}

/// Again the same is success; another target takes the place of the first. What fails leaves what was there before.
fn redirect(call: &mut Call<'_>, on: &Link, to: &Link) -> Result<Reply, Error> {
    if on.ns != to.ns {
        let (on, to) = (describe(on), describe(to));
        return Err(Error::invalid(format!(
            "what {on} receives cannot be sent by {to}: they are in two namespaces"
        )));
    }
    let (at, target) = (call.place(on)?, call.place(to)?);
    let what = || format!("redirecting what {} receives to {}", describe(on), to.name);
    let device = call.device(at, what)?;
    match &device.ingress {
        Some(Ingress::Other(kind)) => return Err(foreign_qdisc(on, "ingress", kind)),
        // Also an empty one is somebody's.
        Some(Ingress::Redirect(None)) => return Err(foreign_qdisc(on, "ingress", "ingress")),
        Some(Ingress::Redirect(Some(there))) if *there == target.index => return Ok(Reply::Done),
        Some(Ingress::Redirect(Some(_))) | None => {}
    }
    let known = call.world.device(target).is_some();
    if let Some(device) = call.world.device_mut(at) {
        if known {
            device.ingress = Some(Ingress::Redirect(Some(target.index)));
        } else if device.ingress == Some(Ingress::Redirect(Some(0))) {
            // What led nowhere cannot be put back.
            device.ingress = None;
        }
    }
    if known { Ok(Reply::Done) } else { Err(refused(libc::ENODEV, None, what())) }
}

fn clear(
    call: &mut Call<'_>,
    on: &Link,
    egress: bool,
    ingress: impl Fn(&Ingress) -> bool,
) -> Result<Reply, Error> {
    if !call.has(on.ns) {
        return Ok(Reply::Done);
    }
    let at = call.place_if_there(on)?;
    if let Some(device) = at.and_then(|at| call.world.device_mut(at)) {
        device.root = device.root.take().filter(|root| !egress || matches!(root, Root::Other(_)));
        device.ingress = device.ingress.take().filter(|there| !ingress(there));
    }
    Ok(Reply::Done)
}

/// Filters that lead to a device that is gone lead nowhere.
pub(crate) fn target_gone(world: &mut World, gone: At) {
    let Some(space) = world.space_mut(gone.space) else { return };
    for device in space.devices.values_mut() {
        if device.ingress == Some(Ingress::Redirect(Some(gone.index))) {
            device.ingress = Some(Ingress::Redirect(Some(0)));
        }
    }
}
