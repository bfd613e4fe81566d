"""Layers of one image that hold the same path.

An image is its layers on top of each other, and a path of a higher layer silently replaces that of a lower one. Pieces
of one layer are compared when it is written; this compares layers, by what :func:`~imagekit.oci.layer.write_layer`
writes beside each.
"""

from __future__ import annotations

import posixpath
from enum import Enum
from typing import Dict, List, Sequence, Tuple

from imagekit.errors import ImagekitError
from imagekit.oci.entry import OPAQUE_WHITEOUT, WHITEOUT_PREFIX
from imagekit.oci.layer_paths import DIRECTORY, LayerPaths

_SHOWN = 10


class CollisionError(ImagekitError):
    """Layers of one image that hold the same path."""


class Replaces(Enum):
    """What of the layers below a layer may replace."""

    #: The layer is a difference to what is below it, made by the distribution's own package manager.
    ANYTHING = "anything"
    #: Paths below ``/etc``: what a service's folder says wins over the defaults that packages ship.
    CONFIGURATION = "configuration"
    NOTHING = "nothing"

    def covers(self, path: str) -> bool:
        return self is Replaces.ANYTHING or (self is Replaces.CONFIGURATION and path.startswith("etc/"))


def check_collisions(image: str, layers: Sequence[Tuple[LayerPaths, Replaces]]) -> None:
    """Raises :class:`CollisionError`, which names ``image``, when a layer (bottom first) replaces what it may not.

    The same path with the same kind, mode, owner and content is no collision. Directories must agree on mode and owner.
    """
    held: Dict[str, Tuple[str, str]] = {}
    collisions: List[str] = []
    for layer, replaces in layers:
        for path, description in layer.descriptions.items():
            folder, name = posixpath.split(path)
            if name == OPAQUE_WHITEOUT:
                _remove(held, folder, itself=False)
            elif name.startswith(WHITEOUT_PREFIX):
                _remove(held, posixpath.join(folder, name[len(WHITEOUT_PREFIX) :]), itself=True)
        for path, description in layer.descriptions.items():
            if posixpath.basename(path).startswith(WHITEOUT_PREFIX):
                continue
            below = held.get(path)
            if below is not None and below[1] != description and not replaces.covers(path):
                collisions.append(_collision(path, below, (layer.created_by, description)))
            held[path] = layer.created_by, description
    if collisions:
        more = f"\n  and {len(collisions) - _SHOWN} more" if len(collisions) > _SHOWN else ""
        raise CollisionError(
            f"Layers of the image {image} hold the same path:\n"
            + "\n".join(f"  {collision}" for collision in collisions[:_SHOWN])
            + more
            + "\nOne path has one owner: leave it out of one of them. Only a service's `files/` may replace what is below it, "
            "and only below /etc."
        )


def _remove(held: Dict[str, Tuple[str, str]], path: str, *, itself: bool) -> None:
    for other in [other for other in held if other.startswith(f"{path}/") or (itself and other == path)]:
        del held[other]


def _collision(path: str, below: Tuple[str, str], above: Tuple[str, str]) -> str:
    (lower, lower_is), (upper, upper_is) = below, above
    directories = lower_is.startswith(DIRECTORY), upper_is.startswith(DIRECTORY)
    if all(directories):
        what = f"{lower_is[len(DIRECTORY):]} in the first and {upper_is[len(DIRECTORY):]} in the second"
    elif any(directories):
        what = f"a directory in the {'first' if directories[0] else 'second'} only"
    else:
        what = "with another content, mode or owner"
    return f"/{path}: in {lower!r} and in {upper!r}, {what}"
