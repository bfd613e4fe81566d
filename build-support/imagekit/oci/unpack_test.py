"""Hostile layers are written with the standard library, since the layer writer here refuses to write them."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest

from imagekit.oci.conftest import MakeLayer, SampleImage
from imagekit.oci.entry import Entry, EntryKind, directory, opaque_whiteout, whiteout
from imagekit.oci.layout import Layout
from imagekit.oci.unpack import UnpackError, unpack_image, unpack_layers

HOSTILE = "The layer is broken or hostile: do not use the image."
Unpack = Callable[..., Path]


def member(name: str, content: bytes = b"", **fields: object) -> Tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def link(name: str, target: str, type: bytes = tarfile.SYMTYPE) -> Tuple[tarfile.TarInfo, bytes]:
    return member(name, type=type, linkname=target)


def folder(name: str) -> Tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE, mode=0o755)


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    """Unpack layers, each a list of members, into ``tmp_path / "root"``."""

    def run(*layers: List[Tuple[tarfile.TarInfo, bytes]], owners: bool = False) -> Path:
        blobs = []
        for number, members in enumerate(layers):
            blob = tmp_path / f"layer-{number}.tar"
            with tarfile.open(blob, "w:", format=tarfile.PAX_FORMAT) as tar:
                for info, content in members:
                    tar.addfile(info, io.BytesIO(content))
            blobs.append(blob)
        root = tmp_path / "root"
        root.mkdir()
        unpack_layers(blobs, root, owners=owners)
        return root

    return run


def tree(root: Path) -> Dict[str, str]:
    """What is below ``root``: mode, time in seconds, and content or target."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        value = os.readlink(path) if path.is_symlink() else path.read_text("latin-1") if path.is_file() else ""
        found[str(path.relative_to(root))] = f"{stat.filemode(status.st_mode)} {int(status.st_mtime)} {value}"
    return found


def names(root: Path) -> List[str]:
    return list(tree(root))


def test_sample_image(tmp_path: Path, sample_image: SampleImage) -> None:
    layout = Layout(sample_image.path)
    unpack_image(layout, layout.read_image(), tmp_path / "root", owners=False)
    assert names(tmp_path / "root") == [
        "bin",
        "etc",
        "etc/motd",
        "etc/service.conf",
        "usr",
        "usr/bin",
        "usr/bin/tool",
    ]
    assert (tmp_path / "root/usr/bin/tool").read_bytes() == bytes(range(256)) * 8192
    assert (tmp_path / "root/etc").stat().st_mtime == 1735689600


def test_kinds_modes_and_times(unpack: Unpack) -> None:
    root = unpack(
        [
            member("./", type=tarfile.DIRTYPE, mode=0o750, mtime=5),
            member("d", type=tarfile.DIRTYPE, mode=0o1777, mtime=10),
            member("d/f", b"content", mode=0o4755, mtime=20),
            link("d/s", "/f"),
            link("d/h", "d/f", tarfile.LNKTYPE),
            member("x/y", b"y", mode=0o600, mtime=30),
        ]
    )
    assert tree(root) == {
        "d": "drwxrwxrwt 10 ",
        "d/f": "-rwsr-xr-x 20 content",
        "d/h": "-rwsr-xr-x 20 content",
        "d/s": "lrwxrwxrwx 0 /f",
        "x": "drwxr-xr-x 1735689600 ",
        "x/y": "-rw------- 30 y",
    }
    assert (root / "d/h").stat().st_ino == (root / "d/f").stat().st_ino
    assert (stat.S_IMODE(root.stat().st_mode), root.stat().st_mtime) == (0o750, 5)


@pytest.mark.skipif(os.geteuid() != 0, reason="setting owners needs root")
def test_owners(unpack: Unpack) -> None:
    root = unpack(
        [member("f", b"f", uid=1, gid=2, mode=0o4755), member("s", type=tarfile.SYMTYPE, linkname="f", uid=3)],
        owners=True,
    )
    assert ((root / "f").stat().st_uid, (root / "f").stat().st_gid) == (1, 2)
    assert stat.S_IMODE((root / "f").stat().st_mode) == 0o4755
    assert (root / "s").lstat().st_uid == 3


def test_owners_are_left_out(unpack: Unpack) -> None:
    root = unpack([member("f", b"f", uid=1, gid=2)], owners=False)
    assert (root / "f").stat().st_uid == os.geteuid()


def test_later_layers_replace(unpack: Unpack) -> None:
    root = unpack(
        [
            member("file", b"old"),
            folder("dir"),
            member("dir/x", b"x"),
            link("link", "dir"),
            folder("kept"),
            member("kept/x"),
        ],
        [
            folder("file"),
            member("dir", b"now a file"),
            member("link", b"now a file"),
            member("kept", type=tarfile.DIRTYPE, mode=0o700),
        ],
    )
    assert names(root) == ["dir", "file", "kept", "kept/x", "link"]
    assert (root / "dir").read_text() == (root / "link").read_text() == "now a file"
    assert stat.S_IMODE((root / "kept").stat().st_mode) == 0o700


def test_whiteouts(tmp_path: Path, make_layer: MakeLayer) -> None:
    def file(path: str, content: bytes = b"") -> Entry:
        return Entry(path, EntryKind.FILE, 0o644, content=content)

    lower = [file("a/gone"), file("a/stays"), file("b/gone/x"), file("c/x"), file("c/y/z"), file("d/x")]
    upper = [
        whiteout("a/gone"),
        whiteout("b/gone"),
        file("c/new"),
        opaque_whiteout("c"),
        file("d/x", b"new"),
        whiteout("none"),
    ]
    layers = {name: make_layer(name, entries) for name, entries in (("lower", lower), ("upper", upper))}
    blobs = [tmp_path / name / "blobs/sha256" / layer.digest.hex for name, layer in layers.items()]
    (tmp_path / "root").mkdir()
    unpack_layers(blobs, tmp_path / "root", owners=False)
    assert names(tmp_path / "root") == ["a", "a/stays", "b", "c", "c/new", "d", "d/x"]


@pytest.mark.parametrize("order", [1, -1])
def test_whiteouts_spare_their_own_layer(unpack: Unpack, order: int) -> None:
    upper = [member("d/.wh..wh..opq"), member("d/new/x"), member(".wh.e"), member("e/new")]
    root = unpack([member("d/old"), member("d/new/old"), member("e/old")], upper[::order])
    assert names(root) == ["d", "d/new", "d/new/x", "e", "e/new"]


def test_aufs_files_remove_nothing(unpack: Unpack) -> None:
    root = unpack([member("x")], [member(".wh..wh.plnk"), member(".wh..wh.aufs")])
    assert names(root) == ["x"]


def test_symlinks_are_followed_inside_the_root(unpack: Unpack, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    root = unpack(
        [
            folder("usr/lib"),
            link("lib", "usr/lib"),
            link("usr/abs", "/usr/lib"),
            link("up", "../../../usr/lib"),
            link("new", "usr/new"),
        ],
        [
            member("lib/a"),
            member("usr/abs/b"),
            member("up/c"),
            member("new/d"),
            link("usr/lib/h", "lib/a", tarfile.LNKTYPE),
        ],
    )
    assert [name for name in names(root) if "/" in name] == [
        "usr/abs",
        "usr/lib",
        "usr/lib/a",
        "usr/lib/b",
        "usr/lib/c",
        "usr/lib/h",
        "usr/new",
        "usr/new/d",
    ]


@pytest.mark.parametrize("escape", ["{outside}", "../outside", "../../../../../../../../{outside}"])
def test_nothing_is_written_through_a_symlink(unpack: Unpack, tmp_path: Path, escape: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    target = escape.format(outside=outside)
    root = unpack(
        [link("l", target), link("f", f"{target}/precious")],
        [
            member("l/written", b"x"),
            member("l/.wh.precious"),
            member("l/.wh..wh..opq"),
            member("f", b"overwritten"),
        ],
    )
    assert tree(outside) == {"precious": tree(outside)["precious"]}
    assert (outside / "precious").read_text() == "precious"
    assert (root / "f").read_text() == "overwritten" and not (root / "f").is_symlink()


def test_symlink_and_write_in_one_layer(unpack: Unpack, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    unpack([folder("d"), member("d/x"), link("d", str(outside)), member("d/y", b"y")])
    assert not list(outside.iterdir())


def test_a_hardlink_to_a_symlink_does_not_reach_outside(unpack: Unpack, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("precious")
    lower = [link("s", str(tmp_path / "outside")), link("h", "s", tarfile.LNKTYPE), link("i", "s", tarfile.LNKTYPE)]
    root = unpack(lower, [member("h", b"overwritten")])
    assert (tmp_path / "outside").read_text() == "precious"
    assert (root / "h").read_text() == "overwritten"
    assert (root / "i").is_symlink() and (tmp_path / "outside").stat().st_nlink == 1


def refusal(unpack: Unpack, *layers: List[Tuple[tarfile.TarInfo, bytes]]) -> str:
    with pytest.raises(UnpackError) as error:
        unpack(*layers)
    return str(error.value)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..", "a/.."])
def test_refuses_paths_that_lead_outside(unpack: Unpack, tmp_path: Path, name: str) -> None:
    assert refusal(unpack, [member(name, b"evil")]) == (
        f"{tmp_path}/layer-0.tar holds {name!r}, a path that leads out of the image. {HOSTILE}"
    )
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("target", ["../outside", "/etc/passwd", "a/../../outside"])
def test_refuses_hardlinks_that_lead_outside(unpack: Unpack, tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").write_text("precious")
    assert refusal(unpack, [link("h", target, tarfile.LNKTYPE)]) == (
        f"{tmp_path}/layer-0.tar holds 'h', a link to {target!r} that leads out of the image. {HOSTILE}"
    )


def test_refuses_hardlinks_to_nothing(unpack: Unpack, tmp_path: Path) -> None:
    assert refusal(unpack, [link("h", "none", tarfile.LNKTYPE)]) == (
        f"{tmp_path}/layer-0.tar holds 'h' as a hardlink to 'none', which is not there. "
        "Build the image again: a layer holds the file before its links."
    )


def test_refuses_hardlinks_to_directories(unpack: Unpack, tmp_path: Path) -> None:
    assert refusal(unpack, [folder("d"), link("h", "d", tarfile.LNKTYPE)]) == (
        f"{tmp_path}/layer-0.tar holds 'h' as a hardlink to the directory 'd'. {HOSTILE}"
    )


@pytest.mark.parametrize("name", [".wh...", ".wh..", ".wh.", "d/.wh..."])
def test_refuses_whiteouts_that_lead_outside(unpack: Unpack, tmp_path: Path, name: str) -> None:
    (tmp_path / "precious").touch()
    assert refusal(unpack, [member("d/x"), member(name)]) == (
        f"{tmp_path}/layer-0.tar removes {name!r}, which is outside its directory. {HOSTILE}"
    )
    assert (tmp_path / "precious").exists()


def test_refuses_rings_of_symlinks(unpack: Unpack, tmp_path: Path) -> None:
    assert refusal(unpack, [link("a", "b"), link("b", "a"), member("a/x")]) == (
        f"{tmp_path}/layer-0.tar: 'a/x' leads through a ring of symlinks. {HOSTILE}"
    )


def test_refuses_paths_below_a_file(unpack: Unpack, tmp_path: Path) -> None:
    assert refusal(unpack, [member("a"), member("a/x")]) == (
        f"{tmp_path}/layer-0.tar: 'a/x' lies below 'a', which is no directory. {HOSTILE}"
    )


def test_refuses_device_nodes(unpack: Unpack, tmp_path: Path) -> None:
    assert refusal(unpack, [member("dev/sda", type=tarfile.BLKTYPE)]) == (
        f"{tmp_path}/layer-0.tar holds 'dev/sda' as something that is not unpacked (tar type '4'): a device node would "
        "open the machine's devices. Build the image without it; engines make /dev themselves."
    )


@pytest.mark.parametrize("member", [member("a\0b" + "x" * 200), link("a", "b\0" + "x" * 200)], ids=["name", "target"])
def test_refuses_names_with_a_zero(unpack: Unpack, member: Tuple[tarfile.TarInfo, bytes]) -> None:
    info, content = member
    info.pax_headers = {"path" if info.isfile() else "linkpath": info.name if info.isfile() else info.linkname}
    message = refusal(unpack, [(info, content)])
    assert "embedded null character" in message and message.endswith(f". {HOSTILE}")


def test_refuses_owners_that_the_system_does_not_take(unpack: Unpack, tmp_path: Path) -> None:
    with pytest.raises(UnpackError) as error:
        unpack([member("x", pax_headers={"uid": str(1 << 40)})], owners=True)
    assert str(error.value).startswith(f"{tmp_path}/layer-0.tar: 'x' cannot be unpacked: uid is ")
    assert str(error.value).endswith(f". {HOSTILE}")


def test_says_which_path_the_system_refuses(unpack: Unpack, tmp_path: Path) -> None:
    name = "x" * 300
    assert refusal(unpack, [member(name)]) == (
        f"{tmp_path}/layer-0.tar: {name!r} cannot be unpacked: File name too long. Check the output directory."
    )


def test_refuses_an_image_whose_layer_is_another(tmp_path: Path, sample_image: SampleImage) -> None:
    layout = Layout(sample_image.path)
    image = layout.read_image()
    wrong = sample_image.blob(1).read_bytes()
    sample_image.blob(0).write_bytes(wrong)
    with pytest.raises(UnpackError) as error:
        unpack_image(layout, image, tmp_path / "root", owners=False)
    upper, lower = sample_image.layers[1], sample_image.layers[0]
    assert str(error.value) == (
        f"The layer {sample_image.blob(0)} is damaged: it has the digest {upper.digest} and the diff_id "
        f"{upper.diff_id}, but the image says {lower.diff_id}. Make the layout {sample_image.path} again."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image", "lower", "upper"]


def test_refuses_an_output_that_is_there(tmp_path: Path, sample_image: SampleImage) -> None:
    layout = Layout(sample_image.path)
    (tmp_path / "root").mkdir()
    with pytest.raises(UnpackError) as error:
        unpack_image(layout, layout.read_image(), tmp_path / "root")
    assert str(error.value) == (f"{tmp_path}/root is there already. Remove it, or name another output directory.")
