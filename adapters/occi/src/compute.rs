//! Machines.

use backend::{
    BackendError, Endpoint, InterfaceSpec, Machine, MachineId, MachineSize, MachineSpec, MachineState, RestartMethod,
    StopMethod, SuspendMethod,
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use occi_schema::{
    CategoryId, Value,
    render::{Attributes, LinkWish},
    well_known::{
        COMPUTE, NETWORK_INTERFACE, OPENSTACK_PUBLIC_KEY, OPENSTACK_USER_DATA, RESTART, SECURITY_GROUP,
        SECURITY_GROUP_LINK, SSH_KEY, START, STOP, STORAGE, STORAGE_LINK, SUSPEND, USER_DATA,
        attribute::{
            ARCHITECTURE, CORES, HOSTNAME, INTERFACE_ADDRESS, MEMORY, OPENSTACK_PUBLIC_KEY_DATA,
            OPENSTACK_PUBLIC_KEY_NAME, OPENSTACK_USER_DATA as OPENSTACK_USER_DATA_NAME, SSH_PUBLIC_KEY,
            STORAGE_LINK_DEVICE, TITLE, USER_DATA as USER_DATA_NAME,
        },
    },
};

use crate::{
    interface,
    peer::Peer,
    reading::Entity,
    server::{Server, failure, standing, tag_of},
    sizes, tag, units,
};

const SSH_HOST: &str = "org.tombolo.compute.ssh.host";
const SSH_PORT: &str = "org.tombolo.compute.ssh.port";
const SSH_ANSWERS: &str = "org.tombolo.compute.ssh.answers";
const USUAL_SSH_PORT: u16 = 22;

/// A machine of ours; nothing where it is somebody else's.
pub(crate) fn machine(peer: &Peer, entity: &Entity) -> Result<Option<Machine>, String> {
    let Some((name, tag)) = tag_of(entity) else { return Ok(None) };
    if name.len() > Machine::MOST_NAME_BYTES {
        return Err(format!("a name of {} bytes", name.len()));
    }
    let id = entity.id.parse::<MachineId>().map_err(|error| error.to_string())?;
    let standing = standing(peer, &COMPUTE, entity);
    let (state, is_failed) = state_of(&standing.state, standing.message.as_deref(), standing.is_busy);
    let detail = match standing.message {
        None if is_failed => Some("the server does not say why".into()),
        message => message,
    };
    Ok(Some(Machine {
        id,
        tag,
        state,
        detail,
        endpoints: endpoint(entity).into_iter().collect(),
        console: None,
        guest_answers: entity.named(SSH_ANSWERS).map(|answers| answers == "yes"),
        name: Some(name),
        size: sizes::of(peer, entity),
    }))
}

fn state_of(state: &str, message: Option<&str>, is_busy: bool) -> (MachineState, bool) {
    let state = match (state, is_busy) {
        ("error", _) => return (MachineState::Failed, true),
        ("active", true) if message == Some("stopping") => MachineState::Stopping,
        // Nothing that anybody has to wait for.
        ("active", true) if message == Some("saving the disk") => MachineState::Running,
        (_, true) => MachineState::Building,
        ("active", false) => MachineState::Running,
        ("inactive", false) => MachineState::Stopped,
        ("suspended", false) => MachineState::Suspended,
        _ => MachineState::Building,
    };
    (state, false)
}

/// How the machine is reached: as another Tombolo tells, or at the first address of an interface.
fn endpoint(entity: &Entity) -> Option<Endpoint> {
    const LONGEST_HOST: usize = 253;
    let ssh = |host: String, port| Endpoint { service: "ssh".into(), host, port };
    if let Some(host) = entity.named(SSH_HOST).filter(|host| !host.is_empty() && host.len() <= LONGEST_HOST) {
        let port = entity.named(SSH_PORT).and_then(|port| port.parse().ok()).unwrap_or(USUAL_SSH_PORT);
        return Some(ssh(host, port));
    }
    let address = entity.links().filter(|link| link.is(&NETWORK_INTERFACE)).find_map(|link| {
        let text = link.text(&INTERFACE_ADDRESS)?;
        text.split('/').next()?.parse::<std::net::IpAddr>().ok()
    })?;
    Some(ssh(address.to_string(), USUAL_SSH_PORT))
}

impl Server {
    pub(crate) async fn machine_of(&self, id: &str) -> Result<Machine, BackendError> {
        let entity = self.get(&COMPUTE, id).await?;
        let peer = self.peer().await?;
        ours(machine(&peer, &entity), "machine", id)
    }

    pub(crate) async fn create_machine(&self, spec: &MachineSpec) -> Result<Machine, BackendError> {
        if let Some(entity) = self.find(&COMPUTE, spec.tag).await? {
            let peer = self.peer().await?;
            return ours(machine(&peer, &entity), "machine", &entity.id);
        }
        let system = self.system(&spec.image).await?.ok_or_else(|| self.unpublished(&spec.image))?;
        let peer = self.peer().await?;
        let mut mixins = vec![system.id];
        let mut attributes = Self::mark(&peer, &spec.name, spec.tag);
        let size = MachineSize { cores: spec.cores, memory_mib: spec.memory_mib, disk_bytes: spec.disk_bytes };
        sizes::wish(&peer, &self.options, size, &mut mixins, &mut attributes)?;
        if let Some(hostname) = &spec.hostname {
            attributes.insert(HOSTNAME.clone(), Value::from(hostname.as_str()));
        }
        let architecture = match spec.architecture {
            backend::Architecture::X86 => "x86",
            backend::Architecture::X86_64 => "x64",
        };
        if peer.dialect.sizes_of_choice {
            attributes.insert(ARCHITECTURE.clone(), Value::from(architecture));
        }
        contextualize(&peer, spec, &mut mixins, &mut attributes)?;
        self.place(&peer, &mut mixins)?;
        let links = self.joins(&peer, spec).await?;
        let entity = self.make(&COMPUTE, spec.tag, &mixins, &attributes, &links).await?;
        ours(machine(&peer, &entity), "machine", &entity.id)
    }

    /// Puts what is made into the configured zone.
    pub(crate) fn place(&self, peer: &Peer, mixins: &mut Vec<CategoryId>) -> Result<(), BackendError> {
        if let Some(term) = &self.options.zone {
            let zone = peer.categories.zone(term).ok_or_else(|| {
                BackendError::Refused(format!(
                    "the server has no availability zone {term}; change it in the site's zone"
                ))
            })?;
            mixins.push(zone);
        }
        Ok(())
    }

    /// The joins as links that are made with the machine.
    async fn joins(&self, peer: &Peer, spec: &MachineSpec) -> Result<Vec<LinkWish>, BackendError> {
        let joins = &spec.joins;
        let are_remembered = peer.dialect.keeps_link_titles;
        if !are_remembered && !(joins.interfaces.is_empty() && joins.volumes.is_empty()) {
            return Err(BackendError::Unsupported("join machines so that the joins can be found again".into()));
        }
        let mut links = Vec::new();
        for InterfaceSpec { tag: own, target, mac, address } in &joins.interfaces {
            let (target_kind, id) = interface::end(target);
            let (mixins, mut attributes) = interface::wishes(peer, *mac, *address);
            attributes.insert(TITLE.clone(), Value::from(tag::alone(*own)));
            let target = self.path(target_kind, id).await?;
            let kind = NETWORK_INTERFACE.clone();
            links.push(LinkWish { kind, mixins, target, target_kind: target_kind.clone(), attributes });
        }
        for volume in &joins.volumes {
            let mut attributes = Attributes::from([(TITLE.clone(), Value::from(tag::alone(volume.tag)))]);
            if let Some(device) = &volume.device {
                attributes.insert(STORAGE_LINK_DEVICE.clone(), Value::from(device.as_str()));
            }
            let target = self.path(&STORAGE, volume.volume.as_str()).await?;
            let (kind, target_kind) = (STORAGE_LINK.clone(), STORAGE.clone());
            links.push(LinkWish { kind, mixins: Vec::new(), target, target_kind, attributes });
        }
        for group in &joins.security_groups {
            let target = self.path(&SECURITY_GROUP, group.as_str()).await?;
            let (kind, target_kind) = (SECURITY_GROUP_LINK.clone(), SECURITY_GROUP.clone());
            links.push(LinkWish { kind, mixins: Vec::new(), target, target_kind, attributes: Attributes::new() });
        }
        Ok(links)
    }

    /// Asks a machine for what leads it from here to `there`. Where it is already, it is left alone.
    pub(crate) async fn power(&self, id: &MachineId, asked: Power) -> Result<(), BackendError> {
        let present = self.machine_of(id.as_str()).await?.state;
        let wrong = || BackendError::Conflict(format!("machine {id} is {present:?}; it cannot {}", asked.verb()));
        match (asked, present) {
            (Power::Start, MachineState::Running)
            | (Power::Stop(_), MachineState::Stopped)
            | (Power::Suspend(_), MachineState::Suspended) => return Ok(()),
            (Power::Restart(_) | Power::Suspend(_), MachineState::Stopped) => return Err(wrong()),
            _ => {}
        }
        let peer = self.peer().await?;
        let (action, method) = asked.words();
        if !peer.categories.offers(&COMPUTE, action) {
            return Err(BackendError::Unsupported(format!("{} machines", asked.verb())));
        }
        let parameters = method.map(method_parameter).unwrap_or_default();
        match self.act(&COMPUTE, id.as_str(), action, &parameters, None).await {
            Ok(()) => Ok(()),
            // What does not fit the state is a malformed request in OCCI.
            Err(BackendError::Refused(words)) => match self.machine_of(id.as_str()).await?.state {
                state if asked.leads_to() == state => Ok(()),
                _ => Err(BackendError::Conflict(words)),
            },
            Err(error) => Err(error),
        }
    }
}

/// The facts that were read of something that must be ours.
pub(crate) fn ours<T>(read: Result<Option<T>, String>, noun: &str, id: &str) -> Result<T, BackendError> {
    match read {
        Ok(Some(object)) => Ok(object),
        Ok(None) => Err(BackendError::NotFound(format!("{noun} {id} as one of ours: it carries no tag"))),
        Err(why) => Err(BackendError::Failed(format!("{noun} {id} cannot be read: {why}"))),
    }
}

fn method_parameter(method: &str) -> Attributes {
    let name = occi_schema::AttributeName::new("method").ok();
    name.map(|name| (name, Value::from(method))).into_iter().collect()
}

/// Keys and user data, in the form that the server offers.
fn contextualize(
    peer: &Peer,
    spec: &MachineSpec,
    mixins: &mut Vec<CategoryId>,
    attributes: &mut Attributes,
) -> Result<(), BackendError> {
    match spec.ssh_keys.as_slice() {
        [] => {}
        [key] if peer.categories.has(&SSH_KEY) => {
            mixins.push(SSH_KEY.clone());
            attributes.insert(SSH_PUBLIC_KEY.clone(), Value::from(key.as_str()));
        }
        [key] if peer.categories.has(&OPENSTACK_PUBLIC_KEY) => {
            mixins.push(OPENSTACK_PUBLIC_KEY.clone());
            attributes.insert(OPENSTACK_PUBLIC_KEY_NAME.clone(), Value::from(format!("tombolo-{}", spec.tag)));
            attributes.insert(OPENSTACK_PUBLIC_KEY_DATA.clone(), Value::from(key.as_str()));
        }
        [_] => return Err(backend::Capability::SshKeys.missing()),
        _ => return Err(BackendError::Refused("OCCI has room for one SSH key of a machine".into())),
    }
    if let Some(data) = &spec.user_data {
        let data = Value::from(BASE64.encode(data));
        if peer.categories.has(&USER_DATA) {
            mixins.push(USER_DATA.clone());
            attributes.insert(USER_DATA_NAME.clone(), data);
        } else if peer.categories.has(&OPENSTACK_USER_DATA) {
            mixins.push(OPENSTACK_USER_DATA.clone());
            attributes.insert(OPENSTACK_USER_DATA_NAME.clone(), data);
        } else {
            return Err(backend::Capability::UserData.missing());
        }
    }
    Ok(())
}

/// What a machine is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Power {
    Start,
    Stop(StopMethod),
    Restart(RestartMethod),
    Suspend(SuspendMethod),
}

impl Power {
    fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop(_) => "stop",
            Self::Restart(_) => "restart",
            Self::Suspend(_) => "suspend",
        }
    }

    fn leads_to(self) -> MachineState {
        match self {
            Self::Start | Self::Restart(_) => MachineState::Running,
            Self::Stop(_) => MachineState::Stopped,
            Self::Suspend(_) => MachineState::Suspended,
        }
    }

    fn words(self) -> (&'static CategoryId, Option<&'static str>) {
        match self {
            Self::Start => (&START, None),
            Self::Stop(StopMethod::Graceful) => (&STOP, Some("graceful")),
            Self::Stop(StopMethod::AcpiOff) => (&STOP, Some("acpioff")),
            Self::Stop(StopMethod::PowerOff) => (&STOP, Some("poweroff")),
            Self::Restart(RestartMethod::Graceful) => (&RESTART, Some("graceful")),
            Self::Restart(RestartMethod::Warm) => (&RESTART, Some("warm")),
            Self::Restart(RestartMethod::Cold) => (&RESTART, Some("cold")),
            Self::Suspend(SuspendMethod::Suspend) => (&SUSPEND, Some("suspend")),
            Self::Suspend(SuspendMethod::Hibernate) => (&SUSPEND, Some("hibernate")),
        }
    }
}

/// Gives a machine another size where the server lets its attributes change.
pub(crate) async fn resize(server: &Server, id: &MachineId, size: &MachineSize) -> Result<(), BackendError> {
    let machine = server.machine_of(id.as_str()).await?;
    let peer = server.peer().await?;
    if !(peer.dialect.sizes_of_choice && peer.dialect.is_complete) {
        return Err(backend::Capability::Resize.missing());
    }
    sizes::check(&peer, &server.options, *size)?;
    let mut attributes = Attributes::from([
        (CORES.clone(), Value::from(i64::from(size.cores))),
        (MEMORY.clone(), Value::Float(units::gib_of_mib(size.memory_mib))),
    ]);
    let mut mixins = Vec::new();
    let disk = machine.size.map_or(size.disk_bytes, |present| present.disk_bytes.max(size.disk_bytes));
    sizes::wish_disk(&peer, disk, &mut mixins, &mut attributes);
    let is_as_wanted = |present: MachineSize| {
        (present.cores, present.memory_mib) == (size.cores, size.memory_mib) && present.disk_bytes >= disk
    };
    if machine.size.is_some_and(is_as_wanted) {
        return Ok(());
    }
    server.change(&COMPUTE, id.as_str(), &mixins, &attributes).await?;
    let (_, standing) = server.settled(&COMPUTE, id.as_str()).await?;
    if standing.message.is_some() { Err(failure(&standing)) } else { Ok(()) }
}
