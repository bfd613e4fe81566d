from __future__ import annotations

from benchmarks.pants_log import Span, spans

LOG = """\
13:05:01.10 [DEBUG] Starting: Write the SBOM of services/nova#image@release=2025.2
13:05:01.20 [DEBUG] Starting: Something that goes on
13:05:01.25 [INFO] Wrote dist/images/nova/2025.2
13:05:01.35 [DEBUG] Completed: Write the SBOM of services/nova#image@release=2025.2
13:05:01.40 [DEBUG] Completed: Something that began before
"""


def test_what_began_and_ended_has_a_span() -> None:
    assert dict(spans(LOG)) == {"Write the SBOM of services/nova#image@release=2025.2": Span(47101.10, 47101.35)}
