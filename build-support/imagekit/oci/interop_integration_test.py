"""What other tools say of the images that are written here, and what a full disk does to an export."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Tuple

import pytest

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.oci.assemble import ImageSpec, assemble, write_assembled
from imagekit.oci.compression import GZIP, ZSTD, Compression
from imagekit.oci.conftest import SampleImage
from imagekit.oci.descriptor import Platform
from imagekit.oci.docker_archive import write_docker_archive_file
from imagekit.oci.docker_daemon import TOOLS_PATH, docker_daemon
from imagekit.oci.engine import check_engine, find_engine, load_image
from imagekit.oci.entry import Entry, EntryKind, FileSlice, Piece, directory, whiteout
from imagekit.oci.image_config import ContainerConfig
from imagekit.oci.layer import write_layer
from imagekit.oci.layout import Layout
from imagekit.oci.unpack import unpack_image
from imagekit.oci.validate import validate_layout

PACKAGES = {"docker": "docker.io", "bwrap": "bubblewrap"}
REFERENCE = "28.0.0"
TAG = "c5c3/tool:28.0.0"
COMPRESSIONS = pytest.mark.parametrize("compression", [ZSTD, GZIP], ids=["zstd", "gzip"])


def tool(name: str) -> str:
    """The path of a system tool; skips the test when it is missing."""
    path = shutil.which(name, path=TOOLS_PATH)
    if path is None:
        pytest.skip(f"{name} is not installed: apt-get install {PACKAGES.get(name, name)}")
    return path


def run(*command: object, env: Mapping[str, str] = {}) -> str:
    done = subprocess.run(
        [str(argument) for argument in command],
        env={**os.environ, "PATH": TOOLS_PATH, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command} says: {done.stderr}{done.stdout}"
    return done.stdout


def files_of(program: str) -> Iterator[Entry]:
    """A program of this machine as ``usr/bin/<name>`` with the libraries that it loads."""
    paths = {f"usr/bin/{os.path.basename(program)}": program}
    for word in run("ldd", program).split():
        if word.startswith("/"):
            # The loader has to lie where the program says, which is below a symlink on a machine with a merged /usr.
            paths[f"usr{word}" if not word.startswith("/usr/") else word[1:]] = word
    for path, source in paths.items():
        real = os.path.realpath(source)
        yield Entry(path, EntryKind.FILE, 0o755, content=FileSlice(os.fsencode(real), 0, os.path.getsize(real)))


def write_image(output: Path, compression: Compression) -> Path:
    """An image that runs ``cat``, with what a layer can hold, in two layers."""
    cat = shutil.which("cat", path=TOOLS_PATH)
    assert cat is not None
    lower = [
        *files_of(os.path.realpath(cat)),
        *(Entry(name, EntryKind.SYMLINK, 0o777, link_target=f"usr/{name}") for name in ("bin", "lib", "lib64")),
        directory("usr/lib"),
        directory("usr/lib64"),
        directory("tmp", 0o1777),
        Entry("etc/motd", EntryKind.FILE, 0o640, 0, 42424, b"hello from the image\n"),
        Entry("etc/removed", EntryKind.FILE, 0o644, content=b"old"),
        Entry("usr/bin/setuid", EntryKind.FILE, 0o4755, content=b"#!"),
        Entry("usr/share/" + "long/" * 60 + "ö", EntryKind.FILE, 0o644, content=b"long name"),
    ]
    upper = [
        whiteout("etc/removed"),
        Entry("home/tool/a", EntryKind.FILE, 0o600, 42424, 42424, b"linked"),
        Entry("home/tool/b", EntryKind.HARDLINK, 0o600, 42424, 42424, link_target="home/tool/a"),
        directory("home/tool", 0o750, 42424, 42424),
    ]
    layers = []
    for name, entries in (("lower", lower), ("upper", upper)):
        layers.append(write_layer([Piece(name, entries)], output, created_by=name, compression=compression))
    (output / "layer.json").unlink()
    config = ContainerConfig(
        user="0:42424",
        env=("PATH=/usr/bin", "LANG=C.UTF-8"),
        entrypoint=("/usr/bin/cat",),
        cmd=("/etc/motd",),
        working_dir="/home/tool",
        labels={"org.opencontainers.image.version": REFERENCE},
        exposed_ports=("5000/tcp",),
    )
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    spec = ImageSpec(Platform(machine), tuple(layers), config, SOURCE_DATE_EPOCH, (REFERENCE,))
    write_assembled(assemble(spec), output)
    validate_layout(output)
    return output


def tree(root: Path, owners: bool) -> Dict[str, Tuple[object, ...]]:
    """Mode, time, content or target, number of names of what is no directory, and owner of what is below ``root``."""
    found: Dict[str, Tuple[object, ...]] = {}
    for path in root.rglob("*"):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        owner = (status.st_uid, status.st_gid) if owners else ()
        names = () if path.is_dir() and not path.is_symlink() else (status.st_nlink,)
        # Tools do not agree on the times of symlinks.
        time = 0 if path.is_symlink() else int(status.st_mtime)
        found[str(path.relative_to(root))] = stat.filemode(status.st_mode), time, content, *names, *owner
    return found


@COMPRESSIONS
def test_skopeo_inspects_without_a_tag(tmp_path: Path, compression: Compression) -> None:
    image = write_image(tmp_path / "image", compression)
    inspected = json.loads(run(tool("skopeo"), "inspect", f"oci:{image}"))
    assert inspected["Digest"] == str(Layout(image).read_image().descriptor.digest)
    assert inspected["Labels"] == {"org.opencontainers.image.version": REFERENCE}
    assert inspected["Created"] == "2025-01-01T00:00:00Z"


@COMPRESSIONS
def test_skopeo_copies_without_a_change(tmp_path: Path, compression: Compression) -> None:
    image = write_image(tmp_path / "image", compression)
    run(tool("skopeo"), "--insecure-policy", "copy", f"oci:{image}:{REFERENCE}", f"oci:{tmp_path}/copy:{REFERENCE}")
    validate_layout(tmp_path / "copy")
    assert Layout(tmp_path / "copy").read_image().descriptor.digest == Layout(image).read_image().descriptor.digest


def test_what_skopeo_writes_is_sound(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image", ZSTD)
    skopeo = tool("skopeo")
    run(skopeo, "--insecure-policy", "copy", "--dest-compress-format=gzip", f"oci:{image}", f"oci:{tmp_path}/copy:x")
    validate_layout(tmp_path / "copy")
    copy = Layout(tmp_path / "copy").read_image()
    assert copy.config.diff_ids == Layout(image).read_image().config.diff_ids


@COMPRESSIONS
def test_umoci_unpacks_the_same_tree(tmp_path: Path, compression: Compression) -> None:
    umoci = tool("umoci")
    image = write_image(tmp_path / "image", compression)
    if compression is ZSTD:
        # umoci 0.4 knows no zstd.
        run(
            tool("skopeo"),
            "--insecure-policy",
            "copy",
            "--dest-compress-format=gzip",
            f"oci:{image}",
            f"oci:{tmp_path}/gzip:x",
        )
        theirs = f"{tmp_path}/gzip:x"
    else:
        theirs = f"{image}:{REFERENCE}"
    root = os.geteuid() == 0
    run(umoci, "unpack", *(() if root else ("--rootless",)), "--image", theirs, tmp_path / "bundle")
    layout = Layout(image)
    unpack_image(layout, layout.read_image(), tmp_path / "root")
    ours = tree(tmp_path / "root", owners=root)
    assert ours == tree(tmp_path / "bundle/rootfs", owners=root)
    assert ours["home/tool/a"][2:4] == (b"linked", 2) and "etc/removed" not in ours
    config = json.loads((tmp_path / "bundle/config.json").read_bytes())
    assert config["process"]["args"] == ["/usr/bin/cat", "/etc/motd"]


@pytest.mark.skipif(not shutil.which("tar", path=TOOLS_PATH), reason="tar is not installed: apt-get install tar")
def test_tar_lists_a_layer(sample_image: SampleImage) -> None:
    assert run("tar", "--gzip", "--list", "--file", sample_image.blob(1)).split() == [
        "etc/",
        "etc/.wh.removed",
        "etc/service.conf",
    ]


def test_an_unpacked_image_runs_in_bubblewrap(tmp_path: Path) -> None:
    bwrap = tool("bwrap")
    layout = Layout(write_image(tmp_path / "image", ZSTD))
    unpack_image(layout, layout.read_image(), tmp_path / "root")
    command = (bwrap, "--unshare-all", "--ro-bind", tmp_path / "root", "/", "/usr/bin/cat", "/etc/motd")
    assert run(*command) == "hello from the image\n"


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The environment in which ``docker`` reaches a daemon of the test's own."""
    tool("docker")
    with docker_daemon() as host:
        yield {"DOCKER_HOST": host, "DOCKER_CONFIG": str(tmp_path / "docker-config"), "PATH": TOOLS_PATH}


def run_image(image: Path, *arguments: str) -> List[str]:
    return [sys.executable, "-m", "imagekit", "run-image", "--layout", str(image), f"--tag={TAG}", *arguments]


def test_docker_loads_and_runs(tmp_path: Path, docker: Mapping[str, str]) -> None:
    environment = {**docker, "PYTHONPATH": os.pathsep.join(sys.path)}
    image = write_image(tmp_path / "image", ZSTD)
    layout = Layout(image)
    write_docker_archive_file(layout, layout.read_image(), (TAG,), tmp_path / "image.tar")
    assert run("docker", "load", "--input", tmp_path / "image.tar", env=docker) == f"Loaded image: {TAG}\n"
    (inspected,) = json.loads(run("docker", "image", "inspect", TAG, env=docker))
    # Docker names an image by its configuration: the very bytes that the manifest names.
    assert inspected["Id"] == str(layout.read_image().manifest.config.digest)
    assert inspected["Config"]["Entrypoint"] == ["/usr/bin/cat"]
    options = ("--engine=docker", "--option=--network=none")
    # Loaded already.
    assert run(*run_image(image, *options), env=environment) == "hello from the image\n"
    run("docker", "image", "rm", TAG, env=docker)
    # Loads it first.
    assert run(*run_image(image, *options, "--", "/home/tool/b"), env=environment) == "linked"


def test_a_docker_daemon_that_is_down(tmp_path: Path) -> None:
    tool("docker")
    image = write_image(tmp_path / "image", ZSTD)
    host = f"unix://{tmp_path}/none"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": TOOLS_PATH, "DOCKER_HOST": host}
    done = subprocess.run(
        run_image(image, "--engine=docker"), env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: docker does not answer: Cannot connect to the Docker daemon at ")
    assert done.stderr.endswith("Start it (systemctl start docker), check DOCKER_HOST, or join the group docker.\n")


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The environment in which ``podman`` has a storage of the test's own."""
    tool("podman")
    # Podman refuses a longer path for what it keeps of running containers.
    short = Path(tempfile.mkdtemp(prefix="podman-", dir="/tmp"))
    configuration = tmp_path / "storage.conf"
    lines = (
        "[storage]",
        'driver = "vfs"',
        f'runroot = "{short}"',
        f'graphroot = "{tmp_path}/podman"',
        # An ordinary user may have no range of ids, and this is no test of owners.
        "[storage.options.vfs]",
        'ignore_chown_errors = "true"',
    )
    configuration.write_text("\n".join(lines))
    try:
        yield {"CONTAINERS_STORAGE_CONF": str(configuration), "PATH": TOOLS_PATH}
    finally:
        shutil.rmtree(short, ignore_errors=True)
        shutil.rmtree(tmp_path / "podman", ignore_errors=True)


def test_podman_loads(tmp_path: Path, podman: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(write_image(tmp_path / "image", ZSTD))
    image = layout.read_image()
    write_docker_archive_file(layout, image, (TAG,), tmp_path / "image.tar")
    assert TAG in run("podman", "load", "--input", tmp_path / "image.tar", env=podman)
    (inspected,) = json.loads(run("podman", "image", "inspect", TAG, env=podman))
    assert inspected["Id"] == image.manifest.config.digest.hex
    assert inspected["Config"]["Entrypoint"] == ["/usr/bin/cat"]
    for name, value in podman.items():
        monkeypatch.setenv(name, value)
    engine = find_engine("podman", TOOLS_PATH)
    check_engine(engine)
    assert not load_image(engine, layout, image, TAG), "it is there already"
    assert load_image(engine, layout, image, "c5c3/tool:other")


def test_skopeo_reads_the_docker_archive(tmp_path: Path) -> None:
    skopeo = tool("skopeo")
    image = write_image(tmp_path / "image", ZSTD)
    layout = Layout(image)
    write_docker_archive_file(layout, layout.read_image(), (TAG,), tmp_path / "image.tar")
    inspected = json.loads(run(skopeo, "inspect", f"docker-archive:{tmp_path}/image.tar"))
    assert inspected["Layers"] == [str(diff_id) for diff_id in layout.read_image().config.diff_ids]


def test_a_full_disk_leaves_the_last_good_export(tmp_path: Path, sample_image: SampleImage) -> None:
    """A file system of 300 kB holds the sample twice, but not the larger image that is to replace it."""
    bwrap = tool("bwrap")
    disk = tmp_path / "disk"
    disk.mkdir()
    large = write_image(tmp_path / "large", ZSTD)
    assert sum(path.stat().st_size for path in large.rglob("*") if path.is_file()) > 400_000
    export = f"{sys.executable} -m imagekit export-layout --destination {disk}/dist --layout"
    script = f"""
        {export} {sample_image.path} || exit 10
        {export} {large} && exit 11
        ls -A {disk}
        {sys.executable} -m imagekit validate {disk}/dist || exit 12
        {export} {sample_image.path} || exit 13
    """
    sandbox = (bwrap, "--dev-bind", "/", "/", "--size", 300_000, "--tmpfs", disk, "sh", "-c", script)
    done = subprocess.run(
        [str(argument) for argument in sandbox],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert (lines[0], lines[2], lines[3], lines[4]) == (
        f"wrote {disk}/dist",
        "dist",
        f"{disk}/dist is sound",
        f"unchanged {disk}/dist",
    )
    assert done.stderr.startswith(f"error: {large} is not exported to {disk}/dist: No space left on device (")
    assert "Make room for 2 MB and run the command again. What was there before is still there." in done.stderr
