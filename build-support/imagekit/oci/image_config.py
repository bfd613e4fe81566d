"""The configuration of an image (image-spec, config.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Dict, Mapping, Optional, Tuple

from imagekit.oci.descriptor import NO_ANNOTATIONS, Platform
from imagekit.oci.digest import Digest, DigestError
from imagekit.oci.json_document import Document, Json, render


@dataclass(frozen=True)
class ContainerConfig:
    """What a container starts with. ``env`` holds ``NAME=value``, ``exposed_ports`` ``5000/tcp``."""

    user: str = ""
    env: Tuple[str, ...] = ()
    entrypoint: Tuple[str, ...] = ()
    cmd: Tuple[str, ...] = ()
    working_dir: str = ""
    labels: Mapping[str, str] = field(default=NO_ANNOTATIONS)
    exposed_ports: Tuple[str, ...] = ()
    volumes: Tuple[str, ...] = ()
    stop_signal: str = ""

    @classmethod
    def from_document(cls, document: Document) -> ContainerConfig:
        return cls(
            document.optional_string("User") or "",
            document.optional_strings("Env"),
            document.optional_strings("Entrypoint"),
            document.optional_strings("Cmd"),
            document.optional_string("WorkingDir") or "",
            document.optional_string_map("Labels"),
            tuple(sorted(document.document("ExposedPorts").fields)) if document.has("ExposedPorts") else (),
            tuple(sorted(document.document("Volumes").fields)) if document.has("Volumes") else (),
            document.optional_string("StopSignal") or "",
        )

    def to_json(self) -> Json:
        fields: Dict[str, Json] = {
            "User": self.user,
            "Env": self.env,
            "Entrypoint": self.entrypoint,
            "Cmd": self.cmd,
            "WorkingDir": self.working_dir,
            "Labels": dict(self.labels),
            "ExposedPorts": {port: {} for port in self.exposed_ports},
            "Volumes": {path: {} for path in self.volumes},
            "StopSignal": self.stop_signal,
        }
        return {key: value for key, value in fields.items() if value}


@dataclass(frozen=True)
class History:
    """How one layer was made; ``created`` as RFC 3339 writes it."""

    created: Optional[str] = None
    created_by: Optional[str] = None
    empty_layer: bool = False

    @classmethod
    def from_document(cls, document: Document) -> History:
        return cls(
            document.optional_string("created"),
            document.optional_string("created_by"),
            document.fields.get("empty_layer") is True,
        )

    def to_json(self) -> Json:
        fields: Dict[str, Json] = {}
        if self.created is not None:
            fields["created"] = self.created
        if self.created_by is not None:
            fields["created_by"] = self.created_by
        if self.empty_layer:
            fields["empty_layer"] = True
        return fields


@dataclass(frozen=True)
class ImageConfig:
    """An image's platform, container settings and layers by diff_id, bottom first."""

    platform: Platform
    config: ContainerConfig
    diff_ids: Tuple[Digest, ...]
    history: Tuple[History, ...] = ()
    created: Optional[str] = None

    @classmethod
    def parse(cls, data: bytes, origin: str) -> ImageConfig:
        """Raises :class:`~imagekit.oci.json_document.DocumentError`; keys that other tools add are passed over."""
        document = Document.parse(data, origin)
        rootfs = document.document("rootfs")
        diff_ids = []
        for index, text in enumerate(rootfs.strings("diff_ids")):
            try:
                diff_ids.append(Digest.parse(text))
            except DigestError as error:
                raise rootfs.refusal(f"diff_ids[{index}]", error) from None
        return cls(
            Platform.from_document(document),
            ContainerConfig.from_document(document.document("config")) if document.has("config") else ContainerConfig(),
            tuple(diff_ids),
            tuple(History.from_document(item) for item in document.optional_documents("history")),
            document.optional_string("created"),
        )

    def render(self) -> bytes:
        fields: Dict[str, Json] = {
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            "config": self.config.to_json(),
            "rootfs": {"type": "layers", "diff_ids": [str(diff_id) for diff_id in self.diff_ids]},
            "history": [item.to_json() for item in self.history],
        }
        if self.platform.variant is not None:
            fields["variant"] = self.platform.variant
        if self.created is not None:
            fields["created"] = self.created
        return render(fields)


def timestamp(epoch: int) -> str:
    """Seconds since the epoch as RFC 3339 writes them, in UTC."""
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
