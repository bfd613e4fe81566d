from __future__ import annotations

import importlib.util
from pathlib import Path

from imagekit.python.byte_compile import byte_compile, sources

_UNCHECKED_HASH = 0b01


def test_byte_code_is_unchecked_hash_and_independent_of_times(tmp_path: Path) -> None:
    module = tmp_path / "package" / "module.py"
    module.parent.mkdir()
    module.write_text("X = {'a', 'b'}\n")
    byte_compile(str(tmp_path))
    cached = Path(importlib.util.cache_from_source(str(module)))
    first = cached.read_bytes()
    assert int.from_bytes(first[4:8], "little") == _UNCHECKED_HASH
    cached.unlink()
    module.touch()
    byte_compile(str(tmp_path))
    assert cached.read_bytes() == first


def test_files_that_do_not_compile_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("print 'Python 2'\n")
    (tmp_path / "b.py").write_bytes(b"x = '\0'\n")
    (tmp_path / "c.py").write_text("x = 1\n")
    byte_compile(str(tmp_path))
    assert [path.name.split(".")[0] for path in tmp_path.glob("__pycache__/*.pyc")] == ["c"]


def test_files_are_compiled_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b/z.py", "b/a.py", "a/x.py", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(Path(path).relative_to(tmp_path)) for path in sources(str(tmp_path))] == ["a/x.py", "b/a.py", "b/z.py"]
