"""Run a command in a root file system with bubblewrap: no network, nothing of the host, the same on every machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Mapping, Optional, Sequence, Tuple

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.errors import ImagekitError
from imagekit.sandbox.mounts import Bind, Dev, Mount, Proc, Tmpfs, mount_options
from imagekit.sandbox.seccomp import filter_without_sync

HOSTNAME = "imagekit"

#: The whole environment of a command in a sandbox, before what the caller adds.
ENVIRONMENT: Mapping[str, str] = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "LOGNAME": "root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
    "TZ": "UTC",
    "USER": "root",
}

_NO_NAMESPACE = ("No permissions to create", "Creating new namespace failed", "setting up uid map", "Failed to make /")


class SandboxError(ImagekitError):
    """A sandbox that could not be started; never the failure of the command in it."""


@dataclass(frozen=True)
class Rootfs:
    """An unpacked root file system; ``digest`` names the stack of layers it was made from."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Finished:
    """What a command in a sandbox left: ``returncode`` as a shell counts it (128 + signal when killed)."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class UserNamespaceLimits:
    """The kernel settings that can forbid user namespaces to ordinary users; ``None`` where the kernel has none."""

    unprivileged_userns_clone: Optional[int]
    max_user_namespaces: Optional[int]
    apparmor_restrict: Optional[int]

    @classmethod
    def read(cls, proc_sys: Path = Path("/proc/sys")) -> UserNamespaceLimits:
        return cls(
            _integer(proc_sys / "kernel/unprivileged_userns_clone"),
            _integer(proc_sys / "user/max_user_namespaces"),
            _integer(proc_sys / "kernel/apparmor_restrict_unprivileged_userns"),
        )


def _integer(file: Path) -> Optional[int]:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def find_bwrap(path: Optional[str] = None) -> str:
    """The bubblewrap executable on ``path`` (default: the PATH); raises SandboxError naming the package to install."""
    found = shutil.which("bwrap", path=path)
    if found is None:
        raise SandboxError(
            "the program 'bwrap' (bubblewrap) is not on the PATH; build steps run inside it. "
            "Install it: sudo apt-get install bubblewrap"
        )
    return found


def explain_failure(stderr: str, limits: UserNamespaceLimits, *, uid: int) -> str:
    """What keeps bubblewrap from starting, and what mends it."""
    text = stderr.strip() or "bwrap ended without a message"
    if "execvp" in text and "Exec format error" in text:
        return (
            f"this machine cannot run the programs of another architecture: {text}. "
            "Install an emulator: sudo apt-get install qemu-user-static"
        )
    if "execvp" in text:
        return (
            f"a command is missing in the sandbox's root file system: {text}. "
            "Add the package that holds it to the base."
        )
    message = f"bubblewrap could not start a sandbox: {text}."
    if not any(phrase in text for phrase in _NO_NAMESPACE):
        return message
    if uid == 0:
        return (
            f"{message} This root user may not create namespaces, as in an unprivileged container. Run on the host, "
            "or start the container with: --privileged"
        )
    if limits.unprivileged_userns_clone == 0:
        return f"{message} User namespaces are switched off: sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if limits.max_user_namespaces == 0:
        return f"{message} User namespaces are switched off: sudo sysctl -w user.max_user_namespaces=15000"
    if limits.apparmor_restrict == 1:
        return (
            f"{message} AppArmor forbids user namespaces to ordinary users: "
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        )
    return f"{message} User namespaces are forbidden here, as in an unprivileged container; run on the host."


def bwrap_argv(
    bwrap: str,
    rootfs: Path,
    argv: Sequence[str],
    *,
    mounts: Sequence[Mount] = (),
    env: Optional[Mapping[str, str]] = None,
    fixed_env: Mapping[str, str] = ENVIRONMENT,
    cwd: str = "/",
    network: bool = False,
    writable: bool = False,
    privileged: bool = False,
    user_namespace: bool,
    ids: Tuple[int, int] = (0, 0),
    status_fd: Optional[int] = None,
    seccomp_fd: Optional[int] = None,
    terminal: bool = False,
) -> Tuple[str, ...]:
    """The command line that runs ``argv`` in ``rootfs``; see :func:`run_in_rootfs` for the meaning of the rest."""
    options = [
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--hostname",
        HOSTNAME,
        "--die-with-parent",
    ]
    if not terminal:
        options.append("--new-session")
    if not network:
        options.append("--unshare-net")
    if user_namespace:
        options += ["--unshare-user", "--uid", str(ids[0]), "--gid", str(ids[1])]
    options += ["--cap-add" if privileged else "--cap-drop", "ALL"]
    options.append("--clearenv")
    for name, value in sorted({**fixed_env, **(env or {})}.items()):
        options += ["--setenv", name, value]
    given = frozenset(mount.target for mount in mounts)
    defaults: Sequence[Mount] = (Proc(), Dev(), Tmpfs("/tmp", mode=0o1777))
    if not writable:
        defaults = (*defaults, Tmpfs("/root", mode=0o700))
    kept = tuple(mount for mount in defaults if mount.target not in given)
    options += mount_options(rootfs, (*kept, *mounts), writable=writable)
    options += ["--chdir", cwd]
    if status_fd is not None:
        options += ["--json-status-fd", str(status_fd)]
    if seccomp_fd is not None:
        options += ["--seccomp", str(seccomp_fd)]
    return (bwrap, *options, "--", *argv)


def network_binds() -> Tuple[Bind, ...]:
    """The host's name resolution, for a sandbox with a network."""
    files = ("/etc/resolv.conf", "/etc/hosts")
    return tuple(Bind(Path(file).resolve(), file) for file in files if Path(file).exists())


def run_in_rootfs(
    rootfs: Rootfs,
    argv: Sequence[str],
    *,
    binds: Sequence[Mount] = (),
    env: Optional[Mapping[str, str]] = None,
    fixed_env: Mapping[str, str] = ENVIRONMENT,
    cwd: str = "/",
    network: bool = False,
    writable: bool = False,
    privileged: bool = False,
    stdin: Optional[str] = None,
    capture: bool = True,
    ids: Tuple[int, int] = (0, 0),
) -> Finished:
    """Run ``argv`` inside ``rootfs`` and wait for it.

    The command is user 0 with umask 022, sees ``rootfs`` read-only, empty /tmp and /root, its own /proc and /dev, and
    ``binds`` (:class:`Bind`, :class:`Tmpfs`, also in place of those four); its environment is ``fixed_env`` and
    ``env``.

    :param network: the host's network and name resolution instead of a loopback device only.
    :param writable: ``rootfs`` itself may be changed, /root too: only for a private copy, never for one of the store.
    :param privileged: keep the capabilities that dpkg needs (chown, chroot, …); needs root or subordinate ids.
    :param capture: give stdout and stderr back; otherwise they are the caller's.
    :param ids: another user and group id; only as an ordinary user, or for files that need no real owner.
    :raises SandboxError: when the sandbox cannot be started. A command that fails is no error here: ask ``returncode``.
    """
    mounts = (*(network_binds() if network else ()), *binds)
    for mount in mounts:
        if isinstance(mount, Bind) and not mount.source.exists():
            raise SandboxError(f"cannot bind {str(mount.source)!r} at {mount.target!r}: it does not exist.")
    bwrap = find_bwrap()
    with ExitStack() as stack:
        status_file = stack.enter_context(TemporaryFile())
        descriptors = [status_file.fileno()]
        program = filter_without_sync()
        if program is not None:
            seccomp_file = stack.enter_context(TemporaryFile())
            seccomp_file.write(program)
            seccomp_file.seek(0)
            descriptors.append(seccomp_file.fileno())
        command = bwrap_argv(
            bwrap,
            rootfs.path,
            argv,
            mounts=mounts,
            env=env,
            fixed_env=fixed_env,
            cwd=cwd,
            network=network,
            writable=writable,
            privileged=privileged,
            user_namespace=os.geteuid() != 0 or ids != (0, 0),
            ids=ids,
            status_fd=descriptors[0],
            seccomp_fd=None if program is None else descriptors[1],
            terminal=not capture,
        )
        process = stack.enter_context(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE if stdin is not None else (subprocess.DEVNULL if capture else None),
                stdout=subprocess.PIPE if capture else None,
                stderr=subprocess.PIPE if capture else None,
                pass_fds=descriptors,
                umask=0o022,
            )
        )
        try:
            out, err = process.communicate(None if stdin is None else stdin.encode())
        except BaseException:
            process.kill()
            raise
        status_file.seek(0)
        status = status_file.read().decode()
    stderr = (err or b"").decode(errors="replace")
    code = exit_code(status)
    if code is None:
        raise SandboxError(explain_failure(stderr, UserNamespaceLimits.read(), uid=os.geteuid()))
    return Finished(code, (out or b"").decode(errors="replace"), stderr)


def exit_code(status: str) -> Optional[int]:
    """The command's exit code from what ``--json-status-fd`` wrote; ``None`` when no command was run."""
    code: Optional[int] = None
    for line in status.splitlines():
        value = json.loads(line).get("exit-code")
        if isinstance(value, int):
            code = value
    return code
