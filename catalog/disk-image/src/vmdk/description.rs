use super::unwritable;
use crate::{ImageError, SECTOR, layout::Identity, neighbours::is_plain};

/// What an IDE disk's cylinders, heads and sectors can count, in sectors: 8.4 GB.
const LARGEST_IDE: u64 = 16383 * 16 * 63;
/// The name in a descriptor that lies within the extent itself, where nobody looks for it.
const EMBEDDED_NAME: &str = "disk.vmdk";

/// The text of a disk of `size` bytes whose bytes lie as they are in the file `name` beside the text
/// (monolithicFlat).
///
/// # Errors
/// [`ImageError::Unwritable`] when the name is not that of a file in the same directory, or has a quote.
pub fn flat_descriptor(name: &str, size: u64, identity: &Identity) -> Result<String, ImageError> {
    if !is_plain(name) || name.contains('"') {
        return Err(unwritable(format!("{name:?} is not a plain name of a file; choose another")));
    }
    let sectors = size.div_ceil(SECTOR);
    Ok(describe("monolithicFlat", sectors, &format!("FLAT \"{name}\" 0"), identity))
}

/// The text within a sparse extent that is the whole disk.
pub(super) fn embedded(kind: &str, sectors: u64, identity: &Identity) -> String {
    describe(kind, sectors, &format!("SPARSE \"{EMBEDDED_NAME}\""), identity)
}

fn describe(kind: &str, sectors: u64, extent: &str, identity: &Identity) -> String {
    let (adapter, heads) = if sectors <= LARGEST_IDE { ("ide", 16) } else { ("lsilogic", 255) };
    let cylinders = (sectors / (heads * 63)).max(1);
    // All ones and the number before it mean that there is none.
    let content = identity.word("vmdk content") & 0x7fff_ffff;
    format!(
        "# Disk DescriptorFile\n\
         version=1\n\
         CID={content:08x}\n\
         parentCID=ffffffff\n\
         createType=\"{kind}\"\n\
         \n\
         # Extent description\n\
         RW {sectors} {extent}\n\
         \n\
         # The Disk Data Base\n\
         #DDB\n\
         \n\
         ddb.virtualHWVersion = \"4\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"{heads}\"\n\
         ddb.geometry.sectors = \"63\"\n\
         ddb.adapterType = \"{adapter}\"\n"
    )
}
