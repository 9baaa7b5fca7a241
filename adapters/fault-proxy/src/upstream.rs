//! The way to the service.

use std::io::{Error, ErrorKind, Result};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{Answer, Request, reading};

/// What belongs to one connection and not to the request (RFC 9110 section 7.6.1), and what follows from the rest.
const NOT_FORWARDED: [&str; 9] = [
    "connection",
    "proxy-connection",
    "proxy-authorization",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "host",
];
/// An answer is remembered up to this many bytes.
const MOST_REMEMBERED: usize = 2 << 20;

async fn ask(request: &Request) -> Result<TcpStream> {
    let (authority, rest) = request.target_parts();
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let mut service = TcpStream::connect(address).await?;
    let mut head = format!("{} {rest} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n", request.method);
    for (name, value) in &request.headers {
        if !NOT_FORWARDED.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if !request.body.is_empty() || matches!(&*request.method, "POST" | "PUT" | "PATCH") {
        head.push_str(&format!("content-length: {}\r\n", request.body.len()));
    }
    head.push_str("\r\n");
    service.write_all(head.as_bytes()).await?;
    service.write_all(&request.body).await?;
    Ok(service)
}

/// The whole answer.
pub(crate) async fn exchange(request: &Request) -> Result<Answer> {
    let mut service = BufReader::new(ask(request).await?);
    reading::answer(&mut service, &request.method).await
}

/// Hands the answer on as it comes, until its end or until the caller goes; then the service is hung up on, too. What
/// was answered comes back unless it was too long.
pub(crate) async fn relay(request: &Request, caller: &mut BufReader<TcpStream>) -> Result<Option<Answer>> {
    let mut service = match ask(request).await {
        Ok(service) => service,
        Err(error) => {
            let words = format!("the service cannot be reached: {error}\n");
            caller.write_all(&Answer::new(502, "text/plain", words).to_bytes()).await?;
            return Ok(None);
        }
    };
    let (mut from_caller, mut to_caller) = caller.get_mut().split();
    let mut remembered = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let mut unexpected = [0; 1];
    loop {
        let read = tokio::select! {
            read = service.read(&mut buffer) => read?,
            // It has nothing more to say, so this is its end.
            _ = from_caller.read(&mut unexpected) => return Err(Error::from(ErrorKind::ConnectionAborted)),
        };
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        if remembered.len() <= MOST_REMEMBERED {
            remembered.extend_from_slice(bytes);
        }
        to_caller.write_all(bytes).await?;
    }
    to_caller.shutdown().await?;
    if remembered.len() > MOST_REMEMBERED {
        return Ok(None);
    }
    Ok(reading::answer(&mut remembered.as_slice(), &request.method).await.ok())
}
