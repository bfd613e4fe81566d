from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.python import byte_compile
from imagekit.python.sandbox_library import LibraryError, driver_argv, library_binds
from imagekit.sandbox.mounts import Bind


def test_own_modules_are_bound_one_by_one_and_packages_as_a_whole() -> None:
    own, package = library_binds((byte_compile.__name__,), ("installer",))
    assert own == Bind(Path(byte_compile.__file__).absolute(), "/imagekit/lib/imagekit/python/byte_compile.py")
    assert package.target == "/imagekit/lib/installer"
    assert (package.source / "__init__.py").is_file()


def test_a_driver_is_run_as_a_module() -> None:
    assert driver_argv("3.11", byte_compile.__name__, "/x") == (
        "/usr/bin/python3.11", "-B", "-s", "-m", "imagekit.python.byte_compile", "/x",
    )  # fmt: skip


def test_a_missing_package_is_refused() -> None:
    with pytest.raises(LibraryError) as refusal:
        library_binds((), ("no_such_package",))
    assert str(refusal.value) == (
        "the Python package 'no_such_package', which imagekit needs, is not installed. Install what "
        "3rdparty/tools/imagekit.lock.json names, or run imagekit from its tools directory."
    )
