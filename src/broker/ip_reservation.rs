//! IP reservations: the address that a site is asked to keep.

use std::collections::BTreeMap;

use backend::{AddressSpec, IntentTag};
use occi_schema::{AttributeName, Value, well_known::attribute::RESERVED_ADDRESS};
use uuid::Uuid;

use super::{BrokerError, network};

/// The address for a reservation with these attributes.
///
/// # Errors
/// [`BrokerError::Invalid`], naming the attribute.
pub fn address(attributes: &BTreeMap<AttributeName, Value>) -> Result<AddressSpec, BrokerError> {
    let wanted = attributes.get(&RESERVED_ADDRESS).and_then(Value::as_str);
    let wanted = wanted.map(|text| network::address(&RESERVED_ADDRESS, text)).transpose()?;
    Ok(AddressSpec { tag: IntentTag(Uuid::now_v7()), wanted })
}
