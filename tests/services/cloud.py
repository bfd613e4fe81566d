"""A cloud of three services on 127.0.0.1, with SQLite, each from its image."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Iterator, Sequence

from services.image_runner import ImageRunner, Program, Server, free_ports, run, serving

KEYSTONE, GLANCE, PLACEMENT = "keystone/2025.2", "glance/2025.2", "placement/2025.2"
TEMPEST = "tempest/2026.1"
IMAGES = (KEYSTONE, GLANCE, PLACEMENT, TEMPEST)

PASSWORD = "not-a-secret"

_KEYSTONE_CONF = """\
[database]
connection = sqlite:////tmp/keystone.db
[identity]
# As fast as it may be, since nothing is secret.
password_hash_rounds = 4
[fernet_tokens]
key_repository = /tmp/fernet-keys
[fernet_receipts]
key_repository = /tmp/fernet-keys
[credential]
key_repository = /tmp/credential-keys
"""

_GLANCE_CONF = """\
[DEFAULT]
enabled_backends = files:file
[database]
connection = sqlite:////tmp/glance.db
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = /tmp/images
[os_glance_staging_store]
filesystem_store_datadir = /tmp/staging
[os_glance_tasks_store]
filesystem_store_datadir = /tmp/tasks
[paste_deploy]
flavor = keystone
"""

_PLACEMENT_CONF = """\
[placement_database]
connection = sqlite:////tmp/placement.db
"""

_KEYSTONE_AUTHTOKEN = """\
[keystone_authtoken]
auth_url = {keystone}
www_authenticate_uri = {keystone}
auth_type = password
username = {user}
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
"""

_PREPARE_KEYSTONE = f"""\
keystone-manage db_sync
keystone-manage fernet_setup --keystone-user openstack --keystone-group openstack
keystone-manage credential_setup --keystone-user openstack --keystone-group openstack
keystone-manage bootstrap --bootstrap-password {PASSWORD} --bootstrap-region-id RegionOne \\
    --bootstrap-public-url {{url}} --bootstrap-internal-url {{url}}
"""

# Keystone reads with one connection while it writes with another, which SQLite allows only in this mode.
_LET_READ_WHILE_WRITING = """\
python -c 'import sqlite3; sqlite3.connect("/tmp/{service}.db").execute("PRAGMA journal_mode = WAL")'
"""

_SERVE = """\
exec uwsgi --master --need-app --die-on-term --lazy-apps --enable-threads --add-header 'Connection: close' \\
    --http-socket 127.0.0.1:{port} --module {service}.wsgi.api:application
"""

_REGISTER = f"""\
openstack project create --domain default service
for user in glance placement; do
    openstack user create --domain default --password {PASSWORD} $user
    openstack role add --project service --user $user admin
done
openstack service create --name glance image
openstack endpoint create --region RegionOne image public {{glance}}
openstack service create --name placement placement
openstack endpoint create --region RegionOne placement public {{placement}}
"""


@dataclass(frozen=True)
class Cloud:
    """Where the services answer; Keystone's URL is that of its API's version 3."""

    keystone: str
    glance: str
    placement: str
    runner: ImageRunner
    servers: Sequence[Server]

    def client(self, script: str) -> str:
        """What a script in Tempest's image writes to stdout, with the ``openstack`` CLI set up for the administrator."""
        environment = {
            "OS_AUTH_URL": self.keystone,
            "OS_USERNAME": "admin",
            "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": "admin",
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
        }
        return run(self.runner, Program(TEMPEST, script, environment=environment))

    def logs(self) -> str:
        """The end of each service's log."""
        return "\n".join(server.described_log() for server in self.servers)


def keystone_program(port: int) -> Program:
    """Keystone on ``port``: the schema is made, the keys and the administrator, and uwsgi serves it."""
    prepare = _PREPARE_KEYSTONE.format(url=keystone_url(port))
    return _program(KEYSTONE, port, "/etc/keystone/keystone.conf", _KEYSTONE_CONF, prepare)


def keystone_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/v3"


@contextmanager
def running_cloud(runner: ImageRunner) -> Iterator[Cloud]:
    """The services while the block runs, registered in Keystone's catalogue."""
    ports = free_ports(3)
    keystone, glance, placement = keystone_url(ports[0]), *(f"http://127.0.0.1:{port}" for port in ports[1:])
    programs = [
        keystone_program(ports[0]),
        _program(
            GLANCE,
            ports[1],
            "/etc/glance/glance-api.conf",
            _GLANCE_CONF + _authtoken(keystone, "glance"),
            "glance-manage db_sync\n",
        ),
        _program(
            PLACEMENT,
            ports[2],
            "/etc/placement/placement.conf",
            _PLACEMENT_CONF + _authtoken(keystone, "placement"),
            "placement-manage db sync\n",
        ),
    ]
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving(runner, program, url))
            for program, url in zip(programs, (keystone, glance, placement))
        ]
        for server in servers:
            server.wait()
        cloud = Cloud(keystone, glance, placement, runner, servers)
        cloud.client(_REGISTER.format(glance=glance, placement=placement))
        yield cloud


def _program(image: str, port: int, configuration_file: str, configuration: str, prepare: str) -> Program:
    service = image.split("/")[0]
    script = prepare + _LET_READ_WHILE_WRITING.format(service=service) + _SERVE.format(service=service, port=port)
    return Program(image, script, {configuration_file: configuration})


def _authtoken(keystone: str, user: str) -> str:
    return _KEYSTONE_AUTHTOKEN.format(keystone=keystone, user=user, password=PASSWORD)
