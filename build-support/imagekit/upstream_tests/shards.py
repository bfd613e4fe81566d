"""Which tests run together in one process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, FrozenSet, List, Sequence, Tuple

from imagekit.errors import ImagekitError


class ShardError(ImagekitError):
    """A shard that has no tests."""


@dataclass(frozen=True)
class Shard:
    """The ids of the ``tests`` of one process, and how many of its tests were ``excluded``."""

    tests: Tuple[str, ...]
    excluded: int


def class_of(test: str) -> str:
    """The class of the test with this id, where ``(scenario)`` may follow the name of the method."""
    return test.partition("(")[0].rpartition(".")[0]


def divide(tests: Sequence[str], excluded: FrozenSet[str], count: int) -> Tuple[Shard, ...]:
    """``tests`` in ``count`` shards of about the same number of tests; those of a class stay together.

    Exclusions do not move tests, so a new one leaves the results of the other shards valid. Raises
    :class:`ShardError` for a shard in which nothing is left to run.
    """
    classes: Dict[str, List[str]] = {}
    for test in sorted(set(tests)):
        classes.setdefault(class_of(test), []).append(test)
    shards: List[List[str]] = [[] for _ in range(count)]
    for name in sorted(classes, key=lambda name: (-len(classes[name]), name)):
        min(shards, key=len).extend(classes[name])
    divided = tuple(
        Shard(tuple(test for test in shard if test not in excluded), sum(test in excluded for test in shard))
        for shard in shards
    )
    for number, shard in enumerate(divided, start=1):
        if not shard.tests:
            raise ShardError(
                f"shard {number} of {count} has no test to run: there are {len(tests)} tests in {len(classes)} classes, "
                f"of which {len(excluded)} are excluded. Lower `shards`, correct `test_path`, or exclude less."
            )
    return divided
