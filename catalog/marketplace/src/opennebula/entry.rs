use serde::Serialize;
use serde_json::json;

use super::Release;
use crate::{Appliance, ApplianceName, ApplianceVersion, Architecture};

/// The file that an appliance is fetched as: a qcow2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedFile {
    /// Where: absolute, reachable without credentials.
    pub url: String,
    /// What a guest sees, in bytes.
    pub disk_size: u64,
    /// MD5 of the file, in hexadecimal digits.
    pub md5: String,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
}

/// An appliance of ours as OpenNebula reads it.
///
/// OpenNebula knows an application by its name, among those of all its marketplaces, and looks again at one only when
/// its version, checksum or address has changed. So the name ends in the marketplace's, and the version changes with
/// whatever else does. In the template all values are texts: one number, and the driver drops all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    #[serde(rename = "_id")]
    id: Id,
    name: String,
    version: String,
    publisher: String,
    description: String,
    short_description: String,
    tags: Vec<String>,
    format: &'static str,
    creation_time: i64,
    #[serde(rename = "os-id")]
    os_id: &'static str,
    #[serde(rename = "os-release")]
    os_release: &'static str,
    #[serde(rename = "os-arch")]
    os_arch: &'static str,
    hypervisor: &'static str,
    opennebula_version: String,
    opennebula_template: String,
    links: Links,
    files: [File; 1],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Id {
    #[serde(rename = "$oid")]
    oid: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Links {
    download: Link,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Link {
    href: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct File {
    name: String,
    url: String,
    #[serde(rename = "type")]
    kind: &'static str,
    dev_prefix: &'static str,
    driver: &'static str,
    size: u64,
    md5: String,
    checksum: Checksum,
    hypervisor: &'static str,
    #[serde(rename = "os-arch")]
    os_arch: &'static str,
    format: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Checksum {
    md5: String,
    sha256: String,
}

/// By what OpenNebula asks for an appliance of ours: 24 hexadecimal digits that follow from its name.
#[must_use]
pub fn entry_id(name: &ApplianceName) -> String {
    let hash = blake3::hash(format!("tombolo appliance {name}").as_bytes());
    hash.to_hex().chars().take(24).collect()
}

impl Entry {
    /// The appliance in this version, in the marketplace of this name.
    #[must_use]
    pub fn new(appliance: &Appliance, version: &ApplianceVersion, file: OfferedFile, market: &str) -> Self {
        let OfferedFile { url, disk_size, md5, sha256 } = file;
        let os_arch = match version.requirements().architecture {
            Architecture::X86_64 => "x86_64",
            // Hosts of any kind that have it; there is no name for it that matches one.
            Architecture::X86 => "",
        };
        let releases: Vec<_> = Release::ALL.into_iter().map(Release::name).collect();
        let description = match appliance.description() {
            "" => appliance.title(),
            description => description,
        };
        let mut entry = Self {
            id: Id { oid: entry_id(appliance.name()) },
            name: format!("{} - {market}", appliance.name()),
            version: version.label().to_string(),
            publisher: appliance.publisher().to_owned(),
            description: description.to_owned(),
            short_description: appliance.title().to_owned(),
            tags: vec![appliance.name().to_string()],
            format: "qcow2",
            creation_time: version.published_at().0 / 1_000_000,
            os_id: "",
            os_release: "",
            os_arch,
            hypervisor: "KVM",
            opennebula_version: releases.join(", "),
            opennebula_template: template(version),
            links: Links { download: Link { href: url.clone() } },
            files: [File {
                name: format!("{}.qcow2", appliance.name()),
                url,
                kind: "OS",
                dev_prefix: "vd",
                driver: "qcow2",
                size: disk_size,
                checksum: Checksum { md5: md5.clone(), sha256 },
                md5,
                hypervisor: "KVM",
                os_arch,
                format: "qcow2",
            }],
        };
        // Over all of it, the address too: whatever changes is another version.
        let all = serde_json::to_vec(&entry).unwrap_or_default();
        let mark: String = blake3::hash(&all).to_hex().chars().take(8).collect();
        entry.version = format!("{}-{mark}", version.label());
        entry
    }

    /// By what it is asked for.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id.oid
    }

    /// Whether it is listed for this release; for somebody of none, whatever is new is.
    #[must_use]
    pub fn is_for(&self, release: Option<Release>) -> bool {
        release.is_none_or(|release| release.is_among(&self.opennebula_version))
    }

    /// The file's guest-visible size, in bytes.
    #[must_use]
    pub fn disk_size(&self) -> u64 {
        self.files[0].size
    }
}

/// What a machine of it is made of at least, in OpenNebula's words.
fn template(version: &ApplianceVersion) -> String {
    let needs = version.requirements();
    let (cores, memory) = (needs.cores.to_string(), needs.memory_mib.to_string());
    json!({
        "CPU": cores, "VCPU": cores, "MEMORY": memory,
        "GRAPHICS": { "TYPE": "VNC", "LISTEN": "0.0.0.0" },
        "CONTEXT": { "NETWORK": "YES", "SSH_PUBLIC_KEY": "$USER[SSH_PUBLIC_KEY]" },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use disk_image::ContentDigest;
    use serde_json::Value;

    use super::*;
    use crate::{ApplianceDraft, PublicationTime, Requirements, VersionDraft};

    fn appliance(title: &str) -> Appliance {
        let draft = ApplianceDraft {
            name: "debian-12".into(),
            title: title.into(),
            description: String::new(),
            publisher: "A school".into(),
        };
        draft.try_into().unwrap()
    }

    fn version() -> ApplianceVersion {
        let architecture = Architecture::X86_64;
        let draft = VersionDraft {
            label: "12.7".into(),
            image: ContentDigest::from_bytes([1; 32]),
            image_bytes: 1 << 30,
            requirements: Requirements { architecture, cores: 2, memory_mib: 768, disk_bytes: 1 << 30 },
            published_at: PublicationTime(1_790_000_000_000_000),
            withdrawn: false,
        };
        draft.try_into().unwrap()
    }

    fn file(md5: &str) -> OfferedFile {
        let url = "https://b.example/appliance/x/download/0".into();
        OfferedFile { url, disk_size: 1 << 30, md5: md5.into(), sha256: "ef".repeat(32) }
    }

    fn json(entry: &Entry) -> Value {
        serde_json::to_value(entry).unwrap()
    }

    #[test]
    fn it_has_what_the_driver_reads() {
        let entry = Entry::new(&appliance("Debian 12"), &version(), file("ab"), "Tombolo");
        let json = json(&entry);
        assert_eq!(json["_id"]["$oid"], entry.id());
        assert!(entry.id().len() == 24 && entry.id().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(json["name"], "debian-12 - Tombolo");
        assert_eq!((&json["format"], &json["creation_time"]), (&"qcow2".into(), &1_790_000_000.into()));
        assert_eq!(json["short_description"], "Debian 12");
        assert!(json["tags"].is_array() && json["version"].as_str().unwrap().starts_with("12.7-"));
        let first = &json["files"][0];
        assert_eq!(
            (&first["type"], &first["driver"], &first["dev_prefix"]),
            (&"OS".into(), &"qcow2".into(), &"vd".into())
        );
        assert_eq!((&first["size"], &first["md5"]), (&(1_u64 << 30).into(), &"ab".into()));
        assert_eq!(first["checksum"]["sha256"], "ef".repeat(32));
        assert_eq!(json["links"]["download"]["href"], first["url"]);
    }

    #[test]
    fn the_template_is_json_of_texts_in_a_text() {
        let entry = json(&Entry::new(&appliance("Debian 12"), &version(), file("ab"), "Tombolo"));
        let template: Value = serde_json::from_str(entry["opennebula_template"].as_str().unwrap()).unwrap();
        assert_eq!((&template["CPU"], &template["MEMORY"]), (&"2".into(), &"768".into()));
        for (name, value) in template.as_object().unwrap() {
            assert_eq!(*name, name.to_ascii_uppercase());
            let texts = value.as_object().map_or(vec![value], |hash| hash.values().collect());
            assert!(texts.iter().all(|text| text.is_string()), "{name}: {value}");
        }
    }

    #[test]
    fn whatever_changes_is_another_version() {
        let of = |title, md5| json(&Entry::new(&appliance(title), &version(), file(md5), "Tombolo"))["version"].clone();
        assert_eq!(of("Debian 12", "ab"), of("Debian 12", "ab"));
        assert_ne!(of("Debian 12", "ab"), of("Debian XII", "ab"));
        assert_ne!(of("Debian 12", "ab"), of("Debian 12", "cd"));
    }

    #[test]
    fn every_known_release_and_every_stranger_sees_it() {
        let entry = Entry::new(&appliance("Debian 12"), &version(), file("ab"), "Tombolo");
        assert!(Release::ALL.into_iter().all(|release| entry.is_for(Some(release))) && entry.is_for(None));
        let narrow = Entry { opennebula_version: "7.0, 7.4".into(), ..entry };
        assert!(narrow.is_for(Release::of_agent("OpenNebula 7.4.0 (Market Driver)")));
        assert!(!narrow.is_for(Release::of_agent("OpenNebula 6.10.5 (Market Driver)")));
    }
}
