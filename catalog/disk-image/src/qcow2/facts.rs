use super::{header::Header, image::Qcow2Image};
use crate::Fact;

/// What the file says of itself.
pub(super) fn facts(image: &Qcow2Image) -> Vec<Fact> {
    let Qcow2Image { header, snapshots, usage, .. } = image;
    let cluster = header.cluster();
    let mut facts = vec![
        Fact::new("version", header.geometry.version),
        Fact::new("cluster-size", cluster),
        Fact::new("compression-type", header.compression.name()),
        Fact::new("refcount-bits", 1_u32 << header.refcount_order),
        Fact::new("extended-l2", header.geometry.extended_l2),
        Fact::new("lazy-refcounts", header.lazy_refcounts),
        Fact::new("dirty", header.dirty),
        Fact::new("corrupt", header.corrupt),
        Fact::new("allocated", (usage.plain + usage.packed) * cluster),
        Fact::new("compressed", usage.packed * cluster),
        Fact::new("bitmaps", header.bitmaps.map_or(0, |directory| directory.bitmaps)),
        Fact::new("snapshots", header.snapshots),
    ];
    if !snapshots.names.is_empty() {
        facts.push(Fact::new("snapshot-names", snapshots.names.join(", ")));
    }
    facts
}

/// What is odd and does not change the guest's bytes.
pub(super) fn warnings(header: &Header) -> Vec<String> {
    let mut warnings = Vec::new();
    if header.dirty {
        warnings.push("The image was not closed properly: its refcounts may be stale.".into());
    }
    if header.corrupt {
        warnings.push(
            "The image is marked corrupt: QEMU found a contradiction and stopped writing. Its tables are sound now, but \
             what the guest wrote last may be missing."
                .into(),
        );
    }
    warnings
}
