//! Who says whether an image is right.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::{
    content::Content,
    target::{Check, Form},
};

/// Both judges, who share nothing with us nor with each other.
pub struct Judges {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Judges {
    /// Calls them in. The first call on a machine installs dissect.hypervisor.
    pub fn call() -> Self {
        let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/rigs/images/judge");
        let mut command = Command::new(judge);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, questions, answers }
    }

    /// Everything that they have against this file as a disk of `size` bytes with this content, whose raw file is
    /// `truth`.
    pub fn hear(&mut self, form: &Form, path: &Path, content: &Content, truth: &Path, size: u64) -> Vec<String> {
        let mut complaints = Vec::new();
        let ranges = content.ranges(size);
        let question = json!({ "reader": form.dissect, "path": path, "truth": truth, "ranges": ranges });
        let answer = self.ask(&question);
        let expected = json!({ "size": size, "difference": null });
        if answer["size"] != expected["size"] || answer["difference"] != expected["difference"] {
            complaints.push(format!("dissect.hypervisor says {answer}, not {expected}"));
        }
        if let Ok((format, check)) = form.qemu {
            let file = match answer["disk"].as_array() {
                Some(place) => json!({ "driver": "raw", "offset": place[0], "size": place[1], "file": plain(path) }),
                None => plain(path),
            };
            let image = json!({ "driver": format, "file": file });
            let said = qemu_img(&["info".into(), "--output=json".into(), address(&image)]);
            match said.map(|text| virtual_size_of(&text)) {
                Ok(found) if found == size => {}
                Ok(found) => complaints.push(format!("qemu-img says that the disk has {found} bytes, not {size}")),
                Err(complaint) => complaints.push(complaint),
            }
            if check == Check::Yes {
                complaints.extend(qemu_img(&["check".into(), address(&image)]).err());
            }
            let truth = json!({ "driver": "raw", "file": plain(truth) });
            complaints.extend(self::compare(&truth, &image, content, size));
        }
        complaints
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions.as_ref().unwrap(), "{question}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(
            !line.is_empty(),
            "the judge has left; it wrote above why, and tests/rigs/images/judge can be run alone"
        );
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Judges {
    fn drop(&mut self) {
        // The end of the questions is the end of the process.
        drop(self.questions.take());
        let _ = self.process.wait();
    }
}

/// Compares whole disks, or those parts of a hollow one that a judge is to look at: `qemu-img` reads terabytes of zeros
/// where a format does not tell it of them in one answer (VMDK, VHDX).
fn compare(truth: &Value, image: &Value, content: &Content, size: u64) -> Vec<String> {
    let complaint = |a: &Value, b: &Value| qemu_img(&["compare".into(), address(a), address(b)]).err();
    if !content.is_hollow {
        return complaint(truth, image).into_iter().collect();
    }
    let part = |whole: &Value, offset: u64, length: u64| match whole["driver"].as_str() {
        // One raw driver upon another is taken for a mistake.
        Some("raw") => json!({ "driver": "raw", "offset": offset, "size": length, "file": whole["file"] }),
        _ => json!({ "driver": "raw", "offset": offset, "size": length, "file": whole }),
    };
    // The raw file may be shorter than a disk that was rounded; nothing stands in the difference.
    let there = |offset: u64, length: u64| length.min(content.length - offset);
    let ranges = content.ranges(size).into_iter().filter(|(offset, _)| *offset < content.length);
    let sides =
        ranges.map(|(offset, length)| (part(truth, offset, there(offset, length)), part(image, offset, length)));
    sides.filter_map(|(a, b)| complaint(&a, &b)).collect()
}

fn plain(path: &Path) -> Value {
    json!({ "driver": "file", "filename": path })
}

fn address(node: &Value) -> String {
    format!("json:{node}")
}

/// What `qemu-img` printed, or what it has to say when it fails.
fn qemu_img<S: AsRef<OsStr>>(arguments: &[S]) -> Result<String, String> {
    let mut command = Command::new("qemu-img");
    let output = command.args(arguments).output();
    let Output { status, stdout, stderr } = output.expect("qemu-img must be installed (Debian package qemu-utils)");
    let [said, failed] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if status.success() { Ok(said) } else { Err(format!("{command:?}: {status}: {}{}", said.trim(), failed.trim())) }
}

fn virtual_size_of(info: &str) -> u64 {
    serde_json::from_str::<Value>(info).unwrap()["virtual-size"].as_u64().unwrap()
}

/// Has `qemu-img` make an image of a raw file.
pub fn make(raw: &Path, format: &str, options: &[&str], path: &Path) {
    let head = ["convert", "-f", "raw", "-O", format].into_iter().chain(options.iter().copied()).map(OsStr::new);
    let arguments: Vec<_> = head.chain([raw.as_os_str(), path.as_os_str()]).collect();
    qemu_img(&arguments).unwrap();
}

/// The size of an image's disk, as `qemu-img` says.
pub fn virtual_size(path: &Path, format: &str) -> u64 {
    let head = ["info", "--output=json", "-f", format].map(OsStr::new);
    let arguments: Vec<_> = head.into_iter().chain([path.as_os_str()]).collect();
    virtual_size_of(&qemu_img(&arguments).unwrap())
}
