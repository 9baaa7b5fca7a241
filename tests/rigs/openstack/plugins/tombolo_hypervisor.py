"""Nova's fake hypervisor, with what a tenant would notice put right.

* The node keeps its UUID, and servers outlive a restart of nova-compute.
* A snapshot uploads bytes, so that the image becomes active.
* Consoles lead to a place that answers (console_server.py).

No machine ever runs: what a server's disk would hold is always its image, unchanged.
"""
import os

from oslo_utils import fileutils

import nova.conf
from nova import context as request_context
from nova import objects
from nova.compute import power_state, task_states
from nova.console import type as console_type
from nova.image import glance
from nova.virt import fake

CONF = nova.conf.CONF
DISK_FORMATS = ("raw", "qcow2", "vhd", "vhdx", "vdi", "vmdk")


class Driver(fake.FakeDriverWithoutFakeNodes):
    """One node, with room for some hundred servers."""

    vcpus = 64
    memory_mb = 128 * 1024
    local_gb = 4096
    capabilities = dict(
        fake.FakeDriver.capabilities,
        supports_migrate_to_same_host=True,
        supports_bfv_rescue=True,
        **{f"supports_image_type_{name}": True for name in DISK_FORMATS},
    )

    def init_host(self, host):
        """Takes up the servers that Nova placed here before this process started."""
        super().init_host(host)
        known = objects.InstanceList.get_by_host(request_context.get_admin_context(), host, expected_attrs=["flavor"])
        for instance in known:
            state = instance.power_state
            if state in (None, power_state.NOSTATE):
                continue
            self.resources.claim(
                vcpus=instance.flavor.vcpus, mem=instance.flavor.memory_mb, disk=instance.flavor.root_gb
            )
            self.instances[instance.uuid] = fake.FakeInstance(instance.name, state, instance.uuid)

    def snapshot(self, context, instance, image_id, update_task_state):
        """Uploads the image that the server was started from, or nothing where there is none (boot from volume)."""
        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        images = glance.API()
        disk_format = "raw"
        path = os.path.join(CONF.instances_path, f"snapshot-{image_id}")
        fileutils.ensure_tree(CONF.instances_path)
        try:
            if instance.image_ref:
                disk_format = images.get(context, instance.image_ref)["disk_format"]
                images.download(context, instance.image_ref, dest_path=path)
            else:
                with open(path, "wb"):
                    pass
            update_task_state(
                task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_PENDING_UPLOAD
            )
            description = {
                "name": images.get(context, image_id)["name"],
                "status": "active",
                "disk_format": disk_format,
                "container_format": "bare",
                "properties": {},
            }
            with open(path, "rb") as disk:
                images.update(context, image_id, description, disk, purge_props=False)
        finally:
            fileutils.delete_if_exists(path)

    def get_host_uptime(self):
        """What `uptime` prints; the original raises NotImplementedError, which /os-hypervisors shows."""
        with open("/proc/uptime", encoding="ascii") as file:
            minutes = int(float(file.read().split()[0]) // 60)
        return f" 00:00:00 up {minutes} min,  0 users,  load average: 0.00, 0.00, 0.00"

    def get_console_output(self, context, instance):
        return f"console of {instance.uuid}\nlogin: "

    def get_vnc_console(self, context, instance):
        return console_type.ConsoleVNC(host="127.0.0.1", port=int(os.environ["TOMBOLO_VNC_PORT"]))

    def get_serial_console(self, context, instance):
        return console_type.ConsoleSerial(host="127.0.0.1", port=int(os.environ["TOMBOLO_SERIAL_PORT"]))
