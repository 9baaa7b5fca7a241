use std::{fmt, str::FromStr};

use backend::BackendError;

/// A service's microversion: `2.96`. Larger minor numbers are later ones, within one major number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Microversion {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl Microversion {
    pub(crate) const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Microversion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(Self { major: major.parse().map_err(drop)?, minor: minor.parse().map_err(drop)? })
    }
}

/// What we can speak of one service's versions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The one that we know best.
    pub(crate) preferred: Microversion,
    /// The first one that can all that we need.
    pub(crate) least: Microversion,
    /// Which release of OpenStack had that one first.
    pub(crate) release: &'static str,
}

impl Wanted {
    /// The version to speak with a service that offers those from `lowest` to `highest`.
    pub(crate) fn choose(
        &self,
        service: &str,
        lowest: Microversion,
        highest: Microversion,
    ) -> Result<Microversion, BackendError> {
        let chosen = self.preferred.min(highest);
        if chosen < self.least || chosen < lowest {
            let Self { preferred, least, release } = self;
            return Err(BackendError::Unsupported(format!(
                "be spoken to: its {service} offers versions {lowest} to {highest}, and {least} to {preferred} are \
                 needed (OpenStack {release} or later)"
            )));
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted =
        Wanted { preferred: Microversion::new(2, 96), least: Microversion::new(2, 53), release: "Pike" };

    fn choose(lowest: &str, highest: &str) -> Result<Microversion, BackendError> {
        WANTED.choose("compute service", lowest.parse().unwrap(), highest.parse().unwrap())
    }

    #[test]
    fn the_best_known_version_is_spoken_where_it_is_offered() {
        assert_eq!(choose("2.1", "2.103"), Ok(Microversion::new(2, 96)));
        assert_eq!(choose("2.1", "2.60"), Ok(Microversion::new(2, 60)));
        assert_eq!(choose("2.1", "2.53"), Ok(Microversion::new(2, 53)));
    }

    #[test]
    fn a_service_that_is_too_old_or_too_new_is_named() {
        for (lowest, highest) in [("2.1", "2.52"), ("2.97", "2.120"), ("3.0", "3.9")] {
            let Err(BackendError::Unsupported(why)) = choose(lowest, highest) else { panic!("{lowest} to {highest}") };
            assert!(why.contains(highest) && why.contains("2.53") && why.contains("Pike"), "{why}");
        }
    }

    #[test]
    fn what_is_no_version_is_not_read() {
        for text in ["", "2", "2.", ".1", "2.x", "2.1.3", "-2.1"] {
            assert!(text.parse::<Microversion>().is_err(), "{text}");
        }
    }
}
