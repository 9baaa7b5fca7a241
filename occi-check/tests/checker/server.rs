//! A server that is wrong on purpose.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// In which way it is wrong.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    /// Lists its model once; from then on 500 to everything.
    FailsAlways,
    /// Lists its model, and says 200 with an empty body to everything else.
    AgreesAlways,
    /// A page for browsers.
    IsSomethingElse,
    /// Never answers.
    Hangs,
    /// Answers with the request.
    RepeatsRequests,
    /// Its titles hold markup and terminal controls.
    Injects,
}

/// Offers much, so that no check can say that something is not offered.
const MODEL: &str = include_str!("model.txt");

/// Serves on a free port until the test's process ends, and answers the address.
pub async fn serve(behaviour: Behaviour) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut is_first = true;
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream, behaviour, is_first));
            is_first = false;
        }
    });
    address
}

/// One request for each connection.
async fn answer(mut stream: TcpStream, behaviour: Behaviour, is_first: bool) {
    let mut request = Vec::new();
    let mut buffer = [0_u8; 16 << 10];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
        if is_complete(&request) {
            break;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let lists = request.starts_with("GET /-/ ");
    let (status, media_type, body) = match behaviour {
        Behaviour::FailsAlways if is_first => ("200 OK", "text/plain", MODEL.to_owned()),
        Behaviour::FailsAlways => ("500 Internal Server Error", "text/plain", "broken".to_owned()),
        Behaviour::AgreesAlways if lists => ("200 OK", "text/plain", MODEL.to_owned()),
        Behaviour::AgreesAlways => ("200 OK", "text/plain", String::new()),
        Behaviour::IsSomethingElse => ("200 OK", "text/html", "<html>Hello</html>".to_owned()),
        Behaviour::Hangs => std::future::pending().await,
        Behaviour::RepeatsRequests if is_first => ("200 OK", "text/plain", MODEL.to_owned()),
        Behaviour::RepeatsRequests => ("200 OK", "text/plain", request.clone()),
        Behaviour::Injects => {
            let injected = "title=\"<script>alert(1)</script>\u{1b}[2J";
            ("200 OK", "text/plain", MODEL.replacen("title=\"", injected, 1) + "<script>\u{1b}\n")
        }
    };
    let length = body.len();
    let body = if request.starts_with("HEAD") { "" } else { &body };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n");
    let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await;
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}
