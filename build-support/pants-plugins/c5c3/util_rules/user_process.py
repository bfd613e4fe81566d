"""Processes that act for the user who runs Pants: with their credentials and keys, and never cached or kept.

What they read of the environment enters no cache key and no sandbox that is kept (`--keep-sandboxes` does not hold for
them).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Tuple

from pants.engine.env_vars import EnvironmentVars, EnvironmentVarsRequest
from pants.engine.fs import EMPTY_DIGEST, Digest
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.process import InteractiveProcess
from pants.engine.rules import collect_rules, rule

from c5c3.subsystems.signing import SigningSubsystem
from c5c3.util_rules.host import HOST_CACHE, HOST_DIR, HostSetup
from c5c3.util_rules.step import CommandCode, CommandCodeRequest, imagekit_argv
from c5c3.util_rules.tools import KEYLESS_TOOLS, SIGNING_TOOLS, STEP_TOOLS, ToolSet, UnpackedTools

#: Credentials for registries and their helpers, and the way to the network.
_ENVIRONMENT = (
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_CONFIG",
    "HOME",
    "PATH",
    "REGISTRY_AUTH_FILE",
    "SSL_CERT_FILE",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    *(
        name
        for variable in ("all_proxy", "http_proxy", "https_proxy", "no_proxy")
        for name in (variable, variable.upper())
    ),
)
_CODE_DIR = "__imagekit"


class _Secret(str):
    """A text that is not shown: Pants writes the environment of a process into its log at the level `debug`."""

    def __repr__(self) -> str:
        return "<secret>"


@dataclass(frozen=True)
class UserProcessRequest:
    """A command of imagekit with ``tools`` and the environment ``variables``, besides what registries need."""

    command: str
    arguments: Tuple[str, ...]
    tools: Tuple[ToolSet, ...] = ()
    variables: Tuple[str, ...] = ()
    inputs: Digest = EMPTY_DIGEST


def signer_tools(signing: SigningSubsystem) -> Tuple[ToolSet, ...]:
    """What a process that signs imports; nothing where nothing is signed."""
    if not signing.signs:
        return ()
    return (STEP_TOOLS, KEYLESS_TOOLS if signing.keyless else SIGNING_TOOLS)


def verifier_tools(signing: SigningSubsystem) -> Tuple[ToolSet, ...]:
    """What a process that verifies imports."""
    return (STEP_TOOLS, KEYLESS_TOOLS if signing.certificate_identity else SIGNING_TOOLS)


@rule
async def prepare_user_process(request: UserProcessRequest, host: HostSetup) -> InteractiveProcess:
    code, environment = await MultiGet(
        Get(CommandCode, CommandCodeRequest(request.command)),
        Get(EnvironmentVars, EnvironmentVarsRequest((*_ENVIRONMENT, *request.variables))),
    )
    unpacked = await MultiGet(Get(UnpackedTools, ToolSet, tools) for tools in request.tools)
    mounted = {_CODE_DIR: code.digest}
    mounted.update((f"__tools-{tools.name}", tree.digest) for tools, tree in zip(request.tools, unpacked))
    return InteractiveProcess(
        argv=(*imagekit_argv(request.command), *request.arguments),
        env={
            **{name: _Secret(value) for name, value in environment.items()},
            "PYTHONPATH": os.pathsep.join(mounted),
            "LC_ALL": "C.UTF-8",
        },
        input_digest=request.inputs,
        immutable_input_digests=mounted,
        append_only_caches={HOST_CACHE: HOST_DIR},
    )


def rules():
    return collect_rules()
