//! A directory with files that an image may use, and one outside of it that it must not.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::SystemTime,
};

use super::{medium::Medium, seeds};

/// What stands in the file outside. No image can hold it by itself: it is new in every run.
pub static SECRET: LazyLock<[u8; 16]> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    now.wrapping_mul(0x2545_f491_4f6c_dd1d_9e37_79b9_7f4a_7c15).to_ne_bytes()
});

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let above = std::env::temp_dir().join(format!("tombolo-fuzz-{}", std::process::id()));
    let directory = above.join("inside");
    make(&above, &directory).expect("a directory for temporary files");
    directory
});

fn make(above: &Path, directory: &Path) -> std::io::Result<()> {
    fs::create_dir_all(directory.join("deeper"))?;
    let secret = SECRET.repeat(4096);
    fs::write(above.join("outside"), &secret)?;
    fs::write(directory.join("deeper/inner"), &secret)?;
    symlink("../outside", directory.join("link.vmdk"))?;
    fs::write(directory.join("flat.vmdk"), [b'f'; 64 << 10])?;
    let extent = seeds::VMDK.seeds.iter().find(|seed| seed.name == "extent").expect("it is in the list");
    fs::write(directory.join("extent.vmdk"), Medium::of(extent).bytes())
}

/// Puts an image beside those files, and says where.
pub fn put(medium: &Medium) -> PathBuf {
    let path = DIRECTORY.join("image.ovf");
    fs::write(&path, medium.bytes()).expect("a directory for temporary files");
    path
}
