//! HTTP/1.1 as it is read from a connection, in bounds (RFC 9112).

use std::io::{Error, ErrorKind, Result};

use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use crate::{Answer, Request};

const MOST_HEAD: usize = 128 << 10;
/// Of a request's or an answer's body, in bytes: small images pass.
const MOST_BODY: usize = 256 << 20;

fn nonsense(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// A head's first line and its headers.
struct Head {
    line: String,
    headers: Vec<(String, String)>,
}

async fn line(reader: &mut (impl AsyncBufRead + Unpin), room: &mut usize) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = (&mut *reader).take(*room as u64).read_until(b'\n', &mut bytes).await?;
    if read == 0 {
        return Ok(None);
    }
    *room -= read;
    if bytes.pop() != Some(b'\n') {
        return Err(nonsense("a line without end, or a head above all bounds"));
    }
    let text = String::from_utf8(bytes).map_err(|_| nonsense("a head that is no UTF-8"))?;
    Ok(Some(text.trim_end_matches('\r').to_owned()))
}

async fn head(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Head>> {
    let mut room = MOST_HEAD;
    let Some(first) = line(reader, &mut room).await? else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        let line = line(reader, &mut room).await?.ok_or_else(|| nonsense("a head without end"))?;
        if line.is_empty() {
            return Ok(Some(Head { line: first, headers }));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| nonsense("a header without a colon"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// How a body ends.
enum Length {
    Known(usize),
    Chunks,
    UntilClosed,
}

fn length(headers: &[(String, String)], otherwise: Length) -> Result<Length> {
    if find(headers, "transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked")) {
        return Ok(Length::Chunks);
    }
    match find(headers, "content-length") {
        Some(length) => length.parse().map(Length::Known).map_err(|_| nonsense("a length that is no number")),
        None => Ok(otherwise),
    }
}

async fn body(reader: &mut (impl AsyncBufRead + Unpin), length: Length) -> Result<Bytes> {
    let mut body = Vec::new();
    match length {
        Length::Known(length) => piece(reader, length, &mut body).await?,
        Length::UntilClosed => {
            reader.take(MOST_BODY as u64 + 1).read_to_end(&mut body).await?;
            if body.len() > MOST_BODY {
                return Err(nonsense("a body above all bounds"));
            }
        }
        Length::Chunks => loop {
            let mut room = MOST_HEAD;
            let size = line(reader, &mut room).await?.ok_or(ErrorKind::UnexpectedEof)?;
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| nonsense("a chunk without a size"))?;
            piece(reader, size, &mut body).await?;
            // The end of the chunk; after the last one, trailers and the end of all.
            while line(reader, &mut room).await?.is_some_and(|line| size == 0 && !line.is_empty()) {}
            if size == 0 {
                break;
            }
        },
    }
    Ok(body.into())
}

async fn piece(reader: &mut (impl AsyncBufRead + Unpin), length: usize, body: &mut Vec<u8>) -> Result<()> {
    if length > MOST_BODY.saturating_sub(body.len()) {
        return Err(nonsense("a body above all bounds"));
    }
    let read = reader.take(length as u64).read_to_end(body).await?;
    if read == length { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// The next request; nothing when the other side has gone instead. One without a whole URL is meant for `upstream`.
pub(crate) async fn request(
    reader: &mut (impl AsyncBufRead + Unpin),
    upstream: Option<&str>,
) -> Result<Option<Request>> {
    let Some(Head { line, headers }) = head(reader).await? else { return Ok(None) };
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(nonsense("a request without a target"));
    };
    let target = match upstream {
        _ if target.starts_with("http://") => target.to_owned(),
        Some(upstream) if target.starts_with('/') => format!("http://{upstream}{target}"),
        _ => return Err(nonsense("a request for nobody: this proxy speaks plain HTTP only")),
    };
    let body = body(reader, length(&headers, Length::Known(0))?).await?;
    Ok(Some(Request { method: method.to_owned(), target, headers, body }))
}

/// The answer to a request of this method, the preliminary ones left out.
pub(crate) async fn answer(reader: &mut (impl AsyncBufRead + Unpin), method: &str) -> Result<Answer> {
    loop {
        let Head { line, mut headers } = head(reader).await?.ok_or(ErrorKind::UnexpectedEof)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(|| nonsense("an answer without a status"))?;
        if (100..200).contains(&status) {
            continue;
        }
        let empty = method == "HEAD" || status == 204 || status == 304;
        let length = if empty { Length::Known(0) } else { length(&headers, Length::UntilClosed)? };
        let body = body(reader, length).await?;
        headers.retain(|(name, _)| {
            !["content-length", "transfer-encoding", "connection", "keep-alive"]
                .iter()
                .any(|framing| name.eq_ignore_ascii_case(framing))
        });
        return Ok(Answer { status, headers, body });
    }
}
