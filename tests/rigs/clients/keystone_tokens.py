"""Gets tokens of our Keystone by OpenStack's own library, in each of its ways, and opens the OCCI door with them.

    keystone_tokens.py SERVER TOKEN

TOKEN is an app token of the user anna. Where the library wants an access token of an identity provider, the app token
stands in for it: the door takes both, and the tests of the login have real ones.
"""

import sys

import requests
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v2, v3


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")
    print(f"ok  {what}")


def main(server, app_token):
    keystone = f"{server}/keystone"
    challenge = requests.get(f"{server}/compute/", timeout=20).headers["WWW-Authenticate"]
    check(f"Keystone uri='{keystone}/v2.0'" in challenge, "a 401 says where Keystone is")

    _, identifier, secret = app_token.split("_", 2)
    by_password = {"username": "anna", "password": app_token, "user_domain_id": "default"}
    ways = {
        "v2password": v2.Password(f"{keystone}/v2.0", "anna", app_token, tenant_name="class"),
        "v2password without a tenant": v2.Password(f"{keystone}/v2.0", "anna", app_token),
        "v2token": v2.Token(f"{keystone}/v2.0", app_token),
        "v3password": v3.Password(
            f"{keystone}/v3", project_name="class", project_domain_id="default", **by_password
        ),
        "v3password without a project": v3.Password(f"{keystone}/v3", **by_password),
        "v3token": v3.Token(f"{keystone}/v3", app_token, project_name="class", project_domain_id="default"),
        "v3applicationcredential": v3.ApplicationCredential(
            f"{keystone}/v3", application_credential_id=identifier, application_credential_secret=secret
        ),
        "v3oidcaccesstoken": v3.OidcAccessToken(
            f"{keystone}/v3",
            "school",
            "openid",
            access_token=app_token,
            project_name="class",
            project_domain_id="default",
        ),
    }
    for name, way in ways.items():
        opened = session.Session(auth=way)
        answer = opened.get("/compute/", endpoint_filter={"service_type": "occi"})
        check(answer.status_code == 200, f"{name}: the catalogue leads to the OCCI door, and the token opens it")
        machine = opened.post(
            f"{server}/compute/",
            headers={
                "Content-Type": "text/occi",
                "Category": 'compute; scheme="http://schemas.ogf.org/occi/infrastructure#"; class="kind"',
            },
        )
        check(machine.status_code == 201, f"{name}: makes a machine")
        opened.delete(machine.headers["Location"])

    opened = session.Session(auth=ways["v3password"])
    projects = opened.get(f"{keystone}/v3/auth/projects").json()["projects"]
    check([project["name"] for project in projects] == ["class"], "v3 lists the project")
    check(opened.get_project_id() == projects[0]["id"], "v3 names the project by its id")
    versions = opened.get_all_version_data(interface="public", service_type="identity")
    check(bool(versions), "its versions are found")

    token = opened.get_token()
    own = {"X-Subject-Token": token}
    check(opened.head(f"{keystone}/v3/auth/tokens", headers=own).status_code == 200, "v3 knows its token")
    check(opened.delete(f"{keystone}/v3/auth/tokens", headers=own).status_code == 204, "v3 takes its token back")
    void = requests.get(f"{server}/compute/", headers={"X-Auth-Token": token}, timeout=20)
    check(void.status_code == 401, "a token that was taken back opens nothing")

    for name, wrong in {
        "a wrong password": v3.Password(f"{keystone}/v3", **{**by_password, "password": "guess"}),
        "another's name": v3.Password(f"{keystone}/v3", **{**by_password, "username": "bob"}),
        "another project": v3.Password(
            f"{keystone}/v3", project_name="nowhere", project_domain_id="default", **by_password
        ),
        "a wrong secret": v3.ApplicationCredential(
            f"{keystone}/v3", application_credential_id=identifier, application_credential_secret="guess"
        ),
        "v2 and a wrong password": v2.Password(f"{keystone}/v2.0", "anna", "guess"),
    }.items():
        try:
            session.Session(auth=wrong).get_token()
        except exceptions.Unauthorized:
            check(True, f"{name} opens nothing")
        else:
            check(False, f"{name} opens nothing")


main(*sys.argv[1:])
