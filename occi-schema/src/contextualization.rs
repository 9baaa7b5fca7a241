//! SSH keys and user data, whichever of the two families of mixins a client used (sections 5.9 and 7.1).

use std::collections::BTreeMap;

use crate::attribute::AttributeName;
use crate::value::Value;
use crate::well_known::attribute;

/// The SSH public key among an entity's attributes, as one line of an `authorized_keys` file.
#[must_use]
pub fn ssh_public_key(attributes: &BTreeMap<AttributeName, Value>) -> Option<&str> {
    first_text(attributes, &[&attribute::SSH_PUBLIC_KEY, &attribute::OPENSTACK_PUBLIC_KEY_DATA])
}

/// The user data among an entity's attributes, as the client wrote it: base64 or raw.
#[must_use]
pub fn user_data(attributes: &BTreeMap<AttributeName, Value>) -> Option<&str> {
    first_text(attributes, &[&attribute::USER_DATA, &attribute::OPENSTACK_USER_DATA])
}

/// Pairs of attributes that mean the same, the standard's first.
pub(crate) fn families() -> [(&'static AttributeName, &'static AttributeName); 2] {
    [
        (&attribute::SSH_PUBLIC_KEY, &attribute::OPENSTACK_PUBLIC_KEY_DATA),
        (&attribute::USER_DATA, &attribute::OPENSTACK_USER_DATA),
    ]
}

fn first_text<'a>(attributes: &'a BTreeMap<AttributeName, Value>, names: &[&AttributeName]) -> Option<&'a str> {
    names.iter().find_map(|name| attributes.get(*name).and_then(Value::as_str))
}
