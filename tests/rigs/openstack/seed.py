"""Fills a fresh OpenStack; idempotent.

seed.py catalogue     services and their endpoints; needs Keystone only
seed.py tenants FILE  flavors, networks, a volume type, two projects with their logins; writes these to FILE for a shell
"""
import sys

from rest import Session, administrator, environment

EXTERNAL_NETWORK = "public"
# (name, cores, memory in MiB, disk in GB). No order fits all: c1.quad has more cores than m1.large, and less memory.
FLAVORS = (
    ("m1.tiny", 1, 128, 1),
    ("m1.micro", 1, 256, 2),
    ("m1.small", 1, 512, 5),
    ("m1.medium", 1, 1024, 10),
    ("m1.large", 2, 2048, 20),
    ("m1.huge", 4, 4096, 40),
    ("c1.quad", 4, 1024, 10),
    ("v1.small", 1, 512, 0),  # no disk of its own: starts from a volume
)
PRIVATE_FLAVOR = ("p1.hidden", 2, 1024, 10)  # no tenant of ours sees it


def seed_catalogue():
    admin = administrator()
    keystone = environment("KEYSTONE_URL")
    project = admin.ensure(
        f"{keystone}/projects", "projects", "project", {"name": "services", "domain_id": "default"}, name="services"
    )
    user = admin.ensure(
        f"{keystone}/users",
        "users",
        "user",
        {"name": "services", "domain_id": "default", "password": environment("SERVICE_SECRET")},
        name="services",
    )
    for role in ("admin", "service"):
        grant(admin, project["id"], user["id"], role)
    for kind, name, url in (
        ("image", "glance", environment("GLANCE_URL")),
        ("placement", "placement", environment("PLACEMENT_URL")),
        ("compute", "nova", environment("NOVA_URL")),
        ("network", "neutron", environment("NEUTRON_URL")),
        ("block-storage", "cinder", environment("CINDER_URL")),
        # The name that clients knew before the one above was agreed on.
        ("volumev3", "cinderv3", environment("CINDER_URL")),
    ):
        service = admin.ensure(f"{keystone}/services", "services", "service", {"type": kind, "name": name}, type=kind)
        for interface in ("public", "internal", "admin"):
            endpoint = {
                "service_id": service["id"],
                "interface": interface,
                "url": url,
                "region_id": environment("OPENSTACK_REGION"),
            }
            admin.ensure(
                f"{keystone}/endpoints",
                "endpoints",
                "endpoint",
                endpoint,
                service_id=service["id"],
                interface=interface,
            )


def grant(admin, project, user, role):
    keystone = environment("KEYSTONE_URL")
    found = admin.get(f"{keystone}/roles", params={"name": role})["roles"]
    admin.call("PUT", f"{keystone}/projects/{project}/users/{user}/roles/{found[0]['id']}")


def seed_flavors(admin):
    nova = environment("NOVA_URL")
    known = {flavor["name"] for flavor in admin.get(f"{nova}/flavors", params={"is_public": "None"})["flavors"]}
    for flavor in (*FLAVORS, PRIVATE_FLAVOR):
        name, cores, memory, disk = flavor
        if name not in known:
            body = {"name": name, "vcpus": cores, "ram": memory, "disk": disk}
            body["os-flavor-access:is_public"] = flavor is not PRIVATE_FLAVOR
            admin.call("POST", f"{nova}/flavors", {"flavor": body})


def seed_volume_type(admin):
    types = f"{environment('CINDER_URL')}/{admin.project_id}/types"
    if all(kind["name"] != "standard" for kind in admin.get(types)["volume_types"]):
        specifications = {"volume_backend_name": "directory"}
        admin.call("POST", types, {"volume_type": {"name": "standard", "extra_specs": specifications}})


def seed_external_network(admin):
    neutron = environment("NEUTRON_URL") + "/v2.0"
    network = admin.ensure(
        f"{neutron}/networks",
        "networks",
        "network",
        {
            "name": EXTERNAL_NETWORK,
            "router:external": True,
            "provider:network_type": "flat",
            "provider:physical_network": "outside",
        },
        name=EXTERNAL_NETWORK,
    )
    subnet = {
        "name": EXTERNAL_NETWORK,
        "network_id": network["id"],
        "ip_version": 4,
        # RFC 5737, section 3: TEST-NET-3, addresses that nobody has.
        "cidr": "203.0.113.0/24",
        "enable_dhcp": False,
    }
    admin.ensure(f"{neutron}/subnets", "subnets", "subnet", subnet, network_id=network["id"])
    return network["id"]


def seed_project(admin, name, secret):
    """A project with one plain member of the same name."""
    keystone = environment("KEYSTONE_URL")
    project = admin.ensure(
        f"{keystone}/projects", "projects", "project", {"name": name, "domain_id": "default"}, name=name
    )
    user = admin.ensure(
        f"{keystone}/users", "users", "user", {"name": name, "domain_id": "default", "password": secret}, name=name
    )
    grant(admin, project["id"], user["id"], "member")
    return Session(name, secret, name)


def seed_private_network(member, external_network):
    """The project's own network with a router to the outside, made by the member: its role has to suffice."""
    neutron = environment("NEUTRON_URL") + "/v2.0"
    owner = member.project_id
    network = member.ensure(
        f"{neutron}/networks", "networks", "network", {"name": "private"}, name="private", project_id=owner
    )
    subnet = {"name": "private", "network_id": network["id"], "ip_version": 4, "cidr": "10.20.0.0/24"}
    subnet = member.ensure(f"{neutron}/subnets", "subnets", "subnet", subnet, network_id=network["id"])
    router = {"name": "private", "external_gateway_info": {"network_id": external_network}}
    router = member.ensure(f"{neutron}/routers", "routers", "router", router, name="private", project_id=owner)
    ports = member.get(f"{neutron}/ports", params={"device_id": router["id"], "network_id": network["id"]})["ports"]
    if not ports:
        member.call("PUT", f"{neutron}/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})


def seed_credential(member, secret):
    """An application credential with the member's role; returns its id."""
    url = f"{environment('KEYSTONE_URL')}/users/{member.user_id}/application_credentials"
    body = {"name": "tombolo", "secret": secret}
    return member.ensure(url, "application_credentials", "application_credential", body, name="tombolo")["id"]


def seed_small_quotas(admin, project):
    """What the other project may have is little, so that a test reaches the limit soon."""
    admin.call(
        "PUT",
        f"{environment('NOVA_URL')}/os-quota-sets/{project}",
        {"quota_set": {"instances": 2, "cores": 4, "ram": 4096}},
    )
    admin.call(
        "PUT",
        f"{environment('CINDER_URL')}/{admin.project_id}/os-quota-sets/{project}",
        {"quota_set": {"volumes": 2, "gigabytes": 4, "snapshots": 2}},
    )
    admin.call(
        "PUT",
        f"{environment('NEUTRON_URL')}/v2.0/quotas/{project}",
        {"quota": {"network": 3, "port": 20, "floatingip": 1, "security_group": 3}},
    )


def seed_tenants(path):
    admin = administrator()
    seed_flavors(admin)
    seed_volume_type(admin)
    external_network = seed_external_network(admin)
    lines = []

    def say(name, value):
        lines.append(f"export {name}={value}\n")

    for project, secret, credential_secret, prefix in (
        ("tombolo", "MEMBER_SECRET", "CREDENTIAL_SECRET", "OS_"),
        ("other", "OTHER_SECRET", "OTHER_CREDENTIAL_SECRET", "TOMBOLO_OPENSTACK_OTHER_"),
    ):
        member = seed_project(admin, project, environment(secret))
        seed_private_network(member, external_network)
        say(f"{prefix}USERNAME", project)
        say(f"{prefix}PASSWORD", environment(secret))
        say(f"{prefix}PROJECT_NAME", project)
        say(f"{prefix}PROJECT_ID", member.project_id)
        say(f"{prefix}APPLICATION_CREDENTIAL_ID", seed_credential(member, environment(credential_secret)))
        say(f"{prefix}APPLICATION_CREDENTIAL_SECRET", environment(credential_secret))
        if project == "other":
            seed_small_quotas(admin, member.project_id)
    say("TOMBOLO_OPENSTACK_ADMIN_USERNAME", "admin")
    say("TOMBOLO_OPENSTACK_ADMIN_PASSWORD", environment("ADMIN_SECRET"))
    say("TOMBOLO_OPENSTACK_ADMIN_PROJECT_NAME", "admin")
    say("TOMBOLO_OPENSTACK_EXTERNAL_NETWORK", EXTERNAL_NETWORK)
    say("TOMBOLO_OPENSTACK_PRIVATE_NETWORK", "private")
    with open(path, "w", encoding="ascii") as file:
        file.writelines(lines)


if __name__ == "__main__":
    if sys.argv[1] == "catalogue":
        seed_catalogue()
    else:
        seed_tenants(sys.argv[2])
