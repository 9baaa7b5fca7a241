//! Writes a small ISO 9660 volume: a root directory of a few files, with Rock Ridge names for Unix guests and
//! Joliet names for Windows ones. The same input gives the same bytes.
//!
//! Numbers in brackets are sections of ECMA-119 (ISO 9660), `SUSP` and `RRIP` the IEEE P1281 and P1282 drafts.

use thiserror::Error;

const SECTOR: usize = 2048;
// Where things are, in sectors. The first 16 are not part of the volume's structures [6.2].
const PRIMARY: usize = 16;
const JOLIET: usize = 17;
const END: usize = 18;
const PATH_TABLES: usize = 19; // little endian, big endian, and the same for Joliet
const PRIMARY_ROOT: usize = 23;
const JOLIET_ROOT: usize = 24;
const FILES: usize = 25;

const DIRECTORY: u8 = 2;
/// 2000-01-01 00:00 UTC [9.1.5]: nothing in a seed should depend on when it was made.
const DATE: [u8; 7] = [100, 1, 1, 0, 0, 0, 0];
/// A root directory with itself and its parent, which it is [9.3]: in a path table.
const ROOT_PATH_BYTES: u32 = 10;

/// Input that this small writer does not take.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a volume of this writer has few files, short plain names, and less than 4 GiB")]
pub(super) struct TooMuch;

/// A volume with these files. Names are kept as they are for Unix and Windows guests.
pub(super) fn volume(label: &str, files: &[(&str, &[u8])]) -> Result<Vec<u8>, TooMuch> {
    let plain = |name: &str| {
        (1..=30).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if label.len() > 15 || !plain(label) || files.len() > 8 || files.iter().any(|(name, _)| !plain(name)) {
        return Err(TooMuch);
    }
    let mut placed = Vec::new();
    let mut next = FILES;
    for (name, content) in files {
        let length = u32::try_from(content.len()).map_err(|_| TooMuch)?;
        placed.push(Placed { name, short: short_name(name), sector: number(next)?, length });
        next += content.len().div_ceil(SECTOR);
    }
    let sectors = number(next)?;
    let mut image = vec![0; next * SECTOR];
    let mut put = |sector: usize, bytes: &[u8]| image[sector * SECTOR..][..bytes.len()].copy_from_slice(bytes);
    put(PRIMARY, &descriptor(Names::Short, label, sectors)?);
    put(JOLIET, &descriptor(Names::Joliet, label, sectors)?);
    put(END, b"\xffCD001\x01");
    for (names, offset) in [(Names::Short, 0), (Names::Joliet, 2)] {
        let root = number(names.root())?;
        put(PATH_TABLES + offset, &path_table(root.to_le_bytes(), 1_u16.to_le_bytes()));
        put(PATH_TABLES + offset + 1, &path_table(root.to_be_bytes(), 1_u16.to_be_bytes()));
        let directory = directory(names, &mut placed)?;
        if directory.len() > SECTOR {
            return Err(TooMuch);
        }
        put(names.root(), &directory);
    }
    for ((_, content), at) in files.iter().zip(files_at(files)) {
        put(at, content);
    }
    Ok(image)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Short,
    Joliet,
}

impl Names {
    fn root(self) -> usize {
        match self {
            Self::Short => PRIMARY_ROOT,
            Self::Joliet => JOLIET_ROOT,
        }
    }
}

struct Placed<'a> {
    name: &'a str,
    short: String,
    sector: u32,
    length: u32,
}

fn files_at(files: &[(&str, &[u8])]) -> Vec<usize> {
    let mut next = FILES;
    let mut at = Vec::new();
    for (_, content) in files {
        at.push(next);
        next += content.len().div_ceil(SECTOR);
    }
    at
}

fn number(value: usize) -> Result<u32, TooMuch> {
    u32::try_from(value).map_err(|_| TooMuch)
}

/// A name of the least common sort [10.1]: capitals, eight characters, no extension, version 1.
fn short_name(name: &str) -> String {
    let capital = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{}.;1", name.chars().map(capital).take(8).collect::<String>())
}

/// UCS-2, big endian, as Joliet wants.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// A number in both byte orders [7.3.3].
fn both(value: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&value.to_le_bytes());
    bytes[4..].copy_from_slice(&value.to_be_bytes());
    bytes
}

/// A volume descriptor, primary [8.4] or supplementary [8.5].
fn descriptor(names: Names, label: &str, sectors: u32) -> Result<Vec<u8>, TooMuch> {
    let mut d = vec![0; SECTOR];
    let mut put = |at: usize, bytes: &[u8]| d[at..at + bytes.len()].copy_from_slice(bytes);
    let text = |text: &str, length: usize| {
        let (mut bytes, blank) = match names {
            Names::Short => (text.as_bytes().to_vec(), vec![b' ']),
            Names::Joliet => (wide(text), wide(" ")),
        };
        while bytes.len() < length {
            bytes.extend_from_slice(&blank);
        }
        bytes.truncate(length);
        bytes
    };
    let (kind, path_tables) = match names {
        Names::Short => (1, PATH_TABLES),
        Names::Joliet => (2, PATH_TABLES + 2),
    };
    put(0, &[kind]);
    put(1, b"CD001\x01");
    put(8, &text("LINUX", 32));
    put(40, &text(label, 32));
    put(80, &both(sectors));
    if names == Names::Joliet {
        put(88, b"%/E"); // UCS-2 level 3
    }
    put(120, &[1, 0, 0, 1]); // volumes in the set
    put(124, &[1, 0, 0, 1]); // this one's number
    put(128, &[0x00, 0x08, 0x08, 0x00]); // bytes of a block
    put(132, &both(ROOT_PATH_BYTES));
    put(140, &number(path_tables)?.to_le_bytes());
    put(148, &number(path_tables + 1)?.to_be_bytes());
    put(156, &entry(&[0], number(names.root())?, number(SECTOR)?, DIRECTORY, &[])?);
    for (at, length) in [(190, 128), (318, 128), (446, 128), (574, 128), (702, 37), (739, 37), (776, 37)] {
        put(at, &text("", length));
    }
    for at in [813, 830, 847, 864] {
        put(at, b"0000000000000000\0"); // no date [8.4.26.1]
    }
    put(881, &[1]);
    Ok(d)
}

/// A path table with nothing but the root [9.4].
fn path_table(root: [u8; 4], parent: [u8; 2]) -> Vec<u8> {
    let mut table = vec![1, 0];
    table.extend_from_slice(&root);
    table.extend_from_slice(&parent);
    table.extend_from_slice(&[0, 0]);
    table
}

/// The root directory, in the order of its names [9.3].
fn directory(names: Names, files: &mut [Placed<'_>]) -> Result<Vec<u8>, TooMuch> {
    let (root, length) = (number(names.root())?, number(SECTOR)?);
    let unix = |attributes: Vec<u8>| if names == Names::Short { attributes } else { Vec::new() };
    let own = unix([sharing_protocol(), posix(0o040_755, 2)].concat());
    let parent = unix(posix(0o040_755, 2));
    let mut directory = entry(&[0], root, length, DIRECTORY, &own)?;
    directory.extend(entry(&[1], root, length, DIRECTORY, &parent)?);
    files.sort_by(|a, b| if names == Names::Short { a.short.cmp(&b.short) } else { a.name.cmp(b.name) });
    if names == Names::Short && files.windows(2).any(|pair| pair[0].short == pair[1].short) {
        return Err(TooMuch);
    }
    for file in files {
        let name = if names == Names::Short { file.short.clone().into_bytes() } else { wide(file.name) };
        let attributes = unix([posix(0o100_444, 1), long_name(file.name)?].concat());
        directory.extend(entry(&name, file.sector, file.length, 0, &attributes)?);
    }
    Ok(directory)
}

/// A directory record [9.1], with its system use area.
fn entry(name: &[u8], sector: u32, length: u32, flags: u8, system_use: &[u8]) -> Result<Vec<u8>, TooMuch> {
    let mut record = vec![0, 0];
    record.extend_from_slice(&both(sector));
    record.extend_from_slice(&both(length));
    record.extend_from_slice(&DATE);
    record.extend_from_slice(&[flags, 0, 0, 1, 0, 0, 1]);
    record.push(u8::try_from(name.len()).map_err(|_| TooMuch)?);
    record.extend_from_slice(name);
    if record.len() % 2 == 1 {
        record.push(0);
    }
    record.extend_from_slice(system_use);
    if record.len() % 2 == 1 {
        record.push(0);
    }
    record[0] = u8::try_from(record.len()).map_err(|_| TooMuch)?;
    Ok(record)
}

/// That system use areas are shared (SUSP 5.3), and by Rock Ridge (SUSP 5.5).
fn sharing_protocol() -> Vec<u8> {
    [b"SP\x07\x01\xbe\xef\x00".as_slice(), b"ER\x12\x01\x0a\x00\x00\x01RRIP_1991A"].concat()
}

/// Mode and links; owned by root (RRIP 4.1.1).
fn posix(mode: u32, links: u32) -> Vec<u8> {
    [b"PX\x24\x01".as_slice(), &both(mode), &both(links), &both(0), &both(0)].concat()
}

/// The name that Unix guests see (RRIP 4.1.4).
fn long_name(name: &str) -> Result<Vec<u8>, TooMuch> {
    let length = u8::try_from(name.len() + 5).map_err(|_| TooMuch)?;
    Ok([b"NM".as_slice(), &[length, 1, 0], name.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{TooMuch, volume};

    const META: &[u8] = b"{\"instance-id\": \"m-1\"}\n";

    fn user_data() -> Vec<u8> {
        (0..5000_u32).map(|n| (n % 251) as u8).collect()
    }

    fn written() -> (tempfile::TempDir, String) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("seed.iso");
        let image = volume("cidata", &[("meta-data", META), ("user-data", &user_data())]).unwrap();
        assert_eq!(image.len() % 2048, 0);
        std::fs::write(&path, image).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (root, path)
    }

    fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        output.stdout
    }

    #[test]
    fn isoinfo_reads_both_kinds_of_names() {
        let (_root, iso) = written();
        for kind in ["-R", "-J"] {
            let names = String::from_utf8(run("isoinfo", &[kind, "-f", "-i", &iso])).unwrap();
            assert_eq!(names, "/meta-data\n/user-data\n", "{kind}");
            assert_eq!(run("isoinfo", &[kind, "-x", "/meta-data", "-i", &iso]), META);
            assert_eq!(run("isoinfo", &[kind, "-x", "/user-data", "-i", &iso]), user_data());
        }
        let plain = String::from_utf8(run("isoinfo", &["-f", "-i", &iso])).unwrap();
        assert_eq!(plain, "/META_DAT.;1\n/USER_DAT.;1\n");
        let described = String::from_utf8(run("isoinfo", &["-d", "-i", &iso])).unwrap();
        assert!(described.contains("Rock Ridge signatures version 1 found"), "{described}");
        assert!(described.contains("Joliet with UCS level 3 found"), "{described}");
    }

    #[test]
    fn blkid_finds_the_label_that_cloud_init_looks_for() {
        let (_root, iso) = written();
        let found = String::from_utf8(run("blkid", &["-p", "-o", "export", &iso])).unwrap();
        assert!(found.contains("LABEL=cidata\n") && found.contains("TYPE=iso9660\n"), "{found}");
    }

    #[test]
    fn empty_files_and_hard_names() {
        let image = volume("cidata", &[("meta-data", b""), ("user-data", b"")]).unwrap();
        assert_eq!(image.len(), 25 * 2048);
        for bad in ["", "a/b", "a\nb", "é", &"a".repeat(31)] {
            assert_eq!(volume("cidata", &[(bad, b"")]), Err(TooMuch), "{bad:?}");
        }
        assert_eq!(volume("cidata", &[("same-name-1", b""), ("same-name-2", b"")]), Err(TooMuch));
        assert_eq!(volume("a label far too long", &[]), Err(TooMuch));
    }
}
