//! The service's documents, as far as they are needed: lenient about what is not, strict about what is.
//!
//! Numbers and texts come with CDATA or without, absent ones as empty elements; the service's own XML schemas do not
//! hold for all its answers, so nothing is checked against them.

mod datastore;
mod host;
mod image;
mod network;
mod quotas;
mod security_group;
mod vm;

#[cfg(test)]
mod tests;

pub(crate) use datastore::DatastoreDocument;
pub(crate) use host::HostDocument;
pub(crate) use image::{ImageDocument, ImageState};
pub(crate) use network::{NetworkDocument, NetworkStanding};
pub(crate) use quotas::{Figure, QuotaFigures, UserDocument};
pub(crate) use security_group::SecurityGroupDocument;
pub(crate) use vm::{Disk, Nic, VmDocument, VmSnapshot};

use crate::{names::Id, xml::Element};

/// Why an object cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable(String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Unreadable> for backend::BackendError {
    fn from(unreadable: Unreadable) -> Self {
        Self::Failed(format!("OpenNebula answers nonsense: {unreadable}"))
    }
}

/// A document of one kind of object.
pub(crate) trait Document: Sized {
    /// The name of its element.
    const ELEMENT: &'static str;

    /// Reads it.
    fn read(element: &Element) -> Result<Self, Unreadable>;
}

/// The object's name at the service.
fn id_of(element: &Element) -> Result<Id, Unreadable> {
    let named = element.text_of("NAME").unwrap_or("without a name");
    element.value_of("ID").ok_or_else(|| Unreadable(format!("{} {}: its ID is no number", element.name, short(named))))
}

/// A number without which the object is nothing.
fn number<T: std::str::FromStr>(element: &Element, name: &str) -> Result<T, Unreadable> {
    element.value_of(name).ok_or_else(|| {
        let id = element.text_of("ID").unwrap_or("?");
        let said = element.text_of(name).unwrap_or_default();
        Unreadable(format!("{} {}: its {name} is {:?}, no number", element.name, short(id), short(said)))
    })
}

/// The object's own name. No name is longer than 128 characters; what is much longer is an attack or a defect.
fn name_of(element: &Element) -> Result<String, Unreadable> {
    let name = element.text_of("NAME").unwrap_or_default();
    if name.len() > backend::Machine::MOST_NAME_BYTES {
        let id = element.text_of("ID").unwrap_or("?");
        return Err(Unreadable(format!("{} {}: its name has {} bytes", element.name, short(id), name.len())));
    }
    Ok(name.to_owned())
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A message for people that an attribute holds.
fn message(element: Option<&Element>, name: &str) -> Option<String> {
    element?.text_of(name).map(backend_http::quoted)
}
