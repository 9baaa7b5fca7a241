//! What a backend says of itself, and finds when it is asked to look.

use std::collections::BTreeSet;

use super::{
    Violation,
    inspection::{Inspection, broken, ensure},
};
use crate::{Capability, Description, MachineSize, Particulars, Verdict};

/// Of a description, in bytes of JSON: it is polled, and stored.
const MOST_BYTES: usize = 1 << 20;
/// Of a sentence or a name, in characters.
const MOST_CHARACTERS: usize = 1024;
const MOST_FINDINGS: usize = 200;
/// The least machine that anybody could use.
const LEAST_MEMORY_MIB: u64 = 128;

pub(super) async fn verify(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    inspection.begin("description");
    let description = &inspection.description;
    leaves_room(description)?;
    is_bounded(description)?;
    sizes(description)?;
    is_of_one_piece(inspection)?;
    check(inspection).await
}

fn leaves_room(description: &Description) -> Result<(), Violation> {
    const CHECK: &str = "description";
    ensure(CHECK, description.obstacle.is_none(), format!("an obstacle: {:?}", description.obstacle))?;
    ensure(CHECK, !description.architectures.is_empty(), "no architecture is named")?;
    let formats = &description.image_formats;
    ensure(CHECK, !formats.is_empty(), "no image format is taken")?;
    let distinct: BTreeSet<_> = formats.iter().map(ToString::to_string).collect();
    ensure(CHECK, distinct.len() == formats.len(), format!("a format is named twice: {formats:?}"))?;
    let limits = description.limits;
    let room = limits.cores >= 1 && limits.memory_mib >= LEAST_MEMORY_MIB && limits.disk_bytes > 0;
    ensure(CHECK, room, format!("limits leave no machine: {limits:?}"))
}

fn is_bounded(description: &Description) -> Result<(), Violation> {
    const CHECK: &str = "bounds of the description";
    let length = serde_json::to_vec(description).map_err(|error| broken(CHECK, error.to_string()))?.len();
    ensure(CHECK, length <= MOST_BYTES, format!("it has {length} bytes of JSON, {MOST_BYTES} are the most"))?;
    let Particulars { hosts, disk_buses, network_cards, networks, prices, brokers, .. } = &description.particulars;
    let said = [&description.software, &description.hypervisor].into_iter();
    let of_hosts = hosts.iter().flat_map(|host| {
        [Some(&host.hypervisor), host.version.as_ref(), host.cpu_model.as_ref()]
            .into_iter()
            .flatten()
            .chain(&host.cpu_flags)
    });
    let of_networks = networks.iter().flat_map(|network| [&network.id, &network.name]);
    let of_prices = prices.iter().map(|price| &price.currency);
    let of_sizes = description.sizes.iter().flat_map(|offer| [&offer.id, &offer.name]);
    let others = disk_buses.iter().chain(network_cards).chain(brokers);
    for text in said.chain(of_hosts).chain(of_networks).chain(of_prices).chain(of_sizes).chain(others) {
        is_readable(CHECK, text)?;
    }
    ensure(CHECK, !description.software.is_empty(), "the software has no name")
}

fn is_readable(check: &'static str, text: &str) -> Result<(), Violation> {
    let length = text.chars().count();
    ensure(check, length <= MOST_CHARACTERS, format!("a text of {length} characters, {MOST_CHARACTERS} are the most"))?;
    ensure(check, !text.contains(char::is_control), format!("a text does not print: {text:?}"))
}

/// Each offer can be ordered, and has a name of its own.
fn sizes(description: &Description) -> Result<(), Violation> {
    const CHECK: &str = "sizes";
    let limits = description.limits;
    let names: BTreeSet<_> = description.sizes.iter().map(|offer| &offer.id).collect();
    ensure(CHECK, names.len() == description.sizes.len(), "two offers have one name")?;
    for offer in &description.sizes {
        let MachineSize { cores, memory_mib, disk_bytes } = offer.size;
        let within = (1..=limits.cores).contains(&cores)
            && (1..=limits.memory_mib).contains(&memory_mib)
            && disk_bytes <= limits.disk_bytes;
        ensure(CHECK, within, format!("{offer:?} is no size within {limits:?}"))?;
    }
    Ok(())
}

/// The parts that are there are those that are declared.
fn is_of_one_piece(inspection: &Inspection<'_>) -> Result<(), Violation> {
    const CHECK: &str = "description of the parts";
    let backend = inspection.backend();
    let has_volumes = backend.volumes().is_some();
    let room = inspection.description.limits.volume_bytes > 0;
    ensure(CHECK, room == has_volumes, "the limit of a volume does not tell whether there are any")?;
    for (capability, there) in
        [(Capability::Snapshots, backend.snapshots().is_some()), (Capability::Events, backend.events().is_some())]
    {
        let declared = inspection.can(capability);
        ensure(CHECK, declared == there, format!("to {capability} is declared: {declared}, is there: {there}"))?;
    }
    for capability in
        [Capability::VolumeOffline, Capability::VolumeResize, Capability::VolumeBackup, Capability::VolumeSnapshot]
    {
        let declared = inspection.can(capability);
        ensure(CHECK, has_volumes || !declared, format!("to {capability} is declared, but there are no volumes"))?;
    }
    Ok(())
}

/// A backend that the suite can be run on has nothing against itself, and says so in few words.
async fn check(inspection: &Inspection<'_>) -> Result<(), Violation> {
    const CHECK: &str = "check";
    inspection.begin(CHECK);
    let look = async { Ok(inspection.backend().check().await) };
    let findings = inspection.ask(CHECK, look).await?;
    ensure(CHECK, !findings.is_empty(), "nothing was looked at")?;
    let count = findings.len();
    ensure(CHECK, count <= MOST_FINDINGS, format!("{count} findings, {MOST_FINDINGS} are the most"))?;
    for finding in &findings {
        is_readable(CHECK, &finding.subject)?;
        is_readable(CHECK, &finding.detail)?;
        ensure(CHECK, !finding.subject.is_empty(), format!("a finding about nothing: {finding:?}"))?;
        ensure(CHECK, finding.verdict != Verdict::Bad, format!("it would not work: {finding:?}"))?;
    }
    Ok(())
}
