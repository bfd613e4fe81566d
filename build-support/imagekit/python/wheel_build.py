"""Building one wheel, once per source and toolchain."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Optional, Tuple

from imagekit.python.backend import BuildError, SourceTree, Toolchain, build, parse_metadata
from imagekit.python.wheel_file import canonicalize, check_wheel_name, members


def build_wheel(
    tree: SourceTree,
    toolchain: Toolchain,
    build_wheels: Tuple[Path, ...],
    output_dir: Path,
    *,
    locked_requires: Optional[Tuple[str, ...]] = None,
    remedy: str = "Make the lock again.",
) -> Path:
    """Build ``tree`` with ``build_wheels`` and write the wheel, in canonical form, into ``output_dir``.

    Raises :class:`~imagekit.python.backend.BuildError` with the backend's own output when it fails, and when the wheel
    requires something else than ``locked_requires``; :class:`~imagekit.python.wheel_file.WheelError` when the wheel is
    of another name or version than ``tree``.
    """
    with tempfile.TemporaryDirectory() as folder:
        built = build(tree, toolchain, build_wheels, Path(folder))
        check_wheel_name(built.name, tree.name, tree.version)
        if locked_requires is not None:
            _check_requires(tree, built, locked_requires, remedy)
        output = output_dir / built.name
        canonicalize(built, output)
    return output


def _check_requires(tree: SourceTree, wheel: Path, locked: Tuple[str, ...], remedy: str) -> None:
    text = next(
        content for name, content in members(wheel).items() if name.count("/") == 1 and name.endswith(".dist-info/METADATA")
    )
    requires = parse_metadata(text.decode("utf-8")).requires
    added = [f"{requirement!r} was added" for requirement in requires if requirement not in locked]
    removed = [f"{requirement!r} was removed" for requirement in locked if requirement not in requires]
    if added or removed:
        raise BuildError(
            f"the lock was made for other requirements of {tree.name} {tree.version} than its patched source has: "
            f"{', '.join(added + removed)}. {remedy}"
        )
