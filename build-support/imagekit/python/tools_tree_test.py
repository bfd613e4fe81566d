from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Dict

import pytest

from imagekit.python.tools_tree import ToolsError, write_tools, write_tools_tar

MAIN = 'def main() -> int:\n    import tool\n    print(tool.SAYS)\n    return 0\n'


def wheel(folder: Path, name: str, members: Dict[str, str]) -> Path:
    path = folder / f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    return path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "imagekit"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "__main__.py").write_text(MAIN)
    (folder / "lock_test.py").write_text("import pytest\n")
    return folder


def tree(folder: Path) -> Dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_directory_runs_imagekit_with_the_wheels(tmp_path: Path, package: Path) -> None:
    tool = wheel(tmp_path, "tool", {"tool-1.data/purelib/tool.py": "SAYS = 'hello'\n", "tool-1.data/scripts/tool": "#!"})
    write_tools([tool], package, tmp_path / "tools")
    finished = subprocess.run([sys.executable, str(tmp_path / "tools")], stdout=subprocess.PIPE, check=True)
    assert finished.stdout == b"hello\n"
    names = sorted(name for name in tree(tmp_path / "tools") if "__pycache__" not in name)
    assert names == ["__main__.py", "imagekit/__init__.py", "imagekit/__main__.py", "tool.py"]
    assert len(list((tmp_path / "tools").rglob("*.pyc"))) == 4


def test_equal_inputs_give_equal_bytes(tmp_path: Path, package: Path) -> None:
    wheels = [wheel(tmp_path, name, {f"{name}.py": f"X = {{'{name}', 'y', 'z'}}\n"}) for name in ("a", "b")]
    write_tools(wheels, package, tmp_path / "one")
    write_tools(wheels[::-1], package, tmp_path / "deep/er/two")
    assert tree(tmp_path / "one") == tree(tmp_path / "deep/er/two")


def test_wheels_alone_can_be_unpacked(tmp_path: Path) -> None:
    write_tools([wheel(tmp_path, "a", {"a.py": ""})], None, tmp_path / "tools")
    assert [name for name in tree(tmp_path / "tools") if name.endswith(".py")] == ["a.py"]


def test_the_tar_holds_the_files_of_the_directory_and_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    wheels = [wheel(tmp_path, name, {f"{name}/m.py": "X = 1\n"}) for name in ("a", "b")]
    write_tools(wheels, None, tmp_path / "tools")
    write_tools_tar(wheels, None, tmp_path / "one.tar")
    write_tools_tar(wheels[::-1], None, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        tar.extractall(tmp_path / "unpacked")
    assert tree(tmp_path / "unpacked") == tree(tmp_path / "tools")


def test_two_wheels_with_the_same_file_are_refused(tmp_path: Path, package: Path) -> None:
    wheels = [wheel(tmp_path, name, {"same.py": ""}) for name in ("a", "b")]
    with pytest.raises(ToolsError) as refusal:
        write_tools(wheels, package, tmp_path / "out/tools")
    assert str(refusal.value) == "b-1-py3-none-any.whl holds same.py, which another wheel holds too. Leave one of them out."
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("member", ["../evil.py", "/evil.py", "a-1.data/purelib/../../evil.py"])
def test_a_member_that_points_out_of_the_wheel_is_refused(tmp_path: Path, package: Path, member: str) -> None:
    with pytest.raises(ToolsError) as refusal:
        write_tools([wheel(tmp_path, "a", {member: ""})], package, tmp_path / "tools")
    assert str(refusal.value) == f"{member!r} in a wheel points out of it. Do not use that wheel."


def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path, package: Path) -> None:
    broken = tmp_path / "a-1-py3-none-any.whl"
    broken.write_text("<html>")
    with pytest.raises(ToolsError) as refusal:
        write_tools([broken], package, tmp_path / "tools")
    assert str(refusal.value) == f"{broken} cannot be unpacked as a wheel: File is not a zip file. Fetch it again."


def test_an_output_that_exists_is_refused(tmp_path: Path, package: Path) -> None:
    (tmp_path / "tools").mkdir()
    with pytest.raises(ToolsError) as refusal:
        write_tools([], package, tmp_path / "tools")
    assert str(refusal.value) == f"{tmp_path}/tools exists already. Remove it, or name another directory."
