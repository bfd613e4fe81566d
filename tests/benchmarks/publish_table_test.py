from __future__ import annotations

from benchmarks.publish_table import Cost, render_costs


def test_the_table_has_the_ratio_behind_each_other_way() -> None:
    assert render_costs([("first publish", {"ours": Cost(1.5, 2_000_000, 10), "skopeo": Cost(3.0, 4_000_000, 5)})]) == (
        "                      ours      skopeo  ratio\n"
        "first publish       1.50 s      3.00 s   0.50\n"
        "                  2.000 MB    4.000 MB   0.50\n"
        "               10 requests  5 requests   2.00"
    )


def test_the_median_is_of_each_number() -> None:
    costs = [Cost(1.0, 30, 7), Cost(2.0, 10, 9), Cost(9.0, 20, 8)]
    assert Cost.median(costs) == Cost(2.0, 20, 8)
