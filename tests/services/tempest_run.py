"""Tempest against a cloud: its configuration, and what it says of each test."""

from __future__ import annotations

import re
from typing import Mapping, Sequence
from xml.etree import ElementTree

from services.cloud import PASSWORD, TEMPEST, Cloud
from services.image_runner import Program, run

_CONFIGURATION = """\
[auth]
admin_username = admin
admin_password = {password}
admin_project_name = admin
admin_domain_name = Default
[identity]
uri_v3 = {keystone}
region = RegionOne
[image]
# Glance refuses contents that are not of the image's format, and Tempest's are random.
disk_formats = raw
[service_available]
glance = true
cinder = false
horizon = false
neutron = false
nova = false
swift = false
"""

# What tests failed is in the results, so a failure of the run is none of the script.
_SCRIPT = """\
tempest init /tmp/cloud >&2
cd /tmp/cloud
cat /tmp/tempest.conf >>etc/tempest.conf
tempest run --concurrency 2 --include-list /tmp/tests --subunit >/tmp/results || true
subunit2junitxml --output-to /tmp/results.xml </tmp/results >&2 || true
cat /tmp/results.xml
"""


def run_tempest(cloud: Cloud, tests: Sequence[str]) -> Mapping[str, str]:
    """What became of the tests that ran, by name: "passed", or why not."""
    configuration = _CONFIGURATION.format(keystone=cloud.keystone, password=PASSWORD)
    # Names end where the list of a test's attributes begins.
    patterns = "".join(f"^{re.escape(test)}\\[\n" for test in tests)
    files = {"/tmp/tempest.conf": configuration, "/tmp/tests": patterns}
    return parse_results(run(cloud.runner, Program(TEMPEST, _SCRIPT, files)))


def parse_results(junit: str) -> Mapping[str, str]:
    """Results from JUnit's XML: the attributes behind a test's name are left out."""
    results = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):
        name = ".".join(filter(None, (case.get("classname"), case.get("name", "").split("[")[0])))
        results[name] = "\n".join(f"{reason.tag}: {reason.text or ''}".strip() for reason in case) or "passed"
    return results
