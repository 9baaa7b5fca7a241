//! Codes for programs on a person's own computer (RFC 8252), until they are exchanged: once, and within a minute.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::{
    DbConnection, StoreError, Timestamp,
    member::{ProjectId, UserId},
    row::parse_id,
    schema::authorization_codes,
};
use crate::login::Rights;

/// So many codes of one person wait at once.
const MOST_OF_USER: i64 = 10;

/// What a person has agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// The person.
    pub user: UserId,
    /// The project to act in.
    pub project: ProjectId,
    /// What the program calls itself; nobody has checked it.
    pub client: String,
    /// What for.
    pub rights: Rights,
    /// For how many days.
    pub days: i32,
    /// Where the code was sent. Who exchanges it must name the same.
    pub redirect_uri: String,
    /// What the code's exchanger must have the origin of (RFC 7636), base64url of its SHA-256.
    pub challenge: String,
    /// From when on it is void.
    pub expires_at: Timestamp,
}

/// Remembers a code; `false` when its person has too many already. Those whose time is over go first.
///
/// # Errors
/// The database failed.
pub fn insert(
    connection: &mut DbConnection,
    code_hash: &str,
    code: &AuthorizationCode,
    now: Timestamp,
) -> Result<bool, StoreError> {
    diesel::delete(authorization_codes::table.filter(authorization_codes::expires_at.le(now.0))).execute(connection)?;
    let user = code.user.0.to_string();
    let of_user = authorization_codes::table.filter(authorization_codes::user_id.eq(&user));
    let count: i64 = of_user.count().get_result(connection)?;
    if count >= MOST_OF_USER {
        return Ok(false);
    }
    diesel::insert_into(authorization_codes::table)
        .values((
            authorization_codes::code_hash.eq(code_hash),
            authorization_codes::user_id.eq(user),
            authorization_codes::project_id.eq(code.project.0.to_string()),
            authorization_codes::client.eq(&code.client),
            authorization_codes::rights.eq(code.rights.to_string()),
            authorization_codes::days.eq(code.days),
            authorization_codes::redirect_uri.eq(&code.redirect_uri),
            authorization_codes::challenge.eq(&code.challenge),
            authorization_codes::expires_at.eq(code.expires_at.0),
        ))
        .execute(connection)?;
    Ok(true)
}

/// Whether there is such a code, good or not.
///
/// # Errors
/// The database failed.
pub fn is_known(connection: &mut DbConnection, code_hash: &str) -> Result<bool, StoreError> {
    let this = authorization_codes::table.filter(authorization_codes::code_hash.eq(code_hash));
    let query = this.select(authorization_codes::expires_at);
    let found: Option<i64> = on_either!(connection, either => query.get_result(either).optional())?;
    Ok(found.is_some())
}

/// User, project, client, rights, days, redirect URI, challenge and end.
type Row = (String, String, String, String, i32, String, String, i64);

/// What the code stands for, if it holds. It is void from now on, whatever comes of it.
///
/// # Errors
/// The database failed.
pub fn take(
    connection: &mut DbConnection,
    code_hash: &str,
    now: Timestamp,
) -> Result<Option<AuthorizationCode>, StoreError> {
    let this = authorization_codes::table.filter(authorization_codes::code_hash.eq(code_hash));
    let found: Option<Row> = this
        .select((
            authorization_codes::user_id,
            authorization_codes::project_id,
            authorization_codes::client,
            authorization_codes::rights,
            authorization_codes::days,
            authorization_codes::redirect_uri,
            authorization_codes::challenge,
            authorization_codes::expires_at,
        ))
        .get_result(connection)
        .optional()?;
    let Some((user, project, client, rights, days, redirect_uri, challenge, expires_at)) = found else {
        return Ok(None);
    };
    if diesel::delete(this).execute(connection)? != 1 || expires_at <= now.0 {
        return Ok(None);
    }
    let unreadable = |error: crate::login::UnknownName| StoreError::Unreadable {
        table: "authorization_codes",
        id: "?".into(),
        reason: error.to_string(),
    };
    Ok(Some(AuthorizationCode {
        user: UserId(parse_id("authorization_codes", &user)?),
        project: ProjectId(parse_id("authorization_codes", &project)?),
        client,
        rights: rights.parse().map_err(unreadable)?,
        days,
        redirect_uri,
        challenge,
        expires_at: Timestamp(expires_at),
    }))
}
