"""Builds and installs a distribution with a C extension, with the root file system of this machine as the toolchain.

Its build backend lies in its own source tree, so nothing has to be fetched, and does what real ones do wrong: the wheel
holds the time, the order of a directory, and whatever the environment leaks.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Optional

import pytest

from imagekit import __main__ as command_line
from imagekit.python import tools_cli
from imagekit.python.backend import BuildError, SourceTree, Toolchain
from imagekit.python.locking_cli import interpreter_of
from imagekit.python.wheel_build import LockedRequires, build_wheel
from imagekit.python.wheel_file import WheelError
from imagekit.python.wheel_install import InstallError, install_wheel
from imagekit.sandbox.bwrap import Rootfs, run_in_rootfs
from imagekit.sandbox.mounts import Bind

HOST = Rootfs(Path("/"), "sha256:host")
PYPROJECT = """\
[build-system]
requires = ["pbr>=6"]
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = '''\
import os, subprocess, sysconfig, time, zipfile

METADATA = "Metadata-Version: 2.1\\nName: x\\nVersion: %s\\nRequires-Dist: pbr>=2\\n" % os.environ["PBR_VERSION"]
WHEEL = "Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: py3-none-any\\n"


def get_requires_for_build_wheel(config_settings=None):
    return ["cython"]


def prepare_metadata_for_build_wheel(folder, config_settings=None):
    os.mkdir(folder + "/x-1.dist-info")
    with open(folder + "/x-1.dist-info/METADATA", "w") as file:
        file.write(METADATA)
    return "x-1.dist-info"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    assert [line.split(":")[0].strip() for line in open("/proc/net/dev")][2:] == ["lo"]
    include = sysconfig.get_path("include")
    flags = (os.environ["CFLAGS"] + " " + os.environ["LDFLAGS"]).split()
    subprocess.run(["gcc", "-g", "-shared", "-fPIC", "-I" + include, os.path.abspath("x.c"), "-o", "x.so", *flags], check=True)
    name = "x-%s-py3-none-any.whl" % os.environ["PBR_VERSION"]
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        for member in os.listdir("package"):
            info = zipfile.ZipInfo("x/" + member, time.localtime()[:6])
            wheel.writestr(info, open("package/" + member).read())
        wheel.write("x.so", "x/x.so")
        wheel.writestr("x-1.data/scripts/x-tool", "#!python\\nprint('tool')\\n")
        wheel.writestr("x-1.data/data/etc/x/x.conf", "[x]\\n")
        wheel.writestr("x-1.dist-info/METADATA", METADATA)
        wheel.writestr("x-1.dist-info/WHEEL", WHEEL)
        wheel.writestr("x-1.dist-info/entry_points.txt", "[console_scripts]\\nx-run = x.a:main\\n")
        wheel.writestr("x-1.dist-info/RECORD", "".join(n + ",,\\n" for n in wheel.namelist()) + "x-1.dist-info/RECORD,,\\n")
    return name
'''
FILES = {
    "pyproject.toml": PYPROJECT,
    "backend.py": BACKEND,
    "x.c": '#include <assert.h>\nint answer(void) { return __LINE__; }\nconst char *where = __FILE__ __DATE__ __TIME__;\n',
    "package/__init__.py": "",
    "package/a.py": "NAMES = {'a', 'b', 'c'}\n\n\ndef main():\n    print('ran', __file__)\n",
    "package/tests/data.py": "",
}


@pytest.fixture
def toolchain() -> Toolchain:
    if shutil.which("gcc") is None:
        pytest.skip("no compiler on this machine")
    python = interpreter_of(Path("/"))
    if tuple(map(int, python.split("."))) < (3, 11):
        pytest.skip("the system's Python is older than any base's")
    return Toolchain(HOST, python)


def source(folder: Path, backend: Optional[str] = None) -> SourceTree:
    path = folder / "source.tar"
    with tarfile.open(path, "w") as tar:
        for name, text in FILES.items():
            if name == "package/tests/data.py":
                continue
            content = (backend if backend is not None and name == "backend.py" else text).encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return SourceTree("x", "1", path)


def test_a_backend_is_asked_what_it_requires(tmp_path: Path, toolchain: Toolchain) -> None:
    tree = source(tmp_path)
    assert toolchain.static_requires(tree) == ("pbr>=6",)
    assert toolchain.all_requires(tree, ()) == ("pbr>=6", "cython")
    assert toolchain.metadata(tree, ()).requires == ("pbr>=2",)


def test_a_wheel_is_the_same_from_run_to_run_and_so_is_its_piece(tmp_path: Path, toolchain: Toolchain) -> None:
    wheels = [build_wheel(source(tmp_path), toolchain, (), tmp_path / str(run)) for run in range(2)]
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
    with zipfile.ZipFile(wheels[0]) as archive:
        library = archive.read("x/x.so")
    assert b"/build/src/x.cJan  1 202500:00:00" in library
    for run, wheel in enumerate(wheels):
        install_wheel(wheel, HOST, toolchain.python, tmp_path / f"{run}.tar")
    assert (tmp_path / "0.tar").read_bytes() == (tmp_path / "1.tar").read_bytes()


def test_an_installed_wheel_works_where_it_lies_in_the_image(tmp_path: Path, toolchain: Toolchain) -> None:
    wheel = build_wheel(source(tmp_path), toolchain, (), tmp_path / "wheel")
    install_wheel(wheel, HOST, toolchain.python, tmp_path / "piece.tar")
    site = f"var/lib/openstack/lib/python{toolchain.python}/site-packages"
    tag = f"cpython-{toolchain.python.replace('.', '')}"
    with tarfile.open(tmp_path / "piece.tar", "r:") as tar:
        assert {member.name: oct(member.mode) for member in tar} == {
            "etc/x/x.conf": "0o777",
            "var/lib/openstack/bin/x-run": "0o755",
            "var/lib/openstack/bin/x-tool": "0o755",
            "var/lib/openstack/etc/x/x.conf": "0o644",
            f"{site}/x-1.dist-info/METADATA": "0o644",
            f"{site}/x-1.dist-info/RECORD": "0o644",
            f"{site}/x-1.dist-info/WHEEL": "0o644",
            f"{site}/x-1.dist-info/entry_points.txt": "0o644",
            f"{site}/x/__init__.py": "0o644",
            f"{site}/x/__pycache__/__init__.{tag}.pyc": "0o644",
            f"{site}/x/__pycache__/a.{tag}.pyc": "0o644",
            f"{site}/x/a.py": "0o644",
            f"{site}/x/x.so": "0o755",
        }
        assert tar.getmember("etc/x/x.conf").linkname == "/var/lib/openstack/etc/x/x.conf"
        tar.extractall(tmp_path / "image")
    venv = tmp_path / "image/var/lib/openstack"
    assert (venv / "bin/x-run").read_text().startswith("#!/var/lib/openstack/bin/python\n")
    assert (venv / "bin/x-tool").read_text() == "#!/var/lib/openstack/bin/python\nprint('tool')\n"
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (venv / "bin/python").symlink_to(f"/usr/bin/python{toolchain.python}")
    finished = run_in_rootfs(HOST, ["/var/lib/openstack/bin/x-run"], binds=[Bind(venv, "/var/lib/openstack")])
    assert finished.stdout == f"ran /{site}/x/a.py\n"


def test_a_backend_that_fails_is_quoted(tmp_path: Path, toolchain: Toolchain) -> None:
    broken = "def build_wheel(folder, config_settings=None, metadata_directory=None):\n    raise SystemExit('no compiler')\n"
    with pytest.raises(BuildError) as refusal:
        build_wheel(source(tmp_path, broken), toolchain, (), tmp_path / "wheel")
    assert str(refusal.value) == (
        "x 1 cannot be built from source.tar. Its build backend says:\n  no compiler\n"
    )
    assert not (tmp_path / "wheel").exists()


def test_a_source_of_another_version_than_its_lock_says_is_refused(tmp_path: Path, toolchain: Toolchain) -> None:
    other = re.sub(r'name = "x-%s-py3-none-any.whl" % .*', 'name = "x-2-py3-none-any.whl"', BACKEND)
    with pytest.raises(WheelError) as refusal:
        build_wheel(source(tmp_path, other), toolchain, (), tmp_path / "wheel")
    assert str(refusal.value) == (
        "x 1 was built as x-2-py3-none-any.whl: the source says that it is version 2. Lock the source again, or take the "
        "version out of the patch that changes it."
    )


def test_a_source_that_requires_something_new_is_refused(tmp_path: Path, toolchain: Toolchain) -> None:
    with pytest.raises(BuildError) as refusal:
        build_wheel(source(tmp_path), toolchain, (), tmp_path / "wheel", locked=LockedRequires((), (), "Lock again."))
    assert str(refusal.value) == (
        "the lock was made for other requirements of x 1 than its patched source has: 'pbr>=2' was added. Lock again."
    )


def test_a_wheel_that_cannot_be_installed_leaves_nothing(tmp_path: Path, toolchain: Toolchain) -> None:
    wheel = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("x.py", "")
    with pytest.raises(InstallError) as refusal:
        install_wheel(wheel, HOST, toolchain.python, tmp_path / "out/piece.tar")
    assert str(refusal.value).startswith("x-1-py3-none-any.whl cannot be installed:\n")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_the_standard_library_alone_runs_the_command_that_makes_the_tools(tmp_path: Path, toolchain: Toolchain) -> None:
    assert "tools" in tools_cli.COMMANDS
    package = Path(str(command_line.__file__)).absolute().parent
    finished = subprocess.run(
        [f"/usr/bin/python{toolchain.python}", "-I", "-S", "-c",
         "import sys; sys.path.insert(0, sys.argv[1]); from imagekit.__main__ import main; sys.exit(main(sys.argv[2:]))",
         str(package.parent), "tools", f"--imagekit={package}", f"--output={tmp_path / 'tools'}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False,
    )  # fmt: skip
    assert (finished.returncode, finished.stderr) == (0, "")
    assert (tmp_path / "tools/imagekit/python/tools_cli.py").is_file()
