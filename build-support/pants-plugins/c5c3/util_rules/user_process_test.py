from __future__ import annotations

from pants.engine.env_vars import EnvironmentVars, EnvironmentVarsRequest
from pants.engine.fs import EMPTY_DIGEST
from pants.engine.process import InteractiveProcess
from pants.testutil.rule_runner import MockGet, run_rule_with_mocks

from c5c3.util_rules.host import HostSetup
from c5c3.util_rules.step import CommandCode, CommandCodeRequest
from c5c3.util_rules.tools import SIGNING_TOOLS, STEP_TOOLS, ToolSet, UnpackedTools
from c5c3.util_rules.user_process import UserProcessRequest, prepare_user_process


def prepared(request: UserProcessRequest, **environment: str) -> InteractiveProcess:
    def variables(asked: EnvironmentVarsRequest) -> EnvironmentVars:
        return EnvironmentVars({name: value for name, value in environment.items() if name in asked.requested})

    process: InteractiveProcess = run_rule_with_mocks(
        prepare_user_process,
        rule_args=[request, HostSetup()],
        mock_gets=[
            MockGet(CommandCode, (CommandCodeRequest,), lambda _: CommandCode(EMPTY_DIGEST)),
            MockGet(EnvironmentVars, (EnvironmentVarsRequest,), variables),
            MockGet(UnpackedTools, (ToolSet,), lambda _: UnpackedTools(EMPTY_DIGEST)),
        ],
    )
    return process


def test_a_secret_reaches_the_process_and_no_log() -> None:
    request = UserProcessRequest("push-image", ("--request=push.json",), variables=("SIGNING_KEY",))
    process = prepared(request, SIGNING_KEY="-----BEGIN", http_proxy="http://me:s3cret@proxy.example", OTHER="x")
    assert process.process.env["SIGNING_KEY"] == "-----BEGIN"
    assert "OTHER" not in process.process.env
    # `publish` writes this into the log at the level `debug`.
    assert "BEGIN" not in str(process) and "s3cret" not in str(process)


def test_a_process_is_never_kept() -> None:
    assert prepared(UserProcessRequest("verify", ())).keep_sandboxes.value == "never"


def test_tools_are_mounted_apart() -> None:
    process = prepared(UserProcessRequest("verify", (), (STEP_TOOLS, SIGNING_TOOLS)))
    assert process.process.env["PYTHONPATH"] == "__imagekit:__tools-imagekit:__tools-signing"
    assert set(process.process.immutable_input_digests) == {"__imagekit", "__tools-imagekit", "__tools-signing"}
