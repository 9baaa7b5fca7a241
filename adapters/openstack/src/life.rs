//! Starting, stopping and freezing machines.

use std::sync::Arc;

use backend::{BackendError, MachineState, RestartMethod, SuspendMethod};
use serde_json::{Value, json};

use crate::{
    nova::{Server, Situation},
    site::Site,
};

impl Site {
    /// Starts what is off, and lets go on what is frozen, in the way that suits its state.
    pub(crate) async fn start(&self, id: &str) -> Result<(), BackendError> {
        let server = self.server(id).await?;
        let action = match server.situation() {
            Situation::Active | Situation::Rescued | Situation::Busy(MachineState::Building) | Situation::Resized => {
                return Ok(());
            }
            Situation::Off => json!({ "os-start": null }),
            Situation::Shelved => json!({ "unshelve": null }),
            Situation::Paused => json!({ "unpause": null }),
            Situation::Suspended => json!({ "resume": null }),
            // The one way out of an error that keeps the disk.
            Situation::Broken => json!({ "reboot": { "type": "HARD" } }),
            other => return Err(not_now(id, "start", other)),
        };
        self.act_unless_there(id, action, |situation| {
            matches!(situation, Situation::Active | Situation::Busy(MachineState::Building))
        })
        .await
    }

    /// Nova has one way to stop: it asks the guest, and switches off after the image's `os_shutdown_timeout`, or the
    /// site's. All methods are that one.
    pub(crate) async fn stop(self: &Arc<Self>, id: &str) -> Result<(), BackendError> {
        let server = self.server(id).await?;
        match server.situation() {
            Situation::Off | Situation::Shelved | Situation::Busy(MachineState::Stopping) => return Ok(()),
            Situation::Active | Situation::Rescued | Situation::Broken => {}
            // A frozen guest cannot be asked: it goes on first.
            Situation::Paused | Situation::Suspended => self.wake(&server).await?,
            other => return Err(not_now(id, "stop", other)),
        }
        self.act_unless_there(id, json!({ "os-stop": null }), |situation| {
            matches!(situation, Situation::Off | Situation::Busy(MachineState::Stopping))
        })
        .await
    }

    async fn wake(self: &Arc<Self>, server: &Server) -> Result<(), BackendError> {
        self.start(&server.id).await?;
        let about = format!("machine {} on its way out of its freeze", server.id);
        self.await_effect(&about, || async {
            Ok((self.server(&server.id).await?.situation() == Situation::Active).then_some(()))
        })
        .await
    }

    pub(crate) async fn restart(&self, id: &str, method: RestartMethod) -> Result<(), BackendError> {
        let situation = self.server(id).await?.situation();
        if !matches!(situation, Situation::Active | Situation::Rescued) {
            return Err(not_now(id, "restart", situation));
        }
        let kind = match method {
            RestartMethod::Graceful => "SOFT",
            // Nova has no reset that keeps the power on.
            RestartMethod::Warm | RestartMethod::Cold => "HARD",
        };
        self.act(id, json!({ "reboot": { "type": kind } })).await
    }

    pub(crate) async fn suspend(&self, id: &str, method: SuspendMethod) -> Result<(), BackendError> {
        let situation = self.server(id).await?.situation();
        match situation {
            Situation::Paused | Situation::Suspended => return Ok(()),
            Situation::Active | Situation::Rescued => {}
            other => return Err(not_now(id, "suspend", other)),
        }
        let action = match method {
            SuspendMethod::Suspend => json!({ "pause": null }),
            SuspendMethod::Hibernate => json!({ "suspend": null }),
        };
        self.act_unless_there(id, action, |situation| {
            matches!(situation, Situation::Paused | Situation::Suspended | Situation::Busy(MachineState::Stopping))
        })
        .await
    }

    /// Asks for an action; one that comes too late, since somebody else has asked for the same, is a success.
    async fn act_unless_there(
        &self,
        id: &str,
        action: Value,
        is_there: impl Fn(Situation) -> bool,
    ) -> Result<(), BackendError> {
        match self.act(id, action).await {
            Err(BackendError::Conflict(why)) => {
                let situation = self.server(id).await?.situation();
                if is_there(situation) { Ok(()) } else { Err(BackendError::Conflict(why)) }
            }
            outcome => outcome,
        }
    }
}

/// What the machine's state does not allow.
pub(crate) fn not_now(id: &str, what: &str, situation: Situation) -> BackendError {
    let stands = match situation {
        Situation::Busy(MachineState::Stopping) => "on its way to another state",
        Situation::Busy(_) => "being made or changed",
        Situation::Active => "running",
        Situation::Rescued => "started from a rescue image",
        Situation::Off => "stopped",
        Situation::Shelved => "shelved",
        Situation::Paused | Situation::Suspended => "suspended",
        Situation::Resized => "being resized",
        Situation::Broken => "in error",
        Situation::Gone | Situation::Unknown => "not known at present",
    };
    BackendError::Conflict(format!("machine {id} is {stands}; it cannot {what} then"))
}
