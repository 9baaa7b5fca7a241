//! Computes: the machine that a site is asked for, and what may change about it.

use std::collections::BTreeMap;

use backend::{Architecture, IntentTag, MachineSize, MachineSpec};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use occi_schema::{
    AttributeName, NewEntity, Value, contextualization,
    well_known::attribute::{ARCHITECTURE, CORES, EPHEMERAL_STORAGE_SIZE, HOSTNAME, MEMORY, TITLE},
};
use uuid::Uuid;

use super::{BrokerError, model::DISK_SIZE};
use crate::store::appliance::Offered;

pub(super) const GIB: f64 = (1_u64 << 30) as f64;
const MIB_IN_GIB: f64 = 1024.0;

/// The size of a compute that names neither a template nor its own: the standard's `small` (GFD.222).
const DEFAULT_CORES: i64 = 1;
const DEFAULT_MEMORY: f64 = 1.0;
const DEFAULT_DISK: f64 = 10.0;

/// Most user data, in bytes: what OpenStack takes, and more than a cloud-config ever is.
const USER_DATA_LIMIT: usize = 64 << 10;
/// Longest public key: RSA with 16384 bits has about 2800 characters.
const KEY_LIMIT: usize = 8192;

/// What rOCCI sends may lack its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The machine for a compute made of this appliance, and the sizes that the compute shows.
///
/// # Errors
/// [`BrokerError::Invalid`], naming the attribute.
pub fn machine(entity: &mut NewEntity, id: Uuid, offered: &Offered) -> Result<MachineSpec, BrokerError> {
    for (name, default) in [
        (&CORES, Value::Integer(DEFAULT_CORES)),
        (&MEMORY, Value::Float(DEFAULT_MEMORY)),
        (&EPHEMERAL_STORAGE_SIZE, Value::Float(DEFAULT_DISK)),
    ] {
        entity.attributes.entry(name.clone()).or_insert(default);
    }
    let size = size(&entity.attributes)?;
    let least = offered.version.requirements().memory_mib;
    if size.memory_mib < least {
        let needs = format!("this appliance needs at least {least} MiB, not {}", size.memory_mib);
        return Err(invalid(&MEMORY, &needs));
    }
    let attributes = &entity.attributes;
    let hostname = attributes.get(&HOSTNAME).and_then(Value::as_str).and_then(hostname);
    let ssh_keys = contextualization::ssh_public_key(attributes).map(ssh_key).transpose()?;
    let user_data = contextualization::user_data(attributes).map(user_data).transpose()?;
    Ok(MachineSpec {
        tag: IntentTag(Uuid::now_v7()),
        name: attributes.get(&TITLE).and_then(Value::as_str).map_or_else(|| id.to_string(), str::to_owned),
        hostname,
        cores: size.cores,
        memory_mib: size.memory_mib,
        disk_bytes: size.disk_bytes,
        architecture: architecture(attributes.get(&ARCHITECTURE).and_then(Value::as_str))?,
        image: offered.version.image(),
        ssh_keys: ssh_keys.into_iter().collect(),
        user_data,
        joins: backend::MachineJoins::default(),
    })
}

/// The size that a machine gets by the compute's attributes.
///
/// # Errors
/// [`BrokerError::Invalid`], naming the attribute.
pub fn size(attributes: &BTreeMap<AttributeName, Value>) -> Result<MachineSize, BrokerError> {
    let cores = number(attributes, &CORES)?;
    let memory = number(attributes, &MEMORY)?;
    // Whoever chooses the disk's size does not mean the default one.
    let chosen = attributes.keys().find(|name| name.as_str() == DISK_SIZE).unwrap_or(&EPHEMERAL_STORAGE_SIZE);
    let disk = number(attributes, chosen)?;
    if cores.fract() != 0.0 || !(1.0..=4096.0).contains(&cores) {
        return Err(invalid(&CORES, "must be a whole number from 1 to 4096"));
    }
    if !(memory > 0.0 && memory <= 65_536.0) {
        return Err(invalid(&MEMORY, "must be above 0 and at most 65536 GiB"));
    }
    if !(disk > 0.0 && disk <= 65_536.0) {
        return Err(invalid(&EPHEMERAL_STORAGE_SIZE, "must be above 0 and at most 65536 GiB"));
    }
    Ok(MachineSize {
        cores: u32::try_from(whole(cores)).map_err(|_| invalid(&CORES, "is too large"))?,
        memory_mib: whole(memory * MIB_IN_GIB),
        disk_bytes: whole(disk * GIB) / 512 * 512,
    })
}

/// Lets the machine be of this size.
pub fn set_size(spec: &mut MachineSpec, size: MachineSize) {
    (spec.cores, spec.memory_mib, spec.disk_bytes) = (size.cores, size.memory_mib, size.disk_bytes);
}

/// Lets the compute say that it is of this size.
pub fn show_size(attributes: &mut BTreeMap<AttributeName, Value>, size: MachineSize) {
    attributes.insert(CORES.clone(), Value::Integer(size.cores.into()));
    attributes.insert(MEMORY.clone(), Value::Float(size.memory_mib as f64 / MIB_IN_GIB));
    attributes.insert(EPHEMERAL_STORAGE_SIZE.clone(), Value::Float(size.disk_bytes as f64 / GIB));
}

/// Checks attributes of a compute that exists and whose size stays as it is. Another host name is for people: a guest
/// learns its name when it is made.
///
/// # Errors
/// [`BrokerError::Conflict`] for what a machine is made of.
pub fn check_change(name: &AttributeName) -> Result<(), BrokerError> {
    if *name == ARCHITECTURE {
        return Err(BrokerError::Conflict(format!("{name} cannot change once the machine is made")));
    }
    Ok(())
}

/// The value of a numeric attribute.
pub(super) fn number(attributes: &BTreeMap<AttributeName, Value>, name: &AttributeName) -> Result<f64, BrokerError> {
    let value = attributes.get(name).and_then(Value::as_float);
    value.filter(|number| number.is_finite()).ok_or_else(|| invalid(name, "must be a number"))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the caller, never negative")]
pub(super) fn whole(number: f64) -> u64 {
    number.ceil() as u64
}

fn architecture(named: Option<&str>) -> Result<Architecture, BrokerError> {
    match named {
        None | Some("x64") => Ok(Architecture::X86_64),
        Some("x86") => Ok(Architecture::X86),
        Some(_) => Err(invalid(&ARCHITECTURE, "must be x86 or x64")),
    }
}

/// The DNS name (RFC 1123) that comes closest to what the client wrote: it reaches the guest's configuration, so nothing
/// else may. Clients write labels of their own there; when nothing is left of one, the site chooses.
fn hostname(text: &str) -> Option<String> {
    const LONGEST: usize = 253;
    const LONGEST_LABEL: usize = 63;
    let label = |label: &str| {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let label: String = label.trim_matches(|c: char| !c.is_ascii_alphanumeric()).chars().map(plain).collect();
        label.chars().take(LONGEST_LABEL).collect::<String>().trim_end_matches('-').to_owned()
    };
    let mut name = String::new();
    for label in text.split('.').map(label).filter(|label| !label.is_empty()) {
        if name.len() + 1 + label.len() > LONGEST {
            break;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&label);
    }
    (!name.is_empty()).then_some(name)
}

/// One line of an `authorized_keys` file without options: type, base64, and perhaps a comment.
fn ssh_key(text: &str) -> Result<String, BrokerError> {
    let text = text.trim();
    let mut words = text.split(' ');
    let (kind, data) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let known = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|prefix| kind.starts_with(prefix));
    let decoded = BASE64.decode(data).unwrap_or_default();
    // The blob repeats the type, with its length in front (RFC 4253 section 6.6).
    let repeats = decoded.get(4..).is_some_and(|rest| rest.starts_with(kind.as_bytes()));
    if text.len() <= KEY_LIMIT && !text.chars().any(char::is_control) && known && repeats {
        Ok(text.to_owned())
    } else {
        let what =
            "the SSH key (occi.credentials.ssh.publickey) must be one line as in a .pub file: type, base64, comment";
        Err(BrokerError::Invalid(what.into()))
    }
}

/// Base64 as most clients send it, else the text itself. What decodes cleanly is taken as base64.
fn user_data(text: &str) -> Result<Vec<u8>, BrokerError> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let data = match BASE64.decode(&compact) {
        Ok(decoded) if !compact.is_empty() => decoded,
        _ => text.as_bytes().to_vec(),
    };
    if data.len() > USER_DATA_LIMIT {
        return Err(BrokerError::Invalid(format!(
            "the user data has {} bytes, at most {USER_DATA_LIMIT} are taken",
            data.len()
        )));
    }
    Ok(data)
}

pub(super) fn invalid(name: &AttributeName, reason: &str) -> BrokerError {
    BrokerError::Invalid(format!("{name} {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtQ0h3vHkX1Zq4mVw3n0n9pJ8m0m3aFz0m0m3aFz0m0 ann@school";

    #[test]
    fn a44_host_names_become_dns_names() {
        let longest = "a".repeat(63);
        for good in ["a", "desk-7", "desk-7.school.example", longest.as_str()] {
            assert_eq!(hostname(good).as_deref(), Some(good));
        }
        for (wish, name) in [
            ("two words", "two-words"),
            ("-a-", "a"),
            ("a..b", "a.b"),
            ("a\nb: c", "a-b--c"),
            ("dyso::e3769372", "dyso--e3769372"),
            ("Ä7", "7"),
            ("../etc/passwd", "etc-passwd"),
        ] {
            assert_eq!(hostname(wish).as_deref(), Some(name), "{wish:?}");
        }
        assert_eq!(hostname(&"a".repeat(64)).map(|name| name.len()), Some(63));
        assert!(hostname(&"abc.".repeat(100)).is_some_and(|name| name.len() <= 253 && !name.ends_with('.')));
        for nothing in ["", "-", "...", "ä", "\n"] {
            assert_eq!(hostname(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a44_keys_are_one_whole_line() {
        assert_eq!(ssh_key(&format!(" {KEY}\n")).unwrap(), KEY);
        let injected = format!("{KEY}\nssh-ed25519 AAAA evil");
        let with_options = format!("command=\"x\" {KEY}");
        for bad in ["", "ssh-ed25519", "ssh-ed25519 !!!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5", &injected, &with_options] {
            assert!(ssh_key(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn user_data_is_base64_or_itself() {
        assert_eq!(user_data("IyEvYmluL3NoCg==").unwrap(), b"#!/bin/sh\n");
        assert_eq!(user_data("IyEvYmluL3NoCg").unwrap(), b"#!/bin/sh\n", "without its padding");
        assert_eq!(user_data("IyEv\nYmluL3NoCg==").unwrap(), b"#!/bin/sh\n", "with line breaks");
        assert_eq!(user_data("#!/bin/sh\ntrue\n").unwrap(), b"#!/bin/sh\ntrue\n");
        assert!(user_data(&"#".repeat(USER_DATA_LIMIT + 1)).is_err());
    }
}
