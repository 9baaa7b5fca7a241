//! The same disk gives the same bytes, however often, by however many threads, and by whichever way.

use std::{fs::File, num::NonZero, os::unix::fs::FileExt, path::Path};

use disk_image::layout::{Identity, Layout, Rendering};
use tempfile::TempDir;

use crate::{
    content::{Content, Exact},
    conversion::{digest, write, write_by},
    target::TARGETS,
};

fn disks() -> [Content; 5] {
    [Content::empty(), Content::sparse(), Content::full(), Content::odd_sectors(), Content::one_sector()]
}

#[test]
fn as_often_and_by_as_many_threads_as_you_like() {
    let directory = TempDir::new().unwrap();
    let [first, again] = ["first", "again"].map(|name| directory.path().join(name));
    for content in disks() {
        let view = Exact(&content);
        for form in TARGETS {
            write_by(NonZero::new(1), form, &view, &first, None).unwrap();
            for threads in [1, 2, 4] {
                write_by(NonZero::new(threads), form, &view, &again, None).unwrap();
                assert!(
                    digest(&first) == digest(&again),
                    "{} by {threads} threads, {} bytes",
                    form.name,
                    content.length
                );
            }
        }
    }
}

#[test]
fn another_disk_has_another_identity() {
    let directory = TempDir::new().unwrap();
    let [sparse, changed] = ["sparse", "changed"].map(|name| directory.path().join(name));
    for form in TARGETS {
        let mut content = Content::sparse();
        let identity = write(form, &Exact(&content), &sparse, None).unwrap().identity;
        content.pieces.last_mut().unwrap().1[0] ^= 1;
        let other = write(form, &Exact(&content), &changed, None).unwrap().identity;
        assert!(identity.is_none() || identity != other, "{}", form.name);
        assert_eq!(identity.is_none(), form.name == "raw", "{}", form.name);
    }
}

#[test]
fn as_planned() {
    let directory = TempDir::new().unwrap();
    let [written, rendered] = ["written", "rendered"].map(|name| directory.path().join(name));
    let identity = Identity::from_bytes(*b"of no importance");
    for content in disks() {
        let view = Exact(&content);
        for form in TARGETS {
            let Ok(plan) = (form.make)().plan(&view, identity) else {
                assert!(!form.is_planned, "{} must have a plan", form.name);
                continue;
            };
            let converted = write(form, &view, &written, Some(identity)).unwrap();
            let told = (plan.length(), plan.disk_size());
            assert_eq!(told, (converted.file_length, converted.disk_size), "{}, {} bytes", form.name, content.length);
            render(&view, &*plan, &rendered);
            assert!(digest(&written) == digest(&rendered), "{}, {} bytes", form.name, content.length);
        }
    }
}

/// Writes what a plan shows, in pieces of an odd length.
fn render(view: &Exact<'_>, plan: &dyn Layout, path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(plan.length()).unwrap();
    let rendering = Rendering::new(view, plan);
    let mut at = 0;
    while at < plan.length() {
        let mut bytes = vec![0xaa; 777_777.min(plan.length() - at) as usize];
        rendering.read_at(at, &mut bytes).unwrap();
        if bytes.iter().any(|byte| *byte != 0) {
            file.write_all_at(&bytes, at).unwrap();
        }
        at += bytes.len() as u64;
    }
}
