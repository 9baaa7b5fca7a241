//! Making machines.

use std::sync::Arc;

use backend::{BackendError, IntentTag, MachineSize, MachineSpec, SizeOffer};
use backend_http::Method;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    glance::Image,
    guest_data::{self, GuestData},
    identifier, mark,
    microversion::Microversion,
    neutron::Port,
    nova::Server,
    service::Service,
    site::Site,
};

const GIB: u64 = 1 << 30;
/// Compute API, "Create server": user data are at most this long in base64.
const MOST_USER_DATA: usize = 65_535;
/// From here on a server's host name can differ from its name.
const HAS_HOSTNAME: Microversion = Microversion::new(2, 90);
/// Nova takes names of at most so many characters.
const MOST_NAME: usize = 255;

#[derive(Deserialize)]
struct Created {
    server: Identified,
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

impl Site {
    /// Makes the machine, or finds that it is there. What was made for it before its create failed goes again.
    pub(crate) async fn create_machine(self: &Arc<Self>, spec: &MachineSpec) -> Result<Server, BackendError> {
        let _turn = self.turns.of(format!("tag {}", spec.tag)).await;
        if let Some(server) = self.server_by_tag(spec.tag).await? {
            self.drop_key(spec).await;
            return Ok(server);
        }
        let image = self.usable_image(&spec.image).await?;
        let disk_bytes = spec.disk_bytes.max(image.guest_size().unwrap_or_default());
        let wanted = MachineSize { cores: spec.cores, memory_mib: spec.memory_mib, disk_bytes };
        let size = self.offer_for(wanted, None).await?;
        let data = guest_data::of(spec)?;
        let mut request = self.request(spec, &image, &size, disk_bytes, &data).await?;

        let made = async {
            for group in &spec.joins.security_groups {
                self.our_group(group.as_str()).await?;
            }
            let ports = self.join_ports(spec).await?;
            request["networks"] = self.wanted_networks(&ports).await?;
            self.volumes_to_join(spec, &mut request).await?;
            if data.first_key.is_some() {
                self.add_key(spec, &data).await?;
                request["key_name"] = mark::server_tag(spec.tag).into();
            }
            self.post(spec.tag, &request).await
        };
        match made.await {
            Ok(id) => self.settle(spec, &id).await,
            // Perhaps it was made.
            Err(error @ BackendError::Unreachable(_)) => match self.server_by_tag(spec.tag).await {
                Ok(Some(server)) => self.settle(spec, &server.id).await,
                _ => Err(error),
            },
            Err(error) => {
                self.drop_key(spec).await;
                self.drop_ports_of_intent(spec.tag).await;
                Err(error)
            }
        }
    }

    /// The smallest flavor that holds the wanted size. A machine of `present` size cannot get a smaller disk.
    pub(crate) async fn offer_for(
        &self,
        wanted: MachineSize,
        present: Option<MachineSize>,
    ) -> Result<SizeOffer, BackendError> {
        let sizes = self.sizes().await?;
        let least_disk = present.map_or(0, |present| present.disk_bytes);
        let from_volume = self.cloud.options.boot_from_volume;
        let holds = |offer: &&SizeOffer| offer.holds(wanted) && (from_volume || offer.size.disk_bytes >= least_disk);
        let holding = sizes.iter().filter(holds);
        let best = holding.min_by_key(|offer| (offer.size.memory_mib, offer.size.cores, offer.size.disk_bytes));
        if from_volume && wanted.disk_bytes > self.largest_volume().await? {
            return Err(BackendError::Refused(format!("no volume may have {} bytes", wanted.disk_bytes)));
        }
        best.cloned().ok_or_else(|| {
            let MachineSize { cores, memory_mib, disk_bytes } = wanted;
            let largest = sizes.iter().max_by_key(|offer| (offer.size.memory_mib, offer.size.cores));
            let largest = largest.map_or_else(
                || "there is none at all".to_owned(),
                |SizeOffer { name, size, .. }| {
                    let (cores, memory, disk) = (size.cores, size.memory_mib, size.disk_bytes);
                    format!("the largest is {name} with {cores} cores, {memory} MiB and {disk} bytes of disk")
                },
            );
            BackendError::Refused(format!(
                "no flavor has {cores} cores, {memory_mib} MiB of memory and {disk_bytes} bytes of disk; {largest}"
            ))
        })
    }

    async fn request(
        &self,
        spec: &MachineSpec,
        image: &Image,
        size: &SizeOffer,
        disk_bytes: u64,
        data: &GuestData,
    ) -> Result<Value, BackendError> {
        let options = &self.cloud.options;
        let name: String = spec.name.chars().take(MOST_NAME).collect();
        let mut server = json!({
            "name": if name.trim().is_empty() { mark::server_tag(spec.tag) } else { name },
            "flavorRef": size.id,
            "metadata": { (mark::TAG_KEY): spec.tag.to_string(), (mark::SIZE_KEY): disk_bytes.to_string() },
            "tags": [mark::OURS, mark::server_tag(spec.tag)],
        });
        if options.boot_from_volume {
            server["block_device_mapping_v2"] = json!([{
                "boot_index": 0, "uuid": image.id, "source_type": "image", "destination_type": "volume",
                "volume_size": disk_bytes.div_ceil(GIB).max(1), "delete_on_termination": true,
            }]);
        } else {
            server["imageRef"] = image.id.as_str().into();
        }
        if let Some(bytes) = &data.user_data {
            let text = STANDARD.encode(bytes);
            if text.len() > MOST_USER_DATA {
                return Err(BackendError::Refused(format!(
                    "user data of {} bytes are {} in base64, and Nova takes {MOST_USER_DATA}",
                    bytes.len(),
                    text.len()
                )));
            }
            server["user_data"] = text.into();
        }
        if let Some(drive) = options.config_drive {
            server["config_drive"] = drive.into();
        }
        if let Some(zone) = &options.availability_zone {
            server["availability_zone"] = zone.as_str().into();
        }
        if !spec.joins.security_groups.is_empty() {
            let groups = spec.joins.security_groups.iter().map(|group| json!({ "name": group.as_str() }));
            server["security_groups"] = groups.collect();
        }
        let token = self.cloud.session.token().await?;
        let version = self.cloud.version(Service::Compute, &token).await?;
        if let Some(hostname) = &spec.hostname
            && version.is_some_and(|version| version >= HAS_HOSTNAME)
        {
            // Nova takes a label here, and makes one of a longer name's dots.
            server["hostname"] = hostname.split('.').next().unwrap_or_default().into();
        }
        Ok(server)
    }

    /// Where the machine's interfaces lead: to the ports that were made for it, or to its usual network.
    async fn wanted_networks(&self, ports: &[Port]) -> Result<Value, BackendError> {
        if !ports.is_empty() {
            return Ok(ports.iter().map(|port| json!({ "port": port.id })).collect());
        }
        Ok(match self.usual_network().await? {
            Some(network) => json!([{ "uuid": network }]),
            None => "none".into(),
        })
    }

    async fn post(&self, tag: IntentTag, server: &Value) -> Result<String, BackendError> {
        let about = format!("new machine with tag {tag}");
        let call = self.cloud.call(Service::Compute, Method::POST, &["servers"], about);
        let Created { server } = call.body(json!({ "server": server })).json().await?;
        identifier::answered("machine", &server.id)
    }

    /// What is left to do when Nova has taken the machine. Should another broker have made one with the same tag at
    /// the same moment, the first one stays.
    async fn settle(self: &Arc<Self>, spec: &MachineSpec, id: &str) -> Result<Server, BackendError> {
        self.drop_key(spec).await;
        let mut all = self.servers_by_tag(spec.tag).await?;
        all.sort_by(|one, other| one.age().cmp(&other.age()));
        let mut all = all.into_iter();
        let Some(first) = all.next() else { return self.server(id).await };
        for other in all {
            self.delete_server(&other.id).await?;
        }
        self.name_ports(spec.tag, &first.id).await?;
        Ok(first)
    }

    /// Nova keeps a copy of the key in the server: its own pair is needed for the create alone, and is one of few
    /// that a user may have.
    async fn add_key(&self, spec: &MachineSpec, data: &GuestData) -> Result<(), BackendError> {
        let Some(key) = &data.first_key else { return Ok(()) };
        let name = mark::server_tag(spec.tag);
        let about = format!("SSH key of new machine with tag {}", spec.tag);
        let call = self.cloud.call(Service::Compute, Method::POST, &["os-keypairs"], about);
        let pair = json!({ "keypair": { "name": name, "public_key": key, "type": "ssh" } });
        match call.body(pair).send().await {
            // It is left from an earlier try.
            Ok(_) | Err(BackendError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn drop_key(&self, spec: &MachineSpec) {
        if spec.ssh_keys.is_empty() {
            return;
        }
        let name = mark::server_tag(spec.tag);
        let call = self.cloud.call(Service::Compute, Method::DELETE, &["os-keypairs", &name], "SSH key");
        // The next create with the tag tries again; until then it costs nothing but its place.
        let _ = call.send_if_there().await;
    }
}
