use backend::IntentTag;
use disk_image::{ContentDigest, ImageFormat};

use super::{Document, Unreadable, id_of, message, name_of, number};
use crate::{
    names::{self, Id},
    xml::Element,
};

/// An image, which may be a volume.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ImageDocument {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) state: ImageState,
    /// Its size as a guest sees it.
    pub(crate) size_mib: u64,
    pub(crate) made_at: i64,
    pub(crate) format: Option<ImageFormat>,
    /// Where it lies, in the service's words.
    pub(crate) source: Option<String>,
    pub(crate) tag: Option<IntentTag>,
    pub(crate) digest: Option<ContentDigest>,
    /// The machines that have it.
    pub(crate) machines: Vec<Id>,
    pub(crate) error: Option<String>,
}

/// Where an image stands (source `Image::ImageState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageState {
    Init,
    Ready,
    Used,
    Disabled,
    Locked,
    Error,
    Clone,
    Delete,
    UsedPersistent,
    LockedUsed,
    LockedUsedPersistent,
}

impl ImageState {
    fn of(number: i32) -> Option<Self> {
        use ImageState::{
            Clone, Delete, Disabled, Error, Init, Locked, LockedUsed, LockedUsedPersistent, Ready, Used, UsedPersistent,
        };
        let states = [
            Init,
            Ready,
            Used,
            Disabled,
            Locked,
            Error,
            Clone,
            Delete,
            UsedPersistent,
            LockedUsed,
            LockedUsedPersistent,
        ];
        states.get(usize::try_from(number).ok()?).copied()
    }

    /// Whether machines can be made from it.
    pub(crate) fn is_usable(self) -> bool {
        matches!(self, Self::Ready | Self::Used | Self::Clone | Self::UsedPersistent)
    }

    /// Whether it will be something else soon.
    pub(crate) fn is_arriving(self) -> bool {
        matches!(self, Self::Init | Self::Locked | Self::LockedUsed | Self::LockedUsedPersistent)
    }
}

impl Document for ImageDocument {
    const ELEMENT: &'static str = "IMAGE";

    fn read(element: &Element) -> Result<Self, Unreadable> {
        let id = id_of(element)?;
        let state = number(element, "STATE")?;
        let template = element.child("TEMPLATE");
        let machines = element.child("VMS").map(|vms| vms.all("ID")).into_iter().flatten();
        Ok(Self {
            id,
            name: name_of(element)?,
            state: ImageState::of(state)
                .ok_or_else(|| Unreadable(format!("IMAGE {id}: its state {state} is of another version")))?,
            size_mib: number(element, "SIZE")?,
            made_at: element.value_of("REGTIME").unwrap_or(0),
            format: element.text_of("FORMAT").and_then(format_of),
            source: element.text_of("SOURCE").map(ToOwned::to_owned),
            tag: template.and_then(|template| template.value_of(names::TAG)),
            digest: template.and_then(|template| template.value_of(names::DIGEST)),
            machines: machines.filter_map(|id| id.text.trim().parse().ok()).collect(),
            error: message(template, "ERROR"),
        })
    }
}

/// The formats that the service's drivers name (FORMAT of an image).
fn format_of(text: &str) -> Option<ImageFormat> {
    match text {
        "raw" => Some(ImageFormat::Raw),
        "qcow2" => Some(ImageFormat::Qcow2),
        "vmdk" => Some(ImageFormat::Vmdk),
        _ => None,
    }
}
