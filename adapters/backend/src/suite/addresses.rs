//! Reserved addresses.

use super::{
    Violation,
    inspection::{Failure, Inspection, ensure, new_tag, nobody},
    leftover::Leftover,
    parts::Pair,
};
use crate::{
    AddressId, AddressSpec, Addresses, Capability, InterfaceSpec, InterfaceTarget, MachineId, Networks, ReservedAddress,
};

fn spec() -> AddressSpec {
    AddressSpec { tag: new_tag(), wanted: None }
}

fn interface(address: &AddressId) -> InterfaceSpec {
    InterfaceSpec { tag: new_tag(), target: InterfaceTarget::Address(address.clone()), mac: None, address: None }
}

async fn make(
    inspection: &mut Inspection<'_>,
    addresses: &dyn Addresses,
    spec: &AddressSpec,
) -> Result<ReservedAddress, Violation> {
    const CHECK: &str = "reservation";
    inspection.begin("addresses");
    let reserved = inspection.ask(CHECK, addresses.reserve(spec)).await?;
    inspection.leave(Leftover::Address(reserved.id.clone()));
    ensure(CHECK, reserved.tag == spec.tag, "the address carries another tag")?;
    ensure(CHECK, !reserved.used, "a new reservation is used already")?;
    Ok(reserved)
}

async fn is_used(
    inspection: &Inspection<'_>,
    addresses: &dyn Addresses,
    check: &'static str,
    id: &AddressId,
    used: bool,
) -> Result<(), Violation> {
    let otherwise = format!("used: {}", !used);
    let look = || addresses.address(id);
    inspection.becomes(check, look, |seen: &ReservedAddress| seen.used == used, &otherwise).await.map(drop)
}

/// What a reservation does without a machine.
pub(super) async fn alone(inspection: &mut Inspection<'_>, addresses: &dyn Addresses) -> Result<(), Violation> {
    inspection.begin("addresses");
    unknown(inspection, addresses).await?;
    let wanted = spec();
    let reserved = make(inspection, addresses, &wanted).await?;
    let check = "second reservation";
    let again = inspection.ask(check, addresses.reserve(&wanted)).await?;
    inspection.leave(Leftover::Address(again.id.clone()));
    ensure(check, again == reserved, format!("{again:?}, and before {reserved:?}"))?;
    let found = inspection.ask(check, addresses.find_by_tag(wanted.tag)).await?;
    ensure(check, found.as_ref() == Some(&reserved), format!("the tag finds {found:?}, not {reserved:?}"))?;
    let seen = inspection.ask(check, addresses.address(&reserved.id)).await?;
    ensure(check, seen == reserved, format!("{seen:?}, and before {reserved:?}"))?;

    taken(inspection, addresses, &reserved).await?;
    inspection.ask("release", addresses.release(&reserved.id)).await?;
    let check = "after a release";
    inspection.vanishes(check, || addresses.address(&reserved.id)).await?;
    let find = || addresses.find_by_tag(wanted.tag);
    inspection.becomes(check, find, Option::is_none, "the tag still finds the address").await?;
    inspection.ask("second release", addresses.release(&reserved.id)).await
}

async fn unknown(inspection: &Inspection<'_>, addresses: &dyn Addresses) -> Result<(), Violation> {
    const CHECK: &str = "unknown address";
    let unknown: AddressId = nobody(CHECK)?;
    inspection.fails("facts of an unknown address", Failure::NotFound, addresses.address(&unknown)).await?;
    inspection.ask("release of an unknown address", addresses.release(&unknown)).await?;
    let by_tag = inspection.ask(CHECK, addresses.find_by_tag(new_tag())).await?;
    ensure(CHECK, by_tag.is_none(), "an unknown tag finds an address")
}

/// What one has, another does not get.
async fn taken(
    inspection: &mut Inspection<'_>,
    addresses: &dyn Addresses,
    reserved: &ReservedAddress,
) -> Result<(), Violation> {
    const CHECK: &str = "reservation of a taken address";
    inspection.begin("reservation of choice");
    let envious = AddressSpec { wanted: Some(reserved.address), ..spec() };
    // Where nobody may choose, that is the reason.
    let choosing = inspection.can(Capability::ReservationOfChoice);
    let outcome = if choosing {
        inspection.fails(CHECK, Failure::Conflict, addresses.reserve(&envious)).await
    } else {
        let wish = addresses.reserve(&envious);
        inspection.wish(Capability::ReservationOfChoice, CHECK, wish).await.map(drop)
    };
    let found = inspection.ask(CHECK, addresses.find_by_tag(envious.tag)).await?;
    if let Some(found) = &found {
        inspection.leave(Leftover::Address(found.id.clone()));
    }
    outcome?;
    ensure(CHECK, found.is_none(), "a failed reservation leaves one")?;
    if choosing {
        chosen_again(inspection, addresses).await?;
    }
    let other = make(inspection, addresses, &spec()).await?;
    ensure("two reservations", other.address != reserved.address, "both have one address")?;
    inspection.ask("release", addresses.release(&other.id)).await
}

/// What was given back can be chosen, unless somebody else has been faster.
async fn chosen_again(inspection: &mut Inspection<'_>, addresses: &dyn Addresses) -> Result<(), Violation> {
    const CHECK: &str = "reservation of choice";
    let before = make(inspection, addresses, &spec()).await?;
    inspection.ask("release", addresses.release(&before.id)).await?;
    inspection.begin(CHECK);
    let wish = AddressSpec { wanted: Some(before.address), ..spec() };
    let chosen = inspection.ask_once_free(CHECK, || addresses.reserve(&wish)).await?;
    inspection.leave(Leftover::Address(chosen.id.clone()));
    ensure(CHECK, chosen.address == before.address, format!("{} was given instead", chosen.address))?;
    inspection.ask("release", addresses.release(&chosen.id)).await
}

/// A reservation and two machines that are off.
pub(super) async fn in_machines(
    inspection: &mut Inspection<'_>,
    addresses: &dyn Addresses,
    networks: &dyn Networks,
    pair: &Pair,
) -> Result<(), Violation> {
    inspection.begin("address on a machine");
    let nothing: AddressId = nobody("plug of an unknown address")?;
    let wish = interface(&nothing);
    let plug = networks.plug(&pair.first, &wish);
    inspection.fails("plug of an unknown address", Failure::NotFound, plug).await?;

    let reserved = make(inspection, addresses, &spec()).await?;
    inspection.begin("address on a machine");
    let wanted = interface(&reserved.id);
    put_on(inspection, networks, &pair.first, &wanted, &reserved).await?;
    is_used(inspection, addresses, "address of a machine", &reserved.id, true).await?;
    let conflict = Failure::Conflict;
    inspection.fails("release of a used address", conflict, addresses.release(&reserved.id)).await?;
    let wish = interface(&reserved.id);
    let elsewhere = networks.plug(&pair.second, &wish);
    inspection.fails("plug of a used address", conflict, elsewhere).await?;

    inspection.ask("unplug", networks.unplug(&pair.first, wanted.tag)).await?;
    is_used(inspection, addresses, "address after an unplug", &reserved.id, false).await?;
    inspection.ask_once_free("release of an address that was used", || addresses.release(&reserved.id)).await
}

async fn put_on(
    inspection: &Inspection<'_>,
    networks: &dyn Networks,
    machine: &MachineId,
    wanted: &InterfaceSpec,
    reserved: &ReservedAddress,
) -> Result<(), Violation> {
    const CHECK: &str = "plug of a reserved address";
    let there = inspection.ask(CHECK, networks.plug(machine, wanted)).await?;
    ensure(CHECK, there.address == Some(reserved.address), format!("the interface has {:?}", there.address))?;
    let again = inspection.ask(CHECK, networks.plug(machine, wanted)).await?;
    ensure(CHECK, again == there, format!("{again:?}, and before {there:?}"))
}

/// The address of a running machine.
pub(super) async fn join(
    inspection: &mut Inspection<'_>,
    addresses: &dyn Addresses,
    networks: &dyn Networks,
    machine: &MachineId,
) -> Result<AddressId, Violation> {
    let reserved = make(inspection, addresses, &spec()).await?;
    put_on(inspection, networks, machine, &interface(&reserved.id), &reserved).await?;
    Ok(reserved.id)
}

/// The machine that had the address is gone.
pub(super) async fn freed(
    inspection: &Inspection<'_>,
    addresses: &dyn Addresses,
    id: &AddressId,
) -> Result<(), Violation> {
    const CHECK: &str = "address of a deleted machine";
    is_used(inspection, addresses, CHECK, id, false).await?;
    inspection.ask_once_free(CHECK, || addresses.release(id)).await
}
