//! Who gets in, and what they may do then.

use std::{collections::BTreeSet, ops::RangeInclusive, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::Config;
use crate::login::{Rules, confirmation::Pace, mapping::Rule, provider::ProviderConfig};

const HOUR: u64 = 60 * 60;
const MINUTE: u64 = 60;
/// A day; whoever is shut out at a provider that is away gets in for as long as that at most.
const MOST_HOURS: u32 = 24;
/// Who is shut out at a provider is shut out here within a minute, looks at the database included.
const CONFIRM_SECONDS: RangeInclusive<u32> = 5..=55;
/// A one-time link lies about for no longer.
const MOST_LINK_MINUTES: u32 = 24 * 60;

/// Who gets in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginConfig {
    /// Where people sign in.
    pub provider: Vec<ProviderConfig>,
    /// Who of them gets which role; nobody gets one without a rule, an invitation or somebody's consent.
    pub mapping: Vec<Rule>,
    /// For how many hours a browser stays signed in, used or not.
    pub session_hours: u32,
    /// For how many hours a role from a mapping holds after the provider has spoken last.
    pub mapping_hours: u32,
    /// After how many seconds a provider is asked again whether somebody who uses this server is still theirs.
    pub confirm_seconds: u32,
    /// What becomes of people whom no rule gives anything.
    pub registration: Registration,
    /// The server's secret; `login.key` in the data directory when empty. Replicas share it.
    pub key_file: PathBuf,
    /// For how many minutes a one-time link holds.
    pub link_minutes: u32,
    /// Whether users with a password may sign in.
    pub local_users: bool,
}

/// What becomes of people whom no rule gives anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// They have to be invited.
    #[default]
    Closed,
    /// They may ask, and somebody who may decides.
    Approval,
}

impl Default for LoginConfig {
    fn default() -> Self {
        Self {
            provider: Vec::new(),
            mapping: Vec::new(),
            session_hours: 8,
            mapping_hours: 8,
            confirm_seconds: 45,
            registration: Registration::default(),
            key_file: PathBuf::new(),
            link_minutes: 15,
            local_users: true,
        }
    }
}

impl LoginConfig {
    /// For how long a one-time link holds.
    pub fn link_time(&self) -> Duration {
        Duration::from_secs(u64::from(self.link_minutes) * MINUTE)
    }

    /// How long a provider's word counts.
    pub fn pace(&self) -> Pace {
        Pace::stale_after(Duration::from_secs(self.confirm_seconds.into()))
    }

    /// What decides on people's roles.
    pub fn rules(&self) -> Rules {
        Rules { mapping: self.mapping.clone(), valid_for: Duration::from_secs(u64::from(self.mapping_hours) * HOUR) }
    }

    /// Whether it makes sense; `sites` are the names of all sites.
    ///
    /// # Errors
    /// What does not, in words.
    pub(super) fn check(&self, sites: &BTreeSet<&String>) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for ProviderConfig { name, .. } in &self.provider {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
                return Err(format!("[[login.provider]] name {name:?} must be 1 to 63 of a-z 0-9 -"));
            }
            if !names.insert(name.as_str()) {
                return Err(format!("two providers are named {name}"));
            }
        }
        for rule in &self.mapping {
            if !names.contains(rule.provider()) {
                let name = rule.provider();
                return Err(format!(
                    "[[login.mapping]] provider = {name:?}: there is no [[login.provider]] of this name"
                ));
            }
            let is_site = |name: &str| sites.iter().any(|site| *site == name) || (sites.is_empty() && name == "local");
            if let Some(site) = rule.site().filter(|site| !is_site(site)) {
                return Err(format!("[[login.mapping]] site = {site:?}: there is no [[site]] of this name"));
            }
        }
        for (what, hours) in [("session_hours", self.session_hours), ("mapping_hours", self.mapping_hours)] {
            if hours == 0 || hours > MOST_HOURS {
                return Err(format!("[login] {what} must be 1 to {MOST_HOURS}"));
            }
        }
        if !CONFIRM_SECONDS.contains(&self.confirm_seconds) {
            let (least, most) = (CONFIRM_SECONDS.start(), CONFIRM_SECONDS.end());
            return Err(format!("[login] confirm_seconds must be {least} to {most}"));
        }
        if self.link_minutes == 0 || self.link_minutes > MOST_LINK_MINUTES {
            return Err(format!("[login] link_minutes must be 1 to {MOST_LINK_MINUTES}"));
        }
        Ok(())
    }
}

impl Config {
    /// Where the server's secret lies.
    pub fn key_file(&self) -> PathBuf {
        let file = &self.login.key_file;
        if file.as_os_str().is_empty() { self.data_dir.join("login.key") } else { file.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), String> {
        let config: LoginConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check(&BTreeSet::new())
    }

    const SCHOOL: &str = "[[provider]]\nname = 'school'\nissuer = 'https://id.example'\nclient_id = 'x'\n";

    #[test]
    fn nothing_is_needed() {
        check("").unwrap();
        check(SCHOOL).unwrap();
        assert_eq!(LoginConfig::default().registration, Registration::Closed);
    }

    #[test]
    fn mistakes_are_named() {
        let mapping = "[[mapping]]\nprovider = 'schol'\nalways = true\nproject = 'p'\n";
        for (text, words) in [
            (format!("{SCHOOL}{mapping}"), "no [[login.provider]]"),
            (SCHOOL.repeat(2), "two providers"),
            (SCHOOL.replace("school", "Sch ool"), "a-z 0-9 -"),
            ("session_hours = 0".into(), "session_hours"),
            ("mapping_hours = 25".into(), "mapping_hours"),
            ("confirm_seconds = 4".into(), "confirm_seconds"),
            ("confirm_seconds = 56".into(), "confirm_seconds"),
            ("registration = 'open'".into(), "open"),
            ("link_minutes = 0".into(), "link_minutes"),
            ("sesion_hours = 1".into(), "sesion_hours"),
            (format!("{SCHOOL}[[mapping]]\nprovider = 'school'\nalways = true\nsite = 'lab'\n"), "no [[site]]"),
        ] {
            let refused = check(&text).unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }
}
