"""What a patch adds to a component's pedigree: its text, its kind, and the issues that it resolves."""

from __future__ import annotations

import base64
import re
from typing import Dict, List, Mapping, Sequence, Tuple

from imagekit.sbom.contents import Json, PatchContent
from imagekit.sources.patch import PatchHeader, parse_patch

_CVE = re.compile(r"\bCVE-\d{4}-\d{4,}\b")
_NUMBER = re.compile(r"#?(\d+)")
_CHERRY_PICKED = re.compile(r"(?im)^\(cherry[ -]picked from commit [0-9a-f]{7,}\)")

#: Trailers of OpenStack's commit messages that name an issue which the commit settles, and their trackers.
_TRACKERS: Mapping[str, Tuple[str, str, str]] = {
    "closes-bug": ("LP#", "Launchpad", "https://bugs.launchpad.net/bugs/"),
    "fixes-bug": ("LP#", "Launchpad", "https://bugs.launchpad.net/bugs/"),
    "partial-bug": ("LP#", "Launchpad", "https://bugs.launchpad.net/bugs/"),
    "story": ("story#", "StoryBoard", "https://storyboard.openstack.org/#!/story/"),
}


def pedigree_patch(patch: PatchContent, data: bytes) -> Dict[str, Json]:
    """One entry of CycloneDX's ``pedigree.patches``; raises :class:`~imagekit.sources.patch.PatchError`."""
    header = parse_patch(data, patch.path).header
    start = data.find(b"diff --git ")
    diff = data[start:]
    text: Dict[str, Json]
    try:
        text = {"contentType": "text/x-diff", "content": diff.decode("utf-8")}
    except UnicodeDecodeError:
        # What a patch changes need not be UTF-8.
        text = {
            "contentType": "text/x-diff",
            "encoding": "base64",
            "content": base64.b64encode(diff).decode("ascii"),
        }
    entry: Dict[str, Json] = {"type": patch_type(header), "diff": {"text": text}}
    resolved = resolved_issues(header)
    if resolved:
        entry["resolves"] = resolved
    return entry


def patch_type(header: PatchHeader) -> str:
    """``backport`` for a commit picked from upstream or said to be one, ``unofficial`` for any other."""
    status = " ".join(header.values("Upstream-Status")).lower()
    trailing = "\n".join(f"{trailer.key}: {trailer.value}" for trailer in header.trailers)
    if status.startswith("backport") or _CHERRY_PICKED.search(f"{header.body}\n{trailing}"):
        return "backport"
    return "unofficial"


def resolved_issues(header: PatchHeader) -> List[Json]:
    """The issues that trailers name, and every CVE that the message mentions; none for a patch without them."""
    found: Dict[str, Json] = {}
    for trailer in header.trailers:
        tracker = _TRACKERS.get(trailer.key.lower())
        if tracker is None:
            continue
        prefix, source, url = tracker
        for number in _NUMBER.findall(trailer.value):
            found[f"{prefix}{number}"] = {
                "type": "defect",
                "id": f"{prefix}{number}",
                "source": {"name": source, "url": f"{url}{number}"},
            }
    message = "\n".join((header.subject, header.body, *(trailer.value for trailer in header.trailers)))
    for cve in _CVE.findall(message):
        found[cve] = {
            "type": "security",
            "id": cve,
            "source": {"name": "CVE", "url": f"https://www.cve.org/CVERecord?id={cve}"},
        }
    return [found[name] for name in sorted(found)]


def subjects(patches: Sequence[Tuple[PatchContent, bytes]]) -> str:
    """What the patches say they do, one a line."""
    return "\n".join(f"{patch.path}: {parse_patch(data, patch.path).header.subject}" for patch, data in patches)
