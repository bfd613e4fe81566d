"""Runs tests in a sandbox over this machine's root file system, whose Python has to be one that images have."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import List

import pytest

from imagekit.oci.image_config import ContainerConfig
from imagekit.sandbox.bwrap import Rootfs
from imagekit.sources.tree import SourceFile, write_source
from imagekit.upstream_tests.environment import TIMED_OUT, TestEnvironment, TestEnvironmentError, site_packages
from imagekit.upstream_tests.results import read_records

pytestmark = pytest.mark.skipif(
    subprocess.run(["/usr/bin/python3", "-P", "-c", "0"], capture_output=True).returncode != 0,
    reason="needs a machine with Python 3.11",
)

TESTS = b"""
import os, socket, unittest

class Sandboxed(unittest.TestCase):
    def test_runs_as_the_images_user(self):
        self.assertEqual((os.getuid(), os.getgid()), (42424, 42424))

    def test_may_write_to_its_source_and_home(self):
        open("state", "w").close()
        open(os.path.expanduser("~/state"), "w").close()
        self.assertEqual(os.getcwd(), "/test/source")

    def test_may_write_to_nothing_else(self):
        for path in ("/etc/state", "/test/state", "/test/packages/state"):
            with self.assertRaises(OSError):
                open(path, "w")

    def test_has_no_network_but_loopback(self):
        self.assertEqual([name for _, name in socket.if_nameindex()], ["lo"])
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).close()

    def test_sees_source_before_packages(self):
        import only_for_tests, project
        self.assertEqual(project.WHERE, "source")

    def test_hangs(self):
        import time
        time.sleep(600)
"""


@pytest.fixture
def environment(tmp_path: Path) -> TestEnvironment:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "only_for_tests.py").touch()
    (packages / "project.py").write_text("WHERE = 'packages'\n")
    write_source(
        {
            # Debian has no `python`, an image's virtual environment has.
            "bin/python": SourceFile(b'#!/bin/sh\nexec /usr/bin/python3 "$@"\n', executable=True),
            "project/__init__.py": SourceFile(b"WHERE = 'source'\n"),
            "project/tests/__init__.py": SourceFile(b""),
            "project/tests/test_it.py": SourceFile(TESTS),
        },
        tmp_path / "source.tar",
    )
    config = ContainerConfig(user="42424:42424", env=("PATH=/test/source/bin:/usr/bin:/bin",), entrypoint=("false",))
    return TestEnvironment(Rootfs(Path("/"), "sha256:0"), config, packages, tmp_path / "source.tar")


def all_tests(environment: TestEnvironment) -> List[str]:
    listed = environment.run("project/tests", None, 60)
    assert listed.finished.returncode == 0, listed.finished.stderr
    return [json.loads(line)["test"] for line in listed.records.splitlines()]


def test_tests_run_in_the_image_and_see_no_more_than_they_should(environment: TestEnvironment) -> None:
    tests = [test for test in all_tests(environment) if not test.endswith("test_hangs")]
    assert len(tests) == 5
    ran = environment.run("project/tests", tests, 60)
    results = read_records(ran.records, tests)
    assert results.failed == ()
    assert (results.passed, ran.finished.returncode) == (5, 0)


def test_tests_that_hang_are_stopped_and_named(environment: TestEnvironment) -> None:
    tests = [test for test in all_tests(environment) if test.endswith("test_hangs")]
    ran = environment.run("project/tests", tests, 2)
    assert ran.finished.returncode in TIMED_OUT
    assert read_records(ran.records, tests).running == tests[0]


def test_the_packages_of_a_layer_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "var/lib/openstack/lib/python3.11/site-packages"
    folder.mkdir(parents=True)
    assert site_packages(tmp_path) == folder
    with pytest.raises(TestEnvironmentError) as refusal:
        site_packages(tmp_path / "var")
    assert str(refusal.value) == (
        "the layer with the tests' packages has 0 folders /var/lib/openstack/lib/python3.*/site-packages, and must have "
        "one. Make it again."
    )
