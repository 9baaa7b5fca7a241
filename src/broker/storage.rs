//! Storages: the volume that a site is asked for.

use std::collections::BTreeMap;

use backend::{IntentTag, VolumeSpec};
use occi_schema::{
    AttributeName, Value,
    well_known::attribute::{STORAGE_SIZE, TITLE},
};
use uuid::Uuid;

use super::{
    BrokerError,
    compute::{GIB, invalid, number, whole},
};
use crate::store::entity::Entity;

/// Largest volume, in GiB; sites have bounds of their own below it.
const MOST_GIB: f64 = 65_536.0;
const SECTOR: u64 = 512;

/// The volume for a storage with these attributes.
///
/// # Errors
/// [`BrokerError::Invalid`], naming the attribute.
pub fn volume(attributes: &BTreeMap<AttributeName, Value>, id: Uuid) -> Result<VolumeSpec, BrokerError> {
    Ok(VolumeSpec {
        tag: IntentTag(Uuid::now_v7()),
        name: attributes.get(&TITLE).and_then(Value::as_str).map_or_else(|| id.to_string(), str::to_owned),
        size_bytes: size_bytes(number(attributes, &STORAGE_SIZE)?)?,
    })
}

/// A capacity in GiB as bytes, in whole sectors.
///
/// # Errors
/// [`BrokerError::Invalid`] when no disk is that large or small.
pub fn size_bytes(gib: f64) -> Result<u64, BrokerError> {
    if gib > 0.0 && gib <= MOST_GIB {
        Ok(whole(gib * GIB).div_ceil(SECTOR) * SECTOR)
    } else {
        Err(invalid(&STORAGE_SIZE, "must be above 0 and at most 65536 GiB"))
    }
}

/// The bytes of a volume that is to grow to `gib`.
///
/// # Errors
/// [`BrokerError::Invalid`] when it would shrink: what is beyond the end would be lost.
pub fn larger(entity: &Entity, gib: f64) -> Result<u64, BrokerError> {
    let now = size_bytes(number(&entity.attributes, &STORAGE_SIZE)?)?;
    let wanted = size_bytes(gib)?;
    if wanted < now {
        return Err(invalid(&STORAGE_SIZE, "can only grow: what stands beyond the new end would be lost"));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_sectors() {
        assert_eq!(size_bytes(20.0).unwrap(), 20 << 30);
        assert_eq!(size_bytes(0.5).unwrap(), 1 << 29);
        assert_eq!(size_bytes(1e-9).unwrap(), 512);
        for bad in [0.0, -1.0, 65_537.0, f64::NAN, f64::INFINITY] {
            assert!(size_bytes(bad).is_err(), "{bad}");
        }
    }
}
