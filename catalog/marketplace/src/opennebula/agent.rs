/// A release of OpenNebula, as far as marketplaces tell them apart: 6.10, 7.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    major: u16,
    minor: u16,
}

impl Release {
    /// All that can use what we offer: those that know qcow2 images by an address.
    pub const ALL: [Self; 13] = [
        Self::new(5, 8),
        Self::new(5, 10),
        Self::new(5, 12),
        Self::new(6, 0),
        Self::new(6, 2),
        Self::new(6, 4),
        Self::new(6, 6),
        Self::new(6, 8),
        Self::new(6, 10),
        Self::new(7, 0),
        Self::new(7, 2),
        Self::new(7, 4),
        Self::new(7, 6),
    ];

    const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// The release that a marketplace driver says it is of: `OpenNebula 7.4.0 (Market Driver)`. `None` for anybody else,
    /// and for those that there was nothing known of: they get the newest list.
    #[must_use]
    pub fn of_agent(agent: &str) -> Option<Self> {
        let rest = agent.strip_prefix("OpenNebula ")?;
        let (major, rest) = rest.split_once('.')?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let told = Self { major: number(major)?, minor: number(&rest[..end])? };
        Self::ALL.contains(&told).then_some(told)
    }

    /// As applications name it: `7.4`.
    #[must_use]
    pub fn name(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// Whether an application is for it that names these releases, like `6.10, 7.0, 7.4`.
    #[must_use]
    pub fn is_among(self, releases: &str) -> bool {
        let name = self.name();
        releases.split(',').any(|release| release.trim() == name)
    }
}

fn number(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_say_of_which_release_they_are() {
        let of = |agent| Release::of_agent(agent).map(Release::name);
        assert_eq!(of("OpenNebula 7.4.0 (Market Driver)").as_deref(), Some("7.4"));
        assert_eq!(of("OpenNebula 6.10 EE (Market Driver)").as_deref(), Some("6.10"));
        assert_eq!(of("OpenNebula 6.10").as_deref(), Some("6.10"));
        for odd in
            ["", "curl/8.0", "OpenNebula", "OpenNebula x.y", "OpenNebula 99.0.1", "OpenNebula 4.14.0", "OpenNebula 7."]
        {
            assert_eq!(of(odd), None, "{odd}");
        }
    }

    #[test]
    fn releases_are_compared_whole() {
        let [.., release] = Release::ALL;
        assert!(release.is_among("6.10, 7.6") && release.is_among("7.6") && !release.is_among("17.6, 7.60"));
    }
}
