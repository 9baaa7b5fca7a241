use std::sync::Mutex;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A server that gives each connection the next of these answers, and counts its connections.
struct Server {
    port: u16,
    connections: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&connections);
        tokio::spawn(async move {
            for answer in answers {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && connection.read_buf(&mut head).await.is_ok_and(|count| count > 0)
                {
                }
                heard.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
                let _ = connection.write_all(&answer).await;
                let _ = connection.shutdown().await;
            }
        });
        Self { port, connections }
    }

    fn heard(&self) -> Vec<String> {
        self.connections.lock().unwrap().clone()
    }
}

fn ok(length: usize, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

fn private() -> Downloader {
    Downloader::new(Reach { private: true, ..Reach::default() }).unwrap()
}

/// Names stand for what the list says, one after the other.
fn looking_up(reach: Reach, answers: Vec<&'static str>) -> (Downloader, Arc<Mutex<usize>>) {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_, port| {
        let mut count = count.lock().unwrap();
        let answer = answers[(*count).min(answers.len() - 1)];
        *count += 1;
        let addresses = answer.split(' ').map(|address| SocketAddr::new(address.parse().unwrap(), port)).collect();
        Box::pin(async move { Ok(addresses) })
    });
    (Downloader { lookup, ..Downloader::new(reach).unwrap() }, asked)
}

async fn fetch(downloader: &Downloader, url: &str, longest: u64) -> Result<Vec<u8>, DownloadError> {
    let mut bytes = Vec::new();
    let url = Url::parse(url).unwrap();
    let received = downloader
        .fetch(&url, "*/*", longest, |chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })
        .await?;
    assert_eq!(received, bytes.len() as u64);
    Ok(bytes)
}

#[tokio::test]
async fn a20_every_way_to_write_a_place_within_is_refused_before_a_connection() {
    let server = Server::start(vec![ok(5, "inner"); 40]).await;
    let port = server.port;
    let downloader = Downloader::new(Reach::default()).unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0",
        "0.0.0.0",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "①②⑦.⓪.⓪.①",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "[fc00::1]",
        "[fe80::1]",
    ] {
        let Ok(url) = Url::parse(&format!("http://{host}:{port}/")) else { continue };
        let refused = downloader.fetch(&url, "*/*", 100, |_| Ok(())).await.unwrap_err();
        assert!(matches!(refused, DownloadError::OutOfReach { .. }), "{host}: {refused}");
    }
    assert!(server.heard().is_empty());
    let there = fetch(&private(), &format!("http://127.1:{port}/"), 100).await.unwrap();
    assert_eq!(there, b"inner", "the same place is reached with leave");
}

#[tokio::test]
async fn a20_only_the_web_is_fetched_and_nobodys_name_is_sent() {
    for url in [
        "file:///etc/passwd",
        "gopher://images.example/",
        "ftp://images.example/",
        "http://user@127.0.0.1/",
        "http://user:pass@127.0.0.1/",
        "http://images.example@127.0.0.1/",
    ] {
        let refused = private().fetch(&Url::parse(url).unwrap(), "*/*", 100, |_| Ok(())).await.unwrap_err();
        assert!(matches!(refused, DownloadError::Unfit { .. }), "{url}: {refused}");
        assert!(!refused.to_string().contains("pass@"), "{refused}");
    }
}

#[tokio::test]
async fn a20_a_name_is_looked_up_once_and_all_it_stands_for_counts() {
    let server = Server::start(vec![ok(5, "first")]).await;
    let (trap, _) = looking_up(Reach::default(), vec!["1.1.1.1 127.0.0.1"]);
    let refused = fetch(&trap, "http://images.example/", 100).await.unwrap_err();
    assert!(matches!(refused, DownloadError::OutOfReach { .. }), "{refused}");

    // The second answer is where nobody listens: were it asked for, there would be no connection.
    let only = Reach { networks: vec!["127.0.0.1".parse().unwrap()], ..Reach::default() };
    let (rebound, asked) = looking_up(only, vec!["127.0.0.1", "10.0.0.1"]);
    let url = format!("http://images.example:{}/", server.port);
    assert_eq!(fetch(&rebound, &url, 100).await.unwrap(), b"first");
    assert_eq!(*asked.lock().unwrap(), 1);
    assert!(server.heard()[0].contains(&format!("host: images.example:{}\r\n", server.port)));
}

#[tokio::test]
async fn a20_a_redirect_is_judged_as_an_address() {
    for to in [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/",
        "//0x0a000001/",
        "file:///etc/passwd",
        "http://user@127.0.0.1/",
    ] {
        let server = Server::start(vec![redirect(to)]).await;
        let only = Reach { networks: vec!["127.0.0.1".parse().unwrap()], ..Reach::default() };
        let downloader = Downloader::new(only).unwrap();
        let refused = fetch(&downloader, &format!("http://127.0.0.1:{}/", server.port), 100).await.unwrap_err();
        let is_judged = matches!(refused, DownloadError::OutOfReach { .. } | DownloadError::Unfit { .. });
        assert!(is_judged, "{to}: {refused}");
        assert_eq!(server.heard().len(), 1);
    }
}

#[tokio::test]
async fn redirects_are_followed_and_end() {
    let server = Server::start(vec![redirect("/b?x=1"), redirect("c"), ok(2, "ok")]).await;
    let base = format!("http://127.0.0.1:{}/a", server.port);
    assert_eq!(fetch(&private(), &base, 100).await.unwrap(), b"ok");
    let heard = server.heard();
    assert!(heard[1].starts_with("GET /b?x=1 ") && heard[2].starts_with("GET /c "), "{heard:?}");
    let endless = Server::start(vec![redirect("/again"); 20]).await;
    let refused = fetch(&private(), &format!("http://127.0.0.1:{}/", endless.port), 100).await.unwrap_err();
    assert!(matches!(refused, DownloadError::Redirects), "{refused}");
    assert_eq!(endless.heard().len(), MOST_REDIRECTS + 1);
}

#[tokio::test]
async fn a27_what_is_announced_and_what_comes_are_both_held_against_the_limit() {
    let chunked = |body: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}").into_bytes();
    let cases: [(Vec<u8>, &str); 6] = [
        (ok(5, "12345"), "taken"),
        (ok(11, "12345678901"), "long"),
        (ok(usize::MAX / 2, "1"), "long"),
        (ok(8, "12345"), "short"),
        (chunked("5\r\n12345\r\n9\r\n123456789\r\n0\r\n\r\n"), "long"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx".to_vec(), "packed"),
    ];
    for (answer, expected) in cases {
        let server = Server::start(vec![answer]).await;
        let outcome = fetch(&private(), &format!("http://127.0.0.1:{}/", server.port), 10).await;
        let became = match &outcome {
            Ok(_) => "taken",
            Err(DownloadError::TooLong { .. }) => "long",
            Err(DownloadError::Connection { .. }) => "short",
            Err(DownloadError::Unfit { .. }) => "packed",
            Err(_) => "another",
        };
        assert_eq!(became, expected, "{outcome:?}");
    }
}

#[tokio::test]
async fn other_answers_are_told_without_what_may_be_secret() {
    let server = Server::start(vec![b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec()]).await;
    let url = format!("http://127.0.0.1:{}/a?ticket=secret", server.port);
    let refused = fetch(&private(), &url, 100).await.unwrap_err().to_string();
    assert!(refused.contains("404") && !refused.contains("secret"), "{refused}");
}
