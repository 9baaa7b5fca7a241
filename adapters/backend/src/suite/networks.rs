//! Networks, and interfaces to them.

use std::net::{IpAddr, Ipv4Addr};

use super::{
    Violation,
    inspection::{Failure, Inspection, ensure, listed, new_tag, nobody},
    leftover::Leftover,
    parts::Pair,
};
use crate::{
    Capability, Interface, InterfaceSpec, InterfaceTarget, Listing, MacAddress, MachineId, Network, NetworkId,
    NetworkSpec, NetworkState, Networks, Subnet,
};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 213, 77, 1);
const WISH: Ipv4Addr = Ipv4Addr::new(10, 213, 77, 9);

pub(super) fn spec() -> NetworkSpec {
    let address = IpAddr::V4(Ipv4Addr::new(10, 213, 77, 0));
    let subnet = Subnet { address, prefix: 28, gateway: Some(GATEWAY.into()), dynamic: true };
    NetworkSpec { tag: new_tag(), name: "contract suite".into(), vlan: None, label: None, subnet: Some(subnet) }
}

pub(super) fn interface(network: &NetworkId) -> InterfaceSpec {
    InterfaceSpec { tag: new_tag(), target: InterfaceTarget::Network(network.clone()), mac: None, address: None }
}

async fn arrive(
    inspection: &Inspection<'_>,
    networks: &dyn Networks,
    check: &'static str,
    id: &NetworkId,
    state: NetworkState,
) -> Result<(), Violation> {
    let look = || networks.network(id);
    inspection.arrive(check, state, NetworkState::Failed, look, |network| network.state).await.map(drop)
}

pub(super) async fn make(
    inspection: &mut Inspection<'_>,
    networks: &dyn Networks,
    spec: &NetworkSpec,
) -> Result<NetworkId, Violation> {
    const CHECK: &str = "create of a network";
    inspection.begin("networks");
    let network = inspection.ask(CHECK, networks.create(spec)).await?;
    inspection.leave(Leftover::Network(network.id.clone()));
    ensure(CHECK, network.tag == spec.tag, "the network carries another tag")?;
    arrive(inspection, networks, CHECK, &network.id, NetworkState::Up).await?;
    Ok(network.id)
}

/// What a network does without a machine.
pub(super) async fn alone(inspection: &mut Inspection<'_>, networks: &dyn Networks) -> Result<(), Violation> {
    inspection.begin("networks");
    unknown(inspection, networks).await?;
    let wanted = spec();
    let id = make(inspection, networks, &wanted).await?;
    found(inspection, networks, &wanted, &id).await?;
    up_and_down(inspection, networks, &id).await?;
    change(inspection, networks, &wanted, &id).await?;
    readdress(inspection, networks, &wanted, &id).await?;
    inspection.begin("networks");
    remove(inspection, networks, &wanted, &id).await?;
    vlan(inspection, networks).await
}

async fn unknown(inspection: &Inspection<'_>, networks: &dyn Networks) -> Result<(), Violation> {
    const CHECK: &str = "unknown network";
    let unknown: NetworkId = nobody(CHECK)?;
    let not_found = Failure::NotFound;
    inspection.fails("facts of an unknown network", not_found, networks.network(&unknown)).await?;
    for up in [true, false] {
        let call = networks.set_up(&unknown, up);
        inspection.fails_if_supported("up or down of an unknown network", not_found, call).await?;
    }
    let other = spec();
    let change = networks.change(&unknown, &other);
    inspection.fails_if_supported("change of an unknown network", not_found, change).await?;
    inspection.ask("delete of an unknown network", networks.delete(&unknown)).await?;
    let machine: MachineId = nobody(CHECK)?;
    let wish = interface(&unknown);
    let plug = networks.plug(&machine, &wish);
    inspection.fails("plug into an unknown machine", not_found, plug).await?;
    inspection.ask("unplug from an unknown machine", networks.unplug(&machine, new_tag())).await?;
    let by_tag = inspection.ask(CHECK, networks.find_by_tag(new_tag())).await?;
    ensure(CHECK, by_tag.is_none(), "an unknown tag finds a network")
}

async fn found(
    inspection: &mut Inspection<'_>,
    networks: &dyn Networks,
    wanted: &NetworkSpec,
    id: &NetworkId,
) -> Result<(), Violation> {
    const CHECK: &str = "second create of a network";
    let again = inspection.ask(CHECK, networks.create(wanted)).await?;
    inspection.leave(Leftover::Network(again.id.clone()));
    ensure(CHECK, again.id == *id, "one tag made two networks")?;
    let found = inspection.ask(CHECK, networks.find_by_tag(wanted.tag)).await?;
    ensure(CHECK, found.is_some_and(|found| found.id == *id), "the tag does not find the network")?;
    const LIST: &str = "list of networks";
    let once = |all: &Listing<Network>| all.objects.iter().filter(|network| network.tag == wanted.tag).count() == 1;
    let listing = inspection.becomes(LIST, || networks.networks(), once, "the network is not listed once").await?;
    listed(LIST, listing).map(drop)
}

async fn up_and_down(inspection: &Inspection<'_>, networks: &dyn Networks, id: &NetworkId) -> Result<(), Violation> {
    inspection.begin("network down");
    let down = Capability::NetworkDown;
    if !inspection.can(down) {
        return inspection.ask_of(down, "down", networks.set_up(id, false)).await.map(drop);
    }
    for (check, up, state) in [
        ("up of a network that is up", true, NetworkState::Up),
        ("down", false, NetworkState::Down),
        ("down of a network that is down", false, NetworkState::Down),
        ("up", true, NetworkState::Up),
    ] {
        inspection.ask(check, networks.set_up(id, up)).await?;
        arrive(inspection, networks, check, id, state).await?;
    }
    Ok(())
}

async fn change(
    inspection: &mut Inspection<'_>,
    networks: &dyn Networks,
    wanted: &NetworkSpec,
    id: &NetworkId,
) -> Result<(), Violation> {
    const CHECK: &str = "change of a network";
    inspection.begin("network change");
    let other = NetworkSpec { tag: new_tag(), name: "contract suite, changed".into(), ..wanted.clone() };
    for _ in 0..2 {
        if inspection.ask_if_supported(CHECK, networks.change(id, &other)).await?.is_none() {
            return Ok(());
        }
    }
    let network = inspection.ask(CHECK, networks.network(id)).await?;
    ensure(CHECK, network.tag == wanted.tag, "the tag changed with the rest")?;
    let found = inspection.ask(CHECK, networks.find_by_tag(other.tag)).await?;
    ensure(CHECK, found.is_none(), "the change made a network of its own")?;
    arrive(inspection, networks, CHECK, id, NetworkState::Up).await
}

async fn readdress(
    inspection: &Inspection<'_>,
    networks: &dyn Networks,
    wanted: &NetworkSpec,
    id: &NetworkId,
) -> Result<(), Violation> {
    const CHECK: &str = "other addresses of a network";
    inspection.begin("network readdress");
    let address = IpAddr::V4(Ipv4Addr::new(10, 213, 78, 0));
    let gateway = Some(IpAddr::V4(Ipv4Addr::new(10, 213, 78, 1)));
    let subnet = Some(Subnet { address, prefix: 28, gateway, dynamic: true });
    let other = NetworkSpec { subnet, ..wanted.clone() };
    let change = networks.change(id, &other);
    if inspection.wish(Capability::NetworkReaddress, CHECK, change).await?.is_none() {
        return Ok(());
    }
    arrive(inspection, networks, CHECK, id, NetworkState::Up).await
}

/// A VLAN is granted or refused.
async fn vlan(inspection: &mut Inspection<'_>, networks: &dyn Networks) -> Result<(), Violation> {
    const CHECK: &str = "network with a VLAN of choice";
    inspection.begin("vlan of choice");
    // Another one each time, since other tenants have some.
    let tag = new_tag();
    let [.., a, b] = *tag.0.as_bytes();
    let vlan = Some(2 + u16::from_be_bytes([a, b]) % 4000);
    let wanted = NetworkSpec { tag, vlan, ..spec() };
    let outcome = inspection.wish(Capability::VlanOfChoice, CHECK, networks.create(&wanted)).await;
    let found = inspection.ask(CHECK, networks.find_by_tag(tag)).await?;
    if let Some(found) = &found {
        inspection.leave(Leftover::Network(found.id.clone()));
    }
    match (outcome?, found) {
        (Some(network), _) => {
            arrive(inspection, networks, CHECK, &network.id, NetworkState::Up).await?;
            inspection.ask(CHECK, networks.delete(&network.id)).await
        }
        (None, found) => ensure(CHECK, found.is_none(), "a refused create leaves a network"),
    }
}

async fn remove(
    inspection: &Inspection<'_>,
    networks: &dyn Networks,
    wanted: &NetworkSpec,
    id: &NetworkId,
) -> Result<(), Violation> {
    const CHECK: &str = "after the delete of a network";
    inspection.ask("delete of a network", networks.delete(id)).await?;
    inspection.vanishes(CHECK, || networks.network(id)).await?;
    let find = || networks.find_by_tag(wanted.tag);
    inspection.becomes(CHECK, find, Option::is_none, "the tag still finds the network").await?;
    let gone = |all: &Listing<Network>| all.objects.iter().all(|network| network.tag != wanted.tag);
    inspection.becomes(CHECK, || networks.networks(), gone, "the network is still listed").await?;
    inspection.ask("second delete of a network", networks.delete(id)).await
}

/// A network and two machines that are off.
pub(super) async fn in_machines(
    inspection: &mut Inspection<'_>,
    networks: &dyn Networks,
    pair: &Pair,
) -> Result<(), Violation> {
    let id = make(inspection, networks, &spec()).await?;
    inspection.begin("plug");
    let nothing: NetworkId = nobody("plug of an unknown network")?;
    let wish = interface(&nothing);
    let plug = networks.plug(&pair.first, &wish);
    inspection.fails("plug of an unknown network", Failure::NotFound, plug).await?;

    let (one, other) = (interface(&id), interface(&id));
    let first = plug_twice(inspection, networks, &pair.first, &one).await?;
    let second = plug_twice(inspection, networks, &pair.second, &other).await?;
    const APART: &str = "two interfaces";
    ensure(APART, first.mac != second.mac, "both have one Ethernet address")?;
    ensure(APART, first.address.is_none() || first.address != second.address, "both have one IP address")?;
    let taken = [first.mac, second.mac];
    let wishes = [
        mac_of_choice(inspection, networks, pair, &id, taken).await?,
        address_of_choice(inspection, networks, pair, &id).await?,
    ];

    inspection.begin("plug");
    let conflict = Failure::Conflict;
    inspection.ask("unplug of another interface", networks.unplug(&pair.first, new_tag())).await?;
    inspection.fails("delete of a network with interfaces", conflict, networks.delete(&id)).await?;
    for check in ["unplug", "unplug of what is out already"] {
        inspection.ask(check, networks.unplug(&pair.first, one.tag)).await?;
        for wish in wishes.iter().flatten() {
            inspection.ask(check, networks.unplug(&pair.first, wish.tag)).await?;
        }
    }
    inspection.fails("delete of a network with an interface", conflict, networks.delete(&id)).await?;
    inspection.ask("unplug", networks.unplug(&pair.second, other.tag)).await?;
    inspection.ask_once_free("delete of a network without interfaces", || networks.delete(&id)).await
}

async fn plug_twice(
    inspection: &Inspection<'_>,
    networks: &dyn Networks,
    machine: &MachineId,
    wanted: &InterfaceSpec,
) -> Result<Interface, Violation> {
    const CHECK: &str = "plug";
    let there = inspection.ask(CHECK, networks.plug(machine, wanted)).await?;
    ensure(CHECK, there.tag == wanted.tag, "the interface carries another tag")?;
    ensure(CHECK, !there.device.is_empty(), "the device has no name")?;
    ensure(CHECK, there.mac.0[0] & 1 == 0, format!("{} is an address of many", there.mac))?;
    if let Some(IpAddr::V4(address)) = there.address
        && matches!(wanted.target, InterfaceTarget::Network(_))
    {
        let [a, b, c, d] = address.octets();
        let inside = [a, b, c] == [10, 213, 77] && (1..15).contains(&d) && address != GATEWAY;
        ensure(CHECK, inside, format!("{address} is no address for a machine on this network"))?;
    }
    let again = inspection.ask("second plug", networks.plug(machine, wanted)).await?;
    ensure("second plug", again == there, format!("{again:?}, and before {there:?}"))?;
    Ok(there)
}

/// A wish is granted or refused, and nobody gets what another has.
async fn mac_of_choice(
    inspection: &Inspection<'_>,
    networks: &dyn Networks,
    pair: &Pair,
    id: &NetworkId,
    taken: [MacAddress; 2],
) -> Result<Option<InterfaceSpec>, Violation> {
    const CHECK: &str = "plug with an Ethernet address of choice";
    inspection.begin("mac of choice");
    let [.., a, b, c] = *new_tag().0.as_bytes();
    let mac = MacAddress([0x02, 0, 0, a, b, c]);
    ensure(CHECK, !taken.contains(&mac), "an Ethernet address by chance: try again")?;
    let wanted = InterfaceSpec { mac: Some(mac), ..interface(id) };
    let plug = networks.plug(&pair.first, &wanted);
    let Some(there) = inspection.wish(Capability::MacOfChoice, CHECK, plug).await? else { return Ok(None) };
    ensure(CHECK, there.mac == mac, format!("{} was given instead of {mac}", there.mac))?;
    let same = InterfaceSpec { mac: Some(mac), ..interface(id) };
    let plug = networks.plug(&pair.second, &same);
    inspection.fails("plug with a taken Ethernet address", Failure::Conflict, plug).await?;
    Ok(Some(wanted))
}

async fn address_of_choice(
    inspection: &Inspection<'_>,
    networks: &dyn Networks,
    pair: &Pair,
    id: &NetworkId,
) -> Result<Option<InterfaceSpec>, Violation> {
    const CHECK: &str = "plug with an IP address of choice";
    inspection.begin("address of choice");
    let wanted = InterfaceSpec { address: Some(WISH.into()), ..interface(id) };
    let plug = networks.plug(&pair.first, &wanted);
    let Some(there) = inspection.wish(Capability::AddressOfChoice, CHECK, plug).await? else { return Ok(None) };
    let known = there.address.is_none_or(|address| address == WISH);
    ensure(CHECK, known, format!("{:?} was given instead of {WISH}", there.address))?;
    let same = InterfaceSpec { address: Some(WISH.into()), ..interface(id) };
    let plug = networks.plug(&pair.second, &same);
    inspection.fails("plug with a taken IP address", Failure::Conflict, plug).await?;
    Ok(Some(wanted))
}

/// An interface of a running machine.
pub(super) async fn join(
    inspection: &mut Inspection<'_>,
    networks: &dyn Networks,
    machine: &MachineId,
) -> Result<NetworkId, Violation> {
    let id = make(inspection, networks, &spec()).await?;
    plug_twice(inspection, networks, machine, &interface(&id)).await?;
    Ok(id)
}

/// The machine that had the interface is gone.
pub(super) async fn freed(
    inspection: &Inspection<'_>,
    networks: &dyn Networks,
    id: &NetworkId,
) -> Result<(), Violation> {
    inspection.ask_once_free("delete of a network whose machine is gone", || networks.delete(id)).await
}
