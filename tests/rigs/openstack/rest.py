"""A session with the services, for the scripts of this rig."""
import os

import requests


def environment(name):
    """A setting that `up` passes on."""
    return os.environ[name]


class Refused(Exception):
    """A service has answered with an error."""


class Session:
    """A project's token, and JSON requests with it."""

    def __init__(self, user, secret, project):
        login = {"user": {"name": user, "domain": {"id": "default"}, "password": secret}}
        self._http = requests.Session()
        # Proxies are for the world outside.
        self._http.trust_env = False
        answer = self._http.post(
            environment("KEYSTONE_URL") + "/auth/tokens",
            json={
                "auth": {
                    "identity": {"methods": ["password"], "password": login},
                    "scope": {"project": {"name": project, "domain": {"id": "default"}}},
                }
            },
            timeout=60,
        )
        if answer.status_code != 201:
            raise Refused(f"Keystone refuses {user} in {project}: {answer.status_code} {answer.text[:300]}")
        self._http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        token = answer.json()["token"]
        self.user_id = token["user"]["id"]
        self.project_id = token["project"]["id"]

    def call(self, method, url, body=None, **options):
        """Sends a request and returns the answer's JSON, or None when it has none."""
        answer = self._http.request(method, url, json=body, timeout=60, **options)
        if not answer.ok:
            raise Refused(f"{method} {url}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None

    def get(self, url, **options):
        """The JSON at this address."""
        return self.call("GET", url, **options)

    def ensure(self, url, collection, member, body, **query):
        """The member of a collection that the query finds, made from `body` when there is none."""
        found = self.get(url, params=query)[collection]
        return found[0] if found else self.call("POST", url, {member: body})[member]


def administrator():
    """The session of the administrator."""
    return Session("admin", environment("ADMIN_SECRET"), "admin")
