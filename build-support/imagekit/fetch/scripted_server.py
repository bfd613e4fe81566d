"""A web server on 127.0.0.1 for tests: it answers as told, with faults where told."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterator, Mapping, Optional


@dataclass(frozen=True)
class Reply:
    """One answer; with ``cut_at`` the connection is reset after so many bytes of the body."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: Optional[int] = None
    #: Close cleanly instead of resetting, and announce the whole length all the same.
    truncated: bool = False


@dataclass(frozen=True)
class Request:
    """What a client asked for; ``target`` as in the request line."""

    target: str
    headers: Mapping[str, str]


class ScriptedServer:
    """Replies by request target: each list is used up in order, and its last reply is repeated."""

    def __init__(self, port: int, scheme: str) -> None:
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.port = port
        self.requests: list[Request] = []
        self._replies: dict[str, list[Reply]] = {}

    def script(self, target: str, *replies: Reply) -> None:
        self._replies[target] = list(replies)

    def targets(self) -> list[str]:
        return [request.target for request in self.requests]

    def next_reply(self, target: str) -> Reply:
        replies = self._replies.get(target)
        if not replies:
            return Reply(b"nothing here", 404)
        return replies.pop(0) if len(replies) > 1 else replies[0]


@contextmanager
def scripted_server(context: Optional[ssl.SSLContext] = None) -> Iterator[ScriptedServer]:
    """A server that runs while the block does; with ``context`` it speaks TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script.requests.append(Request(self.path, dict(self.headers.items())))
            _send(self, script.next_reply(self.path))

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    script = ScriptedServer(server.server_address[1], "http" if context is None else "https")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    handler.close_connection = True
    if reply.cut_at is not None and reply.cut_at < 0:
        _reset(handler.connection)
        return
    handler.send_response(reply.status)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(reply.body)))
    handler.end_headers()
    handler.wfile.write(reply.body if reply.cut_at is None else reply.body[: reply.cut_at])
    handler.wfile.flush()
    if reply.cut_at is not None and not reply.truncated:
        _reset(handler.connection)


def _reset(connection: socket.socket) -> None:
    # Closing with unsent data dropped sends RST instead of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
