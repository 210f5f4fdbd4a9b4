//! `addresses`: interface addresses, and the routes that come and go with them.

pub(crate) mod v4;
pub(crate) mod v6;

use wharf_kernel::common::{describe, refused};
use wharf_ops::addresses::AddressOp;
use wharf_ops::{Error, ErrorKind, IpNetwork, Link, Mac, Reply};

use crate::call::Call;
use crate::world::{At, World};

/// A refusal: the errno, and what the kernel says besides.
pub(crate) type Refusal = (i32, Option<&'static str>);

/// Carries out one operation.
pub(crate) fn apply(call: &mut Call<'_>, op: &AddressOp) -> Result<Reply, Error> {
    match op {
        AddressOp::Add { on, address } => add(call, on, *address),
        AddressOp::Remove { on, address } => remove(call, on, *address),
        AddressOp::GetAll { on } => {
            let at = call.place(on)?;
            let device = call.device(at, || format!("listing the addresses of {}", describe(on)))?;
            Ok(Reply::Addresses(device.addresses().map(|held| held.address).collect()))
        }
        AddressOp::Settle { on } => settle(call, on),
        AddressOp::Announce { on } => announce(call, on),
    }
}

fn add(call: &mut Call<'_>, on: &Link, address: IpNetwork) -> Result<Reply, Error> {
    let at = call.place(on)?;
    let what = || format!("adding the address {address} to {}", describe(on));
    call.device(at, what)?;
    let added =
        if address.is_ipv4() { v4::add(call.world, at, address) } else { v6::add(call.world, at, address) };
    let Err((errno, text)) = added else { return Ok(Reply::Done) };
    let error = refused(errno, text, what());
    Err(match errno {
        libc::EACCES if address.is_ipv6() => {
            let message = format!("{}: IPv6 is disabled there: set disable_ipv6 to 0 first", error.message);
            Error { kind: ErrorKind::Unsupported, message, ..error }
        }
        _ => error,
    })
}

fn remove(call: &mut Call<'_>, on: &Link, address: IpNetwork) -> Result<Reply, Error> {
    if !call.has(on.ns) {
        return Ok(Reply::Done);
    }
    let Some(at) = call.place_if_there(on)? else { return Ok(Reply::Done) };
    if address.is_ipv4() {
        v4::remove(call.world, at, address);
    } else {
        v6::remove(call.world, at, address);
    }
    Ok(Reply::Done)
}

/// Duplicate address detection takes no time here: what can be checked is checked at once, and what cannot be is not
/// checked before any deadline.
fn settle(call: &mut Call<'_>, on: &Link) -> Result<Reply, Error> {
    let at = call.place(on)?;
    call.device(at, || format!("listing the addresses of {}", describe(on)))?;
    if let Some(address) = v6::check_duplicates(call.world, at) {
        let message = format!("somebody else on the network of {} holds {address} already", describe(on));
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    let waiting = call.device(at, String::new)?.v6.iter().filter(|held| held.tentative);
    let waiting: Vec<String> = waiting.map(|held| held.address.to_string()).collect();
    if waiting.is_empty() {
        return Ok(Reply::Done);
    }
    let message = format!(
        "{} of {} were still being checked for duplicates at the deadline; the link is not operational, without which \
         nothing can be checked",
        waiting.join(", "),
        describe(on)
    );
    Err(Error::new(ErrorKind::TimedOut, message))
}

/// The kernel announces when the hardware address is set, also to what it is; and it forgets its neighbours then.
fn announce(call: &mut Call<'_>, on: &Link) -> Result<Reply, Error> {
    let (at, device) = call.read(on)?;
    let mac = device.mac;
    set_same_mac(call.world, at, mac, on)?;
    Ok(Reply::Done)
}

fn set_same_mac(world: &mut World, at: At, mac: Mac, on: &Link) -> Result<(), Error> {
    let refused_by_kind = world.device(at).is_some_and(|device| device.kind == crate::device::Kind::Ifb);
    if refused_by_kind {
        return Err(refused(libc::EOPNOTSUPP, None, format!("announcing {}", describe(on))));
    }
    world.set_mac(at, mac);
    Ok(())
}
