use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{ForeignFormat, ImageFormat};

/// Why an image cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The operating system refused an operation on a file.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The image's bytes could not be fetched.
    #[error("cannot read the image at byte {offset}: {source}")]
    Read {
        /// Where in the file, in bytes.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The image is damaged, hostile, or needs something that is not allowed.
    #[error("{format} image refused: {field} at byte {offset} {problem}")]
    Refused {
        /// The format that it was read as.
        format: ImageFormat,
        /// The field, named as in the format's specification.
        field: &'static str,
        /// Where the field stands in the file, in bytes.
        offset: u64,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The bytes are of a format without a reader.
    #[error("this is {0}, which is not read; convert it to qcow2 first, or declare it raw to take it as it is")]
    NotReadYet(ForeignFormat),
    /// Something that the format allows and nothing here does.
    #[error("no support for {what}; {instead}")]
    Unsupported {
        /// What was met or asked for.
        what: String,
        /// What to do instead.
        instead: String,
    },
    /// An archive or compressed stream is damaged or hostile, or holds no disk.
    #[error("{container} refused: {problem}")]
    Container {
        /// What kind: `OVA`, `gzip file`.
        container: String,
        /// What is wrong with which part, and what to do.
        problem: String,
    },
    /// The disk does not fit what is to be written.
    #[error("cannot write this disk as {format}: {problem}")]
    Unwritable {
        /// The format asked for.
        format: ImageFormat,
        /// What does not fit, and what to do.
        problem: String,
    },
    /// The target could not be written.
    #[error("cannot write at byte {offset}: {source}")]
    Write {
        /// Where in the target, in bytes.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not of the declared format.
    #[error("declared as {declared}, but {found}; declare what it is")]
    NotAsDeclared {
        /// What was promised.
        declared: ImageFormat,
        /// What the bytes look like, as a clause: `it is a VMDK`.
        found: String,
    },
    /// A read beyond the end of the disk.
    #[error("a read of {length} bytes at {offset} leaves the disk of {size} bytes")]
    OutOfDisk {
        /// First byte asked for.
        offset: u64,
        /// Bytes asked for.
        length: u64,
        /// Size of the disk, in bytes.
        size: u64,
    },
    /// What was asked to be written cannot be written.
    #[error("cannot write the overlay {}: {problem}", path.display())]
    Overlay {
        /// The file that was to be made.
        path: PathBuf,
        /// What is wrong with the request, and what to do.
        problem: String,
    },
    /// The one who asked does not want the answer any more.
    #[error("cancelled")]
    Cancelled,
}
