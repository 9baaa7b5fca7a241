use std::{io, sync::Arc};

use backend::BackendError;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use reqwest::{Response, StatusCode, header::HeaderMap};
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use crate::{caller::innermost, quoted};

/// A chunk that is handed on is not longer, in bytes.
const MOST_OF_A_CHUNK: usize = 1 << 20;

/// What a service answered, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body, at most as long as [`crate::Options::longest_answer`].
    pub body: Bytes,
    pub(crate) name: Arc<str>,
}

impl Answer {
    /// A header's value, if it is there and printable.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON of this shape.
    ///
    /// # Errors
    /// [`BackendError::Failed`] for anything else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, BackendError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| BackendError::Failed(format!("{} answers nonsense: {error}", self.name)))
    }

    /// How long the service asks us to wait, in seconds, if it says so in seconds (RFC 9110 section 10.2.3).
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.header("retry-after")?.trim().parse().ok()
    }

    /// The beginning of the body, for messages.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let start = self.body.get(..800).unwrap_or(&self.body);
        quoted(&String::from_utf8_lossy(start))
    }
}

/// An answer whose body is yet to come.
pub struct Download {
    /// The headers.
    pub headers: HeaderMap,
    /// How long it will be, in bytes, if the service tells.
    pub length: Option<u64>,
    /// The body, in chunks of at most 1 MiB. Dropping it ends the call.
    pub bytes: BoxStream<'static, io::Result<Bytes>>,
}

impl Download {
    pub(crate) fn of(response: Response, permit: OwnedSemaphorePermit) -> Self {
        let headers = response.headers().clone();
        let length = response.content_length();
        let bytes = stream::try_unfold((response, permit), |(mut response, permit)| async move {
            match response.chunk().await {
                Ok(chunk) => Ok(chunk.map(|chunk| (chunk, (response, permit)))),
                Err(error) => Err(io::Error::other(innermost(&error))),
            }
        });
        let bytes = bytes.flat_map(|chunk| stream::iter(pieces(chunk))).boxed();
        Self { headers, length, bytes }
    }
}

fn pieces(chunk: io::Result<Bytes>) -> Vec<io::Result<Bytes>> {
    match chunk {
        Ok(mut chunk) => {
            let mut pieces = Vec::new();
            while chunk.len() > MOST_OF_A_CHUNK {
                pieces.push(Ok(chunk.split_to(MOST_OF_A_CHUNK)));
            }
            pieces.push(Ok(chunk));
            pieces
        }
        Err(error) => vec![Err(error)],
    }
}
