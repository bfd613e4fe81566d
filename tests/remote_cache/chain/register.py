"""A Pants backend with one goal: a chain of processes, each of which needs what the one before has made."""

from __future__ import annotations

import hashlib
from typing import Iterable

from pants.engine.console import Console
from pants.engine.fs import CreateDigest, Digest, DigestContents, FileContent
from pants.engine.goal import Goal, GoalSubsystem
from pants.engine.internals.session import RunId
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, Rule, collect_rules, goal_rule
from pants.option.option_types import StrOption

STEPS = 3
#: Large files travel in streams and small ones in batches, so each step makes one of both.
SCRIPT = """
set -e
if [ -n "$MEETING" ] && [ "$STEP" = 2 ]; then
  : >"$MEETING/step"
  while [ ! -e "$MEETING/go" ]; do sleep 0.1; done
fi
mkdir "made-$STEP"
{ cat "made-$((STEP - 1))/small"; echo "$STEP"; } >"made-$STEP/small"
seq "${STEP}00000" "${STEP}99999" >"made-$STEP/large"
"""


class ChainSubsystem(GoalSubsystem):
    name = "chain"
    help = "Run a chain of processes and say where each result came from."

    meeting = StrOption(default="", help="Folder where the second step says that it runs and waits for the file 'go'.")


class Chain(Goal):
    subsystem_cls = ChainSubsystem
    environment_behavior = Goal.EnvironmentBehavior.LOCAL_ONLY


@goal_rule
async def run_chain(console: Console, chain: ChainSubsystem, run: RunId) -> Chain:
    digest = await Get(Digest, CreateDigest([FileContent("made-0/small", b"0\n")]))
    for step in range(1, STEPS + 1):
        result = await Get(
            ProcessResult,
            Process(
                argv=("/bin/sh", "-c", SCRIPT),
                env={"PATH": "/usr/bin:/bin", "STEP": str(step), "MEETING": chain.meeting},
                input_digest=digest,
                output_directories=(f"made-{step}",),
                description=f"Step {step}",
                # Without a delay a short process wins the race against the cache.
                remote_cache_speculation_delay_millis=60_000,
            ),
        )
        console.print_stdout(f"step {step} {result.metadata.source(run).value}")
        digest = result.output_digest
    for file in await Get(DigestContents, Digest, digest):
        console.print_stdout(f"{file.path} {hashlib.sha256(file.content).hexdigest()}")
    return Chain(exit_code=0)


def rules() -> Iterable[Rule]:
    return collect_rules()
