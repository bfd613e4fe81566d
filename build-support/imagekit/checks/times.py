"""One time everywhere, so that the same content has the same digest."""

from __future__ import annotations

from typing import Iterator

from imagekit.checks.finding import Finding, Subject
from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.oci.image_config import timestamp
from imagekit.oci.layer_reader import open_layer
from imagekit.oci.tar_reader import TarReader


def check_times(subject: Subject) -> Iterator[Finding]:
    """Every entry of a layer, the history and the image itself have the one fixed time."""
    wanted = timestamp(SOURCE_DATE_EPOCH)
    config = subject.image.config
    for created in (config.created, *(item.created for item in config.history)):
        if created is not None and created != wanted:
            yield Finding("image configuration", f"it was created at {created}", f"Assemble it with the time {wanted}.")
    for layer in subject.image.manifest.layers:
        path = subject.layout.blob_path(layer.digest)
        with open_layer(path, layer.media_type) as stream:
            for member in TarReader(stream, str(path)):
                if member.mtime != SOURCE_DATE_EPOCH:
                    yield Finding(
                        f"/{member.name.rstrip('/')}",
                        f"its time is {timestamp(member.mtime)} in layer {layer.digest}",
                        f"Write the layer with the time {wanted}.",
                    )
