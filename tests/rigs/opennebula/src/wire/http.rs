//! The HTTP server: `POST /RPC2` only, one answer per connection, no chunked requests, few connections at once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How many connections the daemon serves at once (`MAX_CONN` of oned.conf); as many more wait in the backlog.
pub const MOST_CONNECTIONS: usize = 15;
/// How long an idle connection keeps its place.
pub const IDLE: Duration = Duration::from_secs(15);

const LONGEST_HEAD: u64 = 64 << 10;
const LONGEST_BODY: u64 = 1 << 30;
const SERVER: &str = "Xmlrpc-c_Abyss/1.33.14";

/// What is sent to the caller.
#[derive(Debug)]
pub enum Delivery {
    /// The document.
    Document(String),
    /// The document, after a while.
    Late(Duration, String),
    /// A valid head that announces this many bytes, and that many bytes of an endless string.
    Endless(u64),
    /// The connection is closed without a word.
    Nothing,
    /// The connection stays open without a word.
    Silence,
}

/// What answers calls.
pub trait Answering: Send + Sync + 'static {
    /// Answers the body of one request.
    fn answer(&self, body: &[u8]) -> Delivery;
    /// Whether connections are closed before they are read.
    fn refuses(&self) -> bool;
}

/// Serves connections until the listener fails or the future is dropped.
pub async fn serve(listener: TcpListener, answering: Arc<dyn Answering>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let answering = Arc::clone(&answering);
        tokio::spawn(async move {
            if !answering.refuses() {
                // The caller may go away at any time; there is nobody to tell.
                let _ = connection(stream, &*answering).await;
            }
            drop(place);
        });
    }
}

async fn connection(mut stream: TcpStream, answering: &dyn Answering) -> io::Result<()> {
    let request = match timeout(IDLE, read(&mut stream)).await {
        Ok(request) => request?,
        Err(_) => return Ok(()),
    };
    let body = match request {
        Request::Call(body) => body,
        Request::Bad(status, explanation) => return refuse(&mut stream, status, explanation).await,
    };
    match answering.answer(&body) {
        Delivery::Document(document) => send(&mut stream, &document).await,
        Delivery::Late(after, document) => {
            tokio::time::sleep(after).await;
            send(&mut stream, &document).await
        }
        Delivery::Endless(bytes) => endless(&mut stream, bytes).await,
        Delivery::Nothing => Ok(()),
        Delivery::Silence => {
            // Until the caller gives up.
            let mut rest = [0; 1024];
            while stream.read(&mut rest).await? > 0 {}
            Ok(())
        }
    }
}

enum Request {
    Call(Vec<u8>),
    Bad(u16, &'static str),
}

async fn read(stream: &mut TcpStream) -> io::Result<Request> {
    let mut received = Vec::new();
    let end = loop {
        if let Some(end) = received.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        if received.len() as u64 > LONGEST_HEAD {
            return Ok(Request::Bad(400, "The head of your request is too long"));
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let body = received.split_off(end + 4);
    let head = String::from_utf8_lossy(&received).into_owned();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if target.split('?').next() != Some("/RPC2") {
        return Ok(Request::Bad(404, "Not Found"));
    }
    if method != "POST" {
        return Ok(Request::Bad(405, "This server takes only POST"));
    }
    let mut length = 0;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(Request::Bad(411, "You must send a content-length HTTP header in your request"));
        }
        if name.eq_ignore_ascii_case("content-length") {
            match value.trim().parse::<u64>() {
                Ok(n) if n <= LONGEST_BODY => length = n,
                _ => return Ok(Request::Bad(400, "Your content-length HTTP header is not a number that is taken")),
            }
        }
    }
    if length == 0 {
        return Ok(Request::Bad(
            400,
            "According to your content-length HTTP header, your request is empty (zero length)",
        ));
    }
    rest(stream, body, length).await.map(Request::Call)
}

async fn rest(stream: &mut (impl AsyncRead + Unpin), mut body: Vec<u8>, length: u64) -> io::Result<Vec<u8>> {
    let missing = length.saturating_sub(body.len() as u64);
    stream.take(missing).read_to_end(&mut body).await?;
    if (body.len() as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    body.truncate(usize::try_from(length).unwrap_or(usize::MAX));
    Ok(body)
}

async fn send(stream: &mut TcpStream, document: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-type: text/xml; charset=utf-8\r\nContent-length: {}\r\nConnection: close\r\n\
         Server: {SERVER}\r\n\r\n",
        document.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(document.as_bytes()).await?;
    stream.shutdown().await
}

async fn refuse(stream: &mut TcpStream, status: u16, explanation: &str) -> io::Result<()> {
    let page = format!(
        "<HTML><HEAD><TITLE>Error {status}</TITLE></HEAD><BODY><H1>Error {status}</H1><P>{explanation}</P><p><HR>\
         <b><i><a href=\"http://xmlrpc-c.sourceforge.net\">ABYSS Web Server for XML-RPC For C/C++</a></i></b> \
         version 1.33.14<br></p></BODY></HTML>"
    );
    // No length, as the daemon does: the end of the connection is the end of the page.
    let head =
        format!("HTTP/1.1 {status} Error\r\nContent-type: text/html\r\nConnection: close\r\nServer: {SERVER}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(page.as_bytes()).await?;
    stream.shutdown().await
}

async fn endless(stream: &mut TcpStream, bytes: u64) -> io::Result<()> {
    let start = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<methodResponse>\r\n<params>\r\n<param><value><array>\
                 <data>\r\n<value><boolean>1</boolean></value>\r\n<value><string>";
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-type: text/xml; charset=utf-8\r\nContent-length: {bytes}\r\nConnection: close\r\n\
         Server: {SERVER}\r\n\r\n{start}"
    );
    stream.write_all(head.as_bytes()).await?;
    let filler = vec![b'x'; 64 << 10];
    let mut left = bytes.saturating_sub(start.len() as u64);
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(filler.len());
        stream.write_all(filler.get(..part).unwrap_or_default()).await?;
        left -= part as u64;
    }
    stream.shutdown().await
}
