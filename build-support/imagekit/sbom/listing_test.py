from __future__ import annotations

import json
from dataclasses import replace

import pytest

from imagekit.sbom.listing import ListedPackage, ListingError, difference, parse_listing, table

PATCH = "p/1.patch sha256:1"
LIBC6 = ListedPackage("libc6", "2.36-9+deb12u13", "deb", "", ())
KEYSTONE = ListedPackage("keystone", "28.0.0", "python", "Apache-2.0", (PATCH,))
LDAPPOOL = ListedPackage("ldappool", "3.0.0", "python", "MPL; GPL", ())


def test_an_sbom_is_read_by_kind_and_name() -> None:
    components = [
        {
            "name": "ldappool",
            "version": "3.0.0",
            "purl": "pkg:pypi/ldappool@3.0.0",
            "licenses": [{"license": {"name": "MPL"}}, {"license": {"name": "GPL"}}],
            "properties": [{"name": "c5c3:artifact", "value": "ldappool-3.0.0-py3-none-any.whl"}],
        },
        {
            "name": "keystone",
            "version": "28.0.0",
            "purl": "pkg:pypi/keystone@28.0.0",
            "licenses": [{"expression": "Apache-2.0"}],
            "properties": [{"name": "c5c3:patch", "value": PATCH}],
        },
        {
            "name": "libc6",
            "version": "2.36-9+deb12u13",
            "purl": "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=bookworm",
            "properties": [],
        },
    ]
    assert parse_listing(json.dumps({"components": components}), "sbom") == (LIBC6, KEYSTONE, LDAPPOOL)


def test_a_table_has_a_line_for_each_package() -> None:
    assert table((LIBC6, KEYSTONE, LDAPPOOL)) == (
        "name      version          kind    patches  licence",
        "libc6     2.36-9+deb12u13  deb     -        -",
        "keystone  28.0.0           python  1        Apache-2.0",
        "ldappool  3.0.0            python  -        MPL; GPL",
    )


def test_sboms_differ_in_packages_versions_and_patches() -> None:
    old = (LIBC6, KEYSTONE, LDAPPOOL)
    added = ListedPackage("yappi", "1.6", "python", "", ("p/2.patch sha256:2",))
    new = (replace(LIBC6, version="2.37"), replace(KEYSTONE, patches=("p/1.patch sha256:3",)), added)
    assert difference(old, new) == (
        "~ deb libc6 2.36-9+deb12u13 -> 2.37",
        "- python keystone p/1.patch sha256:1",
        "+ python keystone p/1.patch sha256:3",
        "- python ldappool 3.0.0",
        "+ python yappi 1.6",
        "+ python yappi p/2.patch sha256:2",
    )
    assert difference(old, old) == ()


def test_a_component_of_another_kind_is_refused() -> None:
    text = json.dumps({"components": [{"purl": "pkg:npm/left-pad@1"}]})
    with pytest.raises(ListingError) as refused:
        parse_listing(text, "a.json")
    assert str(refused.value) == (
        "a.json has the component pkg:npm/left-pad@1, which is neither a Debian package nor a Python distribution. "
        "Give an SBOM that `package` wrote."
    )
