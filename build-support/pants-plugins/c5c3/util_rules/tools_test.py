from __future__ import annotations

from c5c3.util_rules.tools import SIGNING_TOOLS, STEP_TOOLS


def test_the_lock_of_the_tools_that_make_locks_cannot_make_itself() -> None:
    assert STEP_TOOLS.remedy == "Restore it: `git checkout -- 3rdparty/tools/imagekit.lock.json`."
    assert SIGNING_TOOLS.remedy == "Run `./pants generate-lockfiles --resolve=tools/signing` to make it."
