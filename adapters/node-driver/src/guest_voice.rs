//! Whether the guest itself has been heard: an SSH banner through the forwarded port.

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

/// Calls in the air at once while a guest boots. SSH servers count unauthenticated connections per client, and
/// the guest sees everybody as one.
const MOST_CALLS: usize = 3;
const EAGER: Duration = Duration::from_millis(250);
const EAGER_FOR: Duration = Duration::from_secs(120);
const PATIENT: Duration = Duration::from_secs(2);
const SELDOM: Duration = Duration::from_secs(30);

/// Listens for ever, and tells `heard`.
pub(crate) async fn listen(address: SocketAddr, heard: watch::Sender<bool>) {
    loop {
        until_heard(address).await;
        heard.send_replace(true);
        // One missed answer may be a full connection table; two are a guest that is gone.
        let mut missed = 0;
        while missed < 2 {
            sleep(SELDOM).await;
            missed = if call(address, PATIENT * 2).await { 0 } else { missed + 1 };
        }
        heard.send_replace(false);
    }
}

/// Calls again and again. While the guest has no network yet a call hangs rather than fails, and would be
/// answered late: so fresh calls go out beside the pending ones.
async fn until_heard(address: SocketAddr) {
    let begun = Instant::now();
    let mut ticks = interval(EAGER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls = FuturesUnordered::new();
    // One call at a time is given longer, for guests that are slow to greet.
    let mut patient_until = begun;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let now = Instant::now();
                if now >= patient_until {
                    patient_until = now + PATIENT;
                    calls.push(call(address, PATIENT));
                } else if calls.len() < MOST_CALLS && now < begun + EAGER_FOR {
                    calls.push(call(address, EAGER * 2));
                }
            }
            Some(answered) = calls.next(), if !calls.is_empty() => {
                if answered {
                    return;
                }
            }
        }
    }
}

/// Whether an SSH server greets within the time given. At most 4 bytes of what a guest says are read.
async fn call(address: SocketAddr, patience: Duration) -> bool {
    let greeting = async {
        let mut line = TcpStream::connect(address).await.ok()?;
        let mut greeting = [0; 4];
        line.read_exact(&mut greeting).await.ok()?;
        (&greeting == b"SSH-").then_some(())
    };
    timeout(patience, greeting).await.is_ok_and(|heard| heard.is_some())
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use tokio::{io::AsyncWriteExt, net::TcpListener, sync::watch};

    use super::{call, listen};

    #[tokio::test]
    async fn only_an_ssh_greeting_counts() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let serve = async {
            let mut silent = Vec::new();
            for greeting in ["HTTP/1.1 200", "", "SSH-2.0-dropbear\r\n"] {
                let (mut line, _) = server.accept().await.unwrap();
                line.write_all(greeting.as_bytes()).await.unwrap();
                silent.push(line);
            }
            pending::<()>().await;
        };
        let calls = async {
            assert!(!call(address, Duration::from_secs(60)).await, "another protocol");
            assert!(!call(address, Duration::from_millis(50)).await, "a silent guest");
            assert!(call(address, Duration::from_secs(60)).await);
        };
        tokio::select! { () = serve => {}, () = calls => {} }
    }

    #[tokio::test]
    async fn a_guest_that_comes_up_late_is_heard() {
        let spare = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = spare.local_addr().unwrap();
        drop(spare);
        let (heard, mut seen) = watch::channel(false);
        let voice = tokio::spawn(listen(address, heard));
        tokio::task::yield_now().await;
        let server = TcpListener::bind(address).await.unwrap();
        let (mut line, _) = server.accept().await.unwrap();
        line.write_all(b"SSH-2.0-late\r\n").await.unwrap();
        seen.wait_for(|heard| *heard).await.unwrap();
        voice.abort();
    }
}
