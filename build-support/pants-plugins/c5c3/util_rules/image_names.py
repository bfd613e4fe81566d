"""The repository and the tags of an image.

A tag is decided by the tree alone, or also by the checkout that publishes it. Only the first kind may enter an image's
layout, since the second differs between two clones of one tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Tuple

from imagekit.registry.errors import BadReference
from imagekit.registry.reference import check_tag
from pants.engine.addresses import Address
from pants.engine.target import Target

from c5c3.target_types import ComponentField, ImageTagsField, ReleaseField, RepositoryField
from c5c3.util_rules.checkout import Checkout
from c5c3.util_rules.source import Source

#: What a service is published as. The release is in every tag that could otherwise be that of two releases.
SERVICE_TAGS = (
    "{tag}",
    "{version}",
    "{branch}-{release}",
    "{commit}-{release}",
    "{version}-p{patches}-{branch}-{commit}",
)
_OTHER_TAGS = ("latest",)

#: Placeholders that the checkout fills.
BRANCH, COMMIT = "branch", "commit"
_CHECKOUT_PLACEHOLDERS = (BRANCH, COMMIT)


class ImageError(Exception):
    """A `docker_image` whose fields do not fit together."""


@dataclass(frozen=True)
class ImageTag:
    """A tag to publish. An immutable one says which commit it was made from, so it never names anything else."""

    name: str
    immutable: bool


@dataclass(frozen=True)
class PublishedTags:
    """The tags of an image, and why some that it could have are left out."""

    tags: Tuple[ImageTag, ...]
    notes: Tuple[str, ...]


def fill_placeholders(template: str, values: Mapping[str, object], what: str, remedy: str = "") -> str:
    """``template`` with its placeholders replaced; raises :class:`ImageError` for one that is not in ``values``."""
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError):
        known = ", ".join(f"{{{name}}}" for name in values) or "none"
        raise ImageError(
            f"{what} has a placeholder that is not known: {template!r}. Known here: {known}.{remedy}"
        ) from None


def repository_of(target_address: Address, template: str, name: str, release: Optional[str]) -> str:
    """The repository of an image, without registry and tag; raises :class:`ImageError`."""
    return fill_placeholders(
        template,
        {"name": name, "release": release or ""},
        f"The repository of target {target_address}",
        " Correct its `repository` field, or `[images].default_repository`.",
    )


def repository_of_target(target: Target, default_template: str) -> str:
    """The repository of the `docker_image` ``target``; raises :class:`ImageError`."""
    return repository_of(
        target.address,
        target[RepositoryField].value or default_template,
        target[ComponentField].value or target.address.target_name,
        target[ReleaseField].value,
    )


def image_tags(target: Target, source: Optional[Source]) -> Tuple[str, ...]:
    """The tags of an image that the tree alone decides, placeholders replaced; never empty.

    Raises :class:`ImageError` for a placeholder that there is not and for a tag that registries refuse.
    """
    tags = tuple(
        _tag(target, template, values)
        for template, values in _templates(target, source)
        if not _uses(template, *_CHECKOUT_PLACEHOLDERS)
    )
    return tuple(dict.fromkeys(tags)) or (("latest",) if source is None else (source.tag,))


def published_tags(target: Target, source: Optional[Source], checkout: Checkout) -> PublishedTags:
    """The tags of an image that this checkout publishes, placeholders replaced.

    A tag with ``{commit}`` is immutable; all others move. Raises :class:`ImageError` as :func:`image_tags` does.
    """
    tags: Dict[str, ImageTag] = {}
    notes: Dict[str, None] = {}
    for template, values in _templates(target, source):
        if _uses(template, COMMIT) and checkout.commit is None:
            notes[f"no tag from {template!r}: {checkout.why_no_commit}"] = None
        elif _uses(template, BRANCH) and checkout.branch is None:
            notes[
                f"no tag from {template!r}: no branch is checked out. Name it with `--images-branch=<branch>`"
            ] = None
        else:
            commit, branch = checkout.short_commit or "", (checkout.branch or "").replace("/", "-")
            name = _tag(target, template, {**values, BRANCH: branch, COMMIT: commit})
            immutable = _uses(template, COMMIT)
            tags[name] = ImageTag(name, immutable or (name in tags and tags[name].immutable))
    return PublishedTags(tuple(tags.values()), tuple(notes))


def _templates(target: Target, source: Optional[Source]) -> "list[tuple[str, dict[str, object]]]":
    values: Dict[str, object] = {}
    if source is not None:
        values = {
            # A local or dev version may hold a plus sign, which a tag may not.
            "version": source.version.replace("+", "-"),
            "patches": len(source.patches),
            "release": source.release,
            "tag": source.tag,
        }
    templates = target[ImageTagsField].value or (SERVICE_TAGS if source is not None else _OTHER_TAGS)
    return [(template, values) for template in templates]


def _tag(target: Target, template: str, values: Mapping[str, object]) -> str:
    # Always known, so that the message names them also where the tree alone decides.
    known = {**values, BRANCH: values.get(BRANCH, ""), COMMIT: values.get(COMMIT, "")}
    what = f"The `image_tags` field in target {target.address}"
    tag = fill_placeholders(template, known, what)
    try:
        return check_tag(tag)
    except BadReference as error:
        raise ImageError(f"{what}: {template!r} gives a tag that registries refuse. {error}") from None


def _uses(template: str, *names: str) -> bool:
    return any(re.search(r"(?<!\{)\{" + name + r"[}!:]", template) for name in names)
