from __future__ import annotations

import pytest

from imagekit.sbom.debian_copyright import licence_of
from imagekit.sbom.licences import UNKNOWN, Licence, of_debian, of_wheel, spdx_expression


@pytest.mark.parametrize(
    "text, expression",
    [
        ("apache-2.0", "Apache-2.0"),
        ("MIT or (apache-2.0 AND BSD-3-Clause)", "MIT OR (Apache-2.0 AND BSD-3-Clause)"),
        ("GPL-3.0-or-later with gcc-exception-3.1", "GPL-3.0-or-later WITH GCC-exception-3.1"),
        ("MIT OR", None),
        ("(MIT", None),
        ("MIT)", None),
        ("MIT Apache-2.0", None),
        ("MIT WITH MIT", None),
        ("BSD", None),
        ("Lizenz für alle", None),
        ("", None),
    ],
)
def test_an_expression_is_valid_or_none(text: str, expression: str) -> None:
    assert spdx_expression(text) == expression


@pytest.mark.parametrize(
    "stated, licence, classifiers, found",
    [
        ("MIT", "", (), Licence("MIT")),
        ("", "Apache License, Version 2.0", (), Licence("Apache-2.0")),
        ("", "see file", ("License :: OSI Approved :: MIT License",), Licence("MIT")),
        ("", "BSD", ("License :: OSI Approved :: BSD License",), Licence(names=("BSD",))),
        ("", "", ("License :: OSI Approved :: BSD License",), Licence(names=("BSD License",))),
        ("", "UNKNOWN", (), UNKNOWN),
        ("", "Größte Freiheit\nof all", (), Licence(names=("Größte Freiheit",))),
        ("", "x" * 300, (), Licence(names=("x" * 119 + "…",))),
        ("", "", (), UNKNOWN),
    ],
)
def test_what_a_wheel_says(stated: str, licence: str, classifiers: "tuple[str, ...]", found: Licence) -> None:
    assert of_wheel(stated, licence, classifiers) == found


def test_debian_names_become_one_expression_or_names() -> None:
    assert of_debian(["GPL-2+ or Artistic", "Expat", "LGPL-2.1"]) == Licence(
        "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND LGPL-2.1-only AND MIT"
    )
    assert of_debian(["GPL-2+", "odd"]) == Licence(names=("GPL-2.0-or-later", "odd"))


def test_a_copyright_file_that_refers_to_no_licence_says_nothing() -> None:
    assert licence_of("This package is free.\n") == UNKNOWN
    assert licence_of("\n") == UNKNOWN


def test_a_machine_readable_copyright_file() -> None:
    text = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nCopyright: someone\nLicense: Expat\n text\n\nFiles: debian/*\nLicense: GPL-3+\n\nLicense: GPL-3+\n text\n"
    )
    assert licence_of(text) == Licence("GPL-3.0-or-later AND MIT")


def test_a_copyright_file_for_people_names_the_licences_that_it_refers_to() -> None:
    text = (
        "This package was debianized by somebody.\n\nOn Debian systems, the text of the GNU GPL is in\n"
        "/usr/share/common-licenses/GPL-2. That of the LGPL is in `/usr/share/common-licenses/LGPL-2.1'.\n"
    )
    assert licence_of(text) == Licence(names=("GPL-2", "LGPL-2.1"))


def test_a_copyright_file_with_a_line_that_is_no_field_is_read() -> None:
    text = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nCopyright: 2004 One\nAnother, 2005\nLicense: LGPL-2.1\n words of it\n"
    )
    assert licence_of(text) == Licence("LGPL-2.1-only")


def test_a_draft_of_the_format_is_read() -> None:
    assert licence_of("Format: http://dep.debian.net/deps/dep5\n\nFiles: *\nLicense: Expat\n") == Licence("MIT")
