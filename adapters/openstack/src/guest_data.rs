//! What a guest is told at its first start. Nova puts one SSH key into a machine; further ones travel within the user
//! data, as far as cloud-init is there to understand them.

use backend::{BackendError, MachineSpec};

/// How it is handed over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GuestData {
    /// By Nova's key pair, which every guest finds in its metadata.
    pub(crate) first_key: Option<String>,
    /// As the guest reads them.
    pub(crate) user_data: Option<Vec<u8>>,
}

/// Divides what is ordered.
///
/// # Errors
/// [`BackendError::Refused`] for several keys beside user data that cannot be joined with them.
pub(crate) fn of(spec: &MachineSpec) -> Result<GuestData, BackendError> {
    let mut keys = spec.ssh_keys.iter().filter(|key| !key.trim().is_empty());
    let first_key = keys.next().cloned();
    let more: Vec<&String> = keys.collect();
    let own = spec.user_data.clone().filter(|data| !data.is_empty());
    if more.is_empty() {
        return Ok(GuestData { first_key, user_data: own });
    }
    let config = cloud_config(&more)?;
    let user_data = match own {
        None => config.into_bytes(),
        Some(own) => joined(&own, &config)?,
    };
    Ok(GuestData { first_key, user_data: Some(user_data) })
}

fn cloud_config(keys: &[&String]) -> Result<String, BackendError> {
    let mut text =
        "#cloud-config\nmerge_how: 'list(append)+dict(recurse_array)+str()'\nssh_authorized_keys:\n".to_owned();
    for key in keys {
        let quoted = serde_json::to_string(key.trim())
            .map_err(|error| BackendError::Refused(format!("an SSH key cannot be written: {error}")))?;
        // A text of JSON is one of YAML.
        text.push_str(&format!("  - {quoted}\n"));
    }
    Ok(text)
}

/// Both as one archive of parts (cloud-init's "MIME multi-part archive").
fn joined(own: &[u8], config: &str) -> Result<Vec<u8>, BackendError> {
    const BOUNDARY: &str = "===tombolo-5b0c7f6e2d9a===";
    let kind = kind_of(own).filter(|_| !contains(own, BOUNDARY.as_bytes())).ok_or_else(|| {
        BackendError::Refused(
            "OpenStack puts one SSH key into a machine, and several only beside user data that cloud-init can join with \
             them (a script, a cloud-config); give one key or none"
                .into(),
        )
    })?;
    let mut archive = format!(
        "Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\nMIME-Version: 1.0\n\n\
         --{BOUNDARY}\nContent-Type: text/cloud-config; charset=\"utf-8\"\n\n{config}\n\
         --{BOUNDARY}\nContent-Type: {kind}; charset=\"utf-8\"\n\n"
    )
    .into_bytes();
    archive.extend_from_slice(own);
    archive.extend_from_slice(format!("\n--{BOUNDARY}--\n").as_bytes());
    Ok(archive)
}

/// What cloud-init calls such a part, by its first line.
fn kind_of(own: &[u8]) -> Option<&'static str> {
    let text = std::str::from_utf8(own).ok()?;
    for (mark, kind) in [
        ("#!", "text/x-shellscript"),
        ("#cloud-config-archive", "text/cloud-config-archive"),
        ("#cloud-config", "text/cloud-config"),
        ("#include", "text/x-include-url"),
        ("#cloud-boothook", "text/cloud-boothook"),
        ("## template: jinja", "text/jinja2"),
    ] {
        if text.starts_with(mark) {
            return Some(kind);
        }
    }
    None
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use backend::{Architecture, MachineJoins};
    use disk_image::ContentDigest;

    use super::*;

    fn spec(keys: &[&str], user_data: Option<&[u8]>) -> MachineSpec {
        MachineSpec {
            tag: "0193c2b0-0000-7000-8000-000000000001".parse().unwrap(),
            name: String::new(),
            hostname: None,
            cores: 1,
            memory_mib: 1,
            disk_bytes: 1,
            architecture: Architecture::X86_64,
            image: ContentDigest::from_bytes([0; 32]),
            ssh_keys: keys.iter().map(|&key| key.to_owned()).collect(),
            user_data: user_data.map(<[u8]>::to_vec),
            joins: MachineJoins::default(),
        }
    }

    #[test]
    fn one_key_leaves_user_data_as_they_are() {
        let data = of(&spec(&["ssh-ed25519 A a"], Some(b"\xff\x00"))).unwrap();
        assert_eq!(data, GuestData { first_key: Some("ssh-ed25519 A a".into()), user_data: Some(vec![0xff, 0]) });
        assert_eq!(of(&spec(&[], None)).unwrap(), GuestData { first_key: None, user_data: None });
    }

    #[test]
    fn more_keys_travel_beside_user_data() {
        let data = of(&spec(&["a", "b \"quoted\"", "c"], None)).unwrap();
        let text = String::from_utf8(data.user_data.unwrap()).unwrap();
        assert!(text.starts_with("#cloud-config\n") && text.contains("  - \"b \\\"quoted\\\"\"\n"), "{text}");
        let data = of(&spec(&["a", "b"], Some(b"#!/bin/sh\ntrue\n"))).unwrap();
        let text = String::from_utf8(data.user_data.unwrap()).unwrap();
        assert!(text.starts_with("Content-Type: multipart/mixed") && text.contains("#!/bin/sh\ntrue\n"), "{text}");
        assert!(text.contains("text/x-shellscript") && text.contains("  - \"b\"\n"), "{text}");
    }

    #[test]
    fn more_keys_beside_what_cloud_init_does_not_know_are_refused() {
        for own in [&b"{\"ignition\": {}}"[..], b"\xff", b"#!/bin/sh\n===tombolo-5b0c7f6e2d9a===\n"] {
            assert!(matches!(of(&spec(&["a", "b"], Some(own))), Err(BackendError::Refused(_))));
        }
    }
}
