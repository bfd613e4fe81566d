"""Options for tests of images."""

from __future__ import annotations

from pants.option.option_types import BoolOption, SkipOption
from pants.option.subsystem import Subsystem


class ImageTestSubsystem(Subsystem):
    # A scope may not have the name of a target.
    options_scope = "images-test"
    name = "image_test"
    help = "How `image_test` targets are run."

    skip = SkipOption("test")


class ImageChecksSubsystem(Subsystem):
    options_scope = "images-check"
    name = "image_checks"
    help = "How `image_checks` targets are run."

    skip = SkipOption("test")


class UpstreamTestsSubsystem(Subsystem):
    options_scope = "images-upstream-tests"
    name = "upstream_tests"
    help = "How `upstream_tests` targets are run."

    skip = SkipOption("test")

    unnamed = BoolOption(
        default=False,
        help="Run them also where a glob such as `::`, or `--changed-since`, finds them: they take long.",
    )
