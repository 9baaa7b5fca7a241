use sha2::{Digest, Sha256};

use super::{Converted, Work, target_file::TargetFile};
use crate::{DiskView, ImageError, container::OvaEnvelope, vmdk::StreamVmdkFormat};

const PIECE: u64 = 1 << 20;

impl Work<'_> {
    /// Writes an archive of a disk and the description of a machine that has it.
    pub(super) fn write_ova(
        &self,
        view: &dyn DiskView,
        target: TargetFile<'_>,
        format: StreamVmdkFormat,
        envelope: &OvaEnvelope,
    ) -> Result<Converted, ImageError> {
        let mut disk = target.behind(envelope.head_length());
        let converted = self.write_packed(view, &mut disk, format)?;
        // The manifest stands before the disk, whose digest is known only now; its length has been known before.
        let digest = digest(&disk, converted.file_length)?;
        let tail = envelope.tail(converted.file_length);
        disk.write_at(converted.file_length, &tail)?;
        let file = disk.behind(0);
        file.write_at(0, &envelope.head(converted.file_length, digest, converted.stored))?;
        Ok(Converted { file_length: envelope.length(converted.file_length), ..converted })
    }
}

fn digest(file: &TargetFile<'_>, length: u64) -> Result<[u8; 32], ImageError> {
    let mut hasher = Sha256::new();
    let mut bytes = vec![0; usize::try_from(PIECE.min(length)).unwrap_or(0)];
    let mut at = 0;
    while at < length {
        let part = usize::try_from(length - at).unwrap_or(usize::MAX).min(bytes.len());
        file.read_at(at, &mut bytes[..part])?;
        hasher.update(&bytes[..part]);
        at += part as u64;
    }
    Ok(hasher.finalize().into())
}
