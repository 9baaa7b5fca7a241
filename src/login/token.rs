use std::{fmt, str::FromStr, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use uuid::Uuid;

use super::{
    Right, Rights, Role,
    name::{self, BadName},
    told::{self, Told},
};
use crate::request;
use crate::store::{
    Db, StoreError, Timestamp,
    grant::{self, Grant, Origin, Place},
    member,
    token::NewToken,
};

const PREFIX: &str = "tombolo_";
const SECRET_BYTES: usize = 32;

/// An app token: `tombolo_<id>_<secret>`. The id finds its row, the secret proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct AppToken {
    /// The public half.
    pub id: Uuid,
    secret: [u8; SECRET_BYTES],
}

/// Why no token could be made or read.
#[derive(Debug, Error)]
pub enum TokenError {
    /// Not of the form.
    #[error("not an app token")]
    Malformed,
    /// A name that no user or project may have.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// No random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AppToken {
    pub(super) fn generate() -> Result<Self, TokenError> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret)?;
        Ok(Self { id: Uuid::now_v7(), secret })
    }

    // A plain hash is enough: the secret is 256 random bits, not a password that can be guessed.
    /// What is kept of it.
    pub(super) fn secret_hash(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digest = Sha256::digest(self.secret);
        let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
    }

    /// Whether this token's secret is the one that was hashed, in a time that does not tell how much of it fits.
    pub fn fits(&self, secret_hash: &str) -> bool {
        self.secret_hash().as_bytes().ct_eq(secret_hash.as_bytes()).into()
    }
}

impl fmt::Display for AppToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_{}", self.id.simple(), URL_SAFE_NO_PAD.encode(self.secret))
    }
}

// The secret must not reach a log by way of {:?}.
impl fmt::Debug for AppToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppToken({})", self.id)
    }
}

impl FromStr for AppToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let (id, secret) =
            text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(TokenError::Malformed)?;
        let id = Uuid::try_parse(id).map_err(|_| TokenError::Malformed)?;
        let secret = URL_SAFE_NO_PAD.decode(secret).map_err(|_| TokenError::Malformed)?;
        Ok(Self { id, secret: secret.try_into().map_err(|_| TokenError::Malformed)? })
    }
}

/// Makes a token for the user in the project, both made if they are new. The answer is the only place where the
/// token can ever be read.
///
/// # Errors
/// Names that are not allowed; no random bytes; the database failed.
#[cfg(test)]
pub async fn issue(db: &Db, user: &str, project: &str, valid_for: Duration) -> Result<AppToken, TokenError> {
    let wanted = Issue { name: String::new(), rights: Role::Member.rights(), valid_for };
    issue_as(db, user, project, wanted).await
}

/// What a token of the command line is to be.
#[derive(Debug, Clone)]
pub struct Issue {
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub rights: Rights,
    /// For how long.
    pub valid_for: Duration,
}

/// Makes a token for the user in the project, both made if they are new; a user without a role there becomes a member, or
/// a manager if the token is for that. The answer is the only place where the token can ever be read.
///
/// # Errors
/// Names that are not allowed; no random bytes; the database failed.
pub async fn issue_as(db: &Db, user: &str, project: &str, wanted: Issue) -> Result<AppToken, TokenError> {
    name::check("user name", user)?;
    name::check_project(project)?;
    let token = AppToken::generate()?;
    let (id, secret_hash, actor) = (token.id, token.secret_hash(), request::actor());
    let (user, project) = (user.to_owned(), project.to_owned());
    db.write(move |connection| {
        let user = member::ensure_user(connection, &user)?;
        let project = member::ensure_project(connection, &project)?;
        let expires_at = Timestamp::now().plus(wanted.valid_for);
        let (name, secret_hash, rights) = (wanted.name.clone(), secret_hash.clone(), wanted.rights);
        let new = NewToken { id, user, project, secret_hash, expires_at, name, rights };
        crate::store::token::insert(connection, &new)?;
        let body = json!({
            "token_id": id, "token_name": new.name, "rights": rights.to_string(), "of_id": user.0,
            "expires_at": expires_at.to_string(),
        });
        told::record(connection, Told::of(project, "token.created", body), actor.as_ref())?;
        // The operator who hands out a token lets its user in.
        let live = grant::of_user(connection, user)?;
        let place = Place::Project(project);
        if live.iter().any(|grant| grant.place == place) {
            return Ok(());
        }
        let reason = "a token was made for them on the command line".into();
        grant::put(
            connection,
            user,
            &Grant {
                role: if rights.has(Right::Manage) { Role::Manager } else { Role::Member },
                place,
                origin: Origin::Operator,
                reason,
                expires_at: None,
            },
        )
    })
    .await?;
    Ok(token)
}

/// Makes a token void from now on, whosever it is. Answers whether there was one to revoke.
///
/// # Errors
/// The database failed.
pub async fn revoke(db: &Db, id: Uuid) -> Result<bool, StoreError> {
    let actor = request::actor();
    db.write(move |connection| {
        let Some((owner, project)) = crate::store::token::whose(connection, id)? else { return Ok(false) };
        if !crate::store::token::revoke(connection, id)? {
            return Ok(false);
        }
        let body = json!({ "token_id": id, "of_id": owner.0 });
        told::record(connection, Told::of(project, "token.revoked", body), actor.as_ref())?;
        Ok(true)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::{Credentials, authenticate};

    fn presented(token: &str, user: Option<&str>) -> Credentials {
        Credentials { user: user.map(str::to_owned), secret: token.to_owned(), project: None }
    }

    async fn db() -> (tempfile::TempDir, Db) {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap();
        (directory, db)
    }

    #[tokio::test]
    async fn a_token_opens_its_project_until_it_is_revoked() {
        let (_directory, db) = db().await;
        let token = issue(&db, "ann", "class-3b", Duration::from_secs(60)).await.unwrap();
        let text = token.to_string();
        let principal = authenticate(&db, &presented(&text, None)).await.unwrap().unwrap();
        assert_eq!(principal.user_name, "ann");
        assert!(authenticate(&db, &presented(&text, Some("ann"))).await.unwrap().is_some());
        assert!(authenticate(&db, &presented(&text, Some("bob"))).await.unwrap().is_none());

        let id = token.id;
        assert!(db.write(move |c| crate::store::token::revoke(c, id)).await.unwrap());
        assert!(authenticate(&db, &presented(&text, None)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn two_tokens_of_a_name_share_user_and_project() {
        let (_directory, db) = db().await;
        let mut seen = Vec::new();
        for _ in 0..2 {
            let token = issue(&db, "ann", "class-3b", Duration::from_secs(60)).await.unwrap().to_string();
            let principal = authenticate(&db, &presented(&token, None)).await.unwrap().unwrap();
            seen.push((principal.user_name, principal.project));
        }
        assert_eq!(seen[0], seen[1]);
    }

    #[tokio::test]
    async fn wrong_expired_and_foreign_secrets_open_nothing() {
        let (_directory, db) = db().await;
        let expired = issue(&db, "ann", "p", Duration::ZERO).await.unwrap();
        let one = issue(&db, "ann", "p", Duration::from_secs(60)).await.unwrap();
        let two = issue(&db, "ann", "p", Duration::from_secs(60)).await.unwrap();
        let mixed = AppToken { id: one.id, secret: two.secret };
        for token in [expired.to_string(), mixed.to_string(), "tombolo_x_y".into(), String::new()] {
            assert!(authenticate(&db, &presented(&token, None)).await.unwrap().is_none(), "{token}");
        }
    }

    #[test]
    fn the_secret_is_not_in_the_debug_form() {
        let token = AppToken::generate().unwrap();
        let secret = token.to_string().splitn(3, '_').nth(2).unwrap().to_owned();
        assert!(!format!("{token:?}").contains(&secret));
        assert_eq!(token.to_string().parse::<AppToken>().unwrap(), token);
    }

    #[tokio::test]
    async fn odd_names_are_refused() {
        let (_directory, db) = db().await;
        for name in ["", "a b", "a\nb", &"x".repeat(65), "a/b"] {
            assert!(issue(&db, name, "p", Duration::from_secs(1)).await.is_err(), "{name:?}");
            assert!(issue(&db, "u", name, Duration::from_secs(1)).await.is_err(), "{name:?}");
        }
    }
}
