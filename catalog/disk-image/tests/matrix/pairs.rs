//! Every source into every target, one test for each kind of disk.

use std::{collections::HashMap, fs, path::Path};

use disk_image::{ImageError, ImageReader};
use tempfile::TempDir;

use crate::{
    content::Content,
    conversion::{digest, write},
    judges::Judges,
    source::SOURCES,
    target::{Form, TARGETS, round},
};

#[test]
fn an_empty_disk() {
    every_pair(&Content::empty());
}

#[test]
fn a_sparse_disk() {
    every_pair(&Content::sparse());
}

#[test]
fn a_full_disk() {
    every_pair(&Content::full());
}

#[test]
fn an_odd_number_of_sectors() {
    every_pair(&Content::odd_sectors());
}

#[test]
fn an_odd_number_of_bytes() {
    every_pair(&Content::odd_bytes());
}

#[test]
fn one_sector() {
    every_pair(&Content::one_sector());
}

#[test]
fn a_disk_for_sectors_of_4096_bytes() {
    every_pair(&Content::large_sectors());
}

#[test]
fn beyond_two_tebibytes() {
    every_pair(&Content::beyond_two_tebibytes());
}

#[test]
fn the_largest_vhd() {
    // The format is what this is about: others have no border there.
    let concerned = |name: &str| name == "raw" || name.starts_with("vhd-") || name == "vhd";
    pairs(&Content::largest_vhd(), concerned);
}

/// What has been done with a disk so far.
struct Course<'a> {
    content: &'a Content,
    directory: &'a Path,
    truth: &'a Path,
    judges: Judges,
    /// The digest of the file that was judged, by the form and the size of the source's disk.
    judged: HashMap<(&'static str, u64), blake3::Hash>,
    pairs: u32,
    refused: u32,
    failures: Vec<String>,
}

/// Converts a disk from every form to every form.
fn every_pair(content: &Content) {
    pairs(content, |_| true);
}

/// Converts a disk from each form of these names to each. The same disk gives the same bytes, whatever form it came from, so
/// that the judges see one file for all sources that show disks of one size.
fn pairs(content: &Content, concerned: fn(&str) -> bool) {
    let directory = TempDir::new().unwrap();
    let truth = directory.path().join("truth");
    content.write(&truth);
    let mut course = Course {
        content,
        directory: directory.path(),
        truth: &truth,
        judges: Judges::call(),
        judged: HashMap::new(),
        pairs: 0,
        refused: 0,
        failures: Vec::new(),
    };
    for source in SOURCES.iter().filter(|source| concerned(source.name)) {
        let image = match source.make(content, &truth) {
            Ok(image) => image,
            Err(reason) => {
                println!("no {}: {reason}", source.name);
                continue;
            }
        };
        match image.open() {
            Ok(view) if view.size() == image.size => course.go(source.name, &*view, concerned),
            Ok(view) => course.fail(source.name, &format!("has {} bytes, not {}", view.size(), image.size)),
            Err(error) => course.fail(source.name, &format!("is not read: {error}")),
        }
    }
    let Course { pairs, refused, judged, failures, .. } = course;
    println!("{pairs} pairs as {} files, {refused} refused, {} failures", judged.len(), failures.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

impl Course<'_> {
    fn fail(&mut self, what: &str, problem: &str) {
        self.failures.push(format!("{what}: {problem}"));
    }

    fn go(&mut self, source: &str, view: &dyn ImageReader, concerned: fn(&str) -> bool) {
        for form in TARGETS.iter().filter(|form| concerned(form.name)) {
            let pair = format!("{source} to {}", form.name);
            let path = self.directory.join("target").with_extension(form.name);
            let result = write(form, view, &path, None);
            self.pairs += 1;
            match (result, form.largest) {
                (Err(ImageError::Unwritable { problem, .. }), Some((largest, words)))
                    if view.size() > largest && problem.contains(words) =>
                {
                    self.refused += 1;
                }
                (Err(error), _) => self.fail(&pair, &error.to_string()),
                (Ok(_), Some((largest, _))) if view.size() > largest => self.fail(&pair, "is not refused"),
                (Ok(converted), _) => {
                    let size = round(view.size(), form.step);
                    if converted.disk_size != size {
                        self.fail(&pair, &format!("gives a disk of {} bytes, not {size}", converted.disk_size));
                    }
                    self.judge(&pair, form, &path, view.size(), size);
                }
            }
            fs::remove_file(&path).unwrap();
        }
    }

    fn judge(&mut self, pair: &str, form: &Form, path: &Path, source_size: u64, size: u64) {
        let found = digest(path);
        if let Some(judged) = self.judged.get(&(form.name, source_size)) {
            if *judged != found {
                self.fail(pair, "the file differs from those that the same disk in other forms became");
            }
            return;
        }
        self.judged.insert((form.name, source_size), found);
        for complaint in self.judges.hear(form, path, self.content, self.truth, size) {
            self.fail(pair, &complaint);
        }
        // We must read it too, though that alone would prove nothing.
        match disk_image::open(path, None) {
            Ok(view) if view.size() == size => {
                if let Some(difference) = self.content.difference(&*view) {
                    self.fail(pair, &format!("read again, it {difference}"));
                }
            }
            Ok(view) => self.fail(pair, &format!("read again, it has {} bytes, not {size}", view.size())),
            Err(error) => self.fail(pair, &format!("read again: {error}")),
        }
    }
}
