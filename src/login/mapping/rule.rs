//! One rule, as `[[login.mapping]]` in the configuration has it.

use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::claim::ClaimPath;
use crate::login::{Role, Scope, name};

/// No expression is compiled to more than this, in bytes.
const LARGEST_EXPRESSION: usize = 1 << 20;
/// No expression is written with more, in bytes.
const LONGEST_EXPRESSION: usize = 512;
/// The text before and after which the name of a group stands in a project's name.
const BRACES: [char; 2] = ['{', '}'];

/// Who gets which role.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Written")]
pub struct Rule {
    pub(super) provider: String,
    pub(super) condition: Condition,
    pub(super) gift: Gift,
}

#[derive(Debug, Clone)]
pub(super) enum Condition {
    Always,
    Claim(ClaimPath, Test),
}

#[derive(Debug, Clone)]
pub(super) enum Test {
    Equals(String),
    Matches(Box<Regex>, String),
}

/// What a rule gives.
#[derive(Debug, Clone)]
pub(super) enum Gift {
    Project { role: Role, name: ProjectName, create: bool },
    Site(String),
    Federation,
}

/// The name of a project, with the names of an expression's groups in braces.
#[derive(Debug, Clone)]
pub(super) struct ProjectName(String);

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    provider: String,
    #[serde(default)]
    always: bool,
    claim: Option<String>,
    equals: Option<String>,
    matches: Option<String>,
    project: Option<String>,
    role: Option<Role>,
    site: Option<String>,
    #[serde(default)]
    create_projects: bool,
}

impl TryFrom<Written> for Rule {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let condition = condition(&written)?;
        let gift = gift(&written, &condition)?;
        Ok(Self { provider: written.provider, condition, gift })
    }
}

fn condition(written: &Written) -> Result<Condition, String> {
    let Some(claim) = &written.claim else {
        if written.equals.is_some() || written.matches.is_some() {
            return Err("a mapping with equals or matches needs the claim that is meant".into());
        }
        return if written.always {
            Ok(Condition::Always)
        } else {
            Err("a mapping needs a claim, or always = true to mean everybody of the provider".into())
        };
    };
    if written.always {
        return Err("a mapping has a claim or always = true, not both".into());
    }
    let path = ClaimPath::parse(claim).ok_or_else(|| format!("the claim {claim:?} is no name of a claim"))?;
    let test = match (&written.equals, &written.matches) {
        (Some(text), None) => Test::Equals(text.clone()),
        (None, Some(expression)) => Test::Matches(Box::new(whole(expression)?), expression.clone()),
        _ => return Err(format!("a mapping of the claim {claim} needs either equals or matches")),
    };
    Ok(Condition::Claim(path, test))
}

/// The expression, which has to fit a text from its beginning to its end.
fn whole(expression: &str) -> Result<Regex, String> {
    if expression.len() > LONGEST_EXPRESSION {
        return Err(format!("the expression of a mapping has at most {LONGEST_EXPRESSION} bytes"));
    }
    let bad = |error: regex::Error| format!("matches = {expression:?} is no expression: {error}");
    // Alone first: `a)|(b` would be one only between our brackets.
    RegexBuilder::new(expression).size_limit(LARGEST_EXPRESSION).build().map_err(bad)?;
    RegexBuilder::new(&format!(r"\A(?:{expression})\z")).size_limit(LARGEST_EXPRESSION).build().map_err(bad)
}

fn gift(written: &Written, condition: &Condition) -> Result<Gift, String> {
    let Written { project, role, site, create_projects: create, .. } = written;
    let default = match (project, site) {
        (Some(_), None) => Role::Member,
        (None, Some(_)) => Role::SiteAdmin,
        (None, None) => role.ok_or("a mapping gives a role, in a project or at a site")?,
        (Some(_), Some(_)) => return Err("a mapping gives one role: in a project or at a site, not both".into()),
    };
    let role = role.unwrap_or(default);
    match (role.scope(), project, site) {
        (Scope::Project, Some(project), None) => {
            Ok(Gift::Project { role, name: ProjectName::parse(project, condition)?, create: *create })
        }
        (Scope::Site, None, Some(site)) => Ok(Gift::Site(site.clone())),
        (Scope::Federation, None, None) => Ok(Gift::Federation),
        (Scope::Project, ..) => Err(format!("a mapping with role = \"{role}\" needs the project that it is held in")),
        (Scope::Site, ..) => Err(format!("a mapping with role = \"{role}\" needs the site that it is held at")),
        (Scope::Federation, ..) => Err(format!("role = \"{role}\" is held everywhere, not in a project or at a site")),
    }
}

impl ProjectName {
    fn parse(text: &str, condition: &Condition) -> Result<Self, String> {
        let known = |group: &str| match condition {
            Condition::Claim(_, Test::Matches(expression, _)) => {
                expression.capture_names().flatten().any(|name| name == group)
            }
            _ => false,
        };
        let this = Self(text.to_owned());
        let tried = this.filled(|group| if known(group) { Ok("x".to_owned()) } else { Err(group.to_owned()) });
        let tried = tried.map_err(|group| {
            format!("project = {text:?}: matches has no group {group:?}; one is written as (?<{group}>…)")
        })?;
        name::check_project(&tried).map_err(|error| error.to_string())?;
        Ok(this)
    }

    /// The name, with groups replaced.
    pub(super) fn filled<E>(&self, mut group: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
        let mut filled = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once(BRACES[0]) {
            let Some((inner, after)) = after.split_once(BRACES[1]) else { break };
            filled.push_str(before);
            filled.push_str(&group(inner)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

impl Rule {
    /// The provider whose people it is about.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The site that it gives a role at.
    pub fn site(&self) -> Option<&str> {
        match &self.gift {
            Gift::Site(site) => Some(site),
            Gift::Project { .. } | Gift::Federation => None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.condition {
            Condition::Always => write!(f, "everybody of {}", self.provider)?,
            Condition::Claim(path, Test::Equals(text)) => write!(f, "{} with {path} = {text:?}", self.provider)?,
            Condition::Claim(path, Test::Matches(_, text)) => {
                write!(f, "{} with {path} that matches {text:?}", self.provider)?;
            }
        }
        match &self.gift {
            Gift::Project { role, name, .. } => write!(f, ": {role} of project {}", name.0),
            Gift::Site(site) => write!(f, ": {} of site {site}", Role::SiteAdmin),
            Gift::Federation => write!(f, ": {}", Role::FederationAdmin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Result<Rule, toml::de::Error> {
        toml::from_str(&format!("provider = 'school'\n{text}"))
    }

    #[test]
    fn rules_are_read() {
        for (text, shown) in [
            ("always = true\nproject = 'all'", "everybody of school: member of project all"),
            (
                "claim = 'groups'\nequals = 'staff'\nproject = 'p'\nrole = 'manager'",
                "school with groups = \"staff\": manager of project p",
            ),
            (
                "claim = 'groups'\nmatches = 'class-(?<n>[0-9a-z]+)'\nproject = 'class-{n}'\ncreate_projects = true",
                "school with groups that matches \"class-(?<n>[0-9a-z]+)\": member of project class-{n}",
            ),
            ("claim = 'g'\nequals = 'x'\nsite = 'lab'", "school with g = \"x\": site-admin of site lab"),
            ("claim = 'g'\nequals = 'x'\nrole = 'federation-admin'", "school with g = \"x\": federation-admin"),
        ] {
            assert_eq!(rule(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn rules_without_sense_are_refused_with_words() {
        for (text, words) in [
            ("project = 'p'", "always = true to mean everybody"),
            ("always = true", "gives a role"),
            ("always = true\nclaim = 'g'\nequals = 'x'\nproject = 'p'", "not both"),
            ("claim = 'g'\nproject = 'p'", "either equals or matches"),
            ("claim = 'g'\nequals = 'x'\nmatches = 'x'\nproject = 'p'", "either equals or matches"),
            ("equals = 'x'\nproject = 'p'", "needs the claim"),
            ("claim = 'g'\nmatches = '('\nproject = 'p'", "no expression"),
            ("claim = 'g'\nmatches = 'a)|(b'\nproject = 'p'", "no expression"),
            ("claim = 'g'\nmatches = '(\\w{1000}){1000}'\nproject = 'p'", "no expression"),
            ("claim = 'g'\nmatches = 'x'\nproject = '{n}'", "no group \"n\""),
            ("claim = 'g'\nequals = 'x'\nproject = '{n}'", "no group \"n\""),
            ("always = true\nproject = 'a b'", "project name"),
            ("always = true\nproject = 'p'\nsite = 's'", "one role"),
            ("always = true\nproject = 'p'\nrole = 'site-admin'", "needs the site"),
            ("always = true\nrole = 'member'", "needs the project"),
            ("always = true\nproject = 'p'\nrole = 'federation-admin'", "held everywhere"),
            ("always = true\nproject = 'p'\nrole = 'king'", "king"),
            ("always = true\nproject = 'p'\ncolour = 'red'", "colour"),
        ] {
            let refused = rule(text).unwrap_err().to_string();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }
}
