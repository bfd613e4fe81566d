"""Options for every image."""

from __future__ import annotations

from enum import Enum
from typing import Any

from pants.option.option_types import BoolOption, DictOption, EnumOption, IntOption, StrOption
from pants.option.subsystem import Subsystem
from pants.util.docutil import bin_name
from pants.util.strutil import softwrap

from c5c3.subsystems.registries import Registries


class Compression(Enum):
    """How layers are compressed."""

    ZSTD = "zstd"
    GZIP = "gzip"


_DEFAULT_LEVELS = {Compression.ZSTD: 9, Compression.GZIP: 6}


class ImagesSubsystem(Subsystem):
    options_scope = "images"
    help = "How `docker_image` targets become OCI images."

    compression = EnumOption(
        default=Compression.ZSTD,
        help=softwrap(
            """
            The compression of layers. `zstd` is smaller and faster; `gzip` is for engines that cannot read `zstd` (Docker
            before 23, containerd before 1.5). Both come from libraries pinned by hash, so the bytes do not depend on
            the machine.
            """
        ),
    )
    compression_level = IntOption(
        default=None,
        help="The level of the compression. Defaults to 9 for `zstd` and 6 for `gzip`. A change changes every digest.",
    )
    archive = BoolOption(
        default=False,
        help=softwrap(
            f"""
            If true, `{bin_name()} package` writes, into each image layout, a `docker-archive.tar` that `docker load` (20.10 and
            newer) and `podman load` accept. The field `docker_archive` does so for one image.
            """
        ),
    )
    default_repository = StrOption(
        default="c5c3/{name}",
        help="The repository of an image whose `repository` field is not set. `{name}` is the component or base.",
    )
    _registries = DictOption[Any](
        default={"ghcr": {"address": "ghcr.io", "default": True}},
        help=softwrap(
            f"""
            The registries that `{bin_name()} publish` pushes to, by alias:

                [images.registries.team]
                address = "registry.example:5000"
                default = true

            An image whose `registries` field is not set goes to those with `default = true` (or the alias `default`).
            A field names others by address or as `@alias`. `skip_push = true` leaves a registry out. `insecure = true`
            allows plain HTTP, which is otherwise for registries on this machine only.
            """
        ),
        fromfile=True,
    )
    branch = StrOption(
        default=None,
        help=softwrap(
            """
            The branch that the `{branch}` of tags stands for. Defaults to the branch that is checked out; name it where CI
            checks out a commit.
            """
        ),
    )
    builder_id = StrOption(
        default="https://github.com/c5c3/c5c3-images/blob/main/docs/provenance.md#any-checkout",
        help=softwrap(
            """
            Who builds, as a URI: the `builder.id` of the provenance. Whoever verifies an image decides by it, so a CI whose
            machines nobody else can reach names itself here. The default stands for a checkout of anyone's.
            """
        ),
    )
    publish_at_once = IntOption(
        default=4,
        help=softwrap(
            f"""
            How many images `{bin_name()} publish` pushes at the same time. More help where the registry is far away; 1 pushes
            one after the other.
            """
        ),
    )
    engine = StrOption(
        default=None,
        help=softwrap(
            f"""
            The container engine that `{bin_name()} run` uses: `docker` or `podman`. Defaults to the first of them that is
            installed.
            """
        ),
    )

    @property
    def parsed_registries(self) -> Registries:
        """Raises :class:`~c5c3.subsystems.registries.RegistriesError`."""
        return Registries.parse(self._registries)

    @property
    def level(self) -> int:
        """The level that layers are compressed with."""
        return _DEFAULT_LEVELS[self.compression] if self.compression_level is None else self.compression_level
