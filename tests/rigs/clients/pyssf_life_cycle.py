#!/usr/bin/env python3
"""pyssf's model, parser and renderings as a client: what it renders is sent, what is answered it must be able to read.

    pyssf_life_cycle.py URL TOKEN

Needs the package pyssf. Ends with status 1 at the first answer that pyssf does not read as expected.
"""

import sys
import time
import urllib.error
import urllib.request

from occi import registry
from occi.core_model import Kind, Mixin, Resource
from occi.protocol import occi_parser
from occi.protocol.occi_rendering import TextOcciRendering, TextPlainRendering, TextUriListRendering

INFRASTRUCTURE = "http://schemas.ogf.org/occi/infrastructure#"


def demand(fulfilled, what):
    if not fulfilled:
        sys.exit(f"FAILED: {what}")


class Server:
    def __init__(self, url, token):
        self.url, self.token = url.rstrip("/"), token

    def ask(self, method, place, accept, headers=None, body=None):
        request = urllib.request.Request(place if "://" in place else self.url + place, body, method=method)
        for name, value in {"Accept": accept, "X-Auth-Token": self.token, **(headers or {})}.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.headers, refusal.read().decode()


def learn(known, lines):
    """Registers every kind and mixin of a query interface, as pyssf's parser reads its parts."""
    for line in lines:
        text = line.removeprefix("Category: ")
        read = {name: occi_parser.find_in_string(text, name) for name in ("scheme", "class")}
        if read["class"] == "action":
            continue
        make = Kind if read["class"] == "kind" else Mixin
        category = make(read["scheme"], text.split(";")[0], location=occi_parser.find_in_string(text, "location"))
        known.set_backend(category, None, None)


def life_cycle(server, known, rendering, media_type):
    compute = occi_parser.get_category(f'compute; scheme="{INFRASTRUCTURE}"', known, None)
    # pyssf names every entity itself; the server gives it another id.
    machine = Resource("/compute/from-pyssf", compute, [])
    machine.attributes["occi.core.title"] = "from pyssf"
    headers, body = rendering.from_entity(machine)
    status, answered, text = server.ask("POST", "/compute/", media_type, headers, body.encode())
    demand(status == 201, f"create in {media_type}: {status} {text}")
    place = answered["Location"]

    attributes = {}
    for _ in range(120):
        status, answered, text = server.ask("GET", place, media_type)
        demand(status == 200, f"show in {media_type}: {status} {text}")
        data = rendering.get_data(as_wsgi(answered), text)
        read = [occi_parser.get_category(line, known, None) for line in data.categories]
        demand(read and read[0] == compute, f"the first category is {read[:1]}")
        attributes = dict(occi_parser.get_attributes(line) for line in data.attributes)
        if attributes["occi.compute.state"] == "active":
            break
        time.sleep(0.25)
    demand(attributes["occi.compute.state"] == "active", f"the machine is {attributes}")
    demand(attributes["occi.core.title"] == "from pyssf", f"the title is {attributes['occi.core.title']}")

    status, _, text = server.ask("GET", "/compute/", TextUriListRendering.mime_type)
    demand(status == 200 and place in text.splitlines(), f"{place} is not in the list: {text}")
    status, _, text = server.ask("DELETE", place, media_type)
    demand(status == 200, f"delete: {status} {text}")
    print(f"{media_type}: created, shown, listed and deleted", flush=True)


def as_wsgi(headers):
    """pyssf looks header fields up as `Category`, and wants repeated ones joined."""
    return {name: ", ".join(headers.get_all(name)) for name in
            ("Category", "X-OCCI-Attribute", "X-OCCI-Location", "Link") if name in headers}


def main():
    server = Server(sys.argv[1], sys.argv[2])
    status, _, text = server.ask("GET", "/-/", "text/plain")
    demand(status == 200, f"query: {status} {text}")
    known = registry.NonePersistentRegistry()
    learn(known, text.splitlines())
    for make in (TextPlainRendering, TextOcciRendering):
        life_cycle(server, known, make(known), make.mime_type)


if __name__ == "__main__":
    main()
