from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.python.backend import BuildError, SourceTree, build_environment, last_lines, parse_metadata

METADATA = """\
Metadata-Version: 2.4
Name: keystone
Version: 28.0.0
Provides-Extra: ldap
Provides-Extra: test
Requires-Dist: pbr!=2.1.0,>=2.0.0
Requires-Dist: python-ldap>=3.0.0; extra == "ldap"
Requires-Dist: WebTest>=2.0.27; (python_version > "3.8") and extra == 'test'
Requires-Dist: Flask>=1.0.2

Keystone is an OpenStack project.
Requires-Dist: nothing
"""


def test_metadata_is_read() -> None:
    metadata = parse_metadata(METADATA)
    assert (metadata.name, metadata.version, metadata.extras) == ("keystone", "28.0.0", ("ldap", "test"))
    assert metadata.requires == (
        "Flask>=1.0.2",
        "WebTest>=2.0.27; (python_version > \"3.8\") and extra == 'test'",
        "pbr!=2.1.0,>=2.0.0",
        'python-ldap>=3.0.0; extra == "ldap"',
    )


def test_requirements_of_other_extras_do_not_count() -> None:
    metadata = parse_metadata(METADATA)
    assert metadata.requires_with(()) == ("Flask>=1.0.2", "pbr!=2.1.0,>=2.0.0")
    assert metadata.requires_with(("LDAP",)) == (
        "Flask>=1.0.2",
        "pbr!=2.1.0,>=2.0.0",
        'python-ldap>=3.0.0; extra == "ldap"',
    )


def test_an_sdist_has_a_top_directory_and_a_source_tree_has_none() -> None:
    assert SourceTree("x", "1", Path("x-1.tar.gz")).has_top_directory
    assert not SourceTree("x", "1", Path("source.tar")).has_top_directory


def test_other_archives_are_refused() -> None:
    with pytest.raises(BuildError) as refusal:
        SourceTree("x", "1", Path("x-1.egg"))
    assert str(refusal.value) == (
        "x-1.egg of x 1 is neither an sdist (.tar.gz or .zip) nor a source tree (.tar). Only these can be built."
    )


def test_backends_are_told_the_version() -> None:
    variables = build_environment(SourceTree("x", "1.2", Path("source.tar")))
    assert (variables["PBR_VERSION"], variables["SETUPTOOLS_SCM_PRETEND_VERSION"]) == ("1.2", "1.2")


def test_of_a_long_log_the_end_is_shown() -> None:
    assert last_lines("a\nb\n\n", 2) == "  a\n  b\n"
    assert last_lines("a\nb\nc\nd", 2) == "  [2 lines before these are not shown]\n  c\n  d\n"
    assert last_lines("") == ""
