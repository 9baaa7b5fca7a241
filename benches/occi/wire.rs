//! HTTP/1.1 as far as a load generator needs it: requests are prebuilt bytes, answers are checked for status and length.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What the head of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its status.
    pub status: u16,
    /// Where the body begins.
    pub body_at: usize,
    /// How the body's end is told.
    pub body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Length(usize),
    Chunked,
}

/// The head at the begin of these bytes, once it is whole.
pub fn head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "an answer that is no HTTP/1.1");
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| malformed())?;
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    let mut body = Body::Length(0);
    for line in text.split("\r\n").skip(1) {
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        if name.eq_ignore_ascii_case("content-length") {
            body = Body::Length(value.trim().parse().map_err(|_| malformed())?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunked;
        }
    }
    Ok(Some(Head { status: status.ok_or_else(malformed)?, body_at: end + 4, body }))
}

/// Where these bytes are found.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// A connection that is kept alive.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer, until the next one is asked for.
pub struct Answer<'a> {
    pub status: u16,
    /// Status line and header fields.
    pub head: &'a [u8],
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(address: std::net::SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(16 << 10) })
    }

    /// Sends a request, and reads its answer to the end.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            self.receive().await?;
            if let Some(head) = head(&self.received)? {
                break head;
            }
        };
        let Body::Length(length) = head.body else {
            return Err(io::Error::other("a length was expected, not chunks"));
        };
        let end = head.body_at + length;
        while self.received.len() < end {
            self.receive().await?;
        }
        if self.received.len() > end {
            return Err(io::Error::other("more bytes than the answer announced"));
        }
        let (before, body) = self.received.split_at(head.body_at);
        Ok(Answer { status: head.status, head: before, body })
    }

    async fn receive(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }
}

/// A request in bytes.
pub fn request(method: &str, path: &str, authority: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n");
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if method == "POST" {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
