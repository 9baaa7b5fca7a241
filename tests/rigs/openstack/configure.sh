# shellcheck shell=bash
# shellcheck disable=SC2154  # settings.sh and the file of secrets set the variables
# Sourced by `up` after settings.sh and the secrets: writes every configuration file. Safe to repeat.

database_url() { echo "mysql+pymysql://openstack:$database_secret@127.0.0.1:${port[mariadb]}/$1?charset=utf8"; }

service_login() { # the login of the services themselves, for any section
    cat <<END
auth_type = password
auth_url = $keystone_url/v3
username = services
password = $service_secret
project_name = services
user_domain_id = default
project_domain_id = default
region_name = $region
END
}

# The sections and settings that every service with tokens has.
shared_sections() {
    cat <<END
[keystone_authtoken]
www_authenticate_uri = $keystone_url/v3
service_token_roles = service
service_token_roles_required = true
$(service_login)

[service_user]
send_service_user_token = true
$(service_login)

[oslo_concurrency]
lock_path = $data/locks

[oslo_messaging_notifications]
driver = noop
END
}

# How services run commands as root: directly, not by the way of sudo, which a container need not have.
privileged_commands() { # SERVICE SECTION…
    local file=$configuration/$1/$1.conf section
    shift
    for section in "$@"; do
        printf '[%s]\nhelper_command = %s\n' "$section" "$environment/bin/privsep-helper --config-file $file"
    done
}

messages_url() { echo "rabbit://openstack:$message_secret@127.0.0.1:${port[rabbitmq]}/"; }

configure_mariadb() {
    # Lost data is no loss here: no flush to disk, no double writes. A kill of the process still loses nothing.
    cat >"$configuration/mariadb.cnf" <<END
[mariadbd]
user = $(id -un)
datadir = $data/mariadb
socket = $run/mariadb.sock
pid-file = $data/mariadb.pid
log-error = $logs/mariadb.log
tmpdir = $data/temporary
bind-address = 127.0.0.1
port = ${port[mariadb]}
skip-name-resolve
character-set-server = utf8mb3
collation-server = utf8mb3_general_ci
max_connections = 500
skip-log-bin
performance_schema = 0
innodb_buffer_pool_size = 128M
innodb_log_file_size = 64M
innodb_flush_log_at_trx_commit = 0
innodb_doublewrite = 0
innodb_flush_method = nosync
END
}

configure_rabbitmq() {
    cat >"$configuration/rabbitmq.conf" <<END
listeners.tcp.default = 127.0.0.1:${port[rabbitmq]}
default_user = openstack
default_pass = $message_secret
log.console = true
log.file = false
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 512MB
END
    echo '[].' >"$configuration/rabbitmq-plugins"
}

configure_keystone() {
    cat >"$configuration/keystone/keystone.conf" <<END
[DEFAULT]
public_endpoint = $keystone_url
use_stderr = true
[database]
connection = $(database_url keystone)
[token]
provider = fernet
[fernet_tokens]
key_repository = $data/keystone/token-keys
[fernet_receipts]
key_repository = $data/keystone/receipt-keys
[credential]
key_repository = $data/keystone/credential-keys
[identity]
password_hash_rounds = 4
[auth]
methods = password,token,application_credential
[cache]
enabled = true
backend = oslo_cache.dict
[oslo_messaging_notifications]
driver = noop
END
}

configure_placement() {
    cat >"$configuration/placement/placement.conf" <<END
[DEFAULT]
use_stderr = true
[placement_database]
connection = $(database_url placement)
[api]
auth_strategy = keystone
$(shared_sections)
END
}

configure_glance() {
    cat >"$configuration/glance/glance-api.conf" <<END
[DEFAULT]
use_stderr = true
bind_host = 127.0.0.1
enabled_backends = files:file
enabled_import_methods = [glance-direct,web-download,copy-image]
worker_self_reference_url = $glance_url
node_staging_uri = file://$data/glance/staging
user_storage_quota = 100GB
[database]
connection = $(database_url glance)
[image_format]
disk_formats = raw,qcow2,vmdk,vhd,vhdx,vdi,iso
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = $data/glance/images
[os_glance_staging_store]
filesystem_store_datadir = $data/glance/staging
[os_glance_tasks_store]
filesystem_store_datadir = $data/glance/tasks
[taskflow_executor]
max_workers = 2
[paste_deploy]
flavor = keystone
config_file = $environment/etc/glance/glance-api-paste.ini
$(shared_sections)
END
    # Read by the import methods. Empty lists allow every host and port, this machine's own among them: a broker that
    # listens on loopback offers its images from there.
    cat >"$configuration/glance/glance-image-import.conf" <<END
[image_import_opts]
image_import_plugins = []
[import_filtering_opts]
allowed_schemes = [http,https]
allowed_hosts = []
allowed_ports = []
disallowed_hosts = []
disallowed_ports = []
END
}

configure_nova() {
    cp "$environment/etc/nova/api-paste.ini" "$configuration/nova/api-paste.ini"
    cat >"$configuration/nova/nova.conf" <<END
[DEFAULT]
use_stderr = true
host = fake-host
my_ip = 127.0.0.1
state_path = $data/nova
instances_path = $data/nova/instances
transport_url = $(messages_url)
compute_driver = tombolo_hypervisor.Driver
allow_resize_to_same_host = true
report_interval = 5
shutdown_timeout = 3
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
cpu_allocation_ratio = 16.0
# Where the pages of noVNC would lie, which nova-novncproxy serves beside the consoles.
web = $data/nova/pages
ram_allocation_ratio = 1.0
[api]
auth_strategy = keystone
[wsgi]
api_paste_config = $configuration/nova/api-paste.ini
[api_database]
connection = $(database_url nova_api)
[database]
connection = $(database_url nova)
[conductor]
workers = 1
[scheduler]
workers = 1
[quota]
instances = 100
cores = 200
ram = 204800
[glance]
endpoint_override = $glance_url
[placement]
$(service_login)
[neutron]
$(service_login)
[cinder]
$(service_login)
os_region_name = $region
[vnc]
enabled = true
server_listen = 127.0.0.1
novncproxy_host = 127.0.0.1
novncproxy_port = ${port[nova-novncproxy]}
novncproxy_base_url = http://127.0.0.1:${port[nova-novncproxy]}/vnc_lite.html
[serial_console]
enabled = true
base_url = ws://127.0.0.1:${port[nova-serialproxy]}/
proxyclient_address = 127.0.0.1
serialproxy_host = 127.0.0.1
serialproxy_port = ${port[nova-serialproxy]}
[cache]
enabled = false
$(privileged_commands nova nova_sys_admin privsep_osbrick vif_plug_linux_bridge_privileged)
$(shared_sections)
END
}

configure_neutron() {
    cat >"$configuration/neutron/neutron.conf" <<END
[DEFAULT]
use_stderr = true
bind_host = 127.0.0.1
state_path = $data/neutron
core_plugin = ml2
service_plugins = router
# There are no agents to talk to.
transport_url = fake://
rpc_workers = 0
api_paste_config = $environment/etc/neutron/api-paste.ini
auth_strategy = keystone
notify_nova_on_port_status_changes = true
notify_nova_on_port_data_changes = true
dhcp_agent_notification = false
[database]
connection = $(database_url neutron)
[quotas]
quota_network = 50
quota_subnet = 50
quota_port = 500
quota_router = 20
quota_floatingip = 50
quota_security_group = 100
quota_security_group_rule = 1000
[nova]
$(service_login)
[placement]
$(service_login)
[ml2]
type_drivers = local,flat,vlan,vxlan
tenant_network_types = vxlan
mechanism_drivers = tombolo_ports
extension_drivers = port_security
[ml2_type_flat]
flat_networks = *
[ml2_type_vxlan]
vni_ranges = 1:1000
[securitygroup]
enable_security_group = true
$(shared_sections)
END
}

configure_cinder() {
    cat >"$configuration/cinder/cinder.conf" <<END
[DEFAULT]
use_stderr = true
host = fake-host
my_ip = 127.0.0.1
state_path = $data/cinder
transport_url = $(messages_url)
auth_strategy = keystone
api_paste_config = $environment/etc/cinder/api-paste.ini
resource_query_filters_file = $environment/etc/cinder/resource_filters.json
glance_api_servers = $glance_url
enabled_backends = directory
report_interval = 5
periodic_interval = 5
periodic_fuzzy_delay = 0
backend_stats_polling_interval = 5
default_volume_type = standard
allowed_direct_url_schemes =
image_conversion_dir = $data/cinder/conversion
quota_volumes = 100
quota_snapshots = 100
quota_gigabytes = 1000
per_volume_size_limit = 200
[directory]
volume_backend_name = directory
volume_driver = tombolo_volumes.Driver
nfs_shares_config = $configuration/cinder/shares
nfs_mount_point_base = $data/cinder/volumes
nfs_snapshot_support = true
nas_secure_file_operations = false
nas_secure_file_permissions = false
[database]
connection = $(database_url cinder)
[nova]
$(service_login)
interface = public
[coordination]
backend_url = file://$data/cinder/coordination
$(privileged_commands cinder cinder_sys_admin privsep_osbrick)
$(shared_sections)
END
    echo "127.0.0.1:$data/cinder/share" >"$configuration/cinder/shares"
}

# Where each service finds the rig's own drivers.
configure_plugins() {
    local registration=$run/plugins/tombolo_rig-1.0.dist-info
    mkdir -p "$registration" "$run/commands"
    cp "$rig"/plugins/*.py "$run/plugins/"
    # Neutron looks for drivers among the entry points of installed packages,
    printf 'Metadata-Version: 2.1\nName: tombolo-rig\nVersion: 1.0\n' >"$registration/METADATA"
    printf '[neutron.ml2.mechanism_drivers]\ntombolo_ports = tombolo_ports:Driver\n' >"$registration/entry_points.txt"
    # Nova in its own package nova.virt only.
    cp "$rig/plugins/tombolo_hypervisor.py" "$environment/lib/python3.11/site-packages/nova/virt/"
    # Cinder's NFS driver wants this command to exist. Nothing is ever mounted (tombolo_volumes.py).
    printf '#!/bin/sh\nexit 1\n' >"$run/commands/mount.nfs"
    chmod 755 "$run/commands/mount.nfs"
}

configure_everything() {
    local service
    mkdir -p "$configuration"/{keystone,placement,glance,nova,neutron,cinder} "$logs" "$processes" "$run/home" \
        "$data"/{temporary,locks,neutron,rabbitmq} "$data"/keystone/{token-keys,receipt-keys,credential-keys} \
        "$data"/glance/{images,staging,tasks} "$data"/nova/{instances,pages} "$data"/cinder/{volumes,share,conversion}
    for service in mariadb rabbitmq keystone placement glance nova neutron cinder plugins; do
        "configure_$service"
    done
}
