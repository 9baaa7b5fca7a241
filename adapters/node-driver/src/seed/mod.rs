//! What a guest is told at its first start: a NoCloud seed, an ISO 9660 volume labelled `cidata`.
//!
//! Keys and names are checked before, and the metadata is JSON (which is YAML), so nothing that a user wrote can
//! add a field. User data is handed on byte for byte.

mod iso9660;

use backend::{MachineId, MachineSpec};
use serde_json::json;

use crate::NodeError;

/// The most user data, in bytes: far above what any cloud takes, far below a load.
pub(crate) const MOST_USER_DATA: usize = 1 << 20;
const MOST_KEYS: usize = 64;
const MOST_KEY_BYTES: usize = 16 << 10;
const MOST_HOSTNAME_BYTES: usize = 253;

/// What goes into the seed, checked.
#[derive(Debug)]
pub(crate) struct Seed {
    hostname: String,
    keys: Vec<String>,
    user_data: Option<Vec<u8>>,
}

impl Seed {
    /// # Errors
    /// [`NodeError::Refused`], naming what is wrong with a name, a key, or the user data.
    pub(crate) fn of(spec: &MachineSpec, id: &MachineId) -> Result<Self, NodeError> {
        let hostname = match &spec.hostname {
            Some(name) => check_hostname(name)?.to_owned(),
            None => format!("vm-{}", id.as_str().chars().filter(char::is_ascii_alphanumeric).collect::<String>()),
        };
        if spec.ssh_keys.len() > MOST_KEYS {
            return Err(refused(format!("{} SSH keys are too many: at most {MOST_KEYS}", spec.ssh_keys.len())));
        }
        let keys = spec.ssh_keys.iter().map(|key| Ok(check_key(key)?.to_owned()));
        let keys = keys.collect::<Result<_, NodeError>>()?;
        if spec.user_data.as_ref().is_some_and(|data| data.len() > MOST_USER_DATA) {
            return Err(refused(format!("the user data is larger than {MOST_USER_DATA} bytes")));
        }
        Ok(Self { hostname, keys, user_data: spec.user_data.clone() })
    }

    /// The volume's bytes, a multiple of 2048.
    pub(crate) fn render(&self, id: &MachineId) -> Result<Vec<u8>, NodeError> {
        let metadata = json!({
            "instance-id": id.as_str(),
            "local-hostname": self.hostname,
            "public-keys": self.keys,
        });
        // One key per line, for guests whose parser is a shell script.
        let mut metadata = serde_json::to_vec_pretty(&metadata).map_err(|e| NodeError::Internal(e.to_string()))?;
        metadata.push(b'\n');
        // cloud-init wants the file to exist, and this much in it does nothing.
        let user_data = self.user_data.as_deref().unwrap_or(b"#cloud-config\n{}\n");
        iso9660::volume("cidata", &[("meta-data", &metadata), ("user-data", user_data)])
            .map_err(|error| NodeError::Internal(format!("the seed: {error}")))
    }
}

fn refused(problem: String) -> NodeError {
    NodeError::Refused(problem)
}

/// A host name as DNS has it: labels of letters, digits and inner hyphens (RFC 1123, section 2.1).
fn check_hostname(name: &str) -> Result<&str, NodeError> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= MOST_HOSTNAME_BYTES && name.split('.').all(label) {
        return Ok(name);
    }
    Err(refused(format!("{name:?} is no host name: labels of letters, digits and inner hyphens, joined by dots")))
}

/// One line of an `authorized_keys` file: type, base64, comment; without options.
fn check_key(key: &str) -> Result<&str, NodeError> {
    const TYPES: [&str; 8] = [
        "ssh-ed25519",
        "ssh-rsa",
        "ssh-dss",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    let key = key.trim_end_matches(['\r', '\n', ' ']);
    let mut words = key.split(' ');
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    let problem = if key.len() > MOST_KEY_BYTES {
        "it is too long"
    } else if key.chars().any(char::is_control) {
        "it has control characters or several lines"
    } else if !TYPES.contains(&kind) {
        "it does not start with a type that OpenSSH knows, as in: ssh-ed25519 AAAA… comment"
    } else if blob.len() < 16 || !blob.bytes().all(base64) {
        "the second word is not base64"
    } else {
        return Ok(key);
    };
    let begin: String = key.chars().filter(|c| !c.is_control()).take(24).collect();
    Err(refused(format!("the SSH key \"{begin}…\" cannot be used: {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9qQ2 teacher@school";

    #[test]
    fn a44_keys_with_more_than_a_key_are_refused() {
        assert_eq!(check_key(KEY).unwrap(), KEY);
        assert_eq!(check_key(&format!("{KEY}\n")).unwrap(), KEY, "a file's last newline is no second line");
        for bad in [
            &format!("{KEY}\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9qQ2 intruder"),
            &format!("{KEY}\0"),
            "command=\"/bin/sh\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9qQ2",
            "ssh-ed25519",
            "ssh-ed25519 not_base64_at_all",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            &format!("ssh-rsa {}", "A".repeat(MOST_KEY_BYTES)),
            "",
        ] {
            assert!(matches!(check_key(bad), Err(NodeError::Refused(_))), "{bad:.40}");
        }
    }

    #[test]
    fn a44_only_dns_names_are_host_names() {
        for good in ["a", "classroom-1", "a.b-c.d9"] {
            check_hostname(good).unwrap();
        }
        for bad in ["", "-a", "a-", "a..b", "a\nb", "a b", "é", "a: b", &"a".repeat(64), &"a.".repeat(127)] {
            assert!(check_hostname(bad).is_err(), "{bad:?}");
        }
    }
}
