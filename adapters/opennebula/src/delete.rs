//! Machines end.

use std::time::Duration;

use backend::BackendError;

use crate::{
    document::VmDocument,
    names::Id,
    oned::unless_unknown,
    rpc::Call,
    site::{Site, is_ours},
    state::Standing,
    waiting::Looks,
};

/// Until a machine is gone.
const ENDS: Duration = Duration::from_secs(110);
/// Until a machine that is at work on something is ended by force. A machine that is ended while it boots can stop the
/// service from placing any other for five minutes (7.x), so it gets the time to finish.
const MAY_FINISH: Duration = Duration::from_secs(25);
/// Until an ending shows, or has failed unseen.
const ENDING_SHOWS: Duration = Duration::from_secs(4);
/// An operation of `one.vm.recover`: ends the machine whatever it is doing.
const DELETE: i32 = 3;
/// How often the one way is tried before the other.
const TRIES: u32 = 2;

impl Site {
    /// Ends the machine, and returns when it is gone. Its ordinary end is `terminate-hard`; when that fails the machine
    /// runs on as if nothing had been asked, and is recovered away.
    pub(crate) async fn delete(&self, id: Id) -> Result<(), BackendError> {
        let (mut terminations, mut recoveries) = (0, 0);
        let mut looks = Looks::within(ENDS);
        let mut finishing = Looks::within(MAY_FINISH);
        let mut finishes = true;
        loop {
            let Some(vm) = self.oned.object_if_known::<VmDocument>("one.vm.info", id).await? else { return Ok(()) };
            if !is_ours(&vm) {
                return Ok(());
            }
            let before = vm.state;
            if vm.standing.can_be_terminated() && terminations < TRIES {
                terminations += 1;
                let call = Call::new("one.vm.action").with("terminate-hard").with(id);
                self.ends(&vm, self.oned.change(&call).await?).await?;
            } else if vm.standing == Standing::Failed || vm.standing.can_be_terminated() || !finishes {
                if recoveries == TRIES {
                    return Err(Self::why_not(&vm, "delete"));
                }
                recoveries += 1;
                let call = Call::new("one.vm.recover").with(id).with(DELETE);
                self.ends(&vm, self.oned.change(&call).await?).await?;
                finishes = true;
                finishing = Looks::within(MAY_FINISH);
            } else if vm.standing != Standing::Stopping || terminations == 0 {
                // One that is ending is left to it: what force ends loses what a volume has not been given back yet.
                finishes = finishing.next().await;
            }
            if !looks.next().await {
                let (state, lcm) = (before.state, before.lcm);
                return Err(BackendError::Unreachable(format!(
                    "machine {id} is still not gone (OpenNebula's state {state}/{lcm}); ask again"
                )));
            }
        }
    }

    /// Waits until an ending shows. One that is not possible any more in the machine's state is not asked for again
    /// before another look.
    async fn ends(&self, vm: &VmDocument, answer: crate::rpc::Answer) -> Result<(), BackendError> {
        match unless_unknown(answer) {
            Ok(Some(_)) => {}
            Ok(None) | Err(BackendError::Conflict(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
        match self.moved_within(vm, ENDING_SHOWS).await {
            // Nothing seen: it may have failed between two looks.
            Ok(_) | Err(BackendError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
