use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// A service that counts: it answers which call of its life this is, and what the body was.
pub struct Service {
    authority: String,
    calls: Arc<AtomicUsize>,
    listening: AbortHandle,
}

impl Service {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let listening = tokio::spawn(async move {
            loop {
                let (caller, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(caller, Arc::clone(&counted)));
            }
        });
        Self { authority, calls, listening: listening.abort_handle() }
    }

    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn answer(caller: TcpStream, calls: Arc<AtomicUsize>) {
    let mut caller = BufReader::new(caller);
    let (mut first, mut length) = (String::new(), 0);
    caller.read_line(&mut first).await.unwrap();
    loop {
        let mut line = String::new();
        caller.read_line(&mut line).await.unwrap();
        let line = line.trim().to_ascii_lowercase();
        if let Some(announced) = line.strip_prefix("content-length:") {
            length = announced.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    caller.read_exact(&mut body).await.unwrap();
    let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
    let path = first.split(' ').nth(1).unwrap();
    let said = format!("call {call} of {path}: {}", String::from_utf8(body).unwrap());
    let framed = if path.starts_with("/chunked") {
        let (one, two) = said.split_at(3);
        format!("transfer-encoding: chunked\r\n\r\n3\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", two.len())
    } else {
        format!("content-length: {}\r\n\r\n{said}", said.len())
    };
    // A caller may have gone.
    let _ = caller.write_all(format!("HTTP/1.1 200 OK\r\nx-kept: yes\r\n{framed}").as_bytes()).await;
}
