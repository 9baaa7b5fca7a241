use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt, fs::FileExt, fs::OpenOptionsExt},
    path::Path,
};

use super::MAGIC;
use crate::{ImageError, ImageFormat, LARGEST_DISK, SECTOR};

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Guest bytes that one L1 entry leads to: a cluster full of 8-byte L2 entries.
const GUEST_BYTES_PER_L1_ENTRY: u64 = CLUSTER / 8 * CLUSTER;
const HEADER_LENGTH: u32 = 112;
const BACKING_FORMAT_EXTENSION: u32 = 0xe279_2aca;
const LONGEST_BACKING_NAME: usize = 1023;
const REFCOUNT_ORDER_16_BIT: u32 = 4;

const REFCOUNT_TABLE: u64 = CLUSTER;
const REFCOUNT_BLOCK: u64 = 2 * CLUSTER;
const L1_TABLE: u64 = 3 * CLUSTER;

/// An empty overlay to be made.
#[derive(Debug, Clone, Copy)]
pub struct OverlaySpec<'a> {
    /// The file to make. It must not exist.
    pub path: &'a Path,
    /// The file that shows through, absolute so that QEMU can take it for nothing but a path.
    pub backing: &'a Path,
    /// How QEMU must read the backing file; written down so that it never guesses.
    pub backing_format: ImageFormat,
    /// What the guest sees, in bytes: a multiple of 512, at most [`LARGEST_DISK`], no less than a raw backing.
    pub virtual_size: u64,
}

/// Makes an empty qcow2 (version 3) over `backing`, readable by its owner alone, and on the disk when this returns.
/// The same request gives the same bytes. A failed call leaves no file.
///
/// # Errors
/// [`ImageError::Overlay`] for a request that cannot be met, [`ImageError::File`] when the system refuses, among
/// others because the file exists already.
pub fn create_overlay(spec: &OverlaySpec<'_>) -> Result<(), ImageError> {
    check(spec)?;
    let refused = |operation| move |source| ImageError::File { operation, path: spec.path.to_owned(), source };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(spec.path)
        .map_err(refused("create the overlay"))?;
    let written = write(&file, spec).and_then(|()| sync_directory_of(spec.path));
    if written.is_err() {
        // The first error is the one to report; a file that cannot be removed either is found by its owner.
        let _ = fs::remove_file(spec.path);
    }
    written.map_err(refused("write the overlay"))
}

fn check(spec: &OverlaySpec<'_>) -> Result<(), ImageError> {
    let refuse = |problem: String| Err(ImageError::Overlay { path: spec.path.to_owned(), problem });
    let name = spec.backing.as_os_str().as_bytes();
    if !spec.backing.is_absolute() {
        return refuse(format!("the backing path {} must be absolute", spec.backing.display()));
    }
    if name.len() > LONGEST_BACKING_NAME || name.contains(&0) {
        return refuse(format!("the backing path must have at most {LONGEST_BACKING_NAME} bytes and no NUL"));
    }
    if spec.virtual_size == 0 || !spec.virtual_size.is_multiple_of(SECTOR) || spec.virtual_size > LARGEST_DISK {
        return refuse(format!(
            "a size of {} bytes is not a multiple of 512 between 512 and {LARGEST_DISK}",
            spec.virtual_size
        ));
    }
    let backing = fs::metadata(spec.backing).map_err(|source| ImageError::File {
        operation: "find the backing file",
        path: spec.backing.to_owned(),
        source,
    })?;
    if spec.backing_format == ImageFormat::Raw && backing.is_file() && backing.len() > spec.virtual_size {
        return refuse(format!(
            "{} bytes would cut off the end of the backing file, which has {}; ask for a larger disk",
            spec.virtual_size,
            backing.len()
        ));
    }
    Ok(())
}

fn write(file: &File, spec: &OverlaySpec<'_>) -> io::Result<()> {
    let l1_entries = spec.virtual_size.div_ceil(GUEST_BYTES_PER_L1_ENTRY);
    let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER);
    let clusters = L1_TABLE / CLUSTER + l1_clusters;
    // Header, refcounts and L1 are all there is: one refcount each, which one block has room for many times over.
    let refcounts: Vec<u8> = (0..clusters).flat_map(|_| 1_u16.to_be_bytes()).collect();
    // The size comes first, so that the L1 (all zero: nothing is allocated) is a hole.
    file.set_len(clusters * CLUSTER)?;
    file.write_all_at(&refcounts, REFCOUNT_BLOCK)?;
    file.write_all_at(&REFCOUNT_BLOCK.to_be_bytes(), REFCOUNT_TABLE)?;
    file.write_all_at(&header(spec, l1_entries), 0)?;
    file.sync_all()
}

/// The header, its extensions and the name of the backing file: the first cluster's beginning.
fn header(spec: &OverlaySpec<'_>, l1_entries: u64) -> Vec<u8> {
    let name = spec.backing.as_os_str().as_bytes();
    let format = spec.backing_format.name().as_bytes();
    let padded_format = format.len().next_multiple_of(8);
    // The extension's own head, its padded text, and the end marker.
    let name_offset = u64::from(HEADER_LENGTH) + 8 + padded_format as u64 + 8;

    let mut bytes = Vec::with_capacity(2048);
    bytes.extend(MAGIC);
    bytes.extend(3_u32.to_be_bytes());
    bytes.extend(name_offset.to_be_bytes());
    bytes.extend(be32(name.len()));
    bytes.extend(CLUSTER_BITS.to_be_bytes());
    bytes.extend(spec.virtual_size.to_be_bytes());
    bytes.extend(0_u32.to_be_bytes()); // no encryption
    bytes.extend(be32(l1_entries as usize));
    bytes.extend(L1_TABLE.to_be_bytes());
    bytes.extend(REFCOUNT_TABLE.to_be_bytes());
    bytes.extend(1_u32.to_be_bytes()); // clusters of the refcount table
    bytes.extend([0; 12]); // no snapshots
    bytes.extend([0; 24]); // no feature bits of any of the three sorts
    bytes.extend(REFCOUNT_ORDER_16_BIT.to_be_bytes());
    bytes.extend(HEADER_LENGTH.to_be_bytes());
    bytes.extend([0; 8]); // compression type deflate, padding
    bytes.extend(BACKING_FORMAT_EXTENSION.to_be_bytes());
    bytes.extend(be32(format.len()));
    bytes.extend(format);
    bytes.resize(bytes.len() + padded_format - format.len(), 0);
    bytes.extend([0; 8]); // end of the extensions
    bytes.extend(name);
    bytes
}

/// For counts that [`check`] has bounded far below 4 Gi.
fn be32(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes()
}

/// Makes the new name itself durable.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
