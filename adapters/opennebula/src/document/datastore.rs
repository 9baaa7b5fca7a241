use super::{Document, Unreadable, id_of, name_of, number};
use crate::{names::Id, xml::Element};

/// A datastore.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DatastoreDocument {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) holds_images: bool,
    pub(crate) is_enabled: bool,
    /// The driver that moves images: `qcow2`, `ssh`, `shared`, `ceph`, `dummy`.
    pub(crate) transfer: String,
    pub(crate) total_mib: u64,
    pub(crate) free_mib: u64,
}

impl DatastoreDocument {
    /// Whether so much fits. One that tells no size at all, such as Ceph before its first monitoring, is believed.
    pub(crate) fn has_room(&self, mib: u64) -> bool {
        self.total_mib == 0 || self.free_mib >= mib
    }
}

impl Document for DatastoreDocument {
    const ELEMENT: &'static str = "DATASTORE";

    fn read(element: &Element) -> Result<Self, Unreadable> {
        Ok(Self {
            id: id_of(element)?,
            name: name_of(element)?,
            holds_images: number::<i32>(element, "TYPE")? == 0,
            is_enabled: number::<i32>(element, "STATE")? == 0,
            transfer: element.text_of("TM_MAD").unwrap_or_default().chars().take(40).collect(),
            total_mib: element.value_of("TOTAL_MB").unwrap_or(0),
            free_mib: element.value_of("FREE_MB").unwrap_or(0),
        })
    }
}
