//! The lies that the suite has to notice.

use backend::simulator::Operation;

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
        ];
        all.extend(knows.map(Self::Knows));
        all.extend(allows.map(Self::Allows));
        all.extend(idle.map(Self::Idle));
        all.extend(forgets.map(Self::Forgets));
        all.extend(doubles.map(Self::Doubles));
        all
    }
}
