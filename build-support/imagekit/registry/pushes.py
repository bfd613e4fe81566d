"""Pushes of tests: to which repository, by whom, and what became of them."""

from __future__ import annotations

import base64
import json
from typing import Sequence, Tuple

from imagekit.registry.push import PushedImage, push_images
from imagekit.registry.push_request import ImagePush, PushRequest, Sibling, Tag
from imagekit.registry.reference import RegistryAddress, RepositoryName
from imagekit.registry.registry_servers import USER
from imagekit.registry.repository import Repository
from imagekit.registry.session import Session
from imagekit.registry.settings import RegistrySettings

VERSION = Tag("28.0.0")


def name(address: str, path: str = "c5c3/keystone") -> RepositoryName:
    return RepositoryName(RegistryAddress(address), path)


def repository(address: str, settings: RegistrySettings, path: str = "c5c3/keystone") -> Repository:
    return Repository(name(address, path), Session(RegistryAddress(address), settings))


def push(
    settings: RegistrySettings, *images: ImagePush, siblings: Sequence[Sibling] = ()
) -> Tuple[PushedImage, ...]:
    """What was pushed; nothing may fail."""
    pushed, errors = push_images(PushRequest(tuple(images), tuple(siblings)), settings)
    assert errors == ()
    return pushed


def refusal(settings: RegistrySettings, image: ImagePush) -> str:
    """The message with which a push of ``image`` fails."""
    pushed, errors = push_images(PushRequest((image,)), settings)
    assert pushed == () and len(errors) == 1
    return str(errors[0])


def log_in(settings: RegistrySettings, address: str, password: str, user: str = USER) -> RegistrySettings:
    """``settings``, whose user has logged in to ``address``."""
    file = settings.credentials.files[0]
    file.parent.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    file.write_text(json.dumps({"auths": {address: {"auth": auth}}}))
    return settings
