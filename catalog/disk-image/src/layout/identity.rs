use serde::{Deserialize, Serialize};

/// What tells an image from all others, for formats whose files carry an identifier: VMDK, VHD, VHDX, VDI.
///
/// The same disk gets the same identifiers, so that the same request gives the same bytes, and different disks
/// different ones, since programs like `VirtualBox` refuse to register two disks of one identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identity([u8; 16]);

impl Identity {
    /// From bytes that are as good as random, such as the first 16 of a digest.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A UUID (RFC 9562 version 8, in the order that is printed) for one use of several: `purpose` tells them apart.
    #[must_use]
    pub fn uuid(&self, purpose: &str) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"tombolo image identity");
        hasher.update(&self.0);
        hasher.update(purpose.as_bytes());
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        uuid[6] = uuid[6] & 0x0f | 0x80;
        uuid[8] = uuid[8] & 0x3f | 0x80;
        uuid
    }

    /// 32 bits for one use of several, as [`Identity::uuid`].
    #[must_use]
    pub fn word(&self, purpose: &str) -> u32 {
        let uuid = self.uuid(purpose);
        u32::from_le_bytes([uuid[0], uuid[1], uuid[2], uuid[3]])
    }
}
