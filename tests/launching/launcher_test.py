"""``./pants`` on machines that have, lack or break what it needs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Sequence

import pytest

from launching.fake_machine import FakeMachine, Start, installed_environments, only, write_program

USER = "1000"


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    """A machine where all is well."""
    machine = FakeMachine.create(tmp_path)
    machine.python39(machine.programs / "python3.9")
    with_pex_program(machine)
    return machine


def with_pex_program(machine: FakeMachine) -> None:
    machine.cache.mkdir(parents=True)
    (machine.cache / "pex-2.1.137").touch()


def refusal(start: Start) -> Sequence[str]:
    """The lines of the error that ended ``start``, after what the launcher said before."""
    assert start.status == 1, start
    assert start.output == ""
    lines = start.errors.splitlines()
    (first,) = [number for number, line in enumerate(lines) if line.startswith("pants: error: ")]
    return lines[first:]


def test_first_start_installs_pants_and_hands_over(machine: FakeMachine) -> None:
    start = machine.start("package", "services/keystone::", PYTHONDONTWRITEBYTECODE="1", PYTHONPATH="/elsewhere")

    environment = only(installed_environments(machine))
    assert start.status == 0, start.errors
    assert start.output.splitlines()[:3] == [
        "program=native_client",
        "argument=package",
        "argument=services/keystone::",
    ]
    assert start.variables["PANTS_BUILDROOT_OVERRIDE"] == str(machine.checkout)
    assert start.variables["_PANTS_SERVER_EXE"] == str(environment / "bin/pants")
    assert start.variables["PANTS_PYTHON_BOOTSTRAP_SEARCH_PATH"] == f"['{machine.programs}']"
    assert start.variables["PANTS_PEX_CLI_URL_TEMPLATE"] == f"file:{machine.cache}/pex-2.1.137"
    assert start.variables["PYTHONUTF8"] == "1"
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "C5C3_PYTHON"} & set(start.variables)
    assert start.errors == (
        f"pants: installing Pants 2.17.1 for {machine.programs}/python3.9 into {environment} (once, about 20 s)\n"
    )
    (pip,) = [call for call in machine.calls if " -m pip " in call]
    assert pip == (
        "python -I -m pip install --no-deps --require-hashes --only-binary :all: "
        f"--requirement {machine.checkout}/3rdparty/tools/pants.txt"
    )


def test_warm_start_runs_no_python(machine: FakeMachine) -> None:
    machine.start("--version")
    calls = machine.calls

    start = machine.start("--version")

    assert (start.status, start.errors) == (0, "")
    assert machine.calls == calls


def test_arguments_and_exit_status_pass_through(machine: FakeMachine, tmp_path: Path) -> None:
    pants = write_program(tmp_path / "failing", '#!/bin/bash\nprintf "<%s>" "$@"\nexit 3\n')

    start = machine.start("a b", "*", "", FAKE_PANTS=str(pants))

    assert (start.status, start.output) == (3, "<a b><*><>")


def test_starts_from_another_folder(machine: FakeMachine) -> None:
    start = replace(machine, working_directory=machine.home).start("list")

    assert start.variables["PANTS_BUILDROOT_OVERRIDE"] == str(machine.checkout)


def test_python_client_on_request(machine: FakeMachine) -> None:
    assert machine.start(PANTS_NO_NATIVE_CLIENT="1").variables["program"] == "pants"


def test_two_first_starts_at_once_install_once(machine: FakeMachine) -> None:
    starts = [machine.begin("list", FAKE_PIP_SECONDS="1") for _ in range(3)]
    results = [start.communicate(timeout=60) for start in starts]

    assert [start.returncode for start in starts] == [0, 0, 0], results
    assert all("argument=list" in output for output, _ in results)
    assert len([call for call in machine.calls if " -m venv " in call]) == 1
    waiting = [errors for _, errors in results if "waiting for another start, which is installing Pants into" in errors]
    assert len(waiting) == 2, results


def test_interrupted_installation_is_made_again(machine: FakeMachine) -> None:
    assert machine.start(FAKE_PIP_SAYS="killed").status == 1
    assert installed_environments(machine) == ()

    assert machine.start().status == 0
    only(installed_environments(machine))


def test_environment_whose_interpreter_is_gone_is_made_again(machine: FakeMachine) -> None:
    machine.start()
    interpreter = only(installed_environments(machine)) / "bin/python"
    interpreter.unlink()
    interpreter.symlink_to("/no/longer/there")

    assert machine.start().status == 0
    assert not interpreter.is_symlink()


def test_another_lock_is_another_environment(machine: FakeMachine) -> None:
    machine.start()
    lock = machine.checkout / "3rdparty/tools/pants.txt"
    lock.write_text(lock.read_text() + "# newer\n")
    machine.start()

    assert len(installed_environments(machine)) == 2


def test_installs_nothing_into_the_checkout(machine: FakeMachine) -> None:
    before = tracked_files(machine)
    machine.start()

    assert tracked_files(machine) == before


def tracked_files(machine: FakeMachine) -> Sequence[Path]:
    ignored = machine.checkout / ".pants.d"
    return sorted(path for path in machine.checkout.rglob("*") if path != ignored and ignored not in path.parents)


NO_PYTHON = [
    "pants: error: no CPython 3.9 was found, and Pants 2.17.1 needs it. It was looked for on PATH and where pyenv, uv,",
    "  asdf, mise and conda keep interpreters. Install one, for example with one of:",
    "  pyenv install 3.9",
    "  uv python install 3.9",
    "  or set PY to the path of one.",
]


def has_system_python39() -> bool:
    places = (Path("/usr/bin/python3.9"), Path("/usr/local/bin/python3.9"), *Path("/opt").glob("**/bin/python3.9"))
    return any(path.exists() for path in places)


@pytest.mark.skipif(has_system_python39(), reason="the launcher finds this machine's own CPython 3.9")
def test_no_python(machine: FakeMachine) -> None:
    machine.remove("python3.9")

    assert refusal(machine.start()) == NO_PYTHON


@pytest.mark.skipif(has_system_python39(), reason="the launcher finds this machine's own CPython 3.9")
def test_no_python_but_a_shim_that_fails(machine: FakeMachine) -> None:
    machine.program("python3.9", "echo 'pyenv: python3.9: command not found' >&2; exit 127")
    machine.program("python3", "exit 1")

    assert refusal(machine.start()) == NO_PYTHON


def test_pyenv_version_behind_a_shim_that_fails(machine: FakeMachine) -> None:
    machine.program("python3.9", "echo 'pyenv: python3.9: command not found' >&2; exit 127")
    machine.python39(machine.home / ".pyenv/versions/3.9.2/bin/python3.9")
    newest = machine.python39(machine.home / ".pyenv/versions/3.9.18/bin/python3.9")

    assert f"for {newest} into" in machine.start().errors


def test_python_of_uv(machine: FakeMachine) -> None:
    machine.remove("python3.9")
    python = machine.python39(
        machine.home / ".local/share/uv/python/cpython-3.9.25-linux-x86_64-gnu/bin/python3.9"
    )

    assert f"for {python} into" in machine.start().errors


def test_python_that_the_user_names(machine: FakeMachine, tmp_path: Path) -> None:
    machine.start()
    python = machine.python39(tmp_path / "mine/python")

    assert f"for {python} into" in machine.start(PY=str(python)).errors
    assert len(installed_environments(machine)) == 2


def test_python_that_the_user_names_is_another_version(machine: FakeMachine) -> None:
    machine.program("python3.12", "exit 1")

    assert refusal(machine.start(PY="python3.12")) == [
        "pants: error: PY is 'python3.12', which is not a working CPython 3.9 with venv and ensurepip.",
        "  Set PY to the path of one, or unset it to have it looked for.",
    ]


@pytest.mark.skipif(has_system_python39(), reason="the launcher finds this machine's own CPython 3.9")
def test_python_without_ensurepip(machine: FakeMachine) -> None:
    assert refusal(machine.start(FAKE_WITHOUT_ENSUREPIP="1")) == [
        f"pants: error: {machine.programs}/python3.9 is CPython 3.9, but has no ensurepip to make a virtual environment with.",
        "  On Debian and Ubuntu: sudo apt-get install --yes python3.9-venv",
        "  Or set PY to the path of another CPython 3.9.",
    ]


@pytest.mark.parametrize(
    "pip_says, error",
    [
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            [
                "pants: error: a downloaded file is not the one that 3rdparty/tools locks: its SHA-256 differs (see above).",
                "  Empty pip's cache ('pip cache purge') and try again. If it stays, the index serves another file: ask who runs it.",
            ],
        ),
        (
            "NewConnectionError: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution",
            [
                "pants: error: the Python index cannot be reached.",
                "  Check the network, or name an index that this machine reaches: pip config set global.index-url URL",
            ],
        ),
        (
            "SSLError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate",
            [
                "pants: error: the Python index has a certificate that this machine does not trust.",
                "  Name the bundle with your authority's certificate: pip config set global.cert /path/to/bundle.pem",
            ],
        ),
        (
            "ERROR: No matching distribution found for pantsbuild-pants==2.17.1",
            [
                "pants: error: the Python index does not have what 3rdparty/tools locks for this machine (see above).",
                "  Name an index that has it: pip config set global.index-url URL",
            ],
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            [
                "pants: error: the disk is full.",
                "  Make room, or set XDG_CACHE_HOME (and TMPDIR) to folders on another disk.",
            ],
        ),
        (
            "Segmentation fault",
            [
                "pants: error: pip failed (see above).",
                "  Mend what it says and start again: nothing is half-installed.",
            ],
        ),
    ],
)
def test_pip_fails(machine: FakeMachine, pip_says: str, error: Sequence[str]) -> None:
    start = machine.start(FAKE_PIP_SAYS=pip_says)

    assert refusal(start) == error
    assert f"  | {pip_says}\n" in start.errors
    assert installed_environments(machine) == ()


def test_cache_folder_that_cannot_be_written(machine: FakeMachine) -> None:
    in_the_way = machine.home / "file"
    in_the_way.touch()

    assert refusal(machine.start(XDG_CACHE_HOME=str(in_the_way))) == [
        f"pants: error: the cache folder {in_the_way}/c5c3 cannot be written.",
        "  Make it writable, or set XDG_CACHE_HOME to a folder that is.",
    ]


def test_cache_folder_with_white_space(machine: FakeMachine) -> None:
    assert refusal(machine.start(XDG_CACHE_HOME=f"{machine.home}/my cache")) == [
        f"pants: error: the cache folder '{machine.home}/my cache/c5c3' has white space in its path, "
        "which Pants cannot run Python from.",
        "  Set XDG_CACHE_HOME to a folder without.",
    ]


def test_system_tools_missing_and_no_root(tmp_path: Path) -> None:
    machine = FakeMachine.create(tmp_path, USER)
    machine.remove("bwrap", "newuidmap")
    machine.program("apt-get", "exit 1")

    assert refusal(machine.start()) == [
        "pants: error: system tools are missing: bwrap newuidmap. Install them with:",
        "  sudo apt-get update && sudo apt-get install --yes --no-install-recommends bubblewrap uidmap",
        "  To go on without them: C5C3_SKIP_SYSTEM_TOOLS=1 ./pants ...",
    ]


def test_system_tools_missing_and_no_apt(tmp_path: Path) -> None:
    machine = FakeMachine.create(tmp_path)
    machine.remove("git", "bwrap")

    assert refusal(machine.start()) == [
        "pants: error: system tools are missing: git bwrap.",
        "  Install them with the package manager of this system (their Debian packages are: git bubblewrap).",
        "  To go on without them: C5C3_SKIP_SYSTEM_TOOLS=1 ./pants ...",
    ]


def test_root_needs_no_newuidmap(machine: FakeMachine) -> None:
    machine.remove("newuidmap")

    assert machine.start().status == 0


def test_missing_system_tools_can_be_skipped(machine: FakeMachine) -> None:
    machine.remove("bwrap")

    assert machine.start(C5C3_SKIP_SYSTEM_TOOLS="1").status == 0


def test_root_installs_system_tools(machine: FakeMachine) -> None:
    machine.remove("bwrap")
    # Like a machine whose package lists are missing or old: an update has to come first.
    machine.program(
        "apt-get",
        f"""printf 'apt-get %s\\n' "$*" >>"$FAKE_LOG"
[[ "$*" != *update* ]] || : >{machine.folder}/updated
[[ "$*" == *update* || -e {machine.folder}/updated ]] || exit 100
[[ "$*" != *install* ]] || cp {machine.programs}/git {machine.programs}/bwrap""",
    )

    start = machine.start()

    assert start.status == 0, start.errors
    assert start.errors.splitlines()[0] == "pants: installing with apt-get, since builds need them: bubblewrap"
    assert [call for call in machine.calls if call.startswith("apt-get")][-2:] == [
        "apt-get --yes -o DPkg::Lock::Timeout=300 update",
        "apt-get --yes -o DPkg::Lock::Timeout=300 install --no-install-recommends bubblewrap",
    ]


def test_apt_fails(machine: FakeMachine) -> None:
    machine.remove("bwrap")
    machine.program("apt-get", "echo 'E: Unable to locate package bubblewrap'; exit 100")

    start = machine.start()

    assert refusal(start) == [
        "pants: error: apt-get could not install: bubblewrap. Mend what it says above, then run:",
        "  apt-get update && apt-get install --yes --no-install-recommends bubblewrap",
        "  To go on without them: C5C3_SKIP_SYSTEM_TOOLS=1 ./pants ...",
    ]
    assert "  | E: Unable to locate package bubblewrap\n" in start.errors


def test_index_configuration_is_translated_once(machine: FakeMachine) -> None:
    configuration = machine.home / ".config/pip/pip.conf"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("[global]\nindex-url = https://first.example/simple\n")
    first = 'PANTS_PYTHON_REPOS_INDEXES=["https://first.example/simple"]'
    second = 'PANTS_PYTHON_REPOS_INDEXES=["https://second.example/simple"]'

    assert first in machine.start(FAKE_INDEXES=first).output
    assert first in machine.start(FAKE_INDEXES=second).output
    configuration.write_text("[global]\nindex-url = https://second.example/simple\n")
    assert second in machine.start(FAKE_INDEXES=second).output
    asked = [call for call in machine.calls if call.endswith("python_indexes.py pants")]
    assert len(asked) == 2
    assert only(list(machine.checkout.glob(".pants.d/launcher/*"))).stat().st_mode & 0o777 == 0o600


def test_index_configuration_does_not_override_options_of_pants(machine: FakeMachine) -> None:
    translated = 'PANTS_PYTHON_REPOS_INDEXES=["https://pip.example/simple"]'
    chosen = '["https://pants.example/simple"]'

    start = machine.start(
        FAKE_INDEXES=translated, PIP_INDEX_URL="https://pip.example/simple", PANTS_PYTHON_REPOS_INDEXES=chosen
    )

    assert start.variables["PANTS_PYTHON_REPOS_INDEXES"] == chosen


def test_certificates_of_the_user(machine: FakeMachine, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()

    assert machine.start(SSL_CERT_FILE=str(bundle)).variables["PANTS_CA_CERTS_PATH"] == str(bundle)
    chosen = machine.start(SSL_CERT_FILE=str(bundle), PANTS_CA_CERTS_PATH="/chosen.pem")
    assert chosen.variables["PANTS_CA_CERTS_PATH"] == "/chosen.pem"


def test_sandboxes_are_on_the_file_system_of_the_store(machine: FakeMachine) -> None:
    machine.program("stat", r"printf '1\n2\n'")

    sandboxes = machine.start().variables["PANTS_LOCAL_EXECUTION_ROOT_DIR"]

    assert sandboxes == str(machine.home / ".cache/pants/sandboxes")
    assert Path(sandboxes).is_dir()


def test_stock_launcher(machine: FakeMachine) -> None:
    start = machine.source_bootstrap(PIP_INDEX_URL="https://mine.example/simple", FAKE_INDEXES="PANTS_A=1\nPANTS_B=2")

    assert (start.status, start.errors) == (0, "")
    variables = {name: value for name, value in start.variables.items() if name != "PANTS_CA_CERTS_PATH"}
    assert variables == {
        "program": "fake_pants.bash",
        "argument": "",
        "PANTS_A": "1",
        "PANTS_B": "2",
        "PANTS_PEX_CLI_URL_TEMPLATE": f"file:{machine.cache}/pex-2.1.137",
    }
    assert machine.calls[-1].endswith("build-support/launcher/python_indexes.py pants")


@pytest.mark.skipif(has_system_python39(), reason="the launcher finds this machine's own CPython 3.9")
def test_stock_launcher_without_python(machine: FakeMachine) -> None:
    machine.remove("python3.9")

    assert refusal(machine.source_bootstrap(PIP_INDEX_URL="https://mine.example/simple")) == NO_PYTHON


def test_versions_are_the_same_everywhere() -> None:
    lock = Path("3rdparty/tools/pants.txt").read_text()
    configuration = Path("pants.toml").read_text()
    (pants,) = re.findall(r"^pantsbuild-pants==(\S+)", lock, re.MULTILINE)
    (pex,) = re.findall(r"^pex==(\S+)", lock, re.MULTILINE)

    assert f'\npants_version = "{pants}"\n' in configuration
    assert f'\nversion = "v{pex}"\n' in configuration
    assert f"/pex-{pex}\n" in Path(".pants.bootstrap").read_text()


@pytest.mark.parametrize("lock", sorted(Path("3rdparty/tools").glob("*.txt")), ids=str)
def test_locks_name_no_download_host(lock: Path) -> None:
    assert "://" not in lock.read_text()
