//! What users and projects may be called.

use thiserror::Error;

/// No name is longer, in characters.
const LONGEST: usize = 64;
/// A name made from what a provider says leaves room for what tells it from others.
const LONGEST_MADE: usize = 48;
/// Names of our own accounts, which no provider gives to anybody.
const RESERVED: [&str; 8] = ["admin", "administrator", "root", "operator", "system", "tombolo", "nobody", "everybody"];

/// A name that no user or project may have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} {name:?} must be 1 to {LONGEST} letters, digits or one of @ . _ -")]
pub struct BadName {
    what: &'static str,
    name: String,
}

/// Whether a user or a project may be called so; `what` names which of them, for people.
///
/// # Errors
/// It may not.
pub fn check(what: &'static str, name: &str) -> Result<(), BadName> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '@' | '.' | '_' | '-');
    if name.is_empty() || name.chars().count() > LONGEST || !name.chars().all(plain) {
        return Err(BadName { what, name: name.chars().take(80).collect() });
    }
    Ok(())
}

/// The name of a project, if a project may be called so.
///
/// # Errors
/// It may not.
pub fn check_project(name: &str) -> Result<(), BadName> {
    check("project name", name)
}

/// User names in the order of preference for somebody whom a provider describes by these texts. Only plain small
/// letters, so that no two of them look the same.
pub fn for_person<'a>(described: impl IntoIterator<Item = Option<&'a str>>) -> impl Iterator<Item = String> {
    let cleaned = described.into_iter().flatten().map(clean).find(|name| !name.is_empty());
    let name = cleaned.unwrap_or_else(|| "user".into());
    let first = (!RESERVED.contains(&name.as_str())).then(|| name.clone());
    let numbered = (2..20).map({
        let name = name.clone();
        move |number| format!("{name}-{number}")
    });
    let unique = std::iter::once_with(move || {
        let id = uuid::Uuid::new_v4().simple().to_string();
        format!("{name}-{}", &id[..12])
    });
    first.into_iter().chain(numbered).chain(unique)
}

fn clean(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '_' | '-');
    let kept: String = text.chars().filter(|c| plain(*c)).take(LONGEST_MADE).collect();
    kept.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(described: [Option<&str>; 2]) -> String {
        for_person(described).next().unwrap()
    }

    #[test]
    fn names_are_made_of_what_is_readable() {
        assert_eq!(first([Some("Ann"), Some("x")]), "ann");
        assert_eq!(first([Some("安"), Some("0815")]), "0815");
        assert_eq!(first([None, None]), "user");
        assert_eq!(first([Some(" a n/n@school.example\n"), None]), "ann@school.example");
        assert_eq!(first([Some("--"), Some("b")]), "b");
    }

    #[test]
    fn every_name_is_allowed_and_there_is_always_one_more() {
        let long = "x".repeat(300);
        for text in ["ann", "admin", &long, "\u{430}dmin"] {
            let names: Vec<_> = for_person([Some(text)]).collect();
            assert!(names.len() >= 19 && names.iter().all(|name| check("user name", name).is_ok()), "{names:?}");
        }
    }

    #[test]
    fn a19_nobody_gets_the_name_of_an_account_of_ours() {
        for text in ["admin", "ADMIN", "Root", "\u{200b}admin", "-admin-"] {
            assert!(for_person([Some(text)]).all(|name| !RESERVED.contains(&name.as_str())), "{text}");
        }
    }
}
