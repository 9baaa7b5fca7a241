//! A simulated site in this process, behind a socket: it outlives servers, and costs them no memory.

use std::{path::Path, time::Duration};

use backend::simulator::{Behaviour, Simulator, socket};
use tokio::sync::oneshot;

/// It ends with this value.
pub struct Site {
    pub simulator: Simulator,
    _stop: oneshot::Sender<()>,
}

impl Site {
    /// On a thread of its own.
    pub fn start(path: &Path, boot: Duration) -> Self {
        let mut behaviour = Behaviour::default();
        behaviour.delays.boot = boot;
        let simulator = Simulator::new(behaviour);
        let (stop, stopped) = oneshot::channel::<()>();
        let (served, path) = (simulator.clone(), path.to_owned());
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::UnixListener::bind(path).expect("a socket");
                ready.send(()).expect("somebody who waits");
                socket::serve(served, listener, async {
                    let _ = stopped.await;
                })
                .await;
            });
        });
        is_ready.recv().expect("a simulator");
        Self { simulator, _stop: stop }
    }
}
