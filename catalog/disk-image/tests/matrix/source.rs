//! The forms in which a disk arrives.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use disk_image::{ImageReader, Opening, SECTOR};

use crate::{
    content::Content,
    conversion::write,
    judges,
    target::{self, TARGETS},
};

/// A form of images, and who makes it.
pub struct Source {
    pub name: &'static str,
    make: Make,
    /// Which disks it cannot be made of.
    except: Option<Except>,
}

enum Make {
    /// The raw file itself.
    Raw,
    /// `qemu-img convert` with this format, and these options.
    Qemu(&'static str, &'static [&'static str]),
    /// A compressor, which is told to write to its output. It gets the raw file; of a hollow disk a qcow2 instead, since
    /// terabytes of zeros take it hours.
    Packed(&'static str),
    /// We ourselves, where `qemu-img` does not write the form: the target of this name.
    Ours(&'static str),
}

struct Except {
    /// Whether it is this disk.
    which: fn(&Content) -> bool,
    /// Why not.
    reason: &'static str,
}

const ABOVE_VHD: Option<Except> =
    Some(Except { which: |content| content.length > 2040 << 30, reason: "a VHD ends at 2040 GiB" });
const READ_WHOLE: Option<Except> = Some(Except {
    which: |content| content.is_hollow,
    reason: "all of its blocks are there, so that terabytes of zeros would be read",
});
const MANY_FILES: Option<Except> = Some(Except {
    which: |content| content.is_hollow,
    reason: "qemu-img needs a quarter of a minute for its thousand files",
});

const fn source(name: &'static str, make: Make) -> Source {
    Source { name, make, except: None }
}

const fn limited(name: &'static str, make: Make, except: Option<Except>) -> Source {
    Source { name, make, except }
}

/// All forms. The first is what the others are made of.
pub const SOURCES: &[Source] = &[
    source("raw", Make::Raw),
    source("qcow2-v2", Make::Qemu("qcow2", &["-o", "compat=0.10"])),
    source("qcow2-v3", Make::Qemu("qcow2", &[])),
    source("qcow2-zlib", Make::Qemu("qcow2", &["-c"])),
    source("qcow2-zstd", Make::Qemu("qcow2", &["-c", "-o", "compression_type=zstd"])),
    source("qcow2-extended-l2", Make::Qemu("qcow2", &["-o", "extended_l2=on"])),
    source("vmdk-sparse", Make::Qemu("vmdk", &[])),
    source("vmdk-stream", Make::Qemu("vmdk", &["-o", "subformat=streamOptimized"])),
    source("vmdk-stream-footer", Make::Ours("vmdk-stream")),
    source("vmdk-flat", Make::Qemu("vmdk", &["-o", "subformat=monolithicFlat"])),
    limited("vmdk-2gb-sparse", Make::Qemu("vmdk", &["-o", "subformat=twoGbMaxExtentSparse"]), MANY_FILES),
    limited("vmdk-2gb-flat", Make::Qemu("vmdk", &["-o", "subformat=twoGbMaxExtentFlat"]), MANY_FILES),
    limited("vhd-dynamic", Make::Qemu("vpc", &["-o", "force_size=on"]), ABOVE_VHD),
    limited("vhd-dynamic-grown", Make::Qemu("vpc", &[]), ABOVE_VHD),
    limited("vhd-fixed", Make::Qemu("vpc", &["-o", "subformat=fixed,force_size=on"]), ABOVE_VHD),
    source("vhdx", Make::Qemu("vhdx", &[])),
    limited("vhdx-fixed", Make::Qemu("vhdx", &["-o", "subformat=fixed"]), READ_WHOLE),
    source("vhdx-4096", Make::Ours("vhdx-4096")),
    source("vdi", Make::Qemu("vdi", &[])),
    limited("vdi-fixed", Make::Qemu("vdi", &["-o", "static=on"]), READ_WHOLE),
    source("ova", Make::Ours("ova")),
    source("gzip", Make::Packed("gzip")),
    source("xz", Make::Packed("xz")),
    source("zstd", Make::Packed("zstd")),
    source("bzip2", Make::Packed("bzip2")),
];

/// An image of a disk in some form.
pub struct Image {
    path: PathBuf,
    /// What a guest must see, in bytes, by somebody else's word where somebody else made it.
    pub size: u64,
}

impl Source {
    /// Makes an image of the disk in this raw file, beside it; or says why there is none.
    pub fn make(&self, content: &Content, raw: &Path) -> Result<Image, &'static str> {
        if let Some(except) = self.except.as_ref().filter(|except| (except.which)(content)) {
            return Err(except.reason);
        }
        let directory = raw.parent().unwrap();
        let rounded = content.length.next_multiple_of(SECTOR);
        Ok(match &self.make {
            Make::Raw => Image { path: raw.to_owned(), size: rounded },
            Make::Qemu(format, options) => {
                // Its other files are named after this one.
                let path = directory.join(self.name).with_extension(format);
                judges::make(raw, format, options, &path);
                let size = judges::virtual_size(&path, format);
                Image { path, size }
            }
            Make::Packed(program) => {
                let mut inner = raw.to_owned();
                if content.is_hollow {
                    inner = directory.join("within").with_extension(self.name);
                    judges::make(raw, "qcow2", &[], &inner);
                }
                let path = directory.join(self.name).with_extension("packed");
                let output = File::create(&path).unwrap();
                let mut command = Command::new(program);
                let status = command.args(["-1", "-c"]).arg(inner).stdout(output).stderr(Stdio::inherit()).status();
                let status = status.unwrap_or_else(|error| panic!("{program} must be installed: {error}"));
                assert!(status.success(), "{command:?}");
                Image { path, size: rounded }
            }
            Make::Ours(name) => {
                let target = TARGETS.iter().find(|target| target.name == *name).unwrap();
                let path = directory.join(self.name).with_extension("ours");
                let view = Opening::new().declared(Some(disk_image::ImageFormat::Raw)).open(raw).unwrap();
                write(target, &*view, &path, None).unwrap_or_else(|error| panic!("{}: {error}", self.name));
                Image { path, size: target::round(content.length, target.step) }
            }
        })
    }
}

impl Image {
    /// Opens it as a person does who names the file on the command line.
    pub fn open(&self) -> Result<Box<dyn ImageReader>, disk_image::ImageError> {
        let most = 64 << 30;
        Opening::new().with_files_beside_it().unpacked_in(self.path.parent().unwrap(), most).open(&self.path)
    }
}
