use std::path::{Path, PathBuf};

use disk_image::{ImageError, ImageFormat, ImageReader, Opening};

/// How an image is opened.
#[derive(clap::Args)]
pub struct SourceArgs {
    /// The image's format (raw, qcow2, vmdk, vhd, vhdx, vdi); found out when not given, but a disk that a guest has
    /// written to should be declared
    #[arg(short = 'f', long = "format", value_name = "FORMAT")]
    format: Option<ImageFormat>,
    /// Which disk of an OVA or OVF, by the name of its file
    #[arg(long, value_name = "FILE")]
    disk: Option<String>,
    /// An internal snapshot of a qcow2, by its name or id
    #[arg(long, value_name = "NAME")]
    snapshot: Option<String>,
    /// Refuse images with parts in other files beside them
    #[arg(long)]
    alone: bool,
    /// Where compressed images are unpacked to
    #[arg(long, value_name = "DIRECTORY", env = "TMPDIR", default_value = "/var/tmp", hide_env_values = true)]
    scratch: PathBuf,
    /// The most that a compressed image may unpack to, in GiB
    #[arg(long, value_name = "GIB", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..=65536))]
    most_unpacked: u64,
}

impl SourceArgs {
    pub fn open(&self, path: &Path) -> anyhow::Result<Box<dyn ImageReader>> {
        open(self.opening(self.format), path)
    }

    /// Opens a second image in the same way, but for its format.
    pub fn open_other(&self, path: &Path, format: Option<ImageFormat>) -> anyhow::Result<Box<dyn ImageReader>> {
        open(self.opening(format).disk(None).snapshot(None), path)
    }

    fn opening(&self, format: Option<ImageFormat>) -> Opening<'_> {
        let opening = Opening::new()
            .declared(format)
            .disk(self.disk.as_deref())
            .snapshot(self.snapshot.as_deref())
            .unpacked_in(&self.scratch, self.most_unpacked << 30);
        if self.alone { opening } else { opening.with_files_beside_it() }
    }
}

fn open(opening: Opening<'_>, path: &Path) -> anyhow::Result<Box<dyn ImageReader>> {
    opening.open(path).map_err(|error| about(path, &error))
}

/// In one line that names the file, and the system's words once.
pub fn about(path: &Path, error: &ImageError) -> anyhow::Error {
    match error {
        ImageError::File { .. } | ImageError::Cancelled => anyhow::anyhow!("{error}"),
        _ => anyhow::anyhow!("{}: {error}", path.display()),
    }
}

/// What is odd about an image and does not change what a guest sees.
pub fn warn(path: &Path, image: &dyn ImageReader) {
    for warning in image.warnings() {
        eprintln!("tombolo: {}: {warning}", path.display());
    }
}
