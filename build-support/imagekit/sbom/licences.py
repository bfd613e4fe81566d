"""Licences as SPDX expressions (SPDX 2.3, annex D), where what a package says of itself is or means one.

An expression that is invalid makes a whole SBOM invalid, so only identifiers known here make one; whatever else a
package says becomes a licence by that name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, List, Mapping, Optional, Sequence, Tuple

#: Identifiers of the SPDX licence list that packages of these images use.
IDENTIFIERS: Tuple[str, ...] = (
    "0BSD", "AFL-2.1", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-1.1", "Apache-2.0", "Artistic-1.0",
    "Artistic-1.0-Perl", "Artistic-2.0", "BSD-1-Clause", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause",
    "BSD-4-Clause-UC", "BSL-1.0", "bzip2-1.0.6", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0",
    "CNRI-Python", "curl", "EPL-1.0", "EPL-2.0", "FSFAP", "FSFUL", "FSFULLR", "FTL", "GFDL-1.2-only",
    "GFDL-1.2-or-later", "GFDL-1.3-only", "GFDL-1.3-or-later", "GPL-1.0-only", "GPL-1.0-or-later", "GPL-2.0-only",
    "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "HPND", "HPND-sell-variant", "ISC", "LGPL-2.0-only",
    "LGPL-2.0-or-later", "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MIT", "MIT-0",
    "MIT-CMU", "MPL-1.1", "MPL-2.0", "NCSA", "NTP", "OFL-1.1", "OLDAP-2.8", "OpenSSL", "PostgreSQL", "PSF-2.0",
    "Python-2.0", "RSA-MD", "SSH-OpenSSH", "TCL", "Unicode-3.0", "Unicode-DFS-2016", "Unlicense", "UPL-1.0", "W3C",
    "WTFPL", "X11", "Zlib", "ZPL-2.1",
)

_EXCEPTIONS: Tuple[str, ...] = (
    "Autoconf-exception-2.0", "Autoconf-exception-3.0", "Bison-exception-2.2", "Classpath-exception-2.0",
    "GCC-exception-3.1", "Linux-syscall-note", "LLVM-exception", "openvpn-openssl-exception",
)

_KNOWN: Mapping[str, str] = {name.lower(): name for name in IDENTIFIERS}
_KNOWN_EXCEPTIONS: Mapping[str, str] = {name.lower(): name for name in _EXCEPTIONS}
_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")

#: What packages write for one of the identifiers, in lower case. "BSD" alone is none: there are several.
_SPELLINGS: Mapping[str, str] = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license v2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apache2": "Apache-2.0",
    "asl 2.0": "Apache-2.0",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd-2-clause license": "BSD-2-Clause",
    "bsd-3-clause license": "BSD-3-Clause",
    "expat": "MIT",
    "expat license": "MIT",
    "gplv3": "GPL-3.0-only",
    "isc license": "ISC",
    "mit license": "MIT",
    "mpl 2.0": "MPL-2.0",
    "new bsd": "BSD-3-Clause",
    "new bsd license": "BSD-3-Clause",
    "psf": "PSF-2.0",
    "psfl": "PSF-2.0",
    "the mit license": "MIT",
    "the mit license (mit)": "MIT",
    "zpl 2.1": "ZPL-2.1",
}

#: Trove classifiers that mean one licence exactly.
_CLASSIFIERS: Mapping[str, str] = {
    "Apache Software License": "Apache-2.0",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Zope Public License": "ZPL-2.1",
}

# Debian's short names (copyright-format 1.0) with a version: GPL-2+ is GPL-2.0-or-later.
_DEBIAN_VERSIONED = re.compile(r"(A?GPL|LGPL|GFDL)-?v?(\d)(?:\.(\d))?(\+?)", re.IGNORECASE)
_DEBIAN: Mapping[str, str] = {
    "artistic": "Artistic-1.0-Perl",
    "bsd-3-clauses": "BSD-3-Clause",
    "cc0": "CC0-1.0",
    "python": "Python-2.0",
    "psf-2": "PSF-2.0",
    "zlib/libpng": "Zlib",
}
_LONGEST_NAME = 120


@dataclass(frozen=True)
class Licence:
    """What a package is licensed under: one SPDX ``expression`` or, where there is none, ``names``; neither: unknown."""

    expression: Optional[str] = None
    names: Tuple[str, ...] = ()


UNKNOWN = Licence()


def spdx_expression(text: str) -> Optional[str]:
    """``text`` as an SPDX expression in its usual spelling, or None when it is none or has identifiers not known here."""
    tokens = [match.group(1) for match in _TOKEN.finditer(text)]
    parts: List[str] = []
    depth = 0
    operand = True
    previous = ""
    for token in tokens:
        lower = token.lower()
        if token == "(" and operand and previous != "WITH":
            depth += 1
            parts.append("(")
        elif token == ")" and not operand and depth:
            depth -= 1
            parts.append(")")
        elif operand:
            known = (_KNOWN_EXCEPTIONS if previous == "WITH" else _KNOWN).get(lower)
            if known is None:
                return None
            parts.append(known)
            operand = False
        elif lower in ("and", "or") or (lower == "with" and previous not in (")", "exception")):
            parts.append(token.upper())
            operand = True
        else:
            return None
        previous = "exception" if previous == "WITH" else parts[-1]
    if operand or depth:
        return None
    return " ".join(parts).replace("( ", "(").replace(" )", ")")


def of_wheel(expression: str, licence: str, classifiers: Sequence[str]) -> Licence:
    """The licence of a wheel by its METADATA: ``License-Expression``, else ``License``, else the classifiers of licences."""
    for stated in (expression, licence):
        known = spdx_expression(stated) or _SPELLINGS.get(" ".join(stated.split()).lower())
        if known is not None:
            return Licence(known)
    prefix = "License :: "
    names = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith(prefix)]
    names = [name for name in names if name != "OSI Approved"]
    identifiers = [_CLASSIFIERS.get(name) for name in names]
    if identifiers and all(identifiers):
        return joined([Licence(identifier) for identifier in identifiers])
    stated = expression or licence
    if stated.strip() and stated.strip().upper() != "UNKNOWN":
        return Licence(names=(_name(stated),))
    return Licence(names=tuple(_name(name) for name in names))


def of_debian(short_names: Iterable[str]) -> Licence:
    """The licence of a package whose files are under ``short_names`` (copyright-format 1.0), all of them."""
    return joined([_debian_one(name) for name in sorted(set(short_names))])


def joined(licences: Sequence[Licence]) -> Licence:
    """All of ``licences`` together: one expression if each is one, else a name for each."""
    if licences and all(licence.expression for licence in licences):
        every = sorted({licence.expression or "" for licence in licences})
        if len(every) == 1:
            return Licence(every[0])
        return Licence(" AND ".join(f"({text})" if " OR " in text else text for text in every))
    names = {name for licence in licences for name in (licence.names or (licence.expression or "",)) if name}
    return Licence(names=tuple(sorted(names)))


def _debian_one(short_name: str) -> Licence:
    # "GPL-2+ or Artistic, and BSD-3-clause": the comma binds less than what stands beside it.
    groups = re.split(r",\s*(and|or)\s+", short_name)
    text = short_name if len(groups) == 1 else " ".join(
        part if part in ("and", "or") else f"({part})" for part in groups
    )
    words = [_debian_word(word) for word in re.findall(r"[()]|[^\s()]+", text)]
    expression = spdx_expression(" ".join(words))
    return Licence(expression) if expression is not None else Licence(names=(_name(short_name),))


def _debian_word(word: str) -> str:
    match = _DEBIAN_VERSIONED.fullmatch(word)
    if match:
        kind, major, minor, later = match.groups()
        return f"{kind.upper()}-{major}.{minor or 0}-{'or-later' if later else 'only'}"
    lower = word.lower()
    return _DEBIAN.get(lower) or _SPELLINGS.get(lower) or word


def _name(text: str) -> str:
    # Some packages put the whole licence into the field.
    line = " ".join(next(line for line in text.splitlines() if line.strip()).split())
    return line if len(line) <= _LONGEST_NAME else line[: _LONGEST_NAME - 1] + "…"
