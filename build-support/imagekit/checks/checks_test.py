"""Each check, red on an image that violates it and green on one that does not."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Callable, List, Sequence

import pytest

from imagekit.checks.accounts import check_accounts
from imagekit.checks.build_tools import check_build_tools
from imagekit.checks.distributions import check_records, check_requirements
from imagekit.checks.finding import Allowance, CheckError, Finding, Subject, report, without_allowed
from imagekit.checks.image_tree import ImageTree
from imagekit.checks.leftovers import check_leftovers, check_links
from imagekit.checks.libraries import check_libraries
from imagekit.checks.modes import check_modes
from imagekit.checks.times import check_times
from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.oci.assemble import ImageSpec, assemble, write_assembled
from imagekit.oci.descriptor import Platform
from imagekit.oci.entry import Entry, EntryKind, Piece, directory
from imagekit.oci.image_config import ContainerConfig
from imagekit.oci.layer import write_layer
from imagekit.oci.layout import Layout
from imagekit.sandbox.store import RootfsStore

SITE_PACKAGES = "var/lib/openstack/lib/python3.11/site-packages"
ACCOUNTS = (
    ("etc/passwd", b"openstack:*:42424:42424::/var/lib/openstack:/usr/sbin/nologin\n"),
    ("etc/group", b"openstack:*:42424:\n"),
)

MakeSubject = Callable[..., Subject]


def file(path: str, content: bytes = b"", mode: int = 0o644) -> Entry:
    return Entry(path, EntryKind.FILE, mode, content=content)


def link(path: str, target: str) -> Entry:
    return Entry(path, EntryKind.SYMLINK, 0o777, link_target=target)


@pytest.fixture
def subject(tmp_path: Path) -> MakeSubject:
    def make(*entries: Entry, user: str = "42424", release: str = "2025.2", created: int = SOURCE_DATE_EPOCH) -> Subject:
        path = tmp_path / "layout"
        layer = write_layer([Piece("test", entries)], path, created_by="test")
        labels = {"io.c5c3.openstack.release": release} if release else {}
        config = ContainerConfig(user=user, labels=labels)
        write_assembled(assemble(ImageSpec(Platform("amd64"), (layer,), config, created)), path)
        layout = Layout(path)
        image = layout.read_image()
        with RootfsStore(tmp_path / "store").rootfs([layout.blob_path(layer.digest)]) as rootfs:
            return Subject(layout, image, rootfs, ImageTree.read(rootfs.path))

    return make


def problems(findings: "Sequence[Finding] | object") -> List[str]:
    return [f"{finding.path}: {finding.problem}" for finding in findings]  # type: ignore[attr-defined]


def test_the_service_user_is_there(subject: MakeSubject) -> None:
    assert not list(check_accounts(subject(*(file(*row) for row in ACCOUNTS))))


def test_a_missing_service_user_is_found(subject: MakeSubject) -> None:
    assert problems(check_accounts(subject(file("etc/passwd", b"root:*:0:0::/root:/bin/sh\n"), file("etc/group"), user="0"))) == [
        "/etc/passwd: has no 'openstack' with the id 42424",
        "/etc/group: has no 'openstack' with the id 42424",
        "image configuration: the user is '0'",
    ]


def test_modes(subject: MakeSubject) -> None:
    found = check_modes(
        subject(
            directory("tmp", 0o1777),
            directory("srv/open", 0o777),
            file("etc/open", mode=0o666),
            file("usr/bin/su", mode=0o4755),
            file("usr/bin/mine", mode=0o4755),
            file("usr/bin/group", mode=0o2755),
            link("etc/link", "open"),
        )
    )
    assert problems(found) == [
        "/etc/open: anyone may write to it (mode 0666)",
        "/srv/open: anyone may write to it (mode 0777)",
        "/usr/bin/group: it runs with the rights of its owner or group (mode 2755)",
        "/usr/bin/mine: it runs with the rights of its owner or group (mode 4755)",
    ]


def test_build_tools(subject: MakeSubject) -> None:
    found = check_build_tools(
        subject(
            file("usr/bin/x86_64-linux-gnu-gcc-12", mode=0o755),
            link("usr/bin/cc", "gcc"),
            file("usr/bin/ldd", mode=0o755),
            file("usr/include/stdio.h"),
            file("usr/lib/module.h"),
            file("var/lib/openstack/bin/pip3.11", mode=0o755),
            file("var/lib/openstack/bin/pbr", mode=0o755),
            file(f"{SITE_PACKAGES}/pip/__init__.py"),
            file(f"{SITE_PACKAGES}/pipeline/__init__.py"),
        )
    )
    assert problems(found) == [
        "/usr/bin/cc: it is a compiler or a tool of one",
        "/usr/bin/x86_64-linux-gnu-gcc-12: it is a compiler or a tool of one",
        "/usr/include/stdio.h: it is a C header",
        "/var/lib/openstack/bin/pip3.11: it installs Python packages",
        f"/{SITE_PACKAGES}/pip: it installs Python packages",
    ]


def test_leftovers(subject: MakeSubject) -> None:
    found = check_leftovers(
        subject(
            file("etc/nvme/hostnqn"),
            file("etc/ssh/ssh_host_rsa_key.pub"),
            file("var/lib/apt/lists/bookworm"),
            file(f"{SITE_PACKAGES}/a.py", b"# see doc/build/html\n"),
            file(f"{SITE_PACKAGES}/__pycache__/a.cpython-311.pyc", b"/build/keystone/a.py"),
            file(f"{SITE_PACKAGES}/__pycache__/gone.cpython-311.pyc"),
            file(f"{SITE_PACKAGES}/b.txt", b"in /tmp/pants-sandbox-aB1/x"),
        )
    )
    assert problems(found) == [
        "/etc/nvme/hostnqn: it is the identity of one machine, and every container would have it",
        "/etc/ssh/ssh_host_rsa_key.pub: it is the identity of one machine, and every container would have it",
        "/var/lib/apt/lists/bookworm: it is left of a package manager's cache",
        f"/{SITE_PACKAGES}/__pycache__/a.cpython-311.pyc: it names the path of a build, '/build/keystone'",
        f"/{SITE_PACKAGES}/__pycache__/gone.cpython-311.pyc: its source /{SITE_PACKAGES}/gone.py is not there",
        f"/{SITE_PACKAGES}/b.txt: it names the path of a build, 'pants-sandbox-aB1'",
    ]


def test_links(subject: MakeSubject) -> None:
    found = check_links(
        subject(
            file("usr/lib/real"),
            link("lib", "usr/lib"),
            link("etc/absolute", "/lib/real"),
            link("etc/mtab", "../proc/mounts"),
            link("etc/loop", "loop"),
            link("etc/gone", "/usr/lib/gone"),
        )
    )
    assert problems(found) == [
        "/etc/gone: it points to '/usr/lib/gone', which is not there",
        "/etc/loop: it points to 'loop', which is not there",
    ]


def elf(needed: Sequence[str], runpath: str = "", machine: int = 62) -> bytes:
    """A little-endian 64-bit ELF file with a dynamic section and nothing else, addressed as it lies in the file."""
    strings, offsets = b"\0", []
    for text in (*needed, runpath):
        offsets.append(len(strings))
        strings += text.encode() + b"\0"
    start = 64 + 2 * 56
    tags = [(1, offset) for offset in offsets[:-1]] + ([(29, offsets[-1])] if runpath else [])
    length = 16 * (len(tags) + 2)
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in (*tags, (5, start + length), (0, 0)))
    size = start + length + len(strings)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
    section = struct.pack("<IIQQQQQQ", 2, 6, start, start, start, length, length, 8)
    return header + load + section + dynamic + strings


def test_libraries(subject: MakeSubject) -> None:
    found = check_libraries(
        subject(
            file("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n"),
            file("etc/ld.so.conf.d/own.conf", b"# own\n/opt/lib\n"),
            file("opt/lib/libown.so.1", elf([])),
            file("usr/lib/x86_64-linux-gnu/libc.so.6", elf([])),
            file("usr/lib/x86_64-linux-gnu/libarm.so.1", elf([], machine=183)),
            file("srv/libs/libnear.so.2", elf([])),
            file("srv/good.so", elf(["libown.so.1", "libc.so.6", "libnear.so.2"], "$ORIGIN/libs")),
            file("srv/bad.so", elf(["libc.so.6", "libnear.so.2", "libarm.so.1"])),
            file("srv/text.so", b"GROUP ( libc.so.6 )"),
        )
    )
    assert problems(found) == [
        "/srv/bad.so: its library 'libnear.so.2' is not found",
        "/srv/bad.so: its library 'libarm.so.1' is not found",
    ]


def metadata(name: str, version: str, *requires: str) -> Entry:
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {text}" for text in requires)]
    folder = f"{SITE_PACKAGES}/{name.replace('-', '_')}-{version}.dist-info"
    return file(f"{folder}/METADATA", ("\n".join(lines) + "\n\n").encode())


def test_requirements(subject: MakeSubject) -> None:
    found = check_requirements(
        subject(
            metadata("one", "1.0", "Two[more]>=2", "gone; python_version < '3'", "three; extra == 'never'", "four<2"),
            metadata("two", "2.0", "five; extra == 'more'", "six; extra == 'less'"),
            metadata("four", "2.1"),
        )
    )
    base = f"/{SITE_PACKAGES}"
    assert sorted(problems(found)) == [
        f"{base}/one-1.0.dist-info: 'four<2' is installed as 2.1",
        f"{base}/two-2.0.dist-info: \"five; extra == 'more'\" is not installed",
    ]


def test_records(subject: MakeSubject) -> None:
    good = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    assert hashlib.sha256(b"").hexdigest().startswith("e3b0c4")
    record = f"a.py,{good},0\nb.py,{good},0\ngone.py,,\none-1.0.dist-info/RECORD,,\n".encode()
    folder = f"{SITE_PACKAGES}/one-1.0.dist-info"
    found = check_records(
        subject(
            metadata("one", "1.0"),
            file(f"{folder}/RECORD", record),
            file(f"{SITE_PACKAGES}/a.py"),
            file(f"{SITE_PACKAGES}/b.py", b"changed"),
        )
    )
    assert problems(found) == [
        f"/{folder}/RECORD: the hash of 'b.py' is another one",
        f"/{folder}/RECORD: it names 'gone.py', which is not there",
    ]


def test_times(subject: MakeSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    made = subject(file("etc/motd"))
    assert not list(check_times(made))
    monkeypatch.setattr("imagekit.checks.times.SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH + 1)
    layer = made.image.manifest.layers[0].digest
    assert f"/etc/motd: its time is 2025-01-01T00:00:00Z in layer {layer}" in problems(check_times(made))


def test_another_time_of_the_image_is_found(subject: MakeSubject) -> None:
    assert problems(check_times(subject(file("etc/motd"), created=1)))[0] == (
        "image configuration: it was created at 1970-01-01T00:00:01Z"
    )


def test_what_is_allowed_is_no_finding() -> None:
    findings = [Finding("/usr/bin/mine", "p", "r"), Finding("/usr/bin/other", "p", "r")]
    allowed = [Allowance.parse("modes:/usr/bin/m*", ["modes"])]
    assert list(without_allowed("modes", findings, allowed)) == findings[1:]
    assert list(without_allowed("links", findings, allowed)) == findings


def test_an_allowance_names_a_check() -> None:
    with pytest.raises(CheckError) as error:
        Allowance.parse("mode:/usr/bin/su", ["modes", "links"])
    assert str(error.value) == (
        "--allow must be CHECK:PATH with a check of links, modes, but was 'mode:/usr/bin/su'. "
        "Write it like 'modes:/usr/bin/sudo'."
    )


def test_a_report_has_a_line_for_each_finding() -> None:
    assert report([("modes", Finding("/a", "it is bad", "Mend it."))]) == "modes: /a: it is bad. Mend it."
