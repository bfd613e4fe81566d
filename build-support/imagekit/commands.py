"""Which module holds each command of ``python -m imagekit``. No step reads it: a new command changes no key."""

from __future__ import annotations

from typing import Mapping

#: The modules below ``imagekit``, by the names of the commands.
COMMAND_MODULES: Mapping[str, str] = {
    "assemble": "oci.assemble_cli",
    "bootstrap-rootfs": "debian.rootfs_cli",
    "build-wheel": "python.wheel_cli",
    "check-image": "checks.cli",
    "check-layers": "oci.assemble_cli",
    "describe-debs": "sbom.describe_cli",
    "describe-wheels": "sbom.describe_cli",
    "docker-archive": "oci.cli",
    "export-layout": "oci.cli",
    "extend-rootfs": "debian.rootfs_cli",
    "fetch-deb": "debian.fetch_cli",
    "fetch-git": "sources.git_cli",
    "fetch-python": "fetch.cli",
    "files-piece": "python.piece_cli",
    "install-wheel": "python.install_cli",
    "layer": "oci.layer_cli",
    "list-test-requirements": "upstream_tests.cli",
    "lock-debs": "debian.lock_cli",
    "lock-python": "python.locking_cli",
    "lock-source": "sources.lock_cli",
    "lock-tools": "python.locking_cli",
    "patch-source": "sources.patch_cli",
    "plan-upstream-tests": "upstream_tests.cli",
    "push-image": "registry.cli",
    "run-image": "oci.cli",
    "run-in-image": "sandbox.cli",
    "run-upstream-tests": "upstream_tests.cli",
    "sbom": "sbom.cli",
    "sign": "signing.cli",
    "test-image": "checks.cli",
    "tools": "python.tools_cli",
    "unpack": "oci.cli",
    "validate": "oci.cli",
    "verify": "signing.cli",
    "venv-skeleton": "python.piece_cli",
}
