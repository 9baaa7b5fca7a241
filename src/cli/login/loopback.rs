//! By a browser on this computer, which comes back to a socket of ours (RFC 8252).

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, bail};
use subtle::ConstantTimeEq;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

use super::{
    browser, printable,
    server::{Granted, Server},
};
use crate::{
    config,
    login::{
        Rights,
        code::{Code, challenge_of},
    },
};

/// A person takes so long for signing in and saying yes.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// A browser takes so long for its request.
const REQUEST: Duration = Duration::from_secs(5);
/// A request's head is no longer, in bytes.
const LONGEST_HEAD: usize = 16 << 10;

const DONE: &str = "You are signed in. You can close this page and go back to your terminal.";
const REFUSED: &str = "You are not signed in. You can close this page and go back to your terminal.";
const ODD: &str = "This is not what was waited for.";

/// A socket to which a browser is to come back.
pub struct Socket {
    /// The page on which the person agrees.
    pub page: Url,
    listener: TcpListener,
    redirect_uri: String,
    client: String,
    state: Code,
    verifier: Code,
}

/// Opens a browser, and waits until it comes back.
pub async fn ask(server: &Server, rights: Rights, opens_browser: bool) -> anyhow::Result<Granted> {
    let socket = open(server, rights).await?;
    let is_open = opens_browser && browser::open(socket.page.as_str());
    eprintln!("{} {}", if is_open { "Your browser shows" } else { "Open" }, socket.page);
    eprintln!("Waiting until you have agreed there …  (no browser on this computer? use --device)");
    socket.wait(server).await
}

/// Opens the socket.
pub async fn open(server: &Server, rights: Rights) -> anyhow::Result<Socket> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
    let listener = listener.context("no socket can be opened for the browser to come back to; use --device")?;
    let redirect_uri = format!("http://127.0.0.1:{}/", listener.local_addr()?.port());
    let (state, verifier) = (Code::generate()?, Code::generate()?);
    let (client, scope) = (format!("tombolo on {}", config::computer()), rights.to_string());
    let page = server.consent_page(&[
        ("response_type", "code"),
        ("client_id", &client),
        ("redirect_uri", &redirect_uri),
        ("state", state.reveal()),
        ("code_challenge", &challenge_of(verifier.reveal())),
        ("code_challenge_method", "S256"),
        ("scope", &scope),
    ])?;
    Ok(Socket { page, listener, redirect_uri, client, state, verifier })
}

impl Socket {
    /// Waits until the browser has come back, and exchanges what it brings.
    pub async fn wait(self, server: &Server) -> anyhow::Result<Granted> {
        let waiting = answer(&self.listener, &self.state, server.issuer());
        let code = match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(code) => code?,
            Err(_) => bail!("nobody has agreed in time; begin anew"),
        };
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &self.redirect_uri),
            ("client_id", &self.client),
            ("code_verifier", self.verifier.reveal()),
        ];
        let granted = server.token(&fields).await?;
        granted.map_err(|no| anyhow::anyhow!("{} gives no token: {} ({})", server.url, no.error, no.description))
    }
}

/// What a browser brings back.
#[derive(Debug, PartialEq, Eq)]
enum Brought {
    Code(String),
    No(String),
    /// Somebody else, or something else: go on waiting.
    Odd,
}

async fn answer(listener: &TcpListener, state: &Code, issuer: &str) -> anyhow::Result<String> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let brought = match tokio::time::timeout(REQUEST, head(&mut stream)).await {
            Ok(Some(head)) => read(&head, state.reveal(), issuer),
            _ => Brought::Odd,
        };
        let words = match &brought {
            Brought::Code(_) => DONE,
            Brought::No(_) => REFUSED,
            Brought::Odd => ODD,
        };
        let _ = tokio::time::timeout(REQUEST, reply(&mut stream, words, brought == Brought::Odd)).await;
        match brought {
            Brought::Code(code) => return Ok(code),
            Brought::No(words) => bail!("you are not signed in: {words}"),
            Brought::Odd => {}
        }
    }
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        head.extend_from_slice(&chunk[..count]);
        if head.len() > LONGEST_HEAD {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

fn read(head: &str, state: &str, issuer: &str) -> Brought {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (Some("GET"), Some(target), Some("HTTP/1.1")) = (words.next(), words.next(), words.next()) else {
        return Brought::Odd;
    };
    let Some(query) = target.strip_prefix("/?") else { return Brought::Odd };
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().take(16).collect();
    let only = |name: &str| {
        let mut found = fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.next().filter(|_| found.next().is_none())
    };
    // Any page in the browser can send it here; only the server's answer knows the state, and names its sender.
    let is_ours: bool = only("state").unwrap_or_default().as_bytes().ct_eq(state.as_bytes()).into();
    if !is_ours || only("iss") != Some(issuer) {
        return Brought::Odd;
    }
    match (only("code"), only("error")) {
        (Some(code), None) if code.len() <= 1024 => Brought::Code(code.to_owned()),
        (None, Some(error)) => {
            let description = only("error_description").unwrap_or_default();
            Brought::No(format!("{} ({})", printable(error, 60), printable(description, 200)))
        }
        _ => Brought::Odd,
    }
}

async fn reply(stream: &mut TcpStream, words: &str, is_odd: bool) -> anyhow::Result<()> {
    let status = if is_odd { "404 Not Found" } else { "200 OK" };
    let page = format!("<!DOCTYPE html><html lang=\"en\"><title>Tombolo</title><p>{words}</p></html>");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        page.len()
    );
    stream.write_all(format!("{head}{page}").as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://cloud.example";

    fn brought(target: &str) -> Brought {
        read(&format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"), "s1", ISSUER)
    }

    #[test]
    fn only_the_servers_own_answer_is_taken() {
        let iss = "iss=https%3A%2F%2Fcloud.example";
        assert_eq!(brought(&format!("/?code=abc&state=s1&{iss}")), Brought::Code("abc".into()));
        let no = brought(&format!("/?error=access_denied&error_description=no%1b%5B2J&state=s1&{iss}"));
        assert_eq!(no, Brought::No("access_denied (no[2J)".into()));
        for target in [
            "/",
            "/favicon.ico",
            "/?code=abc",
            "/?code=abc&state=s1",
            "/?code=abc&state=s1&iss=https%3A%2F%2Fevil.example",
            &format!("/?code=abc&state=s2&{iss}"),
            &format!("/?code=abc&{iss}"),
            &format!("/?code=abc&state=s1&state=s1&{iss}"),
            &format!("/?code=a&code=b&state=s1&{iss}"),
            &format!("/?code=abc&error=x&state=s1&{iss}"),
            &format!("/x?code=abc&state=s1&{iss}"),
            &format!("/?code={}&state=s1&{iss}", "x".repeat(2000)),
        ] {
            assert_eq!(brought(target), Brought::Odd, "{target}");
        }
        let posted = format!("POST /?code=abc&state=s1&{iss} HTTP/1.1\r\n\r\n");
        assert_eq!(read(&posted, "s1", ISSUER), Brought::Odd);
    }
}
