"""Real repositories over every transport that is here: files, git daemon, smart and dumb HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable, ContextManager, Iterator, Mapping, Optional

import pytest

from imagekit.fetch.settings import FetchSettings, HttpSettings
from imagekit.sources.git import GitRemote, ResolvedRef, remote_environment
from imagekit.sources.git_command import GitError
from imagekit.sources.pin import RefKind
from imagekit.sources.semantic_version import version_of
from imagekit.sources.tree import SourceFile, SourceLink, read_source, write_source

GONE = "f" * 40


class Upstream:
    """A repository that a test works in, and serves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Upstream")
        self.git("config", "user.email", "upstream@c5c3.example")

    def git(self, *arguments: str) -> str:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        command = ["git", *arguments]
        finished = subprocess.run(command, cwd=self.folder, env=environment, check=True, stdout=subprocess.PIPE)
        return finished.stdout.decode().strip()

    def commit(self, message: str, files: Optional[Mapping[str, bytes]] = None) -> str:
        for name, content in (files or {"keystone.py": message.encode()}).items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.git("add", "-A")
        self.git("commit", "-qm", message, "--allow-empty")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "srv" / "keystone")


def environ(folder: Path, configuration: str = "") -> Mapping[str, str]:
    """The environment of a user whose whole git configuration is ``configuration``."""
    (folder / "gitconfig").write_text(configuration)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@pytest.fixture
def remote(upstream: Upstream, tmp_path: Path) -> GitRemote:
    return GitRemote(upstream.url, environ=environ(tmp_path), sleep=lambda _: None)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(GitError) as error:
        call()
    return str(error.value)


def test_tags_branches_and_commits_resolve(upstream: Upstream, remote: GitRemote) -> None:
    first = upstream.commit("first")
    upstream.git("tag", "27.0.0")
    second = upstream.commit("second")
    upstream.git("tag", "-a", "28.0.0", "-m", "release")
    upstream.git("branch", "stable/2025.2")
    upstream.git("branch", "other/stable/2025.2", first)

    assert remote.resolve("27.0.0") == ResolvedRef(RefKind.TAG, first)
    assert remote.resolve("28.0.0") == ResolvedRef(RefKind.TAG, second)
    assert remote.resolve("stable/2025.2") == ResolvedRef(RefKind.BRANCH, second)
    assert remote.resolve(first) == ResolvedRef(RefKind.COMMIT, first)


def test_a_name_of_both_a_tag_and_a_branch_must_say_which(upstream: Upstream, remote: GitRemote) -> None:
    first = upstream.commit("first")
    upstream.git("tag", "next")
    upstream.git("branch", "next")
    second = upstream.commit("second")
    upstream.git("branch", "-f", "next", second)

    assert refusal(lambda: remote.resolve("next")) == (
        f"'next' is both a tag and a branch of {upstream.url}. Write 'refs/tags/next' or 'refs/heads/next' for the one "
        "you mean."
    )
    assert remote.resolve("refs/tags/next") == ResolvedRef(RefKind.TAG, first)
    assert remote.resolve("refs/heads/next") == ResolvedRef(RefKind.BRANCH, second)


def test_a_missing_ref_is_named_with_those_alike(upstream: Upstream, remote: GitRemote) -> None:
    upstream.commit("first")
    upstream.git("branch", "stable/2025.2")

    assert refusal(lambda: remote.resolve("stable/2025.20")) == (
        f"{upstream.url} has no tag and no branch 'stable/2025.20'. There is: stable/2025.2."
    )
    assert refusal(lambda: remote.resolve("a1b2c3d")) == (
        f"{upstream.url} has no tag and no branch 'a1b2c3d'. A commit is written with all of its 40 hex digits."
    )


def test_a_tree_is_what_was_committed(upstream: Upstream, remote: GitRemote, tmp_path: Path) -> None:
    upstream.git("config", "core.autocrlf", "false")
    (upstream.folder / "link").symlink_to("keystone/api.py")
    (upstream.folder / "run.sh").write_bytes(b"#!/bin/sh\n")
    (upstream.folder / "run.sh").chmod(0o755)
    (upstream.folder / os.fsdecode(b"caf\xe9")).write_bytes(b"latin-1")
    files = {
        ".gitattributes": b"*.py export-subst\nsetup.cfg export-ignore\n*.txt text eol=crlf\n",
        "keystone/api.py": b"$Format:%H$\n",
        "setup.cfg": b"",
        "notes.txt": b"a\nb\n",
    }
    commit = upstream.commit("all", files)

    tree = remote.tree(commit, "main")

    assert tree == {
        **{name: SourceFile(content) for name, content in files.items()},
        "link": SourceLink("keystone/api.py"),
        "run.sh": SourceFile(b"#!/bin/sh\n", executable=True),
        os.fsdecode(b"caf\xe9"): SourceFile(b"latin-1"),
    }
    write_source(tree, tmp_path / "source.tar")
    assert read_source(tmp_path / "source.tar") == tree


def test_a_submodule_is_left_out(upstream: Upstream, remote: GitRemote, tmp_path: Path) -> None:
    library = Upstream(tmp_path / "srv" / "library")
    library.commit("library")
    upstream.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library.url, "library")
    commit = upstream.commit("with a submodule")

    assert sorted(remote.tree(commit, commit)) == [".gitmodules", "keystone.py"]


@contextmanager
def daemon(root: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen([*command, f"--base-path={root}", str(root)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"git://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def web_server(handler: Callable[..., SimpleHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def smart_http(root: Path) -> Iterator[str]:
    backend = Path(subprocess.check_output(["git", "--exec-path"], text=True).strip(), "git-http-backend")
    if not backend.exists():
        pytest.skip("git http-backend is not installed")

    class Handler(Quiet):
        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            path, _, query = self.path.partition("?")
            length = int(self.headers.get("Content-Length") or 0)
            environment = {
                "PATH": os.environ.get("PATH", os.defpath),
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(length),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            # As a real server does, send what it wrote even when it failed: the reason is in there.
            answer = subprocess.run(
                [str(backend)],
                env=environment,
                input=self.rfile.read(length),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
            ).stdout
            head, _, body = answer.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    with web_server(Handler) as url:
        yield url


@contextmanager
def dumb_http(root: Path) -> Iterator[str]:
    with web_server(partial(Quiet, directory=str(root))) as url:
        yield url


@contextmanager
def local_files(root: Path) -> Iterator[str]:
    yield f"file://{root}"


@contextmanager
def local_path(root: Path) -> Iterator[str]:
    yield str(root)


# With protocol 0 a server hands out heads and tags only; git servers that are old or set up so are still met.
@pytest.mark.parametrize(
    ("serve", "protocol"),
    [(local_files, 2), (local_path, 2), (daemon, 0), (daemon, 2), (smart_http, 0), (smart_http, 2), (dumb_http, 2)],
)
def test_every_transport(
    upstream: Upstream, tmp_path: Path, serve: Callable[[Path], ContextManager[str]], protocol: int
) -> None:
    old = upstream.commit("old")
    upstream.git("tag", "1.0.0")
    middle = upstream.commit("middle")
    new = upstream.commit("new")
    upstream.git("clone", "-q", "--bare", ".", "../bare/keystone")
    bare = upstream.folder.parent / "bare"
    upstream.git("-C", str(bare / "keystone"), "update-server-info")
    configuration = f"[protocol]\n  version = {protocol}\n"

    with serve(bare) as root:
        remote = GitRemote(f"{root}/keystone", environ=environ(tmp_path, configuration), sleep=lambda _: None)

        assert remote.resolve("main") == ResolvedRef(RefKind.BRANCH, new)
        assert remote.resolve("1.0.0") == ResolvedRef(RefKind.TAG, old)
        # Neither the head of a branch nor a tag: some servers hand it out only with the history that leads to it.
        assert remote.tree(middle, "main") == {"keystone.py": SourceFile(b"middle")}
        assert remote.tree(middle, middle) == {"keystone.py": SourceFile(b"middle")}
        assert remote.tree(old, "1.0.0") == {"keystone.py": SourceFile(b"old")}
        assert version_of(remote.history(ResolvedRef(RefKind.BRANCH, new), "main")) == "1.0.1.dev2"
        assert version_of(remote.history(ResolvedRef(RefKind.COMMIT, middle), middle)) == "1.0.1.dev1"
        assert refusal(lambda: remote.tree(GONE, GONE)) == (
            f"{root}/keystone does not have the commit {GONE}. If its branch was rewritten, move the lock to what is "
            "there now; if the ref is a commit, correct it."
        )


def test_a_rewritten_branch_is_told(upstream: Upstream, tmp_path: Path) -> None:
    upstream.commit("first")
    lost = upstream.commit("lost")
    upstream.git("reset", "-q", "--hard", "HEAD~")
    upstream.git("reflog", "expire", "--expire=now", "--all")
    upstream.git("gc", "-q", "--prune=now")
    remote = GitRemote(upstream.url, environ=environ(tmp_path), sleep=lambda _: None)

    assert refusal(lambda: remote.tree(lost, "main")).startswith(f"{upstream.url} does not have the commit {lost}. If ")


def test_a_deleted_branch_does_not_matter_while_its_commit_is_there(upstream: Upstream, remote: GitRemote) -> None:
    commit = upstream.commit("first")

    assert sorted(remote.tree(commit, "stable/deleted")) == ["keystone.py"]


def test_versions_agree_with_pbr(upstream: Upstream, remote: GitRemote, monkeypatch: pytest.MonkeyPatch) -> None:
    packaging = pytest.importorskip("pbr.packaging")
    monkeypatch.chdir(upstream.folder)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    messages = ["first", "fix", "tag 1.0.0.0rc1", "fix", "tag 1.0.0", "a\n\nSem-Ver: feature", "tag v1.1.0", "fix"]
    messages += ["tag 2.0.0a1", "fix", "fix", "b\n\nsem-ver: api-break", "tag stable-eol", "fix"]
    versions = []
    for number, message in enumerate(messages):
        commit = upstream.commit(f"{number} {message}")
        if message.startswith("tag "):
            upstream.git("tag", "-a", message[4:], "-m", "release")
        versions.append(version_of(remote.history(ResolvedRef(RefKind.BRANCH, commit), "main")))
        assert versions[-1] == packaging._get_version_from_git()

    assert versions[-1] == "3.0.0.dev5"


def test_a_merge_counts_as_git_log_does(upstream: Upstream, remote: GitRemote) -> None:
    upstream.commit("first")
    upstream.git("tag", "1.0.0")
    upstream.git("checkout", "-q", "-b", "side")
    upstream.commit("side", {"side": b""})
    upstream.git("checkout", "-q", "main")
    upstream.commit("main")
    upstream.git("merge", "-q", "--no-edit", "side")
    head = upstream.git("rev-parse", "HEAD")

    assert version_of(remote.history(ResolvedRef(RefKind.BRANCH, head), "main")) == "1.0.1.dev3"


def test_no_repository_is_told(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/nowhere"
    remote = GitRemote(url, environ=environ(tmp_path), sleep=lambda _: None)
    message = (
        f"There is no git repository at {url}: '{tmp_path}/nowhere' does not appear to be a git repository. Correct "
        "the URL."
    )

    assert refusal(lambda: remote.resolve("main")) == message
    assert refusal(lambda: remote.tree(GONE, "main")) == message


def test_no_network_is_tried_again_and_told(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    pauses: list[float] = []
    remote = GitRemote(f"http://127.0.0.1:{port}/keystone", environ=environ(tmp_path), sleep=pauses.append)

    message = refusal(lambda: remote.tree(GONE, "main"))

    assert message.startswith(f"http://127.0.0.1:{port}/keystone cannot be reached: unable to access ")
    assert message.endswith(". Check the network, and the proxy that git is configured with.")
    assert pauses == [1.0, 4.0]


def test_missing_credentials_are_asked_for(tmp_path: Path) -> None:
    class Locked(Quiet):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()

    with web_server(Locked) as root:
        remote = GitRemote(f"{root}/keystone", environ=environ(tmp_path), sleep=lambda _: None)

        message = refusal(lambda: remote.resolve("main"))

    assert message.startswith(f"{root}/keystone does not let this user in: could not read Username for ")
    assert message.endswith(". Give git the credentials: a credential helper, a netrc file or an ssh agent.")


def test_the_user_s_git_configuration_says_where_from(upstream: Upstream, tmp_path: Path) -> None:
    commit = upstream.commit("first")
    configuration = (
        f'[url "{upstream.url}"]\n  insteadOf = https://git.invalid/keystone\n[log]\n  showSignature = true\n'
        "[init]\n  defaultBranch = elsewhere\n[core]\n  autocrlf = true\n"
    )
    foreign = {"GIT_DIR": str(tmp_path / "other.git"), "GIT_WORK_TREE": str(tmp_path)}
    remote = GitRemote("https://git.invalid/keystone", environ={**environ(tmp_path, configuration), **foreign})

    assert remote.resolve("main").commit == commit
    assert remote.tree(commit, "main") == {"keystone.py": SourceFile(b"first")}


def test_settings_complete_the_environment() -> None:
    settings = FetchSettings(
        None,
        git_environment=(("HOME", "/home/user"), ("SSH_AUTH_SOCK", "/run/agent")),
        http=HttpSettings(https_proxy="http://proxy.example:1", no_proxy=("a", "b"), ca_bundle="/ca.pem"),
    )

    assert remote_environment(settings, {"HOME": "/root", "PATH": "/bin", "GIT_INDEX_FILE": "x"}) == {
        "HOME": "/root",
        "PATH": "/bin",
        "SSH_AUTH_SOCK": "/run/agent",
        "https_proxy": "http://proxy.example:1",
        "no_proxy": "a,b",
        "GIT_SSL_CAINFO": "/ca.pem",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
    }


def test_nothing_is_left_in_the_temporary_folder(
    upstream: Upstream, remote: GitRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = upstream.commit("first")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))

    remote.tree(commit, "main")
    refusal(lambda: remote.tree(GONE, "main"))

    assert list(scratch.iterdir()) == []
