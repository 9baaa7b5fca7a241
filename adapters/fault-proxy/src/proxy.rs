use std::{
    io::{Error, ErrorKind, Result},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::sleep,
};

use crate::{
    Answer, Fault, Request, Seen, Times, Which,
    door::{self, Door, Turn},
    journal::{Answers, Journal, key},
    reading, upstream,
};

/// Between two bytes of [`Fault::Drip`].
const DRIP: Duration = Duration::from_secs(1);

/// A proxy that breaks what it is told to break, and nothing otherwise. It ends when it is dropped.
///
/// Each connection carries one request. Requests and answers are passed on as they come; those for which something was
/// ordered are held in memory, 256 MiB at most.
pub struct FaultProxy {
    port: u16,
    state: Arc<State>,
    turns: mpsc::Sender<Turn>,
    keeper: AbortHandle,
}

struct State {
    upstream: Option<String>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    orders: Vec<Order>,
    journal: Journal,
}

struct Order {
    which: Which,
    fault: Fault,
    times: Times,
    /// What had been answered when it was ordered.
    answers: Answers,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// What was ordered for this request, which is used up by that.
    fn fault(&mut self, request: &Request) -> Option<Fault> {
        let place = self.orders.iter().position(|order| order.which.means(request));
        let fault = place.and_then(|place| {
            let order = self.orders.get_mut(place)?;
            let fault = match order.fault {
                Fault::Replay => order.answers.get(&key(request)).map(|answer| Fault::Refuse(Answer::clone(answer))),
                ref fault => Some(fault.clone()),
            };
            if let Times::Next(left) = &mut order.times {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.orders.remove(place);
                }
            }
            fault
        });
        self.journal.note(request, fault.is_some());
        fault
    }
}

impl FaultProxy {
    /// In front of a service at `127.0.0.1:8080`, or any other authority, and a forward proxy for all others.
    ///
    /// # Errors
    /// There is no port.
    pub async fn to(upstream: impl Into<String>) -> Result<Self> {
        Self::start(Some(upstream.into())).await
    }

    /// A forward proxy only.
    ///
    /// # Errors
    /// There is no port.
    pub async fn forward() -> Result<Self> {
        Self::start(None).await
    }

    async fn start(upstream: Option<String>) -> Result<Self> {
        let socket = door::bound(0)?;
        let port = socket.local_addr()?.port();
        let state = Arc::new(State { upstream, book: Mutex::default() });
        let (turns, turned) = mpsc::channel(1);
        let serving = Arc::clone(&state);
        let keeper = tokio::spawn(door::keep(socket, turned, move |caller| serve(Arc::clone(&serving), caller)));
        let proxy = Self { port, state, turns, keeper: keeper.abort_handle() };
        // From here on somebody listens.
        proxy.turn(Door::Open).await?;
        Ok(proxy)
    }

    /// `http://127.0.0.1:40123`, for whoever takes it as its proxy or as its service.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.authority())
    }

    /// `127.0.0.1:40123`.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Orders a fault for requests that are meant. The oldest order that means a request is the one that counts.
    pub fn order(&self, which: Which, fault: Fault, times: Times) {
        let mut book = self.state.lock();
        let answers = if matches!(fault, Fault::Replay) { book.journal.answers() } else { Answers::new() };
        if times != Times::Next(0) {
            book.orders.push(Order { which, fault, times, answers });
        }
    }

    /// How many orders wait for requests still, those without end included.
    #[must_use]
    pub fn orders_left(&self) -> usize {
        self.state.lock().orders.len()
    }

    /// Refuses connections from now on, and cuts those that stand (F1).
    ///
    /// # Errors
    /// The port was lost.
    pub async fn refuse_connections(&self) -> Result<()> {
        self.turn(Door::Closed).await
    }

    /// Lets nobody's connection come about, and tells nobody, from now on (F2); cuts those that stand.
    ///
    /// # Errors
    /// The port was lost.
    pub async fn drop_connections(&self) -> Result<()> {
        self.turn(Door::Deaf).await
    }

    /// Forgets all orders, and lets everybody in.
    ///
    /// # Errors
    /// The port was lost.
    pub async fn heal(&self) -> Result<()> {
        self.state.lock().orders.clear();
        self.turn(Door::Open).await
    }

    async fn turn(&self, door: Door) -> Result<()> {
        let gone = || Error::new(ErrorKind::NotConnected, "the proxy is gone");
        let (done, turned) = oneshot::channel();
        self.turns.send((door, done)).await.map_err(|_| gone())?;
        turned.await.map_err(|_| gone())?
    }

    /// The requests that came so far and are meant, the oldest first; 20,000 are remembered.
    #[must_use]
    pub fn seen(&self, which: &Which) -> Vec<Seen> {
        self.state.lock().journal.seen().filter(|seen| which.means(&seen.request)).cloned().collect()
    }

    /// How many requests came so far that are meant.
    #[must_use]
    pub fn count(&self, which: &Which) -> usize {
        self.state.lock().journal.seen().filter(|seen| which.means(&seen.request)).count()
    }

    /// Forgets the requests that came.
    pub fn forget(&self) {
        self.state.lock().journal.forget();
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// One connection. What goes wrong in it, its caller notices.
async fn serve(state: Arc<State>, caller: TcpStream) {
    let _ = converse(&state, BufReader::new(caller)).await;
}

async fn converse(state: &State, mut caller: BufReader<TcpStream>) -> Result<()> {
    let request = match reading::request(&mut caller, state.upstream.as_deref()).await {
        Ok(Some(request)) => request,
        Ok(None) => return Ok(()),
        Err(error) => {
            return caller.write_all(&Answer::new(400, "text/plain", format!("{error}\n")).to_bytes()).await;
        }
    };
    let fault = state.lock().fault(&request);
    match fault {
        None => {
            if let Some(answer) = upstream::relay(&request, &mut caller).await? {
                state.lock().journal.keep(&request, answer);
            }
        }
        Some(fault) => commit(fault, &request, &mut caller).await?,
    }
    caller.shutdown().await
}

async fn commit(fault: Fault, request: &Request, caller: &mut BufReader<TcpStream>) -> Result<()> {
    let answer = match fault {
        Fault::Silence => {
            // Until the caller has had enough.
            return tokio::io::copy_buf(caller, &mut tokio::io::sink()).await.map(drop);
        }
        Fault::Cut => return Ok(()),
        Fault::Refuse(answer) => answer,
        Fault::Drip => {
            let answer = upstream::exchange(request).await?.to_bytes();
            for byte in answer {
                caller.write_all(&[byte]).await?;
                sleep(DRIP).await;
            }
            return Ok(());
        }
        Fault::LoseAnswer => return upstream::exchange(request).await.map(drop),
        Fault::Replace(answer) => upstream::exchange(request).await.map(|_| answer)?,
        Fault::Change(change) => change(request, upstream::exchange(request).await?),
        Fault::Truncate(length) => {
            let answer = upstream::exchange(request).await?;
            let mut bytes = answer.to_bytes();
            bytes.truncate(bytes.len() - answer.body.len() + length.min(answer.body.len()));
            return caller.write_all(&bytes).await;
        }
        // It was made an answer, or nothing, when it was looked up.
        Fault::Replay => upstream::exchange(request).await?,
    };
    caller.write_all(&answer.to_bytes()).await
}
