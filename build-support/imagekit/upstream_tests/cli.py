"""The commands that run the unit tests of a component's source."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Mapping, Sequence

from imagekit.command import Command
from imagekit.errors import ImagekitError
from imagekit.sandbox.store import RootfsStore
from imagekit.sources.tree import read_source
from imagekit.upstream_tests.environment import TIMED_OUT, Ran, TestEnvironment, open_environment
from imagekit.upstream_tests.exclusions import ExclusionError, excluded_tests, parse_exclusions
from imagekit.upstream_tests.results import Results, read_records
from imagekit.upstream_tests.shards import divide
from imagekit.upstream_tests.source import folder_of_tests, requirements_of_tests

#: Seconds for importing all tests.
_LISTING_TIMEOUT = 600


class UpstreamTestError(ImagekitError):
    """Tests that failed, or could not be run."""


def _configure_requirements(parser: argparse.ArgumentParser) -> None:
    _configure_source(parser)
    parser.add_argument("--exclude", action="append", default=[], metavar="PROJECT", help="repeatable")
    parser.add_argument("--optional", action="store_true", help="a source may have no list")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="one requirement a line")


def _configure_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--what", required=True, help="the source in messages, as 'keystone 28.0.0'")
    parser.add_argument("--source", required=True, type=Path, metavar="TAR", help="patched source")


def _requirements(arguments: argparse.Namespace) -> None:
    found = requirements_of_tests(
        read_source(arguments.source), arguments.what, frozenset(arguments.exclude), optional=arguments.optional
    )
    arguments.output.write_text("".join(f"{requirement}\n" for requirement in found))


def _configure_environment(parser: argparse.ArgumentParser) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    _configure_source(parser)
    parser.add_argument("--layout", required=True, type=Path, metavar="DIRECTORY", help="OCI image layout")
    parser.add_argument("--packages", type=Path, metavar="LAYER", help="what the tests need beside the image")
    parser.add_argument("--rootfs-store", type=Path, metavar="DIRECTORY", default=cache / "imagekit" / "rootfs")
    parser.add_argument("--test-path", metavar="DIRECTORY", help="of the source (default: what its .stestr.conf says)")


def _run_driver(arguments: argparse.Namespace, tests: "Sequence[str] | None", timeout: int) -> Ran:
    path = arguments.test_path or folder_of_tests(read_source(arguments.source), arguments.what)
    store = RootfsStore(arguments.rootfs_store)
    with open_environment(arguments.layout, arguments.packages, arguments.source, store) as environment:
        return environment.run(path, tests, timeout)


def _configure_plan(parser: argparse.ArgumentParser) -> None:
    _configure_environment(parser)
    parser.add_argument("--exclude", type=Path, metavar="FILE", help="`<regular expression>  # <reason>` a line")
    parser.add_argument("--shards", type=int, default=1, metavar="N")
    parser.add_argument("--output", required=True, type=Path, metavar="JSON")


def _plan(arguments: argparse.Namespace) -> None:
    exclusions = parse_exclusions(arguments.exclude.read_text(), str(arguments.exclude)) if arguments.exclude else ()
    ran = _run_driver(arguments, None, _LISTING_TIMEOUT)
    if ran.finished.returncode != 0:
        raise UpstreamTestError(
            f"the tests of {arguments.what} cannot be listed: exit code {ran.finished.returncode}.\n"
            f"{ran.finished.stdout}{ran.finished.stderr}"
        )
    tests = [str(json.loads(line)["test"]) for line in ran.records.splitlines()]
    shards = divide(tests, excluded_tests(exclusions, tests), arguments.shards)
    plan = [{"tests": list(shard.tests), "excluded": shard.excluded} for shard in shards]
    arguments.output.write_text(json.dumps({"shards": plan}, indent=1) + "\n")


def _configure_run(parser: argparse.ArgumentParser) -> None:
    _configure_environment(parser)
    parser.add_argument("--tests", required=True, type=Path, metavar="FILE", help="one id a line")
    parser.add_argument("--excluded", type=int, default=0, metavar="N", help="how many were left out, for the report")
    parser.add_argument("--timeout", type=int, default=1800, metavar="SECONDS")


def _run(arguments: argparse.Namespace) -> None:
    tests = arguments.tests.read_text().splitlines()
    ran = _run_driver(arguments, tests, arguments.timeout)
    results = read_records(ran.records, tests)
    print(results.report(arguments.excluded), end="")
    refuse_failure(results, ran, len(tests), arguments.timeout)


def refuse_failure(results: Results, ran: Ran, count: int, timeout: int) -> None:
    """Raise :class:`UpstreamTestError` unless all of the ``count`` tests ran and none failed."""
    code = ran.finished.returncode
    running = f" in {results.running}" if results.running else ""
    if code in TIMED_OUT:
        raise UpstreamTestError(
            f"the tests were stopped{running} after {timeout} s. Raise `timeout` or `shards`, or exclude what hangs."
        )
    if code != 0 or results.running:
        raise UpstreamTestError(
            f"the tests ended{running} with exit code {code}. They wrote:\n{ran.finished.stdout}{ran.finished.stderr}"
        )
    if results.failed:
        raise UpstreamTestError(f"{len(results.failed)} of {count} tests failed: what they say is above.")
    if results.not_run:
        raise UpstreamTestError(
            f"{len(results.not_run)} of {count} tests did not run, such as {results.not_run[0]}. Exclude tests whose "
            "names differ from run to run."
        )


COMMANDS: Mapping[str, Command] = {
    "list-test-requirements": Command(
        help="list what the unit tests of a source require", configure=_configure_requirements, run=_requirements
    ),
    "plan-upstream-tests": Command(
        help="list the unit tests of a source and divide them into shards", configure=_configure_plan, run=_plan
    ),
    "run-upstream-tests": Command(
        help="run unit tests of a source in an image, without a container engine", configure=_configure_run, run=_run
    ),
}
