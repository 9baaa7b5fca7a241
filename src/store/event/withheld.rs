//! What has no business in a log that people read and that is kept for years.

use serde_json::Value;

/// Parts of names under which secrets go.
const TELLTALE: [&str; 7] = ["password", "passwd", "secret", "token", "private_key", "userdata", "user_data"];
/// Names of what is no secret, though it sounds so.
const HARMLESS: [&str; 2] = ["token_id", "token_name"];
/// What stands in place of one.
const WITHHELD: &str = "(withheld)";

/// Replaces every value that goes by the name of a secret. Writing one into an event is a defect, but not one for which
/// the request that it tells of should fail.
pub fn withhold_secrets(value: &mut Value, kind: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if is_telltale(name) {
                    tracing::error!(kind, name, "an event was to be written with a secret, which is left out");
                    *value = WITHHELD.into();
                } else {
                    withhold_secrets(value, kind);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| withhold_secrets(value, kind)),
        _ => {}
    }
}

fn is_telltale(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    !HARMLESS.contains(&name.as_str()) && TELLTALE.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_wherever_they_are() {
        let mut body = serde_json::json!({
            "Admin-Password": "a", "attributes": [{"occi.compute.userdata": {"b": 1}, "title": "x"}], "cores": 2,
        });
        withhold_secrets(&mut body, "entity.created");
        let expected = serde_json::json!({
            "Admin-Password": WITHHELD, "attributes": [{"occi.compute.userdata": WITHHELD, "title": "x"}], "cores": 2,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn the_id_of_a_token_is_told() {
        let mut body = serde_json::json!({ "token_id": "id", "token": "secret", "refresh_token_id": "x" });
        withhold_secrets(&mut body, "token.created");
        let expected = serde_json::json!({ "token_id": "id", "token": WITHHELD, "refresh_token_id": WITHHELD });
        assert_eq!(body, expected);
    }
}
