use backend::BackendError;
use backend_http::quoted;

/// A version of the service, as far as it decides what can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) patch: u32,
}

impl Version {
    /// The oldest one whose calls are known.
    const OLDEST: Self = Self { major: 5, minor: 12, patch: 0 };
    /// The first one that gives a machine another security group.
    pub(crate) const CHANGES_GROUPS: Self = Self { major: 6, minor: 4, patch: 0 };

    /// Reads what the service says of itself.
    ///
    /// # Errors
    /// [`BackendError::Refused`] for a version that is too old or no version at all.
    pub(crate) fn accepted(text: &str) -> Result<Self, BackendError> {
        let mut parts = text.split('.').map(|part| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        let mut part = || parts.next().flatten();
        let version = match (part(), part()) {
            (Some(major), Some(minor)) => Self { major, minor, patch: part().unwrap_or(0) },
            _ => {
                let said = quoted(text);
                return Err(BackendError::Refused(format!(
                    "OpenNebula says that its version is {said:?}, which is none"
                )));
            }
        };
        if version < Self::OLDEST {
            return Err(BackendError::Refused(format!(
                "OpenNebula {version} is too old; {} is the oldest that can be used, so upgrade the site",
                Self::OLDEST
            )));
        }
        Ok(version)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_refused_by_name() {
        for (text, shown) in [("7.4.0", "7.4.0"), ("5.12.0.4", "5.12.0"), ("6.10.5", "6.10.5"), ("6.8", "6.8.0")] {
            assert_eq!(Version::accepted(text).unwrap().to_string(), shown);
        }
        let refused = Version::accepted("5.10.1").unwrap_err().to_string();
        assert!(refused.contains("5.10.1") && refused.contains("5.12.0") && refused.contains("upgrade"), "{refused}");
        for strange in ["", "seven", "7", ".", "-1.2"] {
            assert!(Version::accepted(strange).is_err(), "{strange}");
        }
    }
}
