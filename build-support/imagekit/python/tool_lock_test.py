from __future__ import annotations

from pathlib import Path
from typing import List, Mapping, Sequence

from imagekit.fetch.settings import FetchSettings
from imagekit.python.lock import Artifact, LockedPackage, ToolLock
from imagekit.python.tool_lock import lock_tools, read_requirements
from imagekit.sandbox.bwrap import Finished


def test_requirements_are_read_without_comments() -> None:
    assert read_requirements("# Tools.\nuv\n\n  zstandard >=0.22  # layers\n") == ("uv", "zstandard >=0.22")


def test_tools_are_locked_and_stay_where_they_were() -> None:
    preferences: List[str] = []

    def fake_uv(arguments: Sequence[str], variables: Mapping[str, str], folder: Path) -> Finished:
        preferences.append((folder / "pylock.toml").read_text())
        url = "https://index.example/uv-1-py3-none-any.whl"
        wheel = f'{{ url = "{url}", size = 1, hashes = {{ sha256 = "{"0" * 64}" }} }}'
        (folder / "pylock.toml").write_text(f'[[packages]]\nname = "uv"\nversion = "1"\nwheels = [{wheel}]\n')
        return Finished(0, "", "")

    expected = ToolLock(
        ("3.9",), ("uv",), (LockedPackage("uv", "1", wheels=(Artifact("uv-1-py3-none-any.whl", 1, "0" * 64),)),)
    )
    settings = FetchSettings(index_url="https://index.example/simple")
    assert lock_tools(("uv",), pythons=("3.9",), settings=settings, run=fake_uv, previous=expected) == expected
    assert 'name = "uv"\nversion = "1"\n' in preferences[0]
