from __future__ import annotations

import pytest

from c5c3.util_rules.import_closure import import_closure

SOURCES = {
    "imagekit/__init__.py": b"",
    "imagekit/errors.py": b"class ImagekitError(Exception): ...",
    "imagekit/fetch/__init__.py": b"",
    "imagekit/fetch/cli.py": b"def run():\n    from imagekit.fetch.http import get\n",
    "imagekit/fetch/http.py": b"import os\nimport imagekit.errors\nfrom imagekit.fetch import cli\n",
    "imagekit/oci/__init__.py": b"",
    "imagekit/oci/layer.py": b"",
}


def test_imports_in_functions_and_cycles_are_followed_and_other_packages_left_out() -> None:
    assert import_closure(SOURCES, "imagekit.fetch.cli") == {
        "imagekit/__init__.py",
        "imagekit/errors.py",
        "imagekit/fetch/__init__.py",
        "imagekit/fetch/cli.py",
        "imagekit/fetch/http.py",
    }


def test_a_module_that_imports_nothing_has_its_packages_only() -> None:
    assert import_closure(SOURCES, "imagekit.oci.layer") == {
        "imagekit/__init__.py",
        "imagekit/oci/__init__.py",
        "imagekit/oci/layer.py",
    }


def test_a_module_that_is_only_named_counts_because_it_runs_in_a_sandbox() -> None:
    sources = {**SOURCES, "imagekit/oci/layer.py": b"DRIVER = 'imagekit.errors'\nOTHER = 'see imagekit.fetch.http'"}
    assert "imagekit/errors.py" in import_closure(sources, "imagekit.oci.layer")
    assert "imagekit/fetch/http.py" not in import_closure(sources, "imagekit.oci.layer")


def test_an_unknown_module_is_refused() -> None:
    with pytest.raises(KeyError, match="imagekit.gone"):
        import_closure(SOURCES, "imagekit.gone")
