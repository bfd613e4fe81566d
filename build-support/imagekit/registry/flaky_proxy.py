"""A proxy for tests that stands before a registry and fails now and then, always in the same places."""

from __future__ import annotations

import http.client
import itertools
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Iterator, List, Optional, Sequence

from imagekit.registry.local_server import QuietHandler, serving


class Fault(Enum):
    """What happens to a request instead of being answered."""

    BUSY = "503"
    LIMITED = "429 with Retry-After"
    #: The connection ends when half of the body has gone to the registry.
    CUT_REQUEST = "cut while it was sent"
    #: The registry has done it, and nobody hears of it.
    CUT_ANSWER = "cut before the answer"


@dataclass(frozen=True)
class FlakyProxy:
    address: str
    #: In the order in which they happened.
    faults: List[Fault]


@contextmanager
def flaky_proxy(upstream: str, every: int, faults: Sequence[Fault] = tuple(Fault)) -> Iterator[FlakyProxy]:
    """A proxy to the registry ``upstream``; each request whose number ``every`` divides fails.

    By each of ``faults`` in turn.
    """
    numbers, kinds = itertools.count(1), itertools.cycle(faults)
    lock = threading.Lock()
    happened: List[Fault] = []

    def next_fault() -> Optional[Fault]:
        with lock:
            if next(numbers) % every:
                return None
            happened.append(next(kinds))
            return happened[-1]

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            fault = next_fault()
            length = int(self.headers.get("Content-Length") or 0)
            if fault in (Fault.BUSY, Fault.LIMITED):
                self.rfile.read(length)
                self.send_response(503 if fault is Fault.BUSY else 429)
                if fault is Fault.LIMITED:
                    self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            registry = http.client.HTTPConnection(upstream)
            try:
                self._forward(registry, length, fault)
            finally:
                registry.close()

        def _forward(self, registry: http.client.HTTPConnection, length: int, fault: Optional[Fault]) -> None:
            # Its own Host is what the registry's Location headers are made of.
            registry.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                registry.putheader(name, value)
            registry.endheaders()
            if fault is Fault.CUT_REQUEST:
                registry.send(self.rfile.read(length // 2))
                self.close_connection = True
                return
            registry.send(self.rfile.read(length))
            response = registry.getresponse()
            body = response.read()
            if fault is Fault.CUT_ANSWER:
                self.close_connection = True
                return
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name not in ("Transfer-Encoding", "Date", "Connection"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = answer

    with serving(Handler) as address:
        yield FlakyProxy(address, happened)
