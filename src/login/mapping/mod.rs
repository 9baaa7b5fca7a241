//! Who gets which role, by rules about what a provider says of them. Nobody gets anything without a rule.

mod claim;
mod rule;

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;

pub use self::rule::Rule;
use self::rule::{Condition, Gift, Test};
use super::{Role, name};

/// Most roles that the rules give to one person.
pub const MOST_ROLES: usize = 200;
/// Values that are shown where a rule says why not.
const MOST_SHOWN: usize = 5;

/// A role that a rule gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Given {
    /// Which.
    pub role: Role,
    /// Where.
    pub at: Whereabouts,
}

/// Where a role is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whereabouts {
    /// In the project of this name.
    Project {
        /// Its name.
        name: String,
        /// Whether it is made if there is none.
        create: bool,
    },
    /// At this site.
    Site(String),
    /// Everywhere.
    Federation,
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Whereabouts::Project { name, .. } => write!(f, "{} of project {name}", self.role),
            Whereabouts::Site(site) => write!(f, "{} of site {site}", self.role),
            Whereabouts::Federation => write!(f, "{}", self.role),
        }
    }
}

/// What one rule makes of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The rule's number in the configuration, from 1.
    pub number: usize,
    /// The rule in words.
    pub rule: String,
    /// What it gives.
    pub gives: Vec<Given>,
    /// Why, or why not.
    pub why: Vec<String>,
}

/// The rules give somebody more than anybody needs. They get nothing at all then: with a part of it they would have
/// other rights than the rules say.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the mapping rules give more than {MOST_ROLES} roles to one person; let `matches` fit fewer values of the claim"
)]
pub struct TooManyRoles;

/// What each of the rules makes of a person of this provider with these claims.
///
/// # Errors
/// They give too much.
pub fn judge(rules: &[Rule], provider: &str, claims: &Map<String, Value>) -> Result<Vec<Verdict>, TooManyRoles> {
    let mut verdicts = Vec::with_capacity(rules.len());
    let mut count = 0;
    for (rule, number) in rules.iter().zip(1..) {
        let mut verdict = Verdict { number, rule: rule.to_string(), gives: Vec::new(), why: Vec::new() };
        rule.judge(provider, claims, &mut verdict);
        count += verdict.gives.len();
        if count > MOST_ROLES {
            return Err(TooManyRoles);
        }
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

impl Rule {
    fn judge(&self, provider: &str, claims: &Map<String, Value>, verdict: &mut Verdict) {
        if self.provider != provider {
            verdict.why.push(format!("it is about people of {}", self.provider));
            return;
        }
        let (path, test) = match &self.condition {
            Condition::Always => {
                self.give(verdict, |_| None);
                verdict.why.push("it is about everybody of the provider".into());
                return;
            }
            Condition::Claim(path, test) => (path, test),
        };
        let Some(values) = path.texts(claims) else {
            verdict.why.push(format!("there is no claim {path}"));
            return;
        };
        for value in &values {
            if verdict.gives.len() > MOST_ROLES {
                return;
            }
            let fits = match test {
                Test::Equals(text) => {
                    let fits = value == text;
                    if fits {
                        self.give(verdict, |_| None);
                    }
                    fits
                }
                Test::Matches(expression, _) => match expression.captures(value) {
                    Some(groups) => {
                        self.give(verdict, |group| groups.name(group).map(|found| found.as_str().to_owned()));
                        true
                    }
                    None => false,
                },
            };
            if fits && verdict.why.len() <= MOST_SHOWN {
                verdict.why.push(format!("{path} has {value:?}"));
            }
        }
        if verdict.gives.is_empty() && verdict.why.is_empty() {
            let shown: Vec<_> = values.iter().take(MOST_SHOWN).map(|value| format!("{value:?}")).collect();
            let more = if values.len() > MOST_SHOWN { ", …" } else { "" };
            verdict.why.push(format!(
                "{path} has {} values, none of which fits: {}{more}",
                values.len(),
                shown.join(", ")
            ));
        }
    }

    fn give(&self, verdict: &mut Verdict, group: impl Fn(&str) -> Option<String>) {
        let given = match &self.gift {
            Gift::Federation => Given { role: Role::FederationAdmin, at: Whereabouts::Federation },
            Gift::Site(site) => Given { role: Role::SiteAdmin, at: Whereabouts::Site(site.clone()) },
            Gift::Project { role, name: project, create } => {
                // A group that has taken no part is empty.
                let Ok(filled) =
                    project.filled(|name| Ok::<_, std::convert::Infallible>(group(name).unwrap_or_default()));
                if let Err(error) = name::check_project(&filled) {
                    if verdict.why.len() <= MOST_SHOWN {
                        verdict.why.push(error.to_string());
                    }
                    return;
                }
                Given { role: *role, at: Whereabouts::Project { name: filled, create: *create } }
            }
        };
        if !verdict.gives.contains(&given) {
            verdict.gives.push(given);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(texts: &[&str]) -> Vec<Rule> {
        texts.iter().map(|text| toml::from_str(&format!("provider = 'school'\n{text}")).unwrap()).collect()
    }

    fn given(rules: &[Rule], provider: &str, claims: &Value) -> Vec<String> {
        let verdicts = judge(rules, provider, claims.as_object().unwrap()).unwrap();
        verdicts.iter().flat_map(|verdict| &verdict.gives).map(ToString::to_string).collect()
    }

    const CLASSES: &str = "claim = 'groups'\nmatches = 'class-(?<n>[^/]*)'\nproject = 'class-{n}'";

    #[test]
    fn nobody_gets_anything_without_a_rule() {
        assert!(given(&[], "school", &json!({"groups": ["staff"]})).is_empty());
        let rules = rules(&["claim = 'groups'\nequals = 'staff'\nproject = 'staff'", CLASSES]);
        assert!(given(&rules, "school", &json!({})).is_empty());
        assert!(given(&rules, "school", &json!({"groups": ["stafff", "xclass-1", "class-1/x", "STAFF"]})).is_empty());
        assert!(given(&rules, "other", &json!({"groups": ["staff"]})).is_empty(), "another provider may say anything");
        assert_eq!(given(&rules, "school", &json!({"groups": "staff"})), ["member of project staff"]);
    }

    #[test]
    fn groups_of_an_expression_name_projects_and_bad_names_are_refused() {
        let rules = rules(&[CLASSES]);
        let claims = json!({"groups": ["class-3b", "class-4a", "class-3b", "class-a b", "class-\n", "class-../x"]});
        assert_eq!(given(&rules, "school", &claims), ["member of project class-3b", "member of project class-4a"]);
        let verdicts = judge(&rules, "school", claims.as_object().unwrap()).unwrap();
        assert!(verdicts[0].why.iter().any(|why| why.contains("\"class-a b\"")), "{verdicts:?}");
    }

    #[test]
    fn why_not_is_told() {
        let rules = rules(&["always = true\nproject = 'all'", "claim = 'groups'\nequals = 'x'\nproject = 'p'"]);
        let why = |provider: &str, claims: Value| {
            let verdicts = judge(&rules, provider, claims.as_object().unwrap()).unwrap();
            verdicts.into_iter().flat_map(|verdict| verdict.why).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(why("other", json!({})), "it is about people of school; it is about people of school");
        assert!(why("school", json!({})).ends_with("there is no claim groups"));
        assert!(why("school", json!({"groups": ["a"]})).ends_with("1 values, none of which fits: \"a\""));
        assert!(why("school", json!({"groups": ["x"]})).ends_with("groups has \"x\""));
    }

    #[test]
    fn a18_a_flood_of_groups_gives_nothing_at_all() {
        let rules = rules(&[CLASSES]);
        let claims = |count: usize| json!({"groups": (0..count).map(|n| format!("class-{n}")).collect::<Vec<_>>()});
        assert_eq!(given(&rules, "school", &claims(MOST_ROLES)).len(), MOST_ROLES);
        let flood = claims(100_000);
        assert_eq!(judge(&rules, "school", flood.as_object().unwrap()), Err(TooManyRoles));
        let others = json!({"groups": (0..100_000).map(|n| format!("club-{n}")).collect::<Vec<_>>()});
        let verdicts = judge(&rules, "school", others.as_object().unwrap()).unwrap();
        assert!(verdicts[0].gives.is_empty() && verdicts[0].why.concat().len() < 200, "{verdicts:?}");
    }
}
