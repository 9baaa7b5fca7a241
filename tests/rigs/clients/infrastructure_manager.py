#!/usr/bin/env python3
"""The OCCI connector of the Infrastructure Manager (package IM, before 2.0): a machine's life with a volume.

    infrastructure_manager.py URL TOKEN

Needs the packages IM, radl, netaddr, requests, paramiko and what they import; ends with status 1 at the first step
that the connector calls a failure.
"""

import sys
import time
import urllib.parse
from unittest.mock import MagicMock

import IM.connectors.OCCI as connector
from IM.auth import Authentication
from IM.CloudInfo import CloudInfo
from IM.VirtualMachine import VirtualMachine
from radl import radl_parse

RECIPE = """
network inside ()
system front (
  cpu.arch = 'x86_64' and cpu.count = 1 and memory.size = 512m and instance_type = 'small' and
  net_interface.0.connection = 'inside' and net_interface.0.dns_name = 'front' and
  disk.0.os.name = 'linux' and disk.0.image.url = '{url}/{appliance}' and
  disk.0.os.credentials.username = 'user' and
  disk.1.size = 1GB and disk.1.device = 'hdb' and disk.1.mount_path = '/mnt/data'
)
"""
SECOND_DISK = "system front (disk.2.size = 1GB and disk.2.device = 'hdc' and disk.2.mount_path = '/mnt/more')"
# How long the connector may sleep at a time, in seconds; it would take five between two looks.
LONGEST_NAP = 0.5


def demand(fulfilled, what):
    if not fulfilled:
        sys.exit(f"FAILED: {what}")
    print(what.split(":")[0], flush=True)


def connect(url):
    place = urllib.parse.urlsplit(url)
    cloud = CloudInfo()
    cloud.type, cloud.protocol, cloud.server, cloud.port = "OCCI", place.scheme, place.hostname, place.port
    infrastructure = MagicMock(id="1", vm_list=[])
    infrastructure.get_vm_list.return_value = []
    client = connector.OCCICloudConnector(cloud, infrastructure)
    client.get_cloud_init_data = lambda *_: "#cloud-config\n"
    for name in ("log_error", "log_warn", "log_exception"):
        setattr(client, name, lambda text, *_, name=name: print(f"  {name}: {text}", flush=True))
    return client


def await_state(client, machine, credentials, state):
    for _ in range(120):
        fine, answer = client.updateVMInfo(machine, credentials)
        demand_quietly(fine, answer)
        if machine.state == state:
            return
        time.sleep(LONGEST_NAP)
    sys.exit(f"FAILED: the machine is {machine.state}, not {state}")


def demand_quietly(fine, answer):
    if not fine:
        sys.exit(f"FAILED: {answer}")


def main():
    url, token = sys.argv[1].rstrip("/"), sys.argv[2]
    sleep = time.sleep
    connector.time.sleep = lambda seconds: sleep(min(seconds, LONGEST_NAP))
    client = connect(url)
    credentials = Authentication([{"id": "occi", "type": "OCCI", "token": token, "host": url}])
    offered, lines = client.query_occi(credentials, None)
    demand(offered, f"query: {lines}")
    templates = [line for line in lines.splitlines() if "#os_tpl" in line and "rel=" in line]
    demand(templates, "templates: no os_tpl is offered")
    appliance = templates[0].removeprefix("Category: ").split(";")[0]
    recipe = radl_parse.parse_radl(RECIPE.format(url=url, appliance=appliance))

    fine, machine = client.launch(client.inf, recipe, recipe, 1, credentials)[0]
    demand(fine, f"launch: {machine}")
    machine.info = recipe
    machine.state = VirtualMachine.PENDING
    await_state(client, machine, credentials, VirtualMachine.RUNNING)
    fine, volumes = client.get_attached_volumes(machine, credentials, None)
    demand(fine and len(volumes) == 1, f"volume: {volumes}")

    demand(client.stop(machine, credentials)[0], "stop: not accepted")
    await_state(client, machine, credentials, VirtualMachine.STOPPED)
    demand(client.start(machine, credentials)[0], "start: not accepted")
    await_state(client, machine, credentials, VirtualMachine.RUNNING)
    demand(client.reboot(machine, credentials)[0], "reboot: not accepted")
    await_state(client, machine, credentials, VirtualMachine.RUNNING)

    more = radl_parse.parse_radl(SECOND_DISK)
    fine, answer = client.add_new_disks(machine, more, credentials, None)
    demand(fine, f"second volume: {answer}")
    fine, volumes = client.get_attached_volumes(machine, credentials, None)
    demand(fine and len(volumes) == 2, f"both volumes: {volumes}")
    fine, answer = client.detach_volume(volumes[1], credentials, None)
    demand(fine, f"detach: {answer}")

    fine, answer = client.finalize(machine, True, credentials)
    demand(fine, f"finalize: {answer}")
    fine, answer = client.finalize(machine, True, credentials)
    demand(fine, f"finalize once more: {answer}")


if __name__ == "__main__":
    main()
