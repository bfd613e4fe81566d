"""What of a package does not enter an image, and what a run of dpkg leaves that is no package's."""

from __future__ import annotations

import os
from pathlib import Path

from imagekit.sandbox.store import remove_tree

#: Directories of documentation and translations: nothing at run time reads them.
UNUSED_DIRECTORIES = (
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/groff",
    "usr/share/info",
    "usr/share/linda",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
)

#: dpkg(1), --path-exclude and --path-include. Licences ask for their text to be there.
DPKG_FILTERS = (
    *(f"--path-exclude=/{directory}/*" for directory in UNUSED_DIRECTORIES),
    "--path-include=/usr/share/doc/*/copyright",
)

#: What only a compiler reads: some packages ship headers beside their programs.
HEADER_FILTERS = ("--path-exclude=/usr/include/*",)

#: What maintainer scripts draw by lot for the machine that they think they are on. Two containers of one image must not
#: have one identity: hosts with the same iSCSI or NVMe name take each other's volumes.
MACHINE_IDENTITIES = (
    "etc/iscsi/initiatorname.iscsi",
    "etc/nvme/hostid",
    "etc/nvme/hostnqn",
    "etc/ssh/ssh_host_*",
    "var/lib/dbus/machine-id",
)

#: Logs, caches, locks and backups, with times and process ids in some of them.
RESIDUE = (
    "etc/.pwd.lock",
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "tmp/*",
    "usr/sbin/policy-rc.d",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/triggers/Lock",
    "var/log/*.log",
    "var/log/apt/*",
    "var/tmp/*",
)

_HASH_BASED = 0b01
_CHECK_SOURCE = 0b10


def is_unused(path: str) -> bool:
    """Whether an image path is one that dpkg would leave out (copyright files aside)."""
    return any(path.startswith(f"{directory}/") for directory in UNUSED_DIRECTORIES)


def remove_residue(root: Path) -> None:
    """Remove what a run of dpkg left below ``root``, identities of the machine too.

    An /etc/machine-id is emptied, for systemd to fill at boot.
    """
    for pattern in (*RESIDUE, *MACHINE_IDENTITIES):
        for path in sorted(root.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                remove_tree(path)
            else:
                path.unlink()
    machine_id = root / "etc/machine-id"
    if machine_id.is_file():
        machine_id.write_bytes(b"")


def settle_byte_code(root: Path) -> None:
    """Make the byte code that packages compiled valid without a look at its source (PEP 552, unchecked).

    Under SOURCE_DATE_EPOCH, Python writes byte code that names the source's hash instead of its time, which a layer
    changes. The check of that hash at each import costs more than half of what byte code saves.
    """
    for directory, _, files in os.walk(root):
        if not directory.endswith("/__pycache__"):
            continue
        for name in files:
            if name.endswith(".pyc"):
                _settle(os.path.join(directory, name))


def _settle(pyc: str) -> None:
    with open(pyc, "r+b") as file:
        file.seek(4)
        flags = int.from_bytes(file.read(4), "little")
        if flags == _HASH_BASED | _CHECK_SOURCE:
            file.seek(4)
            file.write(_HASH_BASED.to_bytes(4, "little"))
