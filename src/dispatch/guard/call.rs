use std::time::Duration;

/// Facts, from the backend's memory.
const LOOK: Duration = Duration::from_secs(20);
/// All objects of one kind, page by page.
const LIST: Duration = Duration::from_secs(60);
/// What is asked for and not waited for.
const ASK: Duration = Duration::from_secs(30);
/// What is answered when it has happened.
const EFFECT: Duration = Duration::from_secs(120);
/// What begins with a copy at the backend, of which nothing is seen until it is there. Adapters give it half an hour.
const COPY: Duration = Duration::from_secs(31 * 60);

macro_rules! calls {
    ($($call:ident $name:literal $deadline:expr,)*) => {
        /// The calls of the contract, as deadlines and metrics tell them apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Call { $($call,)* }

        impl Call {
            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$call,)*];

            /// The value of the metrics' label.
            pub(super) fn as_str(self) -> &'static str {
                match self { $(Self::$call => $name,)* }
            }

            /// How long it may take; nothing where the call may go on as long as something moves.
            pub(super) fn deadline(self) -> Option<Duration> {
                match self { $(Self::$call => $deadline,)* }
            }
        }
    };
}

calls! {
    Describe "describe" Some(LOOK),
    ProvideImage "provide_image" None,
    Create "create" Some(EFFECT),
    Machine "machine" Some(LOOK),
    MachineAtRest "machine_at_rest" Some(LOOK),
    FindByTag "find_by_tag" Some(LOOK),
    Machines "machines" Some(LIST),
    Start "start" Some(ASK),
    Stop "stop" Some(ASK),
    Restart "restart" Some(ASK),
    Suspend "suspend" Some(ASK),
    Resize "resize" Some(EFFECT),
    Save "save" Some(COPY),
    FindImage "find_image" Some(LOOK),
    DeleteImage "delete_image" Some(EFFECT),
    Console "console" Some(LOOK),
    Quota "quota" Some(LOOK),
    TakeSnapshot "take_snapshot" Some(EFFECT),
    Snapshots "snapshots" Some(LOOK),
    RevertSnapshot "revert_snapshot" Some(EFFECT),
    RemoveSnapshot "remove_snapshot" Some(EFFECT),
    FollowEvents "follow_events" Some(LOOK),
    Delete "delete" Some(EFFECT),
    CreateVolume "create_volume" Some(EFFECT),
    Volume "volume" Some(LOOK),
    FindVolumeByTag "find_volume_by_tag" Some(LOOK),
    Volumes "volumes" Some(LIST),
    SetVolumeOnline "set_volume_online" Some(ASK),
    ResizeVolume "resize_volume" Some(EFFECT),
    CopyVolume "copy_volume" Some(COPY),
    DeleteVolume "delete_volume" Some(EFFECT),
    Attach "attach" Some(EFFECT),
    Detach "detach" Some(EFFECT),
    CreateNetwork "create_network" Some(EFFECT),
    Network "network" Some(LOOK),
    FindNetworkByTag "find_network_by_tag" Some(LOOK),
    Networks "networks" Some(LIST),
    SetNetworkUp "set_network_up" Some(ASK),
    ChangeNetwork "change_network" Some(EFFECT),
    DeleteNetwork "delete_network" Some(EFFECT),
    Plug "plug" Some(EFFECT),
    Unplug "unplug" Some(EFFECT),
    ReserveAddress "reserve_address" Some(EFFECT),
    Address "address" Some(LOOK),
    FindAddressByTag "find_address_by_tag" Some(LOOK),
    ReleaseAddress "release_address" Some(EFFECT),
    CreateSecurityGroup "create_security_group" Some(EFFECT),
    SecurityGroup "security_group" Some(LOOK),
    FindSecurityGroupByTag "find_security_group_by_tag" Some(LOOK),
    ChangeSecurityGroup "change_security_group" Some(EFFECT),
    DeleteSecurityGroup "delete_security_group" Some(EFFECT),
    ApplySecurityGroup "apply_security_group" Some(EFFECT),
    LiftSecurityGroup "lift_security_group" Some(EFFECT),
}
