//! How large machines are: by attributes where the server takes them, by its templates where it does not.

use backend::{BackendError, Limits, MachineSize, SizeOffer};
use occi_schema::{
    CategoryId, Value,
    render::Attributes,
    well_known::attribute::{CORES, EPHEMERAL_STORAGE_SIZE, MEMORY},
};

use crate::{model::DISK_SIZE, options::OcciOptions, peer::Peer, reading::Entity, units};

/// The largest disk that a Tombolo asks anybody for.
const MOST_DISK_BYTES: u64 = 65_536 << 30;

/// The offers of a server that takes no other sizes.
pub(crate) fn offers(peer: &Peer) -> Vec<SizeOffer> {
    if peer.dialect.sizes_of_choice { Vec::new() } else { peer.categories.sizes().map(|(_, offer)| offer).collect() }
}

/// The most that one machine may have.
pub(crate) fn limits(peer: &Peer, options: &OcciOptions, has_volumes: bool) -> Limits {
    let offers = offers(peer);
    let most = |of: fn(&SizeOffer) -> u64| offers.iter().map(of).max();
    let takes_any_disk = peer.categories.disk_of_choice().is_some() || peer.dialect.usual_disk_bytes.is_none();
    let disk_bytes = if takes_any_disk { MOST_DISK_BYTES } else { peer.dialect.usual_disk_bytes.unwrap_or_default() };
    Limits {
        cores: offers.iter().map(|offer| offer.size.cores).max().unwrap_or(options.most_cores),
        memory_mib: most(|offer| offer.size.memory_mib).unwrap_or(options.most_memory_mib),
        disk_bytes: most(|offer| offer.size.disk_bytes).filter(|most| *most > 0).unwrap_or(disk_bytes),
        volume_bytes: if has_volumes { MOST_DISK_BYTES } else { 0 },
    }
}

/// Whether a machine may be so large.
///
/// # Errors
/// [`BackendError::Refused`], naming what is too much.
pub(crate) fn check(peer: &Peer, options: &OcciOptions, size: MachineSize) -> Result<(), BackendError> {
    let limits = limits(peer, options, false);
    for (what, wanted, most) in [
        ("cores", u64::from(size.cores), u64::from(limits.cores)),
        ("MiB of memory", size.memory_mib, limits.memory_mib),
        ("bytes of disk", size.disk_bytes, limits.disk_bytes),
    ] {
        if wanted > most {
            return Err(BackendError::Refused(format!("{wanted} {what}, {most} are the most for a machine there")));
        }
    }
    Ok(())
}

/// Writes the wanted size into a creation.
///
/// # Errors
/// [`BackendError::Refused`] where no machine there is so large.
pub(crate) fn wish(
    peer: &Peer,
    options: &OcciOptions,
    size: MachineSize,
    mixins: &mut Vec<CategoryId>,
    attributes: &mut Attributes,
) -> Result<(), BackendError> {
    check(peer, options, size)?;
    if peer.dialect.sizes_of_choice {
        attributes.insert(CORES.clone(), Value::from(i64::from(size.cores)));
        attributes.insert(MEMORY.clone(), Value::Float(units::gib_of_mib(size.memory_mib)));
        wish_disk(peer, size.disk_bytes, mixins, attributes);
        return Ok(());
    }
    let holding = peer.categories.sizes().filter(|(_, offer)| offer.holds(size));
    let least = holding.min_by_key(|(_, offer)| (offer.size.memory_mib, offer.size.cores, offer.size.disk_bytes));
    match least {
        Some((template, _)) => mixins.push(template),
        // Its sizes may be told in no rendering that we speak: then it chooses, or goes by the attributes.
        None if offers(peer).is_empty() => {
            attributes.insert(CORES.clone(), Value::from(i64::from(size.cores)));
            attributes.insert(MEMORY.clone(), Value::Float(units::gib_of_mib(size.memory_mib)));
        }
        None => return Err(BackendError::Refused(format!("none of the server's sizes holds {size:?}"))),
    }
    Ok(())
}

/// Writes the size of the root disk where the server takes any.
pub(crate) fn wish_disk(peer: &Peer, bytes: u64, mixins: &mut Vec<CategoryId>, attributes: &mut Attributes) {
    if let Some((mixin, name)) = peer.categories.disk_of_choice() {
        mixins.push(mixin);
        attributes.insert(name, Value::Float(units::gib_of_bytes(bytes)));
    }
}

/// How large a machine is, if its server tells all of it.
pub(crate) fn of(peer: &Peer, entity: &Entity) -> Option<MachineSize> {
    let disk = entity.named(DISK_SIZE).and_then(|gib| gib.parse().ok());
    let disk = disk.or_else(|| entity.number(&EPHEMERAL_STORAGE_SIZE)).and_then(units::bytes_of_gib);
    Some(MachineSize {
        cores: units::cores(entity.number(&CORES)?)?,
        memory_mib: units::mib_of_gib(entity.number(&MEMORY)?)?,
        disk_bytes: disk.or(peer.dialect.usual_disk_bytes)?,
    })
}
