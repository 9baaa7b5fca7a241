use jsonwebtoken::Validation;
use serde_json::{Map, Value};

use super::{
    algorithm::SigningAlgorithm,
    keys::{Keys, NoKey},
};

/// How far clocks may differ, in seconds.
pub(super) const LEEWAY: i64 = 60;

/// What stands in a token that its provider signed.
pub(super) struct Signed {
    /// The kind of token, if it says so; in lower case, without `application/`.
    pub kind: Option<String>,
    pub claims: Map<String, Value>,
}

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Distrust {
    /// There may be new keys.
    UnknownKey,
    Because(String),
}

impl Distrust {
    pub fn because(why: impl Into<String>) -> Self {
        Self::Because(why.into())
    }
}

impl Signed {
    /// Checks the signature of a token. Only the keys that the provider publishes count: what else the header points
    /// to is not looked at.
    pub fn open(token: &str, keys: &Keys, algorithms: &[SigningAlgorithm]) -> Result<Self, Distrust> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Distrust::because("it is no signed token"))?;
        if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() || header.cty.is_some() {
            return Err(Distrust::because("its header asks for more than a signature"));
        }
        let algorithm = SigningAlgorithm::of_header(header.alg).filter(|named| algorithms.contains(named));
        let algorithm = algorithm.ok_or_else(|| {
            Distrust::because(format!("{:?} is not among the signing_algorithms of the provider", header.alg))
        })?;
        let key = keys.choose(header.kid.as_deref(), algorithm).map_err(|none| match none {
            NoKey::Unknown => Distrust::UnknownKey,
            NoKey::Ambiguous => Distrust::because("it does not say which of several keys it is signed with"),
        })?;
        let mut validation = Validation::new(header.alg);
        // What the claims must be is each kind of token's own affair.
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_aud) = (false, false);
        let opened = jsonwebtoken::decode::<Map<String, Value>>(token, &key.decoding, &validation);
        let claims = opened.map_err(|_| Distrust::because("its signature is wrong"))?.claims;
        let kind = header.typ.map(|kind| kind.to_ascii_lowercase());
        let kind = kind.map(|kind| kind.strip_prefix("application/").map(str::to_owned).unwrap_or(kind));
        Ok(Self { kind, claims })
    }

    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        text(&self.claims, name)
    }

    /// Checks who it is from, and that it holds now. Gives its end, in seconds since 1970.
    pub fn check_issuer_and_time(&self, issuer: &str, now: i64) -> Result<i64, Distrust> {
        if self.text("iss") != Some(issuer) {
            return Err(Distrust::because("it is from another issuer"));
        }
        check_time(&self.claims, now)
    }
}

pub(super) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// Checks that something holds now: `exp` is required, `nbf` and `iat` are looked at.
pub(super) fn check_time(claims: &Map<String, Value>, now: i64) -> Result<i64, Distrust> {
    let ends = time(claims, "exp")?.ok_or_else(|| Distrust::because("it does not say when it ends"))?;
    if ends + LEEWAY <= now {
        return Err(Distrust::because("it has expired"));
    }
    for (name, what) in [("nbf", "it does not hold yet"), ("iat", "it was made in the future")] {
        if time(claims, name)?.is_some_and(|at| at > now + LEEWAY) {
            return Err(Distrust::because(what));
        }
    }
    Ok(ends)
}

/// A moment in seconds since 1970. Fractions are allowed, and cut off.
pub(super) fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Distrust> {
    /// The year 9999: sums with it do not overflow.
    const LAST: i64 = 253_402_300_799;
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_i64().or_else(|| {
        #[expect(clippy::cast_possible_truncation, reason = "it saturates, and is checked below")]
        value.as_f64().map(|seconds| seconds as i64)
    });
    match whole {
        Some(seconds) if (0..=LAST).contains(&seconds) => Ok(Some(seconds)),
        _ => Err(Distrust::because(format!("its {name} is no moment"))),
    }
}

/// Whom something is made for: one, or several.
pub(super) fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
