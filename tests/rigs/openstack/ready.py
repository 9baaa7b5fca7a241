"""Waits until every service without an interface of its own is alive, as the interfaces of the others tell.

ready.py SINCE    SINCE: reports from before this second since the epoch do not count
"""
import sys
import time
from datetime import datetime, timezone

import requests

from rest import Refused, administrator, environment

SECONDS_TO_WAIT = 180
# Services report every 5 seconds. "up" may be left over from before; a report this young is not.
SECONDS_OF_A_FRESH_REPORT = 15
WANTED = {"nova-conductor", "nova-scheduler", "nova-compute", "cinder-scheduler", "cinder-volume"}


def is_fresh(service, since):
    if service["state"] != "up" or not service["updated_at"]:
        return False
    reported = datetime.fromisoformat(service["updated_at"]).replace(tzinfo=timezone.utc).timestamp()
    return reported > max(since, time.time() - SECONDS_OF_A_FRESH_REPORT)


def missing(admin, since):
    """What is not ready yet."""
    nova, cinder = environment("NOVA_URL"), f"{environment('CINDER_URL')}/{admin.project_id}"
    services = admin.get(f"{nova}/os-services")["services"] + admin.get(f"{cinder}/os-services")["services"]
    absent = WANTED - {service["binary"] for service in services if is_fresh(service, since)}
    # Cinder's scheduler learns of the backend from a message; before, every volume ends in "error".
    if not admin.get(f"{cinder}/scheduler-stats/get_pools")["pools"]:
        absent.add("the volume backend")
    # Nova can place servers once Placement knows what the host has.
    providers = admin.get(
        f"{environment('PLACEMENT_URL')}/resource_providers?resources=VCPU:1",
        headers={"OpenStack-API-Version": "placement 1.39"},
    )
    if not providers["resource_providers"]:
        absent.add("the host's inventory")
    admin.get(f"{environment('GLANCE_URL')}/v2/images?limit=1")
    admin.get(f"{environment('NEUTRON_URL')}/v2.0/networks?limit=1")
    return absent


def main(since):
    deadline = time.monotonic() + SECONDS_TO_WAIT
    problem = "nothing was asked"
    while time.monotonic() < deadline:
        try:
            absent = missing(administrator(), since)
            if not absent:
                return
            problem = "missing: " + ", ".join(sorted(absent))
        except (Refused, requests.RequestException, KeyError, ValueError) as error:
            problem = str(error)
        time.sleep(0.5)
    sys.exit(f"OpenStack is not ready after {SECONDS_TO_WAIT} seconds; {problem}")


if __name__ == "__main__":
    main(float(sys.argv[1]))
