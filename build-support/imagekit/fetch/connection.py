"""Connections over HTTP and TLS as this machine makes them: proxies, certificate authorities, time limits.

With the standard library only; trusted certificates are loaded when the first TLS connection is opened.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from base64 import b64encode
from typing import Optional, Sequence
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from imagekit.errors import ImagekitError
from imagekit.fetch.settings import HttpSettings

DEFAULT_PORTS = {"http": 80, "https": 443}


class ConnectorError(ImagekitError):
    """Settings that no connection can be made with; the message names no credentials."""


def redact(url: str) -> str:
    """``url`` without user name, password and query: fit for a message."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Connector:
    """Makes connections as ``settings`` say.

    ``more_authorities`` are PEM files of certificate authorities that are trusted besides those of the settings.
    """

    def __init__(self, settings: HttpSettings, more_authorities: Sequence[str] = ()) -> None:
        self._settings = settings
        self._more_authorities = more_authorities
        self._contexts: dict[bool, ssl.SSLContext] = {}

    def connect(self, url: str, headers: dict[str, str]) -> tuple[http.client.HTTPConnection, str]:
        """A connection for ``url``, not opened yet, and the target to ask it for.

        A proxy may add to ``headers`` and wants the whole URL as the target. Raises :class:`ConnectorError`.
        """
        parts = urlsplit(url)
        assert parts.hostname is not None
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        target = path + (f"?{parts.query}" if parts.query else "")
        timeout = self._settings.timeout
        proxy = self._proxy(url)
        if proxy is None:
            host, port = host_and_port(url)
            if parts.scheme == "https":
                return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context(url)), target
            return http.client.HTTPConnection(host, port, timeout=timeout), target
        host, port = host_and_port(proxy)
        proxy_headers = {}
        authorization = url_authorization(proxy)
        if authorization is not None:
            proxy_headers["Proxy-Authorization"] = authorization
        if parts.scheme == "https":
            tunnel = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context(url))
            tunnel.set_tunnel(*host_and_port(url), headers=proxy_headers)
            return tunnel, target
        headers.update(proxy_headers)
        origin = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
        return http.client.HTTPConnection(host, port, timeout=timeout), origin + target

    def _proxy(self, url: str) -> Optional[str]:
        parts = urlsplit(url)
        proxy = self._settings.https_proxy if parts.scheme == "https" else self._settings.http_proxy
        if not proxy or bypasses_proxy(parts.hostname or "", self._settings.no_proxy):
            return None
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        if urlsplit(proxy).scheme != "http" or not urlsplit(proxy).hostname:
            raise ConnectorError(
                f"The proxy '{redact(proxy)}' cannot be used: only proxies with an http:// URL are. Set "
                f"{parts.scheme}_proxy to such a URL, or list {parts.hostname} in no_proxy."
            )
        return proxy

    def _context(self, url: str) -> ssl.SSLContext:
        host, port = host_and_port(url)
        trusted = host in self._settings.trusted_hosts or f"{host}:{port}" in self._settings.trusted_hosts
        if trusted not in self._contexts:
            self._contexts[trusted] = self._new_context(trusted)
        return self._contexts[trusted]

    def _new_context(self, trusted: bool) -> ssl.SSLContext:
        bundle = self._settings.ca_bundle
        try:
            if trusted:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif bundle is not None and os.path.isdir(bundle):
                context = ssl.create_default_context(capath=bundle)
            else:
                context = ssl.create_default_context(cafile=bundle)
            for file in () if trusted else self._more_authorities:
                bundle = file
                context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError) as error:
            raise ConnectorError(
                f"The certificate authorities in {bundle} cannot be read: {reason(error)}. Name a PEM file with "
                "SSL_CERT_FILE or PIP_CERT."
            ) from None
        certificate = self._settings.client_certificate
        if certificate is not None:
            try:
                context.load_cert_chain(certificate)
            except (OSError, ssl.SSLError) as error:
                raise ConnectorError(
                    f"The client certificate {certificate} cannot be read: {reason(error)}. Name a PEM file with the "
                    "certificate and its key."
                ) from None
        return context


def host_and_port(url: str) -> tuple[str, int]:
    """The host and port that ``url`` is served at."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 80)


def basic(user: str, password: str) -> str:
    """The value of an ``Authorization`` header (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


def url_authorization(url: str) -> Optional[str]:
    """The ``Authorization`` header that the user name and password in ``url`` make."""
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return basic(unquote(parts.username), unquote(parts.password or ""))


def bypasses_proxy(host: str, no_proxy: Sequence[str]) -> bool:
    """Whether the entries of a ``no_proxy`` variable name ``host``."""
    for entry in no_proxy:
        domain = entry.strip().lstrip(".").lower()
        if domain == "*" or (domain and (host == domain or host.endswith("." + domain))):
            return True
    return False


def reason(error: Exception) -> str:
    """Why a connection failed, in words that end a sentence."""
    if isinstance(error, socket.gaierror):
        return "its name does not resolve"
    if isinstance(error, socket.timeout):
        return "it did not answer in time"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return f"{len(error.partial)} bytes were received, more were announced"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
