"""``source-refs.yaml``: which source of each component a release is built from.

One line a component. The short form names a version, whose sdist is taken from the Python index::

    keystone: "28.0.0"
    placement: {ref: "14.0.0", project: openstack-placement}

With ``git`` the ref is a tag, a branch or a commit of 40 hex digits in that repository::

    neutron: {git: "https://git.example/neutron", ref: stable/2025.2}
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Union

import yaml
from packaging.utils import canonicalize_name

from imagekit.errors import ImagekitError

COMMIT = re.compile(r"[0-9a-f]{40}")
_COMPONENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"\d+(?:\.\d+)*(?:[.+-]?[A-Za-z0-9]+)*")
# What git check-ref-format refuses.
_NOT_IN_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/$|^/|\.lock$|\.$|^-|^@$")
_SCP_LIKE = re.compile(r"(?:[^@/\s]+@)?[^:/\s]+:[^\s]+")
_KEYS = ("git", "project", "ref")


class RefsError(ImagekitError):
    """A ``source-refs.yaml`` that is wrong, or lacks what was asked for."""


@dataclass(frozen=True)
class Place:
    """A line, counted from 1, of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class SdistRef:
    """The sdist of ``version`` of ``project`` on the Python index."""

    component: str
    project: str
    version: str
    place: Place


@dataclass(frozen=True)
class GitRef:
    """``ref`` (tag, branch or 40-hex commit) of the git repository at ``url``."""

    component: str
    project: str
    url: str
    ref: str
    place: Place


SourceRef = Union[SdistRef, GitRef]


@dataclass(frozen=True)
class SourceRefs:
    """Every ref of a release."""

    file: str
    refs: Mapping[str, SourceRef]

    def find(self, component: str) -> Optional[SourceRef]:
        """The ref of ``component``, in any spelling (PEP 503), if there is one."""
        wanted = canonicalize_name(component)
        return next((ref for name, ref in self.refs.items() if canonicalize_name(name) == wanted), None)

    def ref_of(self, component: str) -> SourceRef:
        """The ref of ``component``, in any spelling; raises :class:`RefsError`."""
        found = self.find(component)
        if found is not None:
            return found
        alike = difflib.get_close_matches(component, self.refs, n=1)
        hint = f" Did you mean '{alike[0]}'?" if alike else ""
        raise RefsError(
            f"{self.file} has no ref for '{component}'.{hint} Add a line such as: {component}: \"<version>\""
        )


def parse_source_refs(text: str, file: str) -> SourceRefs:
    """The refs that ``text`` holds; ``file`` names it in errors. Raises :class:`RefsError`."""
    try:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise RefsError(f"{file}:{line}: this is not YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise RefsError(f"{file} is not YAML: {error}.") from None
    if document is None:
        return SourceRefs(file, {})
    if not isinstance(document, yaml.MappingNode):
        raise RefsError(f"{_place(document, file)}: expected lines of the form 'component: ref'.")
    refs: dict[str, SourceRef] = {}
    spelled: dict[str, str] = {}
    for key, value in document.value:
        component = _scalar(key, file, "a component")
        if not _COMPONENT.fullmatch(component):
            raise RefsError(
                f"{_place(key, file)}: '{component}' is not the name of a component: use letters, digits, '.', '_' "
                "and '-'."
            )
        first = spelled.setdefault(canonicalize_name(component), component)
        if first in refs:
            raise RefsError(
                f"{_place(key, file)}: '{component}' is there twice, first on line {refs[first].place.line}. Remove one."
            )
        refs[component] = _source_ref(component, value, file)
    return SourceRefs(file, refs)


def _source_ref(component: str, node: yaml.Node, file: str) -> SourceRef:
    if not isinstance(node, yaml.MappingNode):
        ref = _scalar(node, file, f"the ref of '{component}'")
        return _sdist_ref(component, component, ref, _place(node, file))
    nodes: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = _scalar(key, file, f"a key of '{component}'")
        if name not in _KEYS:
            raise RefsError(
                f"{_place(key, file)}: '{component}' has the unknown key '{name}'. Known keys: {', '.join(_KEYS)}."
            )
        if name in nodes:
            raise RefsError(f"{_place(key, file)}: '{component}' has the key '{name}' twice. Remove one.")
        nodes[name] = value
    if "ref" not in nodes:
        raise RefsError(f"{_place(node, file)}: '{component}' has no 'ref'. Add the version, tag, branch or commit.")
    texts = {name: _scalar(value, file, f"'{name}' of '{component}'") for name, value in nodes.items()}
    project = texts.get("project", component)
    if not _COMPONENT.fullmatch(project):
        raise RefsError(f"{_place(nodes['project'], file)}: '{project}' is not the name of a Python project.")
    place = _place(nodes["ref"], file)
    if "git" not in texts:
        return _sdist_ref(component, project, texts["ref"], place)
    _check_url(component, texts["git"], _place(nodes["git"], file))
    _check_ref(component, texts["ref"], place)
    return GitRef(component, project, texts["git"], texts["ref"], place)


def _sdist_ref(component: str, project: str, ref: str, place: Place) -> SdistRef:
    if COMMIT.fullmatch(ref) or not _VERSION.fullmatch(ref):
        raise RefsError(
            f"{place}: the ref '{ref}' of '{component}' is not a version. A branch or a commit needs the repository: "
            f'{component}: {{git: "<URL>", ref: "{ref}"}}'
        )
    return SdistRef(component, project, ref, place)


def _check_url(component: str, url: str, place: Place) -> None:
    scheme, separator, rest = url.partition("://")
    if separator and "@" in rest.partition("/")[0] and ":" in rest.partition("@")[0]:
        raise RefsError(
            f"{place}: the URL of '{component}' holds a password. Remove it, and let git find it: in a credential "
            "helper or your netrc file."
        )
    absolute = (separator and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) and rest) or url.startswith("/")
    if not absolute and not _SCP_LIKE.fullmatch(url) or url.startswith("-") or re.search(r"\s|::", url):
        raise RefsError(
            f"{place}: '{url}' of '{component}' is not the URL of a git repository. Use https://, ssh://, git://, "
            "file://, user@host:path or an absolute path."
        )


def _check_ref(component: str, ref: str, place: Place) -> None:
    if not ref or _NOT_IN_A_REF.search(ref):
        raise RefsError(
            f"{place}: '{ref}' of '{component}' is not a git ref. Use a tag, a branch or a commit of 40 hex digits."
        )


def _scalar(node: yaml.Node, file: str, what: str) -> str:
    # The text as it is written: 28.10 without quotes must not become 28.1.
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        raise RefsError(f"{_place(node, file)}: {what} must be a text.")
    text: str = node.value
    return text


def _place(node: yaml.Node, file: str) -> Place:
    return Place(file, node.start_mark.line + 1)


def read_source_refs(path: Path) -> SourceRefs:
    """The refs in the file ``path``; raises :class:`RefsError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RefsError(f"The source refs {path} cannot be read: {error}.") from None
    return parse_source_refs(text, str(path))
