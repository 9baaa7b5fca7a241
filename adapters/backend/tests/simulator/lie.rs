//! The lies that the suite has to notice.

use backend::{Capability, simulator::Operation};

/// The one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Says yes about what it does not know.
    Knows(Operation),
    /// Says yes where it should say no, and does not do it.
    Allows(Operation),
    /// Says yes, and does nothing to what it knows.
    Idle(Operation),
    /// Finds or lists nothing.
    Forgets(Operation),
    /// Makes something new for every ask with one tag.
    Doubles(Operation),
    SavesTooLittle,
    SavesTooMuch,
    SavesInLargeChunks,
    SavesNothing,
    SavesRandomly,
    HotSaveStops,
    DeferredSaveLeavesOff,
    ResizeStarts,
    OneMacForAll,
    MacOfMany,
    OneAddressForAll,
    GatewayForAll,
    IgnoresWishes,
    DeviceWithoutName,
    InterfaceWithoutName,
    NeverUsed,
    AlwaysUsed,
    Renames,
    NeverGrows,
    DiskTooSmall,
    ListsUnderAnotherName,
    SaysTooMuch,
    SaysTooLong,
    SaysUnprintable,
    SaysNothing,
    /// Declares what it has not got. Not among all, since each needs another truth.
    Declares(Capability),
    /// Does not declare what it has.
    Hides(Capability),
    HasNoFormats,
    SpeaksAtLength,
    OffersMoreThanItHas,
    OffersTwoOfOneName,
    GivesAnotherSize,
    FindsNothingWrongOrRight,
    FindsFault,
    FindsAnotherImage,
    ImageArrivesForEver,
    TicketOfAnotherKind,
    TicketToNowhere,
    CountsTwice,
    CountsNothing,
    NeverCounts,
    UsesTooMuch,
    SnapshotNeverComplete,
    RevertFails,
    IsSilent,
    EndsEvents,
    TellsOfOthers,
    ForgetsJoins(Join),
    LeavesAMachineWhoseJoinFailed,
}

/// What a machine is joined with at its create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    Volumes,
    Interfaces,
    SecurityGroups,
}

impl Lie {
    pub fn all() -> Vec<Self> {
        use Operation as O;
        let knows = [
            O::Create,
            O::Machine,
            O::Start,
            O::Stop,
            O::Restart,
            O::Suspend,
            O::Resize,
            O::Save,
            O::Console,
            O::TakeSnapshot,
            O::Snapshots,
            O::RevertSnapshot,
            O::Volume,
            O::SetVolumeOnline,
            O::ResizeVolume,
            O::CopyVolume,
            O::Attach,
            O::Network,
            O::SetNetworkUp,
            O::ChangeNetwork,
            O::Plug,
            O::Address,
            O::SecurityGroup,
            O::ChangeSecurityGroup,
            O::ApplySecurityGroup,
        ];
        let allows = [
            O::Create,
            O::Restart,
            O::Suspend,
            O::Resize,
            O::Console,
            O::DeleteImage,
            O::CreateVolume,
            O::SetVolumeOnline,
            O::ResizeVolume,
            O::DeleteVolume,
            O::Attach,
            O::DeleteNetwork,
            O::Plug,
            O::ReserveAddress,
            O::ReleaseAddress,
            O::DeleteSecurityGroup,
        ];
        // A restart, a copy and a network's change do nothing that the contract could show.
        let idle = [
            O::Start,
            O::Stop,
            O::Suspend,
            O::Resize,
            O::Delete,
            O::DeleteImage,
            O::RemoveSnapshot,
            O::SetVolumeOnline,
            O::ResizeVolume,
            O::DeleteVolume,
            O::Detach,
            O::SetNetworkUp,
            O::DeleteNetwork,
            O::Unplug,
            O::ReleaseAddress,
            O::ChangeSecurityGroup,
            O::DeleteSecurityGroup,
            O::ApplySecurityGroup,
            O::LiftSecurityGroup,
        ];
        let forgets = [
            O::FindByTag,
            O::FindImage,
            O::Snapshots,
            O::Machines,
            O::FindVolumeByTag,
            O::Volumes,
            O::FindNetworkByTag,
            O::Networks,
            O::FindAddressByTag,
            O::FindSecurityGroupByTag,
        ];
        let doubles = [
            O::Create,
            O::TakeSnapshot,
            O::CreateVolume,
            O::Attach,
            O::CreateNetwork,
            O::Plug,
            O::ReserveAddress,
            O::CreateSecurityGroup,
        ];
        let mut all = vec![
            Self::SavesTooLittle,
            Self::SavesTooMuch,
            Self::SavesInLargeChunks,
            Self::SavesNothing,
            Self::SavesRandomly,
            Self::HotSaveStops,
            Self::DeferredSaveLeavesOff,
            Self::ResizeStarts,
            Self::OneMacForAll,
            Self::MacOfMany,
            Self::OneAddressForAll,
            Self::GatewayForAll,
            Self::IgnoresWishes,
            Self::DeviceWithoutName,
            Self::InterfaceWithoutName,
            Self::NeverUsed,
            Self::AlwaysUsed,
            Self::Renames,
            Self::NeverGrows,
            Self::DiskTooSmall,
            Self::ListsUnderAnotherName,
            Self::SaysTooMuch,
            Self::SaysTooLong,
            Self::SaysUnprintable,
            Self::SaysNothing,
            Self::HasNoFormats,
            Self::SpeaksAtLength,
            Self::OffersMoreThanItHas,
            Self::OffersTwoOfOneName,
            Self::GivesAnotherSize,
            Self::FindsNothingWrongOrRight,
            Self::FindsFault,
            Self::FindsAnotherImage,
            Self::ImageArrivesForEver,
            Self::TicketOfAnotherKind,
            Self::TicketToNowhere,
            Self::CountsTwice,
            Self::CountsNothing,
            Self::NeverCounts,
            Self::UsesTooMuch,
            Self::SnapshotNeverComplete,
            Self::RevertFails,
            Self::IsSilent,
            Self::EndsEvents,
            Self::TellsOfOthers,
            Self::ForgetsJoins(Join::Volumes),
            Self::ForgetsJoins(Join::Interfaces),
            Self::ForgetsJoins(Join::SecurityGroups),
            Self::LeavesAMachineWhoseJoinFailed,
        ];
        all.extend(knows.map(Self::Knows));
        all.extend(allows.map(Self::Allows));
        all.extend(idle.map(Self::Idle));
        all.extend(forgets.map(Self::Forgets));
        all.extend(doubles.map(Self::Doubles));
        all
    }
}
