"""Git repositories as sources: resolve a ref to a commit, give the commit its version, fetch its tree.

Here the user's own git configuration counts (credentials, URL rewriting, proxies): it says where from. What arrives is
verified by git itself, since a commit's name is the hash of all it holds.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Mapping, Optional

from imagekit.fetch.settings import FetchSettings
from imagekit.sources.git_command import GitError, isolated_environment, run_git
from imagekit.sources.pin import RefKind
from imagekit.sources.refs import COMMIT
from imagekit.sources.semantic_version import Commit
from imagekit.sources.tree import Entry, SourceFile, SourceLink, SourceTree, checked_path, checked_target

RETRY_DELAYS = (1.0, 4.0)
#: Variables that point git to another repository than the one meant, as the environment of a git hook has them.
_FOREIGN_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
_OPTIONS = (
    *("-c", "core.hooksPath=" + os.devnull),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
    # A server that has gone silent is an error, not a wait for ever.
    *("-c", "http.lowSpeedLimit=1"),
    *("-c", "http.lowSpeedTime=60"),
)
_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_TRANSIENT = re.compile(
    r"could not resolve|connection (?:refused|reset|timed out)|timed? ?out|early eof|hung up|rpc failed"
    r"|returned error: (?:429|5\d\d)|unexpected disconnect|couldn't connect|failed to connect|network is unreachable",
    re.IGNORECASE,
)
_NO_ACCESS = re.compile(
    r"authentication failed|could not read username|permission denied|returned error: (?:401|403)", re.IGNORECASE
)
_NO_REPOSITORY = re.compile(
    r"repository .*not found|does not appear to be a git repository|does not exist|not exported|returned error: 404",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ResolvedRef:
    """What a ref names in a repository right now."""

    kind: RefKind
    commit: str


class GitRemote:
    """One repository, at a URL, as ``settings`` let this machine reach it. Methods raise :class:`GitError`."""

    def __init__(
        self,
        url: str,
        settings: Optional[FetchSettings] = None,
        environ: Optional[Mapping[str, str]] = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._environment = remote_environment(settings, os.environ if environ is None else environ)
        self._sleep = sleep

    def resolve(self, ref: str) -> ResolvedRef:
        """The commit that ``ref`` names: a tag, a branch, or a commit of 40 hex digits.

        ``refs/tags/…`` and ``refs/heads/…`` say which where a tag and a branch have the same name. That a commit
        exists shows when it is fetched.
        """
        if COMMIT.fullmatch(ref):
            return ResolvedRef(RefKind.COMMIT, ref)
        short = re.sub(r"^refs/(?:heads|tags)/", "", ref)
        tag, branch = f"refs/tags/{short}", f"refs/heads/{short}"
        found = self._refs(tag, f"{tag}^{{}}", branch)
        is_tag = tag in found and ref in (short, tag)
        is_branch = branch in found and ref in (short, branch)
        if is_tag and is_branch:
            raise GitError(
                f"'{ref}' is both a tag and a branch of {self.url}. Write '{tag}' or '{branch}' for the one you mean."
            )
        if is_tag:
            # The second name is the commit that an annotated tag points to.
            return ResolvedRef(RefKind.TAG, found.get(f"{tag}^{{}}", found[tag]))
        if is_branch:
            return ResolvedRef(RefKind.BRANCH, found[branch])
        raise GitError(f"{self.url} has no tag and no branch '{ref}'.{self._alike(short)}")

    def history(self, resolved: ResolvedRef, ref: str) -> tuple[Commit, ...]:
        """The commits that lead to ``resolved``, newest first, with every tag of the repository on them."""
        with self._repository() as folder:
            # Commits alone are enough, where the server can leave files out.
            options = ["--filter=tree:0"] if self._is_smart() else []
            self._fetch_commit(folder, resolved.commit, ref, options, ["+refs/tags/*:refs/tags/*"])
            log = self._git(folder, ["log", "--decorate=full", "--format=%D%x00%B%x00", resolved.commit])
        fields = log.decode("utf-8", "replace").split("\0")
        return tuple(
            Commit(tags=_tags(decoration), message=message) for decoration, message in zip(fields[0::2], fields[1::2])
        )

    def tree(self, commit: str, ref: str) -> SourceTree:
        """The files of ``commit``, exactly as committed.

        No attribute is applied: ``export-subst``, ``export-ignore`` and line-end conversion would make the tree
        depend on more than the commit. A submodule is left out, as a plain clone leaves it empty.
        """
        with self._repository() as folder:
            self._fetch_commit(folder, commit, ref, ["--depth=1"], [])
            listing = self._git(folder, ["ls-tree", "-r", "-z", "--full-tree", commit])
            rows = [row.partition(b"\t") for row in listing.split(b"\0") if row]
            entries = [(attributes.split(), name.decode("utf-8", "surrogateescape")) for attributes, _, name in rows]
            blobs = [(mode, oid, name) for (mode, kind, oid), name in entries if kind == b"blob"]
            contents = self._git(folder, ["cat-file", "--batch"], b"".join(oid + b"\n" for _, oid, _ in blobs))
        tree: dict[str, Entry] = {}
        position = 0
        for mode, _, name in blobs:
            end_of_line = contents.index(b"\n", position)
            size = int(contents[position:end_of_line].split()[2])
            content = contents[end_of_line + 1 : end_of_line + 1 + size]
            position = end_of_line + 1 + size + 1
            tree[checked_path(name, self.url)] = self._entry(mode, name, content)
        return tree

    def _entry(self, mode: bytes, name: str, content: bytes) -> Entry:
        if mode == b"120000":
            return SourceLink(checked_target(name, content.decode("utf-8", "surrogateescape"), self.url))
        return SourceFile(content, executable=mode == b"100755")

    def _fetch_commit(self, folder: Path, commit: str, ref: str, options: list[str], refspecs: list[str]) -> None:
        """Fetch ``commit``, and ``refspecs``, with as little else as the server lets go with."""
        attempts = [[*options, "origin", commit, *refspecs]]
        if not COMMIT.fullmatch(ref):
            attempts.append([*options, "origin", f"+{ref}:refs/imagekit/ref", *refspecs])
        attempts.append(["origin", *_EVERYTHING])
        for attempt in attempts:
            # What an attempt left shallow stays so unless git is told otherwise.
            unshallow = ["--unshallow"] if attempt is attempts[-1] and (folder / "shallow").exists() else []
            try:
                self._fetch(folder, [*unshallow, *attempt])
            except (_NoAnswer, _NoRepository):
                raise
            except GitError:
                # Some servers give no commit that is not the head of a branch, and a branch may be gone.
                continue
            if self._has(folder, commit):
                return
        raise GitError(
            f"{self.url} does not have the commit {commit}. If its branch was rewritten, move the lock to what is "
            "there now; if the ref is a commit, correct it."
        )

    def _is_smart(self) -> bool:
        """Whether the server is more than a web server for files: git asked for a part of that goes on for ever."""
        with self._repository() as folder:
            try:
                self._fetch(folder, ["--depth=1", "--filter=tree:0", "origin", "HEAD"])
            except _NoAnswer:
                raise
            except GitError:
                return False
        return True

    def _refs(self, *names: str) -> Mapping[str, str]:
        output = self._remote(Path("/"), ["ls-remote", "--", self.url, *names])
        pairs = [line.split("\t") for line in output.decode("utf-8", "replace").splitlines()]
        # A pattern of ls-remote also matches longer names that end with it.
        return {name: commit for commit, name in pairs if not names or name in names}

    def _alike(self, short: str) -> str:
        names = [re.sub(r"^refs/(?:heads|tags)/", "", name) for name in self._refs() if not name.endswith("^{}")]
        alike = difflib.get_close_matches(short, sorted(set(names)), n=3)
        return f" There is: {', '.join(alike)}." if alike else " A commit is written with all of its 40 hex digits."

    @contextmanager
    def _repository(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="git-") as scratch:
            folder = Path(scratch)
            self._git(folder, ["init", "--quiet", "--bare", "--template=", "."])
            # A partial fetch needs a remote with a name.
            self._git(folder, ["remote", "add", "origin", self.url])
            yield folder

    def _has(self, folder: Path, commit: str) -> bool:
        return run_git(["cat-file", "-e", f"{commit}^{{commit}}"], _local(folder), folder).returncode == 0

    def _fetch(self, folder: Path, arguments: list[str]) -> None:
        command = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", *arguments]
        self._remote(folder, command, {"GIT_DIR": str(folder)})

    def _remote(self, folder: Path, arguments: list[str], extra: Optional[Mapping[str, str]] = None) -> bytes:
        """Run git against the remote, again after a failure that may go away."""
        environment = {**self._environment, **(extra or {})}
        for delay in (*RETRY_DELAYS, None):
            finished = run_git([*_OPTIONS, *arguments], environment, folder)
            if finished.returncode == 0:
                return finished.stdout
            message = _message(finished)
            if delay is None or not _TRANSIENT.search(message):
                break
            self._sleep(delay)
        raise self._failure(message)

    def _failure(self, message: str) -> GitError:
        if _NO_ACCESS.search(message):
            return _NoAnswer(
                f"{self.url} does not let this user in: {message}. Give git the credentials: a credential helper, a "
                "netrc file or an ssh agent."
            )
        if _TRANSIENT.search(message):
            return _NoAnswer(
                f"{self.url} cannot be reached: {message}. Check the network, and the proxy that git is configured "
                "with."
            )
        if _NO_REPOSITORY.search(message):
            return _NoRepository(f"There is no git repository at {self.url}: {message}. Correct the URL.")
        return GitError(f"git failed with {self.url}: {message}.")

    def _git(self, folder: Path, arguments: list[str], standard_input: Optional[bytes] = None) -> bytes:
        finished = run_git(arguments, _local(folder), folder, standard_input)
        if finished.returncode != 0:
            raise GitError(f"git {arguments[0]} failed on what {self.url} sent: {_message(finished)}.")
        return finished.stdout


class _NoAnswer(GitError):
    """The server cannot be spoken to: another way of asking would not help."""


class _NoRepository(GitError):
    """The server is there, the repository is not."""


def remote_environment(settings: Optional[FetchSettings], environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment for git commands that reach a remote.

    That of this process, completed by what ``settings`` know of the user's: a build step may run with next to none.
    """
    environment = {name: value for name, value in environ.items() if name not in _FOREIGN_REPOSITORY}
    if settings is not None:
        for name, value in _settings_environment(settings).items():
            environment.setdefault(name, value)
    environment.setdefault("PATH", os.defpath)
    environment.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
    environment.update({"LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1"})
    return environment


def _settings_environment(settings: FetchSettings) -> Mapping[str, str]:
    http = settings.http
    optional = {
        "http_proxy": http.http_proxy,
        "https_proxy": http.https_proxy,
        "no_proxy": ",".join(http.no_proxy) or None,
        "GIT_SSL_CAINFO": http.ca_bundle,
    }
    found = {name: value for name, value in optional.items() if value is not None}
    return {**found, **dict(settings.git_environment)}


def _local(folder: Path) -> Mapping[str, str]:
    """The environment for work on what was fetched: no user configuration, and no way to a remote.

    A partial repository would otherwise ask its remote for what it lacks.
    """
    return {
        **isolated_environment(folder),
        "GIT_DIR": str(folder),
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_NO_REPLACE_OBJECTS": "1",
    }


def _message(finished: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line.strip() for line in finished.stderr.decode("utf-8", "replace").splitlines()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "ERROR:"))] or lines
    text = re.sub(r"^(?:fatal|error|remote|ERROR): *", "", telling[0]) if telling else "it gave no reason"
    # A rewritten URL may hold a password.
    return re.sub(r"://[^/@\s]+@", "://", text).rstrip(".")


def _tags(decoration: str) -> tuple[str, ...]:
    names = (name.strip() for name in decoration.split(","))
    return tuple(name[len("tag: refs/tags/") :] for name in names if name.startswith("tag: refs/tags/"))
