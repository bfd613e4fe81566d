"""Requests to one registry: authentication, retries, kept-alive connections (distribution-spec; RFC 7617, RFC 6750)."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import threading
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Callable, Dict, FrozenSet, Iterator, Mapping, Optional, Sequence, Tuple, Union
from urllib.parse import quote, urlencode, urljoin, urlsplit

from imagekit.fetch.connection import Connector, ConnectorError, basic, host_and_port, reason, redact
from imagekit.oci.json_document import Document, DocumentError
from imagekit.registry.challenge import Challenge, parse_challenges
from imagekit.registry.credentials import Credentials
from imagekit.registry.errors import AccessRefused, RegistryError, Unreachable
from imagekit.registry.reference import RegistryAddress, RepositoryName
from imagekit.registry.settings import RegistrySettings

TRIES = 6
MAX_PAUSE = 60.0
MAX_REDIRECTS = 5
#: Documents are small; a registry that sends more is no registry.
MAX_ANSWER = 8 << 20
TRANSIENT = frozenset((408, 425, 429, 500, 502, 503, 504))
REDIRECTS = frozenset((301, 302, 303, 307, 308))
_READ_SIZE = 1 << 18

PULL = "pull"
PUSH = "pull,push"


@dataclass(frozen=True)
class FileBody:
    """The bytes of a file from ``offset`` to its end at ``size``; ``sent`` is called with the length of each piece."""

    path: Path
    offset: int
    size: int
    sent: Callable[[int], None] = field(default=lambda _: None)

    def pieces(self) -> Iterator[bytes]:
        left = self.size - self.offset
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while left > 0:
                piece = file.read(min(_READ_SIZE, left))
                if not piece:
                    raise RegistryError(f"{self.path} became shorter while it was sent. Make the image again.")
                left -= len(piece)
                yield piece
                self.sent(len(piece))

    @property
    def length(self) -> int:
        return self.size - self.offset


Body = Union[None, bytes, FileBody]


@dataclass(frozen=True)
class Answer:
    """What a registry answered: ``url`` is the one asked last, ``headers`` has lower-case names.

    Where a blob was asked for and a whole one came, ``sha256`` has its hexadecimal digits and ``body`` is empty.
    """

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes
    sha256: Optional[str] = None

    def location(self) -> Optional[str]:
        said = self.headers.get("location")
        return None if said is None else urljoin(self.url, said)


class Interrupted(Exception):
    """A try that failed in a way that may go away; ``pause`` is what the registry asks to wait, in seconds."""

    def __init__(self, error: RegistryError, pause: Optional[float] = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause = pause


class Session:
    """Requests to the registry ``address``, from any number of threads."""

    def __init__(
        self, address: RegistryAddress, settings: RegistrySettings, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.address = address
        #: Held by a thread that changes a tag by what it names.
        self.tagging = threading.Lock()
        self._settings = settings
        self._sleep = sleep
        self._connector = Connector(settings.http, settings.authorities(address))
        self._connections = threading.local()
        self._lock = threading.Lock()
        self._scheme: Optional[str] = None
        self._authorizations: Dict[Tuple[str, ...], str] = {}
        self._requests = 0

    @property
    def requests(self) -> int:
        """How many requests were sent so far."""
        return self._requests

    @property
    def first_pause(self) -> float:
        """Seconds before the second try."""
        return self._settings.first_pause

    def ask(
        self,
        method: str,
        target: str,
        repository: RepositoryName,
        *,
        expected: FrozenSet[int],
        action: str = PULL,
        mount_from: Optional[str] = None,
        headers: Mapping[str, str] = {},
        body: Body = None,
        hashed: bool = False,
        what: str,
    ) -> Answer:
        """The answer to a request, after as many tries as it takes.

        ``target`` is a path or a whole URL. A body of any size that comes with status 200 is only ``hashed``, if that is
        asked for. Raises :class:`RegistryError` for an answer with a status that is not
        ``expected``, with ``what`` the request was for.
        """
        pause = self.first_pause
        for count in range(1, TRIES + 1):
            try:
                return self.ask_once(
                    method,
                    target,
                    repository,
                    expected=expected,
                    action=action,
                    mount_from=mount_from,
                    headers=headers,
                    body=body,
                    hashed=hashed,
                    what=what,
                )
            except Interrupted as failure:
                if count == TRIES:
                    raise failure.error from None
                self.rest(failure, pause)
                pause *= 2
        raise AssertionError("the last try returns or raises")

    def rest(self, failure: Interrupted, pause: float) -> None:
        """Wait before the next try."""
        self._sleep(min(pause if failure.pause is None else failure.pause, MAX_PAUSE))

    def ask_once(
        self,
        method: str,
        target: str,
        repository: RepositoryName,
        *,
        expected: FrozenSet[int],
        action: str,
        mount_from: Optional[str] = None,
        headers: Mapping[str, str] = {},
        body: Body = None,
        hashed: bool = False,
        what: str,
    ) -> Answer:
        """One try of :meth:`ask`; raises :class:`Interrupted` where another may help."""
        scopes = (f"repository:{repository.path}:{action}",)
        if mount_from is not None:
            scopes += (f"repository:{mount_from}:{PULL}",)
        url = target if "://" in target else f"{self._find_scheme()}://{self.address.server}{target}"
        used = self._authorizations.get(scopes)
        answer, challenges = self._follow(method, url, used, headers, body, hashed)
        if answer.status == 401:
            self._authorize(scopes, challenges, used, repository, what)
            answer, challenges = self._follow(method, url, self._authorizations.get(scopes), headers, body, hashed)
        if answer.status in expected:
            return answer
        raise self._refusal(answer, repository, what)

    def _follow(
        self, method: str, url: str, authorization: Optional[str], headers: Mapping[str, str], body: Body, hashed: bool
    ) -> Tuple[Answer, Tuple[Challenge, ...]]:
        for _ in range(MAX_REDIRECTS):
            sent = dict(headers)
            if authorization is not None and self._is_own(url):
                sent["Authorization"] = authorization
            answer, challenges = self._send(method, url, sent, body, hashed)
            location = answer.location()
            if answer.status not in REDIRECTS or location is None or method not in ("GET", "HEAD"):
                return answer, challenges
            url = location
            self._check_plain(url)
        raise RegistryError(f"{redact(url)}: more than {MAX_REDIRECTS} redirects. Report it to whoever runs it.")

    def _is_own(self, url: str) -> bool:
        return host_and_port(url) == host_and_port(f"{urlsplit(url).scheme}://{self.address.server}")

    def _check_plain(self, url: str) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise RegistryError(f"{self.address} sends to {redact(url)}, which is not HTTP. Report it to whoever runs it.")
        if urlsplit(url).scheme == "http" and not self._settings.allows_plain_http(self.address):
            raise RegistryError(
                f"{self.address} sends to {redact(url)}, which is not encrypted. Report it to whoever runs it, or allow "
                "it for this registry by 'insecure'."
            )

    def _find_scheme(self) -> str:
        with self._lock:
            if self._scheme is None:
                self._scheme = "https"
                if self._settings.allows_plain_http(self.address) and not self._speaks_tls():
                    self._scheme = "http"
            return self._scheme

    def _speaks_tls(self) -> bool:
        connection, _ = self._connect(f"https://{self.address.server}/v2/", {})
        try:
            connection.connect()
        except ssl.SSLCertVerificationError:
            # It does, and the request will say what is wrong.
            return True
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    def _connect(self, url: str, headers: Dict[str, str]) -> Tuple[http.client.HTTPConnection, str]:
        try:
            return self._connector.connect(url, headers)
        except ConnectorError as error:
            raise RegistryError(str(error)) from None

    def _send(
        self, method: str, url: str, headers: Dict[str, str], body: Body, hashed: bool = False
    ) -> Tuple[Answer, Tuple[Challenge, ...]]:
        sent = {"User-Agent": "imagekit", "Accept-Encoding": "identity", **headers}
        key = (urlsplit(url).scheme, *host_and_port(url))
        connection, target = self._connect(url, sent)
        kept: Dict[Tuple[str, str, int], http.client.HTTPConnection] = self._connections.__dict__.setdefault("kept", {})
        reused = key in kept
        connection = kept.pop(key, connection)
        length = 0 if body is None else len(body) if isinstance(body, bytes) else body.length
        if body is not None or method in ("POST", "PUT", "PATCH"):
            sent["Content-Length"] = str(length)
        with self._lock:
            self._requests += 1
        try:
            response = _exchange(connection, method, target, sent, body)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if reused and not isinstance(body, FileBody):
                # A server may close a connection that nobody uses at the moment it is used again.
                return self._send(method, url, headers, body, hashed)
            raise self._no_answer(url, error) from None
        sha256 = hashlib.sha256() if hashed and response.status == 200 else None
        data = b""
        try:
            if sha256 is None:
                data = response.read(MAX_ANSWER + 1)
            else:
                for piece in iter(lambda: response.read(_READ_SIZE), b""):
                    sha256.update(piece)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._no_answer(url, error) from None
        challenges = parse_challenges(response.headers.get_all("WWW-Authenticate") or [])
        answer = Answer(
            response.status,
            url,
            {name.lower(): value for name, value in response.getheaders()},
            data,
            None if sha256 is None else sha256.hexdigest(),
        )
        if len(data) > MAX_ANSWER:
            connection.close()
            raise RegistryError(f"{redact(url)} answered with more than {MAX_ANSWER} bytes. It is no registry's document.")
        if response.length:
            connection.close()
            raise self._no_answer(url, http.client.IncompleteRead(data, response.length))
        if response.will_close:
            connection.close()
        else:
            kept[key] = connection
        return answer, challenges

    def _no_answer(self, url: str, error: Exception) -> Interrupted:
        if isinstance(error, ssl.SSLCertVerificationError):
            raise Unreachable(
                f"The registry {self.address} has a certificate that is not trusted ({error.verify_message}). Put its "
                f"certificate authority into /etc/docker/certs.d/{self.address}/ca.crt, or name it with SSL_CERT_FILE."
            ) from None
        said = "it does not speak TLS" if isinstance(error, ssl.SSLError) else reason(error)
        return Interrupted(
            Unreachable(
                f"The registry {self.address} cannot be reached: {said}. Check its address, your network and proxy, and "
                "run the command again: what it has is not sent twice."
            )
        )

    def _authorize(
        self,
        scopes: Tuple[str, ...],
        challenges: Sequence[Challenge],
        used: Optional[str],
        repository: RepositoryName,
        what: str,
    ) -> None:
        with self._lock:
            if self._authorizations.get(scopes) not in (None, used):
                # Another thread was faster.
                return
        credentials = self._settings.credentials.find(repository)
        for challenge in challenges:
            if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
                value = f"Bearer {self._token(challenge, scopes, credentials, repository, what)}"
                break
            if challenge.scheme == "basic":
                if credentials is None:
                    raise self._no_credentials(repository, what)
                value = basic(credentials.user, credentials.password)
                if value == used:
                    raise self._wrong_credentials(repository, what)
                break
        else:
            raise AccessRefused(
                f"{what}: {self.address} refuses it (401) and asks for no authentication that is known here: Basic or "
                "Bearer."
            )
        with self._lock:
            self._authorizations[scopes] = value

    def _token(
        self,
        challenge: Challenge,
        scopes: Tuple[str, ...],
        credentials: Optional[Credentials],
        repository: RepositoryName,
        what: str,
    ) -> str:
        realm = challenge.parameters["realm"]
        self._check_plain(realm)
        asked = [("scope", scope) for scope in scopes]
        if challenge.parameters.get("service"):
            asked.append(("service", challenge.parameters["service"]))
        if credentials is not None and credentials.refresh_token:
            # The token server takes it by the form of OAuth 2 only.
            form = [("grant_type", "refresh_token"), ("refresh_token", credentials.refresh_token)]
            form += [("client_id", "imagekit"), *asked]
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer, _ = self._send("POST", realm, headers, urlencode(form).encode())
        else:
            headers = {} if credentials is None else {"Authorization": basic(credentials.user, credentials.password)}
            answer, _ = self._send("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(asked)}", headers, None)
        if answer.status in (400, 401, 403):
            raise self._no_credentials(repository, what) if credentials is None else self._wrong_credentials(
                repository, what
            )
        if answer.status != 200:
            raise self._refusal(answer, repository, "Asking for a token")
        try:
            document = Document.parse(answer.body, redact(realm))
            token = document.optional_string("token") or document.optional_string("access_token")
        except DocumentError:
            token = None
        if not token:
            raise AccessRefused(f"{redact(realm)}, the token server of {self.address}, gave no token.")
        return token

    def _no_credentials(self, repository: RepositoryName, what: str) -> AccessRefused:
        return AccessRefused(
            f"{what}: {self.address} wants credentials, and there are none for {repository}. Log in with 'docker login "
            f"{self.address}'."
        )

    def _wrong_credentials(self, repository: RepositoryName, what: str) -> AccessRefused:
        return AccessRefused(
            f"{what}: {self.address} refuses the credentials that are kept for {repository}. They are wrong or have "
            f"expired: log in again with 'docker login {self.address}'."
        )

    def _refusal(self, answer: Answer, repository: RepositoryName, what: str) -> Exception:
        said = f"{answer.status}{errors_of(answer)}"
        if answer.status in TRANSIENT:
            error = RegistryError(f"{what}: {self.address} failed again and again ({said}). Try again later.")
            return Interrupted(error, _retry_after(answer.headers.get("retry-after"), time.time()))
        if answer.status == 401:
            with self._lock:
                self._authorizations.clear()
            return self._wrong_credentials(repository, what)
        if answer.status == 403:
            return AccessRefused(
                f"{what}: {self.address} does not allow it ({said}). Ask for the right to push to {repository.path}, or "
                "log in as somebody who has it."
            )
        if answer.status == 405:
            return RegistryError(f"{what}: {self.address} takes nothing at the moment ({said}): it is read-only.")
        return RegistryError(f"{what}: {self.address} refuses it ({said}).")


def _exchange(
    connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: Body
) -> http.client.HTTPResponse:
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        if isinstance(body, FileBody):
            for piece in body.pieces():
                connection.send(piece)
        elif body:
            connection.send(body)
    except (BrokenPipeError, ConnectionResetError):
        # A server that refuses a request may say so before it has read all of it.
        try:
            return connection.getresponse()
        except (OSError, http.client.HTTPException):
            pass
        raise
    return connection.getresponse()


def errors_of(answer: Answer) -> str:
    """What the registry says of its errors, as `` CODE: message``; empty when it says nothing that can be read."""
    try:
        errors = Document.parse(answer.body, "").optional_documents("errors")
        texts = [": ".join(filter(None, (e.optional_string("code"), e.optional_string("message")))) for e in errors]
    except DocumentError:
        return ""
    return "".join(f" {text}" for text in texts if text).rstrip(".")


def _retry_after(text: Optional[str], now: float) -> Optional[float]:
    """The seconds that a ``Retry-After`` header asks to wait (RFC 7231, 7.1.3): a number or a date."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (TypeError, ValueError):
        return None


def query(**parameters: str) -> str:
    """Parameters as a query string; a digest keeps its colon, as registries write it."""
    return "&".join(f"{name}={quote(value, safe=':/')}" for name, value in parameters.items())
