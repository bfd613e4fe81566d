"""What a project's source says of its tests: what they require and where they lie."""

from __future__ import annotations

import configparser
import re
from typing import FrozenSet, List, Tuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from imagekit.errors import ImagekitError
from imagekit.sources.tree import SourceFile, SourceTree

REQUIREMENTS_FILE = "test-requirements.txt"
STESTR_FILE = ".stestr.conf"

#: ``${OS_TEST_PATH:-./keystone/tests/unit}``: stestr has a shell put the value in.
_DEFAULTED = re.compile(r"\$\{\w+:-([^}]*)\}")


class UntestableSourceError(ImagekitError):
    """A source whose tests cannot be run as it is."""


def requirements_of_tests(
    tree: SourceTree, what: str, excluded: FrozenSet[str], *, optional: bool = False
) -> Tuple[str, ...]:
    """The requirements in ``test-requirements.txt`` of ``tree``, less those of the projects ``excluded``, sorted.

    ``what`` names the source. With ``optional``, a source without the file has none. Raises
    :class:`UntestableSourceError`.
    """
    entry = tree.get(REQUIREMENTS_FILE)
    if not isinstance(entry, SourceFile):
        if optional and not excluded:
            return ()
        raise UntestableSourceError(
            f"{what} has no {REQUIREMENTS_FILE}. Name the extra that its tests need in `extras`, or the packages in "
            "`python_packages`."
        )
    requirements: List[Requirement] = []
    for number, line in enumerate(entry.content.decode().splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            requirements.append(Requirement(text))
        except InvalidRequirement as failure:
            raise UntestableSourceError(
                f"{REQUIREMENTS_FILE}:{number} of {what}: {text!r} is not a requirement (PEP 508): {failure}. Patch it."
            ) from None
    wanted = {canonicalize_name(requirement.name) for requirement in requirements}
    for name in sorted(excluded):
        if canonicalize_name(name) not in wanted:
            raise UntestableSourceError(
                f"`exclude_requirements` names {name!r}, but {REQUIREMENTS_FILE} of {what} does not require it. It "
                f"requires: {', '.join(sorted(wanted))}. Correct the name, or delete it."
            )
    gone = {canonicalize_name(name) for name in excluded}
    return tuple(sorted(str(item) for item in requirements if canonicalize_name(item.name) not in gone))


def folder_of_tests(tree: SourceTree, what: str) -> str:
    """The folder of ``tree`` that the tests of ``what`` lie in, as its ``.stestr.conf`` says.

    Raises :class:`UntestableSourceError`.
    """
    entry = tree.get(STESTR_FILE)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(entry.content.decode() if isinstance(entry, SourceFile) else "", STESTR_FILE)
        path = parser["DEFAULT"].get("test_path")
    except configparser.Error as failure:
        raise UntestableSourceError(f"{STESTR_FILE} of {what} cannot be read: {failure}. Set `test_path`.") from None
    if path is None:
        raise UntestableSourceError(
            f"{what} has no `test_path` in {STESTR_FILE}. Set `test_path` to the folder of its tests."
        )
    return _DEFAULTED.sub(r"\1", path)
