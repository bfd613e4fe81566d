"""Downloads from a real server on 127.0.0.1 that misbehaves in every way we know."""

from __future__ import annotations

import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from base64 import b64encode
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Iterator

import pytest

from imagekit.fetch.http import Client, DownloadError, ExpectedFile, NotFound, Unreachable, WrongContent
from imagekit.fetch.python_file import fetch_python_file
from imagekit.fetch.scripted_server import Reply, ScriptedServer, scripted_server
from imagekit.fetch.settings import FetchSettings, HttpSettings

CONTENT = bytes(range(256)) * 4096
EXPECTED = ExpectedFile("keystone-28.0.0.tar.gz", len(CONTENT), sha256(CONTENT).hexdigest())
SETTINGS = HttpSettings(timeout=5, retries=2)
OK = Reply(CONTENT)
RESET = Reply(CONTENT, cut_at=-1)
BUSY = Reply(b"busy", 503)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


def download(
    server: ScriptedServer, folder: Path, settings: HttpSettings = SETTINGS, path: str = "/file", url: str = ""
) -> list[float]:
    """Download, check the result, and return the pauses between the tries."""
    pauses: list[float] = []
    client = Client(settings, credential_urls=(url,) if url else (), sleep=pauses.append)
    client.download(server.url + path, folder / "out", EXPECTED)
    assert (folder / "out").read_bytes() == CONTENT
    return pauses


def refusal(
    server: ScriptedServer, folder: Path, settings: HttpSettings = SETTINGS, path: str = "/file"
) -> DownloadError:
    with pytest.raises(DownloadError) as error:
        Client(settings, sleep=lambda _: None).download(server.url + path, folder / "out", EXPECTED)
    assert list(folder.iterdir()) == []
    return error.value


@pytest.mark.parametrize(
    "fault",
    [
        Reply(b"broken", 500),
        BUSY,
        Reply(b"slow down", 429),
        RESET,
        Reply(CONTENT, cut_at=0),
        Reply(CONTENT, cut_at=100_000),
        Reply(CONTENT, cut_at=100_000, truncated=True),
    ],
)
def test_what_may_go_away_is_tried_again(server: ScriptedServer, tmp_path: Path, fault: Reply) -> None:
    server.script("/file", fault, fault, OK)

    assert download(server, tmp_path) == [0.5, 1.0]
    assert server.targets() == ["/file"] * 3


def test_the_server_says_how_long_to_wait(server: ScriptedServer, tmp_path: Path) -> None:
    server.script("/file", Reply(b"", 503, {"Retry-After": "3"}), Reply(b"", 503, {"Retry-After": "3600"}), OK)

    assert download(server, tmp_path) == [3.0, 8.0]


def test_a_server_that_stays_broken_is_named(server: ScriptedServer, tmp_path: Path) -> None:
    server.script("/file", BUSY)

    assert str(refusal(server, tmp_path)) == f"{server.url}/file answered 503 Service Unavailable."
    assert len(server.requests) == 3


def test_a_broken_transfer_leaves_nothing(server: ScriptedServer, tmp_path: Path) -> None:
    server.script("/file", Reply(CONTENT, cut_at=300_000))

    error = refusal(server, tmp_path)

    assert isinstance(error, Unreachable)
    assert str(error).startswith(f"{server.url}/file broke off: ")


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_file_is_not_tried_again(server: ScriptedServer, tmp_path: Path, status: int) -> None:
    server.script("/file", Reply(b"gone", status))

    assert isinstance(refusal(server, tmp_path), NotFound)
    assert len(server.requests) == 1


def test_wrong_bytes_are_not_tried_again(server: ScriptedServer, tmp_path: Path) -> None:
    server.script("/file", Reply(CONTENT[:-1] + b"x"))

    error = refusal(server, tmp_path)

    assert isinstance(error, WrongContent)
    assert str(error) == (
        f"{server.url}/file has SHA-256 {sha256(CONTENT[:-1] + b'x').hexdigest()}, but keystone-28.0.0.tar.gz must "
        f"have {EXPECTED.sha256}."
    )
    assert len(server.requests) == 1


def test_a_body_without_end_is_cut(server: ScriptedServer, tmp_path: Path) -> None:
    server.script("/file", Reply(CONTENT * 2))

    assert str(refusal(server, tmp_path)) == (
        f"{server.url}/file is larger than the {len(CONTENT)} bytes that keystone-28.0.0.tar.gz must have."
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: ScriptedServer, tmp_path: Path, status: int) -> None:
    server.script("/file", Reply(b"", status, {"Location": "other/place"}))
    server.script("/other/place", Reply(b"", status, {"Location": server.url + "/final"}))
    server.script("/final", OK)

    assert download(server, tmp_path) == []


def test_redirects_in_a_circle_are_refused(server: ScriptedServer, tmp_path: Path) -> None:
    server.script("/file", Reply(b"", 302, {"Location": "/file"}))

    assert str(refusal(server, tmp_path)) == f"{server.url}/file: more than 10 redirects."


def test_a_redirect_to_a_local_file_is_refused(server: ScriptedServer, tmp_path: Path) -> None:
    server.script("/file", Reply(b"", 302, {"Location": "file:///etc/passwd"}))

    assert str(refusal(server, tmp_path)) == (f"{server.url}/file redirects to file:///etc/passwd, which is not HTTP.")


def authorization(server: ScriptedServer) -> list[str]:
    return [request.headers.get("Authorization", "") for request in server.requests]


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


def test_credentials_of_an_index_hold_for_its_host_only(tmp_path: Path) -> None:
    with scripted_server() as index, scripted_server() as elsewhere:
        index.script("/file", Reply(b"", 302, {"Location": elsewhere.url + "/file"}))
        elsewhere.script("/file", OK)

        download(index, tmp_path, url=index.url.replace("http://", "http://me:p%40ss@") + "/simple")

        assert authorization(index) == [basic("me:p@ss")]
        assert authorization(elsewhere) == [""]


def test_credentials_come_from_netrc(server: ScriptedServer, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1\nlogin me\npassword secret\n")
    netrc.chmod(0o600)
    server.script("/file", OK)

    download(server, tmp_path, replace(SETTINGS, netrc=str(netrc)))

    assert authorization(server) == [basic("me:secret")]


def test_missing_credentials_are_asked_for(server: ScriptedServer, tmp_path: Path) -> None:
    server.script("/file", Reply(b"", 401))

    assert str(refusal(server, tmp_path)) == (
        f"{server.url}/file answered 401 Unauthorized. Put credentials for 127.0.0.1 into the URL of your pip or uv "
        "configuration, or into your netrc file."
    )


def test_http_goes_through_the_proxy(server: ScriptedServer, tmp_path: Path) -> None:
    server.script("http://index.invalid:8080/a%20b?c=d", OK)
    settings = replace(SETTINGS, http_proxy=server.url.replace("http://", "http://me:secret@"))

    Client(settings).download("http://index.invalid:8080/a b?c=d", tmp_path / "out", EXPECTED)

    assert server.requests[0].headers["Proxy-Authorization"] == basic("me:secret")
    assert server.requests[0].headers["Host"] == "index.invalid:8080"


def test_no_network_is_told_apart(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    pauses: list[float] = []

    with pytest.raises(Unreachable) as error:
        Client(SETTINGS, sleep=pauses.append).download(f"http://127.0.0.1:{port}/file", tmp_path / "out", EXPECTED)

    assert str(error.value) == f"http://127.0.0.1:{port}/file cannot be reached: connection refused."
    assert pauses == [0.5, 1.0]


def test_a_name_that_does_not_resolve_is_told() -> None:
    with pytest.raises(Unreachable) as error:
        Client(replace(SETTINGS, retries=0)).page("http://index.invalid/simple/")

    assert str(error.value) == "http://index.invalid/simple/ cannot be reached: its name does not resolve."


def test_a_silent_server_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"

        with pytest.raises(Unreachable) as error:
            Client(HttpSettings(timeout=1, retries=0)).page(url)

    assert str(error.value) == f"{url} cannot be reached: it did not answer in time."


@pytest.fixture
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
        + ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(path) + ".crt"],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[ScriptedServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with scripted_server(context) as running:
        running.script("/file", OK)
        yield running


def test_a_ca_bundle_is_trusted(tls_server: ScriptedServer, certificate: Path, tmp_path: Path) -> None:
    download(tls_server, tmp_path, replace(SETTINGS, ca_bundle=f"{certificate}.crt"))


@pytest.mark.parametrize("port", [False, True])
def test_a_trusted_host_is_not_verified(tls_server: ScriptedServer, tmp_path: Path, port: bool) -> None:
    host = f"127.0.0.1:{tls_server.port}" if port else "127.0.0.1"

    download(tls_server, tmp_path, replace(SETTINGS, trusted_hosts=(host,)))


def test_an_unknown_certificate_is_refused(tls_server: ScriptedServer, tmp_path: Path) -> None:
    assert str(refusal(tls_server, tmp_path)) in (
        f"127.0.0.1: its certificate is not trusted ({reason}). Name your certificate authorities with SSL_CERT_FILE "
        "or PIP_CERT."
        for reason in ("self signed certificate", "self-signed certificate")
    )


@contextmanager
def tunnel_proxy(connects: list[bytes]) -> Iterator[str]:
    """A proxy for CONNECT: notes each request's head in ``connects`` and passes bytes on to 127.0.0.1."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b"".join(iter(self.rfile.readline, b"\r\n"))
            connects.append(head)
            port = int(head.split()[1].rpartition(b":")[2])
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            with socket.create_connection(("127.0.0.1", port)) as origin:
                upwards = threading.Thread(target=pump, args=(self.connection, origin))
                upwards.start()
                pump(origin, self.connection)
                upwards.join()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data:
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://me:secret@127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_https_goes_through_a_tunnel(tls_server: ScriptedServer, certificate: Path, tmp_path: Path) -> None:
    connects: list[bytes] = []
    with tunnel_proxy(connects) as proxy:
        download(tls_server, tmp_path, replace(SETTINGS, ca_bundle=f"{certificate}.crt", https_proxy=proxy))

    head = connects[0].decode()
    assert head.startswith(f"CONNECT 127.0.0.1:{tls_server.port} HTTP/1.")
    assert f"Proxy-Authorization: {basic('me:secret')}" in head
    # What the proxy is told, the origin is not.
    assert "Proxy-Authorization" not in tls_server.requests[0].headers


def test_a_proxy_that_refuses_is_told(server: ScriptedServer, tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as error:
        Client(replace(SETTINGS, https_proxy=server.url, retries=0)).page("https://index.invalid/simple/")

    # The scripted server knows no CONNECT.
    assert str(error.value) == (
        "https://index.invalid/simple/ cannot be reached: Tunnel connection failed: 501 Unsupported method ('CONNECT')."
    )


def fetch(settings: FetchSettings, folder: Path) -> None:
    client = Client(settings.http, credential_urls=settings.index_urls, sleep=lambda _: None)
    fetch_python_file(settings, client, "Keystone", EXPECTED, folder / "out")


def test_a_json_and_an_html_index(server: ScriptedServer, tmp_path: Path) -> None:
    server.script(
        "/json/keystone/",
        Reply(
            b'{"files": [{"filename": "keystone-28.0.0.tar.gz", "url": "/files/a", "hashes": {"sha256": "%s"}}]}'
            % EXPECTED.sha256.encode(),
            headers={"Content-Type": "application/vnd.pypi.simple.v1+json"},
        ),
    )
    server.script(
        "/html/keystone/",
        Reply(b'<a href="../../files/keystone-28.0.0.tar.gz">x</a>', headers={"Content-Type": "text/html"}),
    )
    server.script("/files/a", OK)
    server.script("/files/keystone-28.0.0.tar.gz", OK)

    for kind, file in (("json", "/files/a"), ("html", "/files/keystone-28.0.0.tar.gz")):
        server.requests.clear()
        fetch(FetchSettings(f"{server.url}/{kind}", http=SETTINGS), tmp_path)

        assert (tmp_path / "out").read_bytes() == CONTENT
        assert server.targets() == [f"/{kind}/keystone/", file]


def test_the_next_index_is_asked_when_one_is_broken(tmp_path: Path) -> None:
    with scripted_server() as broken, scripted_server() as gone, scripted_server() as good:
        broken.script("/simple/keystone/", BUSY)
        gone.script("/simple/keystone/", Reply(b'<a href="/keystone-28.0.0.tar.gz">x</a>'))
        good.script("/simple/keystone/", Reply(b'<a href="/keystone-28.0.0.tar.gz">x</a>'))
        good.script("/keystone-28.0.0.tar.gz", OK)
        urls = (gone.url + "/simple", good.url + "/simple")

        fetch(FetchSettings(broken.url + "/simple", extra_index_urls=urls, http=SETTINGS), tmp_path)

    assert (tmp_path / "out").read_bytes() == CONTENT


def test_no_network_names_every_index_without_its_password(tmp_path: Path) -> None:
    settings = FetchSettings("http://me:secret@index.invalid/simple", http=replace(SETTINGS, retries=0))

    with pytest.raises(Unreachable) as error:
        fetch(settings, tmp_path)

    assert str(error.value) == (
        f"keystone-28.0.0.tar.gz of Keystone (SHA-256 {EXPECTED.sha256}) could not be fetched:\n"
        "  http://index.invalid/simple: http://index.invalid/simple/keystone/ cannot be reached: its name does not "
        "resolve.\nCheck the network, and the index URLs and proxies of your pip or uv configuration."
    )
