use backend::BackendError;
use uuid::Uuid;

/// What OpenStack calls an object: a UUID, in its usual form. Anything else names nothing there, and never becomes a
/// part of a path.
///
/// # Errors
/// [`BackendError::NotFound`] for anything else.
pub(crate) fn known(what: &str, id: &str) -> Result<String, BackendError> {
    let uuid = Uuid::try_parse(id).map_err(|_| BackendError::NotFound(format!("{what} {id}")))?;
    Ok(uuid.to_string())
}

/// An id that a service has answered.
///
/// # Errors
/// [`BackendError::Failed`] for what is none.
pub(crate) fn answered(what: &str, id: &str) -> Result<String, BackendError> {
    known(what, id).map_err(|_| {
        BackendError::Failed(format!("OpenStack answers nonsense: {} as the id of a {what}", backend_http::quoted(id)))
    })
}
