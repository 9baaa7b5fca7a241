use std::time::Duration;

use tokio::time::Instant;

use crate::{BackendError, Endpoint, Machine, MachineId, MachineSpec, MachineState};

/// A machine, and where it is going: it arrives by the clock, not by a task, so that a simulator needs no clean-up.
pub(super) struct SimulatedMachine {
    id: MachineId,
    pub(super) spec: MachineSpec,
    state: MachineState,
    detail: Option<String>,
    arrival: Option<(Instant, MachineState)>,
}

impl SimulatedMachine {
    pub(super) fn building(spec: MachineSpec, running_at: Instant) -> Result<Self, BackendError> {
        let id = format!("sim-{}", spec.tag).try_into().map_err(|error| BackendError::Failed(format!("{error}")))?;
        let arrival = Some((running_at, MachineState::Running));
        Ok(Self { id, spec, state: MachineState::Building, detail: None, arrival })
    }

    pub(super) fn facts(&self, now: Instant) -> Machine {
        let state = self.state_at(now);
        let running = state == MachineState::Running;
        let endpoints = if running {
            vec![Endpoint { service: "ssh".into(), host: "127.0.0.1".into(), port: 22 }]
        } else {
            Vec::new()
        };
        Machine {
            id: self.id.clone(),
            tag: self.spec.tag,
            state,
            detail: self.detail.clone(),
            endpoints,
            console: None,
            guest_answers: Some(running),
        }
    }

    fn state_at(&self, now: Instant) -> MachineState {
        match self.arrival {
            Some((at, state)) if at <= now => state,
            _ => self.state,
        }
    }

    pub(super) fn settle(&mut self, state: MachineState, detail: Option<&str>) {
        self.state = state;
        self.detail = detail.map(str::to_owned);
        self.arrival = None;
    }

    pub(super) fn start(&mut self, now: Instant, boot: Duration) -> Result<(), BackendError> {
        match self.state_at(now) {
            MachineState::Running | MachineState::Building => {}
            MachineState::Stopped | MachineState::Suspended => self.go(MachineState::Building, now + boot),
            other => return Err(refusal("start", other)),
        }
        Ok(())
    }

    pub(super) fn stop(&mut self, now: Instant, pause: Duration) -> Result<(), BackendError> {
        match self.state_at(now) {
            MachineState::Stopped => {}
            MachineState::Running | MachineState::Building | MachineState::Stopping => {
                self.state = MachineState::Stopping;
                self.arrival = Some((now + pause, MachineState::Stopped));
            }
            other => return Err(refusal("stop", other)),
        }
        Ok(())
    }

    pub(super) fn restart(&mut self, now: Instant, boot: Duration) -> Result<(), BackendError> {
        match self.state_at(now) {
            MachineState::Running => self.go(MachineState::Building, now + boot),
            other => return Err(refusal("restart", other)),
        }
        Ok(())
    }

    fn go(&mut self, through: MachineState, running_at: Instant) {
        self.settle(through, None);
        self.arrival = Some((running_at, MachineState::Running));
    }
}

fn refusal(asked: &str, state: MachineState) -> BackendError {
    BackendError::Conflict(format!("cannot {asked} a machine that is {state:?}"))
}
