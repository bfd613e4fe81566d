"""One push of many images, told image by image.

A caller that runs a process for each image, one after the other, and shows its exit code, still gets them pushed
together: the first process pushes all, and leaves the outcome of each in a folder for the process of that image.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from imagekit.errors import ImagekitError
from imagekit.oci.json_document import Document
from imagekit.registry.errors import RegistryError
from imagekit.registry.push_request import PushRequest

#: What a push that was killed left is removed after so many seconds.
_STALE_AFTER = 24 * 60 * 60


@dataclass(frozen=True)
class Outcome:
    """What became of one image: lines to print, or why it failed."""

    lines: Tuple[str, ...] = ()
    error: Optional[str] = None


@dataclass(frozen=True)
class SharedPush:
    """The push that processes share that were given the same ``folder``, with ``requests/<name>.json`` for each image."""

    folder: Path

    def requests(self) -> Tuple[Tuple[str, PushRequest], ...]:
        """Each image's name and request; raises :class:`ImagekitError`."""
        files = sorted((self.folder / "requests").glob("*.json"))
        return tuple((file.stem, PushRequest.parse(file.read_bytes(), str(file))) for file in files)

    def begin(self) -> bool:
        """Whether this process is the first, and so has to push. Raises :class:`RegistryError`."""
        try:
            for other in self.folder.parent.iterdir():
                if time.time() - other.stat().st_mtime > _STALE_AFTER:
                    shutil.rmtree(other, ignore_errors=True)
            self._outcomes.mkdir()
        except FileExistsError:
            return False
        except OSError as error:
            raise RegistryError(
                f"The folder {self._outcomes} cannot be made: {error.strerror}. Make {self.folder.parent} writable."
            ) from None
        return True

    def tell(self, name: str, outcome: Outcome) -> None:
        """Leave the outcome of the image ``name`` for its process."""
        document = {"lines": list(outcome.lines), **({} if outcome.error is None else {"error": outcome.error})}
        self._file(name).write_text(json.dumps(document), encoding="utf-8")

    def hear(self, name: str) -> Outcome:
        """The outcome of the image ``name``; raises :class:`ImagekitError` when the push ended before it had one."""
        file = self._file(name)
        try:
            document = Document.parse(file.read_bytes(), str(file))
        except FileNotFoundError:
            raise ImagekitError(
                f"The process that pushed all images ended before it was done with {name}: {file} is not there. Publish "
                "again: what arrived is not sent twice."
            ) from None
        return Outcome(document.optional_strings("lines"), document.optional_string("error"))

    @property
    def _outcomes(self) -> Path:
        return self.folder / "outcomes"

    def _file(self, name: str) -> Path:
        return self._outcomes / f"{name}.json"
