//! The simulator's side.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    io::BufReader,
    net::{UnixListener, UnixStream},
    sync::{Notify, mpsc},
    task::JoinSet,
};

use super::{
    answering::{answer, encoded},
    frame::{self, Frame, MOST_BODY_BYTES, MOST_WAITING},
    wire::{Answer, Asked},
};
use crate::{
    BackendError, request,
    simulator::{Simulator, hanging::for_caller},
};

/// Of one connection. Calls that were told to hang count too.
const MOST_UNDER_WAY: usize = 10_000;
/// After a connection that could not be taken, for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers calls until `shutdown`; those under way then are dropped, which has had their effect or none.
pub async fn serve(simulator: Simulator, listener: UnixListener, shutdown: impl Future<Output = ()>) {
    let mut callers = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = callers.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((line, _)) => {
                    callers.spawn(attend(simulator.clone(), line));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
        }
    }
}

/// One connection, to its end and that of its last call.
async fn attend(simulator: Simulator, line: UnixStream) {
    let (reader, writer) = line.into_split();
    let (answers, to_write) = mpsc::channel(MOST_WAITING);
    let mut calls = JoinSet::new();
    calls.spawn(async move {
        // A caller that does not listen has gone.
        let _ = frame::write_all(writer, to_write).await;
    });
    let mut reader = BufReader::new(reader);
    let mut present = Callers::default();
    // What is no frame ends the connection, as its end does.
    while let Ok(Some(asked)) = frame::read(&mut reader).await {
        if asked.body.is_empty() {
            present.leave(asked.number);
            continue;
        }
        while calls.try_join_next().is_some() {}
        if calls.len() > MOST_UNDER_WAY {
            calls.join_next().await;
        }
        let (simulator, answers) = (simulator.clone(), answers.clone());
        let caller = present.enter(asked.number);
        calls.spawn(async move {
            let body = for_caller(caller, perform(&simulator, &asked.body)).await;
            // Nobody listens any more, perhaps; the call is done all the same.
            let _ = answers.send(Frame { number: asked.number, body }).await;
        });
    }
    drop(answers);
    drop(present);
    while calls.join_next().await.is_some() {}
}

/// The callers of one connection, by the number of their call. They have all gone when it is dropped.
#[derive(Default)]
struct Callers {
    of: HashMap<u64, Weak<Notify>>,
    /// Of those whose calls have ended, most are forgotten when there are this many.
    forgetting_at: usize,
}

impl Callers {
    fn enter(&mut self, number: u64) -> Arc<Notify> {
        if self.of.len() >= self.forgetting_at {
            self.of.retain(|_, caller| caller.strong_count() > 0);
            self.forgetting_at = self.of.len() * 2 + 64;
        }
        let caller = Arc::new(Notify::new());
        self.of.insert(number, Arc::downgrade(&caller));
        caller
    }

    fn leave(&mut self, number: u64) {
        if let Some(caller) = self.of.remove(&number).and_then(|caller| caller.upgrade()) {
            caller.notify_one();
        }
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.of.values().filter_map(Weak::upgrade).for_each(|caller| caller.notify_one());
    }
}

async fn perform(simulator: &Simulator, body: &[u8]) -> Vec<u8> {
    let body = match serde_json::from_slice::<Asked>(body) {
        Ok(Asked { request: Some(id), call }) => request::scope(id, answer(simulator, call)).await,
        Ok(Asked { request: None, call }) => answer(simulator, call).await,
        Err(error) => encoded(&refused(format!("the simulator does not understand the call: {error}"))),
    };
    if body.len() > MOST_BODY_BYTES {
        return encoded(&refused(format!("the answer has {} bytes, {MOST_BODY_BYTES} are the most", body.len())));
    }
    body
}

fn refused(why: String) -> Answer<()> {
    Err(BackendError::Refused(why))
}
