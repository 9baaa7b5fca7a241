//! Where in a person's claims a rule looks.

use std::fmt;

use serde_json::{Map, Value};

/// No value that a rule compares is longer, in bytes; longer ones are not compared.
const LONGEST_VALUE: usize = 1024;
/// No path has more parts.
const MOST_PARTS: usize = 8;

/// The way to a claim: `groups`, or `realm_access.roles`. Names of claims may have dots in them, as addresses have; a
/// way is found whichever dots are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// The way that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        let good = !text.is_empty() && text.len() <= 255 && text.split('.').count() <= MOST_PARTS;
        good.then(|| Self(text.to_owned()))
    }

    /// The texts that the claims have there: one, or those of a list. Numbers and truth values count as they are
    /// written. `None` if there is nothing of the kind.
    pub fn texts(&self, claims: &Map<String, Value>) -> Option<Vec<String>> {
        let found = find(claims, &self.0)?;
        let mut texts = Vec::new();
        let values = match found {
            Value::Array(values) => values.as_slice(),
            other => std::slice::from_ref(other),
        };
        for value in values {
            let text = match value {
                Value::String(text) if text.len() <= LONGEST_VALUE => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                _ => continue,
            };
            texts.push(text);
        }
        Some(texts)
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest name first: who has a claim of that very name means it.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    path.rmatch_indices('.').find_map(|(at, _)| {
        let inner = claims.get(&path[..at])?.as_object()?;
        find(inner, &path[at + 1..])
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(path: &str, claims: &Value) -> Option<Vec<String>> {
        ClaimPath::parse(path).unwrap().texts(claims.as_object().unwrap())
    }

    #[test]
    fn claims_are_found_in_and_under_each_other() {
        let claims = json!({
            "groups": ["a", "b", {"c": 1}, null], "level": 3, "staff": true,
            "realm_access": {"roles": ["teacher"]}, "https://school.example/unit": "physics",
            "resource": {"our.client": {"roles": ["x"]}}, "a.b": "whole", "a": {"b": "parts"},
        });
        let some = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(texts("groups", &claims), some(&["a", "b"]));
        assert_eq!(texts("level", &claims), some(&["3"]));
        assert_eq!(texts("staff", &claims), some(&["true"]));
        assert_eq!(texts("realm_access.roles", &claims), some(&["teacher"]));
        assert_eq!(texts("https://school.example/unit", &claims), some(&["physics"]));
        assert_eq!(texts("resource.our.client.roles", &claims), some(&["x"]));
        assert_eq!(texts("a.b", &claims), some(&["whole"]));
        assert_eq!(texts("group", &claims), None);
        assert_eq!(texts("groups.a", &claims), None);
    }

    #[test]
    fn what_is_too_long_is_not_compared() {
        assert_eq!(texts("groups", &json!({"groups": ["x".repeat(1025), "y"]})), Some(vec!["y".into()]));
        assert_eq!(ClaimPath::parse(&"a.".repeat(9)), None);
        assert_eq!(ClaimPath::parse(""), None);
    }
}
