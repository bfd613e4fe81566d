from __future__ import annotations

import json

from benchmarks.table import Aim, Row, Samples, Unit, render_json, render_number, render_table

PATCHED = Row(
    "rebuild", Unit.SECONDS, Samples((4.0, 2.5, 3.0)), Samples((12.0,)), Aim("<= 0.5 of the Dockerfile's", 0.5, 12.0)
)
UNCHANGED = Row("no change", Unit.SECONDS, Samples((2.5,)), Samples((1.0,)), Aim("<= 2 s", 2.0))
BYTES = Row("bytes", Unit.BYTES, Samples((1_234_567,)), Samples((61_728_350,)))
ALONE = Row("byte code", Unit.FILES, Samples((6500,)))


def test_a_row_compares_medians() -> None:
    assert PATCHED.ratio == 0.25
    assert PATCHED.aim_met is True
    assert UNCHANGED.aim_met is False
    assert BYTES.aim_met is None
    assert ALONE.ratio is None


def test_an_aim_is_met_at_its_limit() -> None:
    assert Aim("", 0.5, 12.0).met_by(6.0)
    assert not Aim("", 0.5, 12.0).met_by(6.001)


def test_a_ratio_by_nothing_is_none() -> None:
    assert Row("byte code", Unit.FILES, Samples((6500,)), Samples((0,))).ratio is None


def test_table() -> None:
    assert render_table([PATCHED, UNCHANGED, BYTES, ALONE]) == (
        "                 ours  Dockerfile  ratio  aim                         met\n"
        "-------------------------------------------------------------------------\n"
        "rebuild        3.00 s     12.00 s   0.25  <= 0.5 of the Dockerfile's  yes\n"
        "no change      2.50 s      1.00 s   2.50  <= 2 s                      NO\n"
        "bytes         1.23 MB    61.73 MB  0.020\n"
        "byte code  6500 files           -\n"
    )


def test_numbers() -> None:
    assert render_number(0.4567, Unit.SECONDS) == "0.46 s"
    assert render_number(999_999, Unit.BYTES) == "1000.0 kB"
    assert render_number(1_000_000, Unit.BYTES) == "1.00 MB"
    assert render_number(3, Unit.FILES) == "3 files"
    assert render_number(36, Unit.LAYERS) == "36 layers"
    assert render_number(0.2749, Unit.SHARE) == "0.27"


def test_json_has_every_sample() -> None:
    assert json.loads(render_json([PATCHED, ALONE], {"machine": "2 cores"})) == {
        "facts": {"machine": "2 cores"},
        "rows": [
            {
                "name": "rebuild",
                "unit": "s",
                "ours": 3.0,
                "ours_samples": [4.0, 2.5, 3.0],
                "dockerfile": 12.0,
                "dockerfile_samples": [12.0],
                "ratio": 0.25,
                "aim": "<= 0.5 of the Dockerfile's",
                "aim_met": True,
            },
            {
                "name": "byte code",
                "unit": "files",
                "ours": 6500,
                "ours_samples": [6500],
                "dockerfile": None,
                "dockerfile_samples": None,
                "ratio": None,
                "aim": None,
                "aim_met": None,
            },
        ],
    }
