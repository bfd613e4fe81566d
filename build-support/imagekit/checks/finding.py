"""What a check finds, and what it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Callable, Iterable, Iterator, Sequence, Tuple

from imagekit.checks.image_tree import ImageTree
from imagekit.errors import ImagekitError
from imagekit.oci.layout import Image, Layout
from imagekit.sandbox.bwrap import Rootfs


class CheckError(ImagekitError):
    """An image that violates a check, or an option that names no check."""


@dataclass(frozen=True)
class Finding:
    """One violation. ``path`` is an absolute path in the image, or the name of a module or distribution."""

    path: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Subject:
    """An image and its unpacked root file system."""

    layout: Layout
    image: Image
    rootfs: Rootfs
    tree: ImageTree


Check = Callable[[Subject], Iterable[Finding]]


@dataclass(frozen=True)
class Allowance:
    """Findings that are meant to be: of ``check``, at paths that match the shell pattern ``path``."""

    check: str
    path: str

    @classmethod
    def parse(cls, text: str, checks: Iterable[str]) -> Allowance:
        """``CHECK:PATH``; raises :class:`CheckError`."""
        check, colon, path = text.partition(":")
        known = sorted(checks)
        if not colon or not path or check not in known:
            raise CheckError(
                f"--allow must be CHECK:PATH with a check of {', '.join(known)}, but was {text!r}. "
                "Write it like 'modes:/usr/bin/sudo'."
            )
        return cls(check, path)

    def covers(self, check: str, finding: Finding) -> bool:
        return check == self.check and fnmatchcase(finding.path, self.path)


def without_allowed(check: str, findings: Iterable[Finding], allowed: Sequence[Allowance]) -> Iterator[Finding]:
    """``findings`` of ``check`` that nothing allows."""
    return (finding for finding in findings if not any(allowance.covers(check, finding) for allowance in allowed))


def report(findings: Sequence[Tuple[str, Finding]]) -> str:
    """All findings, a line each, with the check that each is of."""
    return "\n".join(f"{check}: {finding.path}: {finding.problem}. {finding.remedy}" for check, finding in findings)
