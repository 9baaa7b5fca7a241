//! Who gets in: a port that answers, refuses, or is silent.

use std::{
    io::Result,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

/// How many connections wait to be accepted.
const BACKLOG: u32 = 1024;
/// What a connection on loopback takes at most, if anybody takes it.
const SWIFT: Duration = Duration::from_millis(500);
/// More than a queue of one takes before it is full.
const MOST_FILLERS: usize = 16;

/// How a port receives connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Open,
    /// Each is refused at once (F1).
    Closed,
    /// None is answered: the queue of those that wait is full, so the system drops their packets (F2).
    Deaf,
}

pub(crate) type Turn = (Door, oneshot::Sender<Result<()>>);

/// What holds the port.
#[derive(Default)]
struct Held {
    accepting: Option<TcpListener>,
    /// Bound, so that nobody else gets the port, and not listening.
    _bound: Option<TcpSocket>,
    _full: Option<(TcpListener, Vec<TcpStream>)>,
}

pub(crate) fn bound(port: u16) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

async fn hold(door: Door, socket: TcpSocket) -> Result<Held> {
    let address = socket.local_addr()?;
    Ok(match door {
        Door::Open => Held { accepting: Some(socket.listen(BACKLOG)?), ..Held::default() },
        Door::Closed => Held { _bound: Some(socket), ..Held::default() },
        Door::Deaf => {
            let listener = socket.listen(1)?;
            let mut fillers = Vec::new();
            while fillers.len() < MOST_FILLERS {
                match timeout(SWIFT, TcpStream::connect(address)).await {
                    Ok(filler) => fillers.push(filler?),
                    Err(_) => break,
                }
            }
            Held { _full: Some((listener, fillers)), ..Held::default() }
        }
    })
}

/// Receives connections until nobody can turn the door any more. Whoever turns it is told when it has happened;
/// connections that stood are cut then.
pub(crate) async fn keep<F>(first: TcpSocket, mut turns: mpsc::Receiver<Turn>, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let Ok(port) = first.local_addr().map(|address| address.port()) else { return };
    let mut visits = JoinSet::new();
    let Ok(mut held) = hold(Door::Open, first).await else { return };
    loop {
        let turn = match &held.accepting {
            Some(listener) => tokio::select! {
                turn = turns.recv() => turn,
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        visits.spawn(serve(stream));
                    }
                    while visits.try_join_next().is_some() {}
                    continue;
                }
            },
            None => turns.recv().await,
        };
        let Some((door, done)) = turn else { return };
        visits.shutdown().await;
        drop(held);
        let turned = async { hold(door, bound(port)?).await };
        match turned.await {
            Ok(now) => {
                held = now;
                let _ = done.send(Ok(()));
            }
            Err(error) => {
                let _ = done.send(Err(error));
                return;
            }
        }
    }
}
