//! Images of disks, changed in any way: a refusal in one line or a disk that keeps a view's promises, at bounded
//! memory.
//!
//! An input is a script: which seed, how to open it, and what to change in it before (see [`edits`]). Formats that are
//! small enough to be found by chance are also taken from the input as they are.

mod beside;
mod edits;
mod medium;
mod memory;
mod promises;
pub mod seeds;
mod sums;

use disk_image::{ImageError, ImageFormat, Opening};

use self::{edits::Script, medium::Medium, seeds::Collection};

/// What compressed images may unpack to, in bytes: enough for every seed, and little time for a bomb.
const MOST_UNPACKED: u64 = 4 << 20;
/// What a refused image may cost in words.
const MESSAGE_BYTES: usize = 4096;

/// How to open what came out: the second byte of an input.
mod flag {
    /// Checksums are made right after all changes.
    pub const SUMS: u8 = 1;
    /// Nobody says which format it is.
    pub const UNDECLARED: u8 = 2;
    /// Two bits: which of the names that the format's seeds have within them is asked for.
    pub const NAME: u8 = 4 | 8;
    /// It lies in a directory with other files.
    pub const BESIDE: u8 = 16;
}

/// Opens the image that an input stands for, and looks at all sides of it.
pub fn examine(collection: &Collection, input: &[u8]) {
    let [choice, flags, script @ ..] = input else { return };
    let (medium, beside) = match collection.choose(*choice) {
        Some(seed) => {
            let mut medium = Medium::of(seed);
            Script::new(script, seed).run(&mut medium);
            if flags & flag::SUMS != 0 {
                sums::repair(&mut medium);
            }
            (medium, seed.is_text())
        }
        None => (Medium::holding(script), flags & flag::BESIDE != 0),
    };
    let declared = collection.format.filter(|_| flags & flag::UNDECLARED == 0);
    let path = beside.then(|| beside::put(&medium));
    memory::limited(|| {
        let opening = opening(collection, declared, flags & flag::NAME);
        let opened = match &path {
            Some(path) => opening.with_files_beside_it().open(path),
            None => opening.open_file(medium.file()),
        };
        match opened {
            Ok(image) => {
                assert!(declared.is_none_or(|format| image.format() == format));
                promises::check(&*image);
            }
            Err(error) => refusal(&error),
        }
    });
}

fn opening<'a>(collection: &Collection, declared: Option<ImageFormat>, name: u8) -> Opening<'a> {
    let opening = Opening::new().declared(declared).unpacked_in(std::env::temp_dir(), MOST_UNPACKED);
    let name = collection.names.get(usize::from(name >> 2)).copied().flatten();
    if collection.format == Some(ImageFormat::Qcow2) { opening.snapshot(name) } else { opening.disk(name) }
}

/// A refusal is one line that a terminal shows as it is.
fn refusal(error: &ImageError) {
    line(&error.to_string());
}

fn line(text: &str) {
    assert!(!text.is_empty() && text.len() <= MESSAGE_BYTES, "{} bytes: {text:?}", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_open_as_they_are_and_with_sums_made_again() {
        for collection in seeds::ALL {
            for (place, seed) in collection.seeds.iter().enumerate() {
                for flags in [0, flag::SUMS] {
                    let mut medium = Medium::of(seed);
                    let before = medium.bytes();
                    if flags != 0 {
                        sums::repair(&mut medium);
                        assert!(medium.bytes() == before, "{}: sums are not as the writer made them", seed.name);
                    }
                    let name = if seed.name == "two-disks" { 4 } else { 0 };
                    let opening = opening(collection, collection.format, name);
                    let opened = match seed.is_text().then(|| beside::put(&medium)) {
                        Some(path) => opening.with_files_beside_it().open(&path),
                        None => opening.open_file(medium.file()),
                    };
                    let refused = opened.as_ref().err().map(ToString::to_string);
                    assert_eq!(refused.is_some(), seed.name.starts_with("refused-"), "{}: {refused:?}", seed.name);
                    examine(collection, &[place.try_into().unwrap(), flags | name]);
                }
            }
        }
    }
}
