use actix_web::web;
use futures_util::StreamExt;

use super::refusal::Refusal;

/// No such request is longer, in bytes.
const LIMIT: usize = 16 << 10;
/// Nor has it more fields.
const MOST: usize = 32;

/// The fields of a request, each of which is there once (RFC 6749 section 3.2).
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Of a form.
    pub async fn read(mut payload: web::Payload) -> Result<Self, Refusal> {
        let mut body = Vec::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Refusal::request("the body ended early"))?;
            if body.len() + chunk.len() > LIMIT {
                return Err(Refusal::request(&format!("a form has at most {LIMIT} bytes here")));
            }
            body.extend_from_slice(&chunk);
        }
        Self::parse(&body)
    }

    /// Of a query or a form.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(text).into_owned().take(MOST + 1).collect();
        if fields.len() > MOST {
            return Err(Refusal::request(&format!("a request has at most {MOST} fields")));
        }
        let is_repeated =
            |(at, (name, _)): (usize, &(String, String))| fields.iter().skip(at + 1).any(|(other, _)| other == name);
        if fields.iter().enumerate().any(is_repeated) {
            return Err(Refusal::request("a field is there more than once"));
        }
        Ok(Self(fields))
    }

    /// The field's value, if it is there and not empty (RFC 6749 section 3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// The field's value, which must be there.
    pub fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::request(&format!("{name} is missing")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_there_once() {
        let fields = Fields::parse(b"a=b%20c&empty=&d=%E2%82%AC").unwrap();
        assert_eq!((fields.get("a"), fields.get("empty"), fields.get("d")), (Some("b c"), None, Some("\u{20ac}")));
        assert!(fields.need("empty").is_err());
        assert!(Fields::parse(b"a=1&a=1").is_err());
        assert!(Fields::parse("a&".repeat(40).as_bytes()).is_err());
        assert!(Fields::parse(b"").is_ok());
    }
}
