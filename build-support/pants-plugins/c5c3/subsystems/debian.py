"""Options for Debian's packages."""

from __future__ import annotations

from pants.option.option_types import StrListOption
from pants.option.subsystem import Subsystem
from pants.util.strutil import softwrap


class DebianSubsystem(Subsystem):
    options_scope = "debian"
    help = "Where the packages of Debian and Ubuntu bases come from."

    mirrors = StrListOption(
        default=[],
        help=softwrap(
            """
            Mirrors to fetch packages from, in this order, as URLs of the folder that holds `dists/` and `pool/`. Defaults
            to the mirrors of this machine's apt configuration. Where a package comes from never decides what is built: its
            SHA-256 is locked.
            """
        ),
    )
