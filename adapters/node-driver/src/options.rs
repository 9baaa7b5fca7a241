use std::{
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

/// How this node is run. [`Options::new`] gives defaults that work on an ordinary host.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where machines and images live. One driver at a time.
    pub data_dir: PathBuf,
    /// The QEMU program; searched as `qemu-system-x86_64` on `PATH` when there is none.
    pub qemu: Option<PathBuf>,
    /// How guests' instructions are executed.
    pub accelerator: AcceleratorChoice,
    /// The address on which the guests' SSH ports are forwarded.
    pub forward_host: IpAddr,
    /// What clients are told instead of `forward_host`: a name or address that they can reach.
    pub advertised_host: Option<String>,
    /// The TCP ports that may be forwarded to guests' SSH ports.
    pub ssh_ports: RangeInclusive<u16>,
    /// How far guests' networks reach.
    pub guest_network: GuestNetwork,
    /// How long a guest may take to stop when asked gracefully.
    pub graceful_deadline: Duration,
    /// Most cores of one machine; the host's number of processors when there is none.
    pub max_cores: Option<u32>,
    /// Most memory of one machine, in MiB; what the host can give to all machines when there is none.
    pub max_memory_mib: Option<u64>,
    /// Largest root disk, in bytes; the size of the file system under `data_dir` when there is none.
    pub max_disk_bytes: Option<u64>,
    /// Memory that machines never get, in MiB; a quarter of the host's, at most 1 GiB, when there is none.
    pub memory_reserve_mib: Option<u64>,
    /// Free space on the file system of `data_dir` below which nothing new is stored, in bytes.
    pub disk_reserve_bytes: u64,
}

impl Options {
    /// The defaults, for a driver that lives in `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            qemu: None,
            accelerator: AcceleratorChoice::Auto,
            forward_host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            advertised_host: None,
            ssh_ports: 22_000..=22_999,
            guest_network: GuestNetwork::Open,
            graceful_deadline: Duration::from_secs(60),
            max_cores: None,
            max_memory_mib: None,
            max_disk_bytes: None,
            memory_reserve_mib: None,
            disk_reserve_bytes: 512 << 20,
        }
    }
}

/// The operator's word on how guests' instructions are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AcceleratorChoice {
    /// KVM when a timed probe shows that it helps, else TCG.
    #[default]
    Auto,
    /// KVM, unprobed.
    Kvm,
    /// Emulation.
    Tcg,
}

/// How far guests' networks reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuestNetwork {
    /// Out to wherever the host reaches. QEMU's user-mode network then also lets guests reach services that
    /// listen on the host's own loopback address, as 10.0.2.2; it has no switch against that alone.
    #[default]
    Open,
    /// Nowhere: only the forwarded SSH port works.
    Isolated,
}
