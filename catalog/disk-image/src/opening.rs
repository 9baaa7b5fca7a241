use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    ImageError, ImageFormat, ImageReader, RawImage, container,
    neighbours::{Alone, Directory, Neighbours},
    probe::{Found, probe},
    qcow2,
    source::ImageFile,
    vdi, vhd, vhdx, vmdk,
};

/// What compressed files may unpack to at most, in bytes, unless somebody says otherwise: 2 TiB.
const LARGEST_UNPACKED: u64 = 2 << 40;
/// Containers within containers: an OVA within gzip holds a disk within gzip.
const DEEPEST: u8 = 3;

/// How to open an image: what is known of it beforehand, and what it may reach.
///
/// - Declared raw: it is raw, whatever a guest wrote to its beginning.
/// - Declared otherwise: the bytes must agree.
/// - Undeclared: the format whose mark the bytes have, raw when there is no mark that is known, and refused otherwise.
///   Only for files that no guest has written to.
///
/// A declared format is that of the disk; archives and compressed streams around it are recognised by themselves,
/// but never around a disk that is declared raw.
#[derive(Clone)]
pub struct Opening<'a> {
    pub(crate) declared: Option<ImageFormat>,
    pub(crate) disk: Option<&'a str>,
    pub(crate) snapshot: Option<&'a str>,
    pub(crate) beside: bool,
    pub(crate) spool: PathBuf,
    pub(crate) most_unpacked: u64,
    pub(crate) neighbours: Arc<dyn Neighbours>,
    pub(crate) depth: u8,
    /// The name of the file, when it was opened by a path.
    pub(crate) name: Option<String>,
    /// Bytes of the smallest compressed file that this is within.
    pub(crate) packed: Option<u64>,
    pub(crate) watch: Option<&'a Watch<'a>>,
}

/// Asked again and again while something is unpacked: see [`Opening::watched`].
type Watch<'a> = dyn Fn(u64, u64) -> bool + Send + Sync + 'a;

impl Default for Opening<'_> {
    fn default() -> Self {
        Self {
            declared: None,
            disk: None,
            snapshot: None,
            beside: false,
            spool: std::env::temp_dir(),
            most_unpacked: LARGEST_UNPACKED,
            neighbours: Arc::new(Alone),
            depth: 0,
            name: None,
            packed: None,
            watch: None,
        }
    }
}

impl<'a> Opening<'a> {
    /// An image that stands alone in its file, of a format that is to be found out.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says which format the disk has.
    #[must_use]
    pub fn declared(self, format: Option<ImageFormat>) -> Self {
        Self { declared: format, ..self }
    }

    /// Says which of an archive's disks is meant, by the name of its file; needed when there are several.
    #[must_use]
    pub fn disk(self, name: Option<&'a str>) -> Self {
        Self { disk: name, ..self }
    }

    /// Asks for an internal snapshot of a qcow2, by its name or id, instead of the disk as it is now.
    #[must_use]
    pub fn snapshot(self, name: Option<&'a str>) -> Self {
        Self { snapshot: name, ..self }
    }

    /// Lets an image have parts in files beside it. Refused otherwise.
    #[must_use]
    pub fn with_files_beside_it(self) -> Self {
        Self { beside: true, ..self }
    }

    /// Where compressed images are unpacked to, into a file without a name, and how many bytes they may have then.
    #[must_use]
    pub fn unpacked_in(self, directory: impl Into<PathBuf>, most: u64) -> Self {
        Self { spool: directory.into(), most_unpacked: most, ..self }
    }

    /// Has `watch` told, while a compressed image is unpacked, how many of its bytes were read and how many there are.
    /// It answers whether to go on; opening fails with [`ImageError::Cancelled`] otherwise.
    #[must_use]
    pub fn watched(self, watch: &'a (dyn Fn(u64, u64) -> bool + Send + Sync)) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// Opens the image in a regular file or block device.
    ///
    /// # Errors
    /// [`ImageError::File`] when the file cannot be opened, and what the format's reader refuses.
    pub fn open(mut self, path: &Path) -> Result<Box<dyn ImageReader>, ImageError> {
        if self.beside {
            self.neighbours = Arc::new(Directory::of(path)?);
        }
        self.name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        self.read(ImageFile::open(path)?)
    }

    /// Opens the image in a file that is open already.
    ///
    /// # Errors
    /// Like [`Opening::open`].
    pub fn open_file(self, file: File) -> Result<Box<dyn ImageReader>, ImageError> {
        self.read(ImageFile::adopt(file).map_err(|source| ImageError::Read { offset: 0, source })?)
    }

    /// The same for what was found within a container.
    pub(crate) fn within(&self, neighbours: Arc<dyn Neighbours>) -> Result<Self, ImageError> {
        if self.depth >= DEEPEST {
            return Err(ImageError::Unsupported {
                what: format!("more than {DEEPEST} containers within each other"),
                instead: "unpack the outer ones first".into(),
            });
        }
        Ok(Self { depth: self.depth + 1, neighbours, name: None, ..self.clone() })
    }

    pub(crate) fn read(&self, source: ImageFile) -> Result<Box<dyn ImageReader>, ImageError> {
        if self.declared == Some(ImageFormat::Raw) {
            return self.read_as(ImageFormat::Raw, source);
        }
        match (probe(&source)?, self.declared) {
            (Found::Compressed(compression), _) => container::open_compressed(&source, compression, self),
            (Found::Archive, _) => container::open_archive(&source, self),
            (Found::Ovf, _) => container::open_ovf(&source, self),
            (Found::Image(format), None) => self.read_as(format, source),
            (Found::Image(format), Some(declared)) if declared == format => self.read_as(format, source),
            (found, Some(declared)) => Err(ImageError::NotAsDeclared { declared, found: found.describe() }),
            (Found::Foreign(format), None) => Err(ImageError::NotReadYet(format)),
            (Found::Nothing, None) => self.read_as(ImageFormat::Raw, source),
        }
    }

    fn read_as(&self, format: ImageFormat, source: ImageFile) -> Result<Box<dyn ImageReader>, ImageError> {
        if self.snapshot.is_some() && format != ImageFormat::Qcow2 {
            return Err(ImageError::Unsupported {
                what: format!("snapshots within a {format} image"),
                instead: "open the disk as it is".into(),
            });
        }
        if self.disk.is_some() && self.depth == 0 {
            return Err(ImageError::Unsupported {
                what: "a choice of disks in an image of one".into(),
                instead: "choose none".into(),
            });
        }
        match format {
            ImageFormat::Raw => Ok(Box::new(RawImage::over(source)?)),
            ImageFormat::Qcow2 => qcow2::open(source, self),
            ImageFormat::Vmdk => vmdk::open(source, self),
            ImageFormat::Vhd => vhd::open(source, self),
            ImageFormat::Vhdx => vhdx::open(source, self),
            ImageFormat::Vdi => vdi::open(source, self),
        }
    }
}

/// Opens the image in a regular file or block device, which must stand alone. See [`Opening`].
///
/// # Errors
/// [`ImageError::File`] when the file cannot be opened, and what the format's reader refuses.
pub fn open(path: &Path, declared: Option<ImageFormat>) -> Result<Box<dyn ImageReader>, ImageError> {
    Opening::new().declared(declared).open(path)
}

/// Like [`open`], for a file that is open already.
///
/// # Errors
/// Like [`open`].
pub fn open_file(file: File, declared: Option<ImageFormat>) -> Result<Box<dyn ImageReader>, ImageError> {
    Opening::new().declared(declared).open_file(file)
}
