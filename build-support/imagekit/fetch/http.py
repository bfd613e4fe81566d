"""HTTP(S) and ``file:`` downloads with the standard library only, and nothing it can do without at start-up.

A build starts one process per file, so this speaks ``http.client`` directly (``urllib.request`` costs more to import)
and loads the trusted certificates only when a TLS connection is opened.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence, TypeVar
from urllib.parse import quote, unquote, urljoin, urlsplit

from imagekit.errors import ImagekitError
from imagekit.fetch.connection import (
    DEFAULT_PORTS,
    Connector,
    ConnectorError,
    basic,
    host_and_port,
    reason,
    redact,
    url_authorization,
)
from imagekit.fetch.settings import HttpSettings
from imagekit.fetch.whole_file import whole_file

CHUNK = 256 * 1024
MAX_REDIRECTS = 10
MAX_DELAY = 8.0
#: Answers that are worth another try.
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})

Result = TypeVar("Result")


class DownloadError(ImagekitError):
    """A download that did not succeed; the message names the URL without credentials."""


class NotFound(DownloadError):
    """The server is there and says that the file is not (404 or 410, or no such local file)."""


class Unreachable(DownloadError):
    """No answer: no network, no such host, refused, broken again and again, or a certificate that is not trusted."""


class WrongContent(DownloadError):
    """The bytes are not those that the lock names."""


class _Transient(Exception):
    """A failure that may go away; ``delay`` is what the server asks to wait, in seconds."""

    def __init__(self, error: DownloadError, delay: Optional[float] = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.delay = delay


@dataclass(frozen=True)
class Page:
    """A small document: the URL it was finally found at, its media type, its bytes."""

    url: str
    media_type: str
    body: bytes


@dataclass(frozen=True)
class ExpectedFile:
    """What a lock says of a file: its name, size in bytes and SHA-256 in hex."""

    name: str
    size: int
    sha256: str


def as_url(location: str) -> str:
    """``location`` itself when it is a URL, else the ``file:`` URL of that path."""
    scheme = urlsplit(location).scheme
    # One letter before the colon is no scheme that anyone downloads with.
    return location if len(scheme) > 1 else "file://" + quote(os.path.abspath(location))


def file_path(url: str) -> Path:
    """The path that a ``file:`` URL names."""
    return Path(unquote(urlsplit(url).path))


class Client:
    """Downloads for one process.

    ``credential_urls`` are URLs whose user name and password hold for everything on the same host, as pip has it for
    the files that an index links to. ``sleep`` waits between tries.
    """

    def __init__(
        self,
        settings: HttpSettings,
        credential_urls: Sequence[str] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._connector = Connector(settings)
        self._credentials: dict[tuple[str, str, int], str] = {}
        for url in credential_urls:
            self._remember_credentials(url)

    def page(self, url: str, accept: str = "*/*") -> Page:
        """The document at ``url``; a local folder is answered with its ``index.html``.

        Raises :class:`DownloadError`.
        """
        if urlsplit(url).scheme == "file":
            path = file_path(url)
            if path.is_dir():
                path = path / "index.html"
                # Relative links are relative to the folder, as pip and web servers have it.
                url = url.rstrip("/") + "/"
            return Page(url, "application/json" if path.suffix == ".json" else "text/html", _read(path))

        def read() -> Page:
            with self._open(url, accept) as answer:
                return Page(answer.url, answer.media_type, b"".join(answer.chunks()))

        return self._with_retries(read)

    def download(self, url: str, destination: Path, expected: ExpectedFile) -> None:
        """Write the file at ``url`` to ``destination`` if it is ``expected``; else leave nothing there.

        Raises :class:`DownloadError`.
        """

        def write() -> None:
            with whole_file(destination) as stream:
                digest = hashlib.sha256()
                size = 0
                for chunk in self.chunks(url):
                    size += len(chunk)
                    if size > expected.size:
                        raise WrongContent(
                            f"{redact(url)} is larger than the {expected.size} bytes that {expected.name} must have."
                        )
                    digest.update(chunk)
                    stream.write(chunk)
                if size != expected.size:
                    raise WrongContent(
                        f"{redact(url)} has {size} bytes, but {expected.name} must have {expected.size}."
                    )
                if digest.hexdigest() != expected.sha256:
                    raise WrongContent(
                        f"{redact(url)} has SHA-256 {digest.hexdigest()}, but {expected.name} must have "
                        f"{expected.sha256}."
                    )

        try:
            self._with_retries(write)
        except OSError as error:
            raise DownloadError(f"{destination} cannot be written: {error.strerror}.") from None

    def chunks(self, url: str) -> Iterator[bytes]:
        """The bytes at ``url``, one try; use :meth:`download` where the hash is known."""
        if urlsplit(url).scheme == "file":
            yield from _read_chunks(file_path(url))
            return
        with self._open(url, "*/*") as answer:
            yield from answer.chunks()

    def _with_retries(self, attempt: Callable[[], Result]) -> Result:
        delay = 0.5
        remaining = self._settings.retries
        while True:
            try:
                return attempt()
            except _Transient as failure:
                if remaining == 0:
                    raise failure.error from None
                self._sleep(min(delay if failure.delay is None else failure.delay, MAX_DELAY))
            delay *= 2
            remaining -= 1

    def _open(self, url: str, accept: str) -> _Answer:
        for _ in range(MAX_REDIRECTS):
            answer = self._request(url, accept)
            location = answer.response.getheader("Location")
            if answer.response.status in REDIRECTS and location is not None:
                answer.close()
                url = urljoin(url, location)
                if urlsplit(url).scheme not in DEFAULT_PORTS:
                    raise DownloadError(f"{redact(answer.url)} redirects to {redact(url)}, which is not HTTP.")
                continue
            self._check_status(answer)
            return answer
        raise DownloadError(f"{redact(url)}: more than {MAX_REDIRECTS} redirects.")

    def _check_status(self, answer: _Answer) -> None:
        status = answer.response.status
        if status == 200:
            return
        answer.close()
        where = f"{redact(answer.url)} answered {status} {answer.response.reason}"
        if status in TRANSIENT_STATUSES:
            asked = answer.response.getheader("Retry-After") or ""
            raise _Transient(DownloadError(f"{where}."), float(asked) if asked.isdigit() else None)
        if status in (404, 410):
            raise NotFound(f"{where}.")
        if status in (401, 403):
            raise DownloadError(
                f"{where}. Put credentials for {urlsplit(answer.url).hostname} into the URL of your pip or uv "
                "configuration, or into your netrc file."
            )
        raise DownloadError(f"{where}.")

    def _request(self, url: str, accept: str) -> _Answer:
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise DownloadError(f"'{redact(url)}' is not a URL that can be downloaded from; use http, https or file.")
        headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "imagekit"}
        authorization = self._authorization(url)
        if authorization is not None:
            headers["Authorization"] = authorization
        try:
            connection, target = self._connector.connect(url, headers)
        except ConnectorError as error:
            raise DownloadError(str(error)) from None
        try:
            connection.request("GET", target, headers=headers)
            return _Answer(url, connection, connection.getresponse())
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise Unreachable(
                f"{parts.hostname}: its certificate is not trusted ({error.verify_message}). Name your certificate "
                "authorities with SSL_CERT_FILE or PIP_CERT."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _Transient(Unreachable(f"{redact(url)} cannot be reached: {reason(error)}.")) from None

    def _authorization(self, url: str) -> Optional[str]:
        own = url_authorization(url)
        if own is not None:
            return own
        parts = urlsplit(url)
        remembered = self._credentials.get((parts.scheme, *host_and_port(url)))
        if remembered is not None:
            return remembered
        if self._settings.netrc is None:
            return None
        return _netrc_authorization(self._settings.netrc, parts.hostname or "")

    def _remember_credentials(self, url: str) -> None:
        parts = urlsplit(url)
        authorization = url_authorization(url)
        if authorization is not None and parts.scheme in DEFAULT_PORTS:
            self._credentials.setdefault((parts.scheme, *host_and_port(url)), authorization)


class _Answer:
    """An open response; a context manager that closes its connection."""

    def __init__(self, url: str, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self.url = url
        self.response = response
        self._connection = connection

    @property
    def media_type(self) -> str:
        return (self.response.getheader("Content-Type") or "").partition(";")[0].strip().lower()

    def chunks(self) -> Iterator[bytes]:
        announced = self.response.length
        received = 0
        while True:
            try:
                chunk = self.response.read(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _Transient(Unreachable(f"{redact(self.url)} broke off: {reason(error)}.")) from None
            if not chunk:
                break
            received += len(chunk)
            yield chunk
        # http.client does not complain of a short body when it is read in pieces.
        if announced is not None and received < announced:
            raise _Transient(
                Unreachable(f"{redact(self.url)} broke off: {received} of {announced} bytes were received.")
            )

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> _Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _netrc_authorization(path: str, host: str) -> Optional[str]:
    # Few have a netrc file, and the module pulls shlex in.
    import netrc

    try:
        entry = netrc.netrc(path).authenticators(host)
    except FileNotFoundError:
        return None
    except (OSError, netrc.NetrcParseError) as error:
        raise DownloadError(f"The netrc file {path} cannot be read: {error}.") from None
    if entry is None:
        return None
    user, _, password = entry
    return basic(user or "", password or "")


def _read(path: Path) -> bytes:
    return b"".join(_read_chunks(path))


def _read_chunks(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as stream:
            while True:
                chunk = stream.read(CHUNK)
                if not chunk:
                    return
                yield chunk
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"There is no file {path}.") from None
    except OSError as error:
        raise DownloadError(f"{path} cannot be read: {error.strerror}.") from None
